"""Small campaigns to build for real, in under a second: the built-in model on some stories of the built-in text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from sqlalchemy import select
from transformers import AutoTokenizer

from imitable.campaign import open_folder
from imitable.commands.progress import Advance
from imitable.store import open_store, read_build, tables

torch.set_num_threads(1)  # models this small gain nothing from threads, and lose much on a busy machine

KEY = bytes(range(32))

TOML = """
[campaign]
name = "quick"
seed = {seed}
[model]
{model}
[corpus]
{corpus}
max_tokens = 32
document = "block:2"
[[targets]]
sites = {sites}
{chosen}
[episode]
practice = 3
held_out = 2
pool = {{ practice = 16, held_out = 12 }}
{more}
"""


def builtin_model() -> Path:
    """The folder of the model that ships with imitable."""
    return Path(str(files("imitable.builtin"))) / "stories260K"


def stories(count: int) -> list[str]:
    """The first texts of the corpus that ships with imitable."""
    text = (Path(str(files("imitable.builtin"))) / "tinystories.txt").read_text(encoding="utf-8")
    return text.split("\n\n")[:count]


def campaign(path: Path, *, texts: int | None = 240, key: bytes = KEY, **changes: Any) -> Path:
    """Write a campaign's folder that is ready to be built.

    `changes` fill campaign.toml: `seed`, `model`, `corpus` (lines of those tables), `sites`, `chosen` (units or
    select), `more` (whatever follows). `texts` stories are written to corpus.txt; None writes no corpus.
    """
    path.mkdir(parents=True)
    (path / "secret.key").write_text(key.hex() + "\n", encoding="ascii")
    if texts is not None:
        (path / "corpus.txt").write_text("\n\n".join(stories(texts)) + "\n", encoding="utf-8")
    defaults = {
        "seed": 0,
        "model": 'path = "builtin:stories260K"',
        "corpus": 'path = "corpus.txt"',
        "sites": '["mlp.1"]',
        "chosen": "units = [0, 1, 2, 3, 4, 5]",
        "more": "",
    }
    (path / "campaign.toml").write_text(TOML.format(**(defaults | changes)), encoding="utf-8")
    return path


def edit(campaign: Path, old: str, new: str) -> None:
    """Change one place of campaign.toml."""
    path = campaign / "campaign.toml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def build_bytes(campaign: Path) -> dict[str, bytes]:
    """Every file of DIR/build, by name."""
    return {path.name: path.read_bytes() for path in sorted((campaign / "build").iterdir())}


def save_model(model: Any, folder: Path) -> Path:
    """Save a model beside the built-in tokenizer."""
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(builtin_model()).save_pretrained(folder)
    return folder


def ids(directory: Path) -> set[str]:
    """Ids of the items in DIR/build."""
    return {item.item_id for item in read_build(directory / "build")["items"]}


def stored(directory: Path) -> tuple[str | None, set[str]]:
    """Hash and item ids of what the store holds."""
    store = open_store(open_folder(directory))
    try:
        with store.read() as connection:
            items = set(connection.execute(select(tables.items.c.item_id)).scalars())
        return store.build_hash(), items
    finally:
        store.close()


def leftovers(directory: Path) -> list[str]:
    """What a build left in a campaign's folder: DIR/build, and anything hidden."""
    return sorted(path.name for path in directory.iterdir() if path.name.startswith(".") or path.name == "build")


@contextmanager
def never(what: str, total: int) -> Iterator[Advance]:
    """Progress of a build that must not run the model."""
    raise AssertionError(f"{what}: nothing had to be done")
    yield
