"""campaign.toml as a checked model."""

from __future__ import annotations

import os
import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from imitable.errors import CampaignError

_LEVELS_YET = ("text", "examples")
_CHECKS = 5
"""Attention checks that there are."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _money(text: str) -> str:
    amount = Decimal(text)
    if not amount.is_finite() or amount < 0 or amount != round(amount, 2):
        raise ValueError('must be an amount of zero or more with at most two decimals, such as "3.00"')
    return text


Amount = Annotated[str, Field(pattern=r"^\d+(\.\d+)?$"), AfterValidator(_money)]
"""Money as text, in the campaign's currency, so that no float ever holds it."""


class About(_Table):
    """[campaign]"""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,79}$")
    """What the campaign is called: letters, digits, spaces, `_`, `.`, `-`; at most 80."""
    seed: int = Field(default=0, ge=0)
    """Seed of every random choice of the build. The same seed and key give the same bytes."""


class Study(_Table):
    """[study]"""

    consent: str | None = None
    """File in the campaign's folder, shown and agreed to before anything is recorded."""
    contact: str = ""
    """Whom annotators can write to."""


class Model(_Table):
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


class Corpus(_Table):
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


class Select(_Table):
    """select = { method = "kurtosis", count = 12 }"""

    method: str
    """A selection method: `kurtosis`, `random`, or one that an installed extension provides."""
    count: int = Field(ge=1)
    """How many targets in all, over the sites of this table."""


class Targets(_Table):
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


class Pool(_Table):
    """pool = { practice = 60, held_out = 40 }"""

    practice: int = Field(default=60, ge=2)
    """Items a target has for practice rounds, at most."""
    held_out: int = Field(default=40, ge=2)
    """Items a target has for held-out rounds, at most."""


class Episode(_Table):
    """[episode]"""

    levels: list[str] = Field(default=["examples"], min_length=1)
    """What is seen besides the text; with several, each episode gets one at random."""
    practice: int = Field(default=15, ge=0)
    """Rounds with the truth shown after the guess."""
    held_out: int = Field(default=5, ge=0)
    """Rounds without; they measure."""
    pool: Pool = Pool()
    shade_reveal: bool = True
    """Once a practice round is answered, its whole text is shaded by the activation at every token."""
    checks: list[Annotated[int, Field(ge=1)]] = []
    """Trials at which an attention check stands, a text that says what to answer; never counted, and beyond the rounds
    of `practice` and `held_out`."""
    repeats: list[Annotated[int, Field(ge=1)]] = []
    """Trials at which an earlier practice item comes again; practice rounds too, and beyond those of `practice`."""
    abandon_after_minutes: float = Field(default=30, gt=0)
    """An unfinished episode gives its place back after this long without a guess."""

    @property
    def rounds(self) -> int:
        """Rounds of one episode, of every kind."""
        return self.practice + self.held_out + len(self.checks) + len(self.repeats)

    @model_validator(mode="after")
    def _places_are_there(self) -> Episode:
        places = [*self.checks, *self.repeats]
        twice = next((trial for trial in places if places.count(trial) > 1), None)
        if twice is not None:
            raise ValueError(f"checks and repeats name trial {twice} twice; give each its own")
        if places and max(places) > self.rounds:
            raise ValueError(f"checks and repeats name trial {max(places)}, and an episode has {self.rounds}")
        if len(self.checks) > _CHECKS:
            raise ValueError(f"there are only {_CHECKS} different checks; name fewer trials")
        for at, trial in enumerate(sorted(self.repeats)):
            before = trial - 1 - at - sum(check < trial for check in self.checks)  # of the rounds that are drawn
            if before > self.practice or min(before, self.practice) <= at:
                raise ValueError(
                    f"the repeat at trial {trial} has no practice round to repeat, or comes after them; place repeats "
                    "among the practice rounds"
                )
        return self

    @model_validator(mode="after")
    def _fits(self) -> Episode:
        unknown = [level for level in self.levels if level not in _LEVELS_YET]
        if unknown:
            raise ValueError(f"level '{unknown[0]}' is not one of {', '.join(_LEVELS_YET)}")
        if len(set(self.levels)) != len(self.levels):
            raise ValueError("levels repeats itself")
        if self.practice + self.held_out == 0:
            raise ValueError("an episode without rounds cannot be played")
        if self.practice > self.pool.practice or self.held_out > self.pool.held_out:
            raise ValueError("an episode needs more rounds than its pool has items; enlarge pool")
        return self


class Sitting(_Table):
    """[sitting]"""

    episodes: int = Field(default=4, ge=1)
    """Episodes, on different targets, that one annotator plays in one go."""
    minutes: int = Field(default=15, ge=1)
    """How long that takes, as annotators are told."""


