"""`imitable new`: a commented campaign.toml, a consent text and a fresh key."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from imitable.campaign import write_key
from imitable.errors import CampaignError

_FILES = ("campaign.toml", "consent.md")


def new(directory: Path) -> list[Path]:
    """Make a campaign's folder. Files that are there already are never touched.

    Returns the files made. Raises CampaignError when the folder already holds a campaign.
    """
    if (directory / "campaign.toml").exists():
        raise CampaignError(f"{directory} already holds a campaign. Edit its campaign.toml, or choose another folder.")
    directory.mkdir(parents=True, exist_ok=True)
    made = []
    for name in _FILES:
        if not (directory / name).exists():
            source = files("imitable.commands").joinpath("starter", name)
            (directory / name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
            made.append(directory / name)
    if not (directory / "secret.key").exists():
        write_key(directory / "secret.key")
        made.append(directory / "secret.key")
    return made
