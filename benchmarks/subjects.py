"""What the activation benchmark runs on: models, tokens of real text, and the 72 neurons that everybody must read."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from imitable.activations.anatomy import mlp_sites
from imitable.activations.models import Loaded, load_model, scan_dtype
from imitable.activations.shards import Shard, joined
from imitable.activations.sites import Site
from imitable.campaign import Model

ROOT = Path(__file__).resolve().parent.parent
BUILTIN = ROOT / "plugin" / "imitable" / "builtin"
ROWS, LENGTH = 8, 128
"""Windows a batch and tokens a window: the same for everybody."""
CHOSEN = 72

MODELS = {
    "stories260K": BUILTIN / "stories260K",
    "MiniLM": ROOT / "models" / "all-MiniLM-L6-v2",
    "SmolLM2": ROOT / "models" / "SmolLM2-135M-Instruct",
    "GPT-2-shape": None,
}
"""Folders by the names that --models takes; None: random weights, made on the fly."""

Units = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Subject:
    """A model with the text that it is run on."""

    name: str
    folder: Path
    loaded: Loaded
    sites: list[Site]
    tokens: Any
    """(batches, ROWS, LENGTH) tensor of tokens of real text, on the model's device. Random ones for random weights."""

    @classmethod
    def load(cls, name: str, folder: Path, *, text: str, batches: int) -> Subject:
        """Load a model and repeat a text's tokens until there are enough."""
        loaded = load_model(Model(path=str(folder)), base=folder)
        needed = batches * ROWS * LENGTH
        if name == "GPT-2-shape":
            ids = np.random.default_rng(0).integers(0, loaded.model.config.vocab_size, needed)
        else:
            ids = np.array(loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
            ids = np.resize(ids, needed)
        tokens = torch.from_numpy(ids.astype(np.int64).reshape(batches, ROWS, LENGTH)).to(loaded.device)
        return cls(name, folder, loaded, mlp_sites(loaded), tokens)

    @property
    def what(self) -> str:
        """The model in words."""
        count = self.loaded.model.num_parameters() / 1e6
        neurons = sum(site.width for site in self.sites)
        return f"{count:.3g} million parameters, {len(self.sites)} layers, {neurons:,} neurons"

    @property
    def scanning(self) -> str:
        """The dtype that imitable scans this model in."""
        return scan_dtype(self.loaded)

    def units(self, *, layers: int | None = None) -> Units:
        """72 neurons, spread evenly over the first `layers` layers."""
        sites = self.sites[:layers]
        generator = np.random.default_rng(1)
        share = [CHOSEN // len(sites) + (at < CHOSEN % len(sites)) for at in range(len(sites))]
        return {
            site.name: tuple(sorted(generator.choice(site.width, size=count, replace=False).tolist()))
            for site, count in zip(sites, share, strict=True)
        }

    @cached_property
    def shards(self) -> list[Shard]:
        """The batches as imitable takes them."""
        return [_shard(list(batch)) for batch in self.tokens.cpu().numpy()]

    @cached_property
    def one_shard(self) -> Shard:
        """All batches at once, for imitable to cut as it likes."""
        return joined(self.shards)

    def whole(self, dtype: str = "float32") -> Any:
        """The model with its head, loaded anew: rivals may rewire it."""
        kind = "AutoModelForMaskedLM" if self.is_encoder else "AutoModelForCausalLM"
        model = getattr(transformers, kind).from_pretrained(self.folder, dtype=getattr(torch, dtype))
        model.config.use_cache = False
        return model.eval().to(self.loaded.device)

    @property
    def is_encoder(self) -> bool:
        """Whether its head is one of masked words."""
        return bool(self.loaded.model.config.model_type == "bert")


def random_gpt2(folder: Path) -> Path:
    """Save a model of GPT-2 small's shape with random weights and, since it needs one, another model's tokenizer."""
    torch.manual_seed(0)
    transformers.GPT2LMHeadModel(transformers.GPT2Config()).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(BUILTIN / "stories260K").save_pretrained(folder)
    return folder


def read_texts(file: Path | None) -> list[str]:
    """The texts of a JSON Lines file with a field `text`; TinyStories without one."""
    if file is None:
        return (BUILTIN / "tinystories.txt").read_text(encoding="utf-8").split("\n\n")
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines if line.strip()]


def sentence_tokens(loaded: Loaded, texts: list[str], count: int) -> list[list[int]]:
    """Tokens of some sentences, drawn at random; special tokens included."""
    sentences = [each for text in texts for each in re.split(r"(?<=[.!?])\s+", text) if len(each.split()) > 3]
    drawn = np.random.default_rng(2).permutation(len(sentences))[:count]
    ids: list[list[int]] = loaded.tokenizer([sentences[at] for at in drawn])["input_ids"]
    return [each[: loaded.longest] for each in ids]


def sentences_shard(tokens: list[list[int]]) -> Shard:
    """Sentences as imitable takes them."""
    return _shard([np.array(each) for each in tokens])


def _shard(windows: list[Any]) -> Shard:
    """Every token may be asked about, so that everybody's moments are over the same tokens."""
    total = sum(len(each) for each in windows)
    return Shard(
        tokens=np.concatenate(windows).astype(np.int32),
        focusable=np.ones(total, dtype=bool),
        lengths=np.array([len(each) for each in windows], dtype=np.int32),
        document=np.arange(len(windows), dtype=np.int64),
        text=np.zeros(0, dtype=np.uint8),
        text_ends=np.zeros(len(windows), dtype=np.int64),
    )
