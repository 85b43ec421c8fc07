"""campaign.toml, the tables of what is studied: the study itself, models, corpus, targets."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)


class Table(BaseModel):
    """A table of campaign.toml: unknown keys are errors, and nothing is changed once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class About(Table):
    """[campaign]"""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,79}$")
    """What the campaign is called: letters, digits, spaces, `_`, `.`, `-`; at most 80."""
    seed: int = Field(default=0, ge=0)
    """Seed of every random choice of the build. The same seed and key give the same bytes."""


class Study(Table):
    """[study]"""

    consent: str | None = None
    """File in the campaign's folder, shown and agreed to before anything is recorded."""
    contact: str = ""
    """Whom annotators can write to."""
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    """The language of the pages, as BCP 47 writes it: `en`, `pt-BR`, `az-Arab`. Right-to-left ones are laid out so."""
    texts: str | None = None
    """File in the campaign's folder with the words of the pages, all or some; docs/translating.md says how."""


class Model(Table):
    """[model] or [[models]]"""

    path: str
    """`builtin:stories260K`, a local folder, or a Hugging Face hub name."""
    name: str | None = Field(default=None, pattern=r"^\S(.*\S)?$", max_length=120)
    """MODEL in target ids, on one line, at most 120 characters; default: the hub name, or the folder's name."""
    revision: str | None = None
    """Commit, branch or tag on the hub; written into target ids as NAME@REVISION."""
    dtype: Literal["float32"] = "float32"
    """Truths are computed in float32."""
    scan_dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """What the corpus is scanned in, to select units and to find their strata; `auto`: bfloat16 where it is faster."""

    _folder: Path | None = PrivateAttr(default=None)
    """The local folder that `path` means; None for what ships with imitable and for hub names."""

    @property
    def model_id(self) -> str:
        """MODEL, as target ids write it: the same wherever the command is run from."""
        bare = self.name or (self._folder.name if self._folder else self.path.removeprefix("builtin:").rstrip("/"))
        return f"{bare}@{self.revision}" if self.revision else bare

    @model_validator(mode="after")
    def _look_for_the_folder(self, info: ValidationInfo) -> Model:
        where = Path((info.context or {}).get("base", ".")) / Path(self.path).expanduser()
        if self.path.startswith((".", "/", "~")) or (where.exists() and not self.path.startswith("builtin:")):
            self._folder = Path(os.path.abspath(where))
        if self.revision and (self._folder or self.path.startswith("builtin:")):
            raise ValueError(f"revision is for models of the hub, and {self.path} is none; remove it")
        return self


