"""`imitable new`: a commented campaign.toml, a consent text and a fresh key."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from imitable.campaign import write_key
from imitable.errors import CampaignError

_FILES = ("consent.md", "campaign.toml")


def new(directory: Path) -> list[Path]:
    """Make a campaign's folder. Files that are there already are never touched.

    campaign.toml comes last: a folder that has one is complete. Returns the files made. Raises CampaignError when
    the folder already holds a campaign or cannot be made.
    """
    if (directory / "campaign.toml").exists():
        raise CampaignError(f"{directory} already holds a campaign. Edit its campaign.toml, or choose another folder.")
    made = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not (directory / "secret.key").exists():
            write_key(directory / "secret.key")
            made.append(directory / "secret.key")
        for name in _FILES:
            if not (directory / name).exists():
                source = files("imitable.commands").joinpath("starter", name)
                (directory / name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
                made.append(directory / name)
    except OSError as error:
        raise CampaignError(f"{directory} cannot be made ({error}). Choose a folder that can be written.") from error
    return made
