"""`imitable demo`: the whole loop on a real model with simulated annotators, end to end."""

from __future__ import annotations

import csv
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imitable.campaign import open_folder
from imitable.commands.build import Built, build
from imitable.commands.export import export
from imitable.commands.folders import built
from imitable.commands.new import new
from imitable.commands.progress import Progress, silent
from imitable.commands.rank import rank
from imitable.errors import CampaignError, MissingExtra
from imitable.rehearsal.controls import started
from imitable_aggregation.settings import Settings

if TYPE_CHECKING:
    from imitable.game.simulated import Profile
    from imitable_aggregation.rank import RankSummary

_NEEDED = {"models": ("torch", "transformers"), "serve": ("starlette", "uvicorn", "httpx")}
_MARK = "players.csv"


@dataclass(frozen=True)
class Demo:
    """What the demo did, and where."""

    campaign: Path
    results: Path
    hand_link: str
    """Path of a personal link that no program played: for whoever wants to try."""
    built: Built
    profiles: dict[str, Profile]
    """The simulated annotators, by annotator_id."""
    guesses: int
    seconds_playing: float
    summary: RankSummary


def demo(out: Path, *, players: int = 40, seed: int = 0, progress: Progress = silent) -> Demo:
    """Build, publish, serve, play, export and rank, in the folder `out`.

    An earlier demo in `out` is replaced, unless a person has played it. Raises ImitableError subclasses.
    """
    for extra, modules in _NEEDED.items():
        if any(find_spec(module) is None for module in modules):
            raise MissingExtra(extra, wanted_for="The demo")
    from imitable.game.simulated import draw_profiles
    from imitable.platforms.web import WebLinks
    from imitable.rehearsal.crowd import play_links

    campaign = out / "campaign"
    _clear(out)
    campaign.mkdir(parents=True)
    toml = files("imitable.commands").joinpath("starter", "demo.toml").read_text(encoding="utf-8")
    new(campaign)
    (campaign / "campaign.toml").write_text(toml, encoding="utf-8")
    profiles = draw_profiles(players, np.random.default_rng(seed))
    folder = open_folder(campaign)
    names = [folder.annotator_id("simulated", f"link-{number:04d}") for number in range(1, players + 1)]
    _write_players(out / _MARK, names, profiles)
    made = build(campaign, progress=progress)
    with built(campaign) as (folder, store):
        WebLinks("simulated").publish(folder, store, places=players, dry_run=False)
        WebLinks().publish(folder, store, places=1, dry_run=False)
    links = _links(campaign)
    rounds = folder.config.episode.rounds * folder.config.sitting.episodes
    with serving(campaign) as address, progress("Playing over HTTP", players * rounds) as advance:
        crowd = play_links([f"{address}{link}" for link in links["simulated"]], profiles, seed=seed, tick=advance)
    exported = out / "export"
    export(campaign, out=exported)
    summary = rank(exported, out=out / "results", settings=Settings(seed=seed), progress=progress)
    return Demo(
        campaign=campaign,
        results=out / "results",
        hand_link=links["web"][0],
        built=made,
        profiles=dict(zip(names, profiles, strict=True)),
        guesses=crowd.guesses,
        seconds_playing=crowd.seconds,
        summary=summary,
    )


def _clear(out: Path) -> None:
    """Make room for a demo. Raises CampaignError rather than remove what is not an unplayed demo."""
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / _MARK).exists():
        raise CampaignError(f"{out} is not empty and holds no demo. Choose another folder with --out.")
    if (out / "campaign" / "build").exists():
        from sqlalchemy import func, select

        from imitable.store import tables

        with built(out / "campaign") as (_folder, store), store.read() as connection:
            people = select(func.count()).select_from(tables.sittings).where(tables.sittings.c.platform != "simulated")
            if connection.execute(people).scalar_one():
                raise CampaignError(f"Someone has played the demo in {out} by hand. Choose another folder with --out.")
    for name in ("campaign", "export", "results"):
        shutil.rmtree(out / name, ignore_errors=True)


def _write_players(path: Path, names: Sequence[str], profiles: Sequence[Profile]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["annotator_id", *asdict(profiles[0])], lineterminator="\n")
        writer.writeheader()
        for name, profile in zip(names, profiles, strict=True):
            writer.writerow({"annotator_id": name, **asdict(profile)})


def _links(campaign: Path) -> dict[str, list[str]]:
    """Paths of the personal links, by platform."""
    found: dict[str, list[str]] = {}
    with (campaign / "links.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["platform"], []).append("/j/" + row["url"].rpartition("/j/")[2])
    return found


def serving(campaign: Path, *, port: int = 0) -> AbstractContextManager[str]:
    """`imitable serve` in a process of its own, on this port or a free one of this machine. Yields its address."""
    command = [sys.executable, "-P", "-m", "imitable", "serve", str(campaign), "--port", str(port)]
    return started(command, os.environ | {"PYTHONUNBUFFERED": "1"})