class Serve(_Table):
    """[serve]"""

    public_url: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+$")
    """Where annotators reach the game; links start with it."""


class Store(_Table):
    """[store]"""

    url: str = "sqlite"
    """`sqlite` (DIR/campaign.db) or postgresql://...; IMITABLE_STORE_URL overrides it."""


class Web(_Table):
    """[platform.web]"""

    annotators_per_target: int = Field(default=10, ge=1)
    """Finished episodes wanted for each target and level."""
    open: bool = False
    """True: anyone with the address may play, unpaid. False: personal links only."""


class LabelStudio(_Table):
    """[platform.label_studio]"""

    url: str = "http://localhost:8080"
    annotators_per_target: int = Field(default=10, ge=1)
    proxied: bool = False


class Prolific(_Table):
    """[platform.prolific]"""

    places: int = Field(default=30, ge=1)
    annotators_per_target: int = Field(default=10, ge=1)


class MTurk(_Table):
    """[platform.mturk]"""

    endpoint_url: str | None = None
    annotators_per_target: int = Field(default=10, ge=1)


class Platforms(_Table):
    """[platform]"""

    web: Web = Web()
    label_studio: LabelStudio | None = None
    prolific: Prolific | None = None
    mturk: MTurk | None = None


class Pay(_Table):
    """[pay]"""

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    base: Amount = "0.00"
    """For a sitting."""
    bonus_per_point: Amount = "0.00"
    """For each point above par in the held-out rounds."""
    floor_per_hour: Amount = "0.00"
    cap: Amount | None = None
    """For the whole campaign, fees included."""


class Campaign(_Table):
    """campaign.toml"""

    campaign: About
    study: Study = Study()
    model: Model | None = None
    models: list[Model] = []
    corpus: Corpus
    targets: list[Targets] = Field(min_length=1)
    episode: Episode = Episode()
    sitting: Sitting = Sitting()
    serve: Serve = Serve()
    store: Store = Store()
    platform: Platforms = Platforms()
    pay: Pay = Pay()

    @model_validator(mode="after")
    def _models_differ(self) -> Campaign:
        if (self.model is None) == (not self.models):
            raise ValueError("needs one [model] table, or several [[models]], and not both")
        names = [model.model_id for model in self.all_models]
        if len(set(names)) != len(names):
            raise ValueError(f"two models are called '{max(names, key=names.count)}'; give each its own name")
        return self

    @property
    def all_models(self) -> list[Model]:
        """The models, however they were written."""
        return [self.model] if self.model is not None else self.models


def read_config(path: Path) -> Campaign:
    """Read and check one campaign.toml. Raises CampaignError naming file, table and key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise CampaignError(f"There is no {path}. Make a campaign with: imitable new {path.parent}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CampaignError(f"{path} cannot be read: {error}. Mend that place and try again.") from error
    try:
        return Campaign.model_validate(data, context={"base": path.parent})
    except ValidationError as error:
        problems = [_say(problem) for problem in error.errors()]
        raise CampaignError(f"{path}: " + "; ".join(problems) + ". Mend this and try again.") from error


_FORMS = {
    "targets.name": "must be letters, digits, _ and -",
    "model.name": "must be one line that does not begin or end with a space",
    "campaign.name": "must be letters, digits, spaces, _, . or -, at most 80, and begin with a letter or digit",
    "document": "must be 'text' or 'block:N', such as 'block:10'",
    "public_url": "must be a web address that begins with http:// or https://",
    "currency": "must be three capital letters, such as 'USD'",
    **dict.fromkeys(
        ("base", "bonus_per_point", "floor_per_hour", "cap"), 'must be an amount in quotes, such as "3.00"'
    ),
}
"""What a value must look like, in words, by key."""


def _say(problem: Any) -> str:
    where, *inner = problem["loc"] or ("",)
    table = f"table [{where}]" if where else "the file"
    keys = ".".join(f"#{part + 1}" if isinstance(part, int) else part for part in inner)
    if problem["type"] == "extra_forbidden":
        named = f"table [{where}], unknown key '{keys}'" if keys else f"unknown table [{where}]"
        return f"{named} (see 'imitable new' for the keys there are)"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        message = "is missing"
    if problem["type"] == "model_type":
        message = "is a table of keys, and not a single value"
    if problem["type"] == "string_pattern_mismatch":
        key = keys.rpartition(".")[2]
        message = _FORMS.get(f"{where}.{key}", _FORMS.get(key, message) if key != "name" else message)
    shown = "" if problem["type"] in ("missing", "value_error") else f" (it is {problem['input']!r})"
    return f"{table}{f', key {keys!r}' if keys else ''}: {message}{shown}"