class Corpus(Table):
    """[corpus]"""

    path: str
    """`builtin:tinystories`; a .txt, .jsonl, .csv or .parquet file (the first three also as .gz), a folder of them or a
    glob, here or behind an address such as s3://bucket/texts; a folder that `datasets` saved; a data set on the hub."""
    column: str = "text"
    """Column or field that holds the text in .jsonl, .csv, .parquet and data sets."""
    max_texts: int | None = Field(default=None, ge=1)
    """Texts read, at most, from the start; for data sets on the hub that are larger than a build needs."""
    split: str = Field(default="train", min_length=1)
    """Split of a Hugging Face data set; files have none."""
    subset: str | None = Field(default=None, min_length=1)
    """Subset (configuration) of a data set on the hub, where it has several."""
    held_out_path: str | None = Field(default=None, min_length=1)
    """A second corpus, written like `path`, from which all held-out items come; `max_texts` holds for it too."""
    held_out_column: str | None = Field(default=None, min_length=1)
    """Column of the second corpus that holds the text; default: `column`."""
    held_out_split: str | None = Field(default=None, min_length=1)
    """Split of the second corpus where it is a Hugging Face data set; default: `split`."""
    max_tokens: int = Field(default=48, ge=8, le=4096)
    """Tokens in a shown text, at most; the shown text is the model's whole input."""
    min_tokens: int | None = Field(default=None, ge=4)
    """Tokens in a shown text, at least; default: two thirds of `max_tokens`."""
    document: str = Field(default="block:10", pattern=r"^(block:[1-9]\d*|text)$")
    """What counts as one document: `block:N` is N consecutive texts, `text` is each text alone."""

    @property
    def block(self) -> int:
        """Consecutive texts in one document."""
        return 1 if self.document == "text" else int(self.document.split(":")[1])

    @property
    def shortest(self) -> int:
        """Fewest tokens in a shown text."""
        return self.min_tokens or max(4, self.max_tokens * 2 // 3)

    @model_validator(mode="after")
    def _shortest_fits(self) -> Corpus:
        if self.shortest > self.max_tokens:
            raise ValueError(f"min_tokens ({self.shortest}) is larger than max_tokens ({self.max_tokens})")
        return self

    @model_validator(mode="after")
    def _held_out_is_another(self) -> Corpus:
        if self.held_out_path is None:
            for key in ("held_out_column", "held_out_split"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key} is for a second corpus; name that in held_out_path, or remove {key}")
        elif self.held_out_path == self.path and self.held_out_split in (None, self.split):
            raise ValueError(f"held_out_path is the first corpus again ({self.path}); name another, or remove it")
        return self


class Select(Table):
    """select = { method = "kurtosis", count = 12 }"""

    method: str
    """A selection method: `kurtosis`, `random`, `beyond-lexical`, or one that an installed extension provides."""
    count: int = Field(ge=1)
    """How many targets in all, over the sites of this table."""


class Targets(Table):
    """[[targets]]"""

    kind: Literal["neuron", "head", "direction", "probe", "latent"] = "neuron"
    """What to imitate. `neuron`: an MLP hidden unit. `head`: an attention head's output, its norm or its projection on
    a direction. `direction`: of the residual stream. `probe`: a linear probe. `latent`: of a sparse autoencoder."""
    sites: list[str] = []
    """Where, for instance ["mlp.2", "mlp.3"] or ["head.1.norm"]. Files name their own."""
    file: str | None = None
    """File of directions or of a probe (.safetensors), or folder of an SAE, from the campaign's folder."""
    layer: int | None = Field(default=None, ge=0)
    """0-based block of what comes from a file, where the file does not say."""
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]+$")
    """NAME in the site's name, for what comes from a file; default: the file's own name."""
    polarity: Literal["auto", "pos", "neg", "both"] = "auto"
    """Which side of the activation is played; `auto` is `both` for probes and directions, else the side with the larger
    extreme."""
    select: Select | None = None
    units: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None = None
    """Units by number, at every site of this table; instead of `select`. Directions and probes: all, when neither."""

    @property
    def played(self) -> str:
        """The polarity asked for, with the kind's own default."""
        return "both" if self.polarity == "auto" and self.kind in ("direction", "probe") else self.polarity

    @property
    def file_name(self) -> str:
        """NAME of what comes from the file: as given, or the file's own name."""
        return self.name or Path(self.file or "").name.removesuffix(".safetensors")

    @model_validator(mode="after")
    def _complete(self) -> Targets:
        optional = self.kind in ("direction", "probe")
        if (self.select is not None and self.units is not None) or (
            self.select is None and self.units is None and not optional
        ):
            raise ValueError('needs either units = [3, 17] or select = { method = "kurtosis", count = 12 }')
        from_file = self.kind in ("direction", "probe", "latent")
        along = any(".along-" in site for site in self.sites)
        if (from_file or along) and self.file is None:
            raise ValueError(f"kind '{self.kind}' needs file = ..., the file that holds what is imitated")
        if self.file is not None and not from_file and not along:
            raise ValueError(
                f"file is for directions, probes, latents and heads along a direction, not for {self.kind}s"
            )
        if not from_file and not along and (self.layer is not None or self.name is not None):
            raise ValueError(f"layer and name are for what comes from a file; {self.kind}s are named by sites")
        if not self.sites and not from_file:
            raise ValueError('sites is missing; say where, for instance sites = ["mlp.2", "mlp.3"]')
        if self.file is not None and not re.fullmatch(r"[A-Za-z0-9_-]+", self.file_name):
            raise ValueError(
                f"'{self.file_name}' cannot stand in a target's id; give a name of letters, digits, _ and -"
            )
        return self
