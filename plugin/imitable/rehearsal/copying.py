"""A campaign's copy for a rehearsal: its settings and its build, with a key, a store and addresses of its own."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imitable.campaign import Folder, open_folder
from imitable.campaign.folder import KEY_BYTES
from imitable.store import build_hash_of, load_build, open_store, read_build

MARK = "rehearsal.txt"
"""File in the copy that says what it is."""
_SAID = "Programs played this copy of a campaign, in a rehearsal: nothing in it is about people.\n"
UNLIMITED = {"session_per_second": 1e6, "address_per_second": 1e6, "arrivals_per_second": 1e6}
"""[serve.limits] hold back who asks faster than people do; a rehearsal's clock is faster."""


def copy_campaign(
    folder: Folder, to: Path, *, public_url: str, platform: Mapping[str, Mapping[str, object]], seed: int
) -> Folder:
    """Make the folder `to`: the same campaign, with these tables of [platform] alone. The other one is only read.

    Its key is another, from which the campaign's own cannot be found; the same `seed` gives the same one.

    Raises ImitableError subclasses for what cannot be read.
    """
    to.mkdir(parents=True)
    (to / MARK).write_text(_SAID, encoding="utf-8")
    data = tomllib.loads((folder.path / "campaign.toml").read_text(encoding="utf-8-sig"))
    tables = [data["model"]] if "model" in data else data["models"]
    for table, model in zip(tables, folder.config.all_models, strict=True):
        if model.revision is None:
            table["name"] = model.model_id  # it may be called after its folder, which is another one from here
    data["store"] = {"url": "sqlite"}
    data["serve"] = {"public_url": public_url, "limits": UNLIMITED}
    data["platform"] = {name: dict(table) for name, table in platform.items()}
    study = data.setdefault("study", {})
    if folder.config.study.consent:
        study["consent"] = "consent.md"
        (to / "consent.md").write_text(folder.consent_text(), encoding="utf-8")
    if folder.config.study.texts:
        study["texts"] = "texts.toml"
        (to / "texts.toml").write_bytes((folder.path / folder.config.study.texts).read_bytes())
    (to / "campaign.toml").write_text(as_toml(data), encoding="utf-8")
    _write_key(to / "secret.key", folder.derive("rehearsal", seed, size=2 * KEY_BYTES))
    made = open_folder(to)
    store = open_store(made, url="sqlite")
    try:
        name, records = made.config.campaign.name, read_build(folder.build)
        load_build(store, name=name, build_hash=build_hash_of(made), records=records)
    finally:
        store.close()
    return made


def _write_key(path: Path, key: str) -> None:
    path.touch(mode=0o600)
    path.write_text(key + "\n", encoding="ascii")


def is_rehearsal(folder: Folder) -> bool:
    """Whether a campaign's folder is such a copy: then everybody in it is a simulated player."""
    return (folder.path / MARK).exists()


def as_toml(data: Mapping[str, Any]) -> str:
    """What `tomllib` reads as `data`: tables of strings, numbers, truth values, lists and tables."""
    lines = [f"{_key(name)} = {_value(value)}" for name, value in data.items() if not _is_table(value)]
    for name, value in data.items():
        for table in value if isinstance(value, list) and _is_table(value) else [value]:
            if isinstance(table, dict):
                lines.append(f"\n[[{_key(name)}]]" if isinstance(value, list) else f"\n[{_key(name)}]")
                lines += [f"{_key(inner)} = {_value(one)}" for inner, one in table.items()]
    return "\n".join(lines) + "\n"


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict) for one in value))


def _key(name: str) -> str:
    return _text(name)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case int() | float():
            return repr(value)
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return "{" + ", ".join(f"{_key(name)} = {_value(one)}" for name, one in value.items()) + "}"
        case _:
            raise TypeError(f"campaign.toml holds no {type(value).__name__}")


def _text(value: str) -> str:
    """A basic string: JSON's escapes are TOML's, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
