"""`imitable label-studio demo`: the whole loop through a real Label Studio server, which a person can then play."""

from __future__ import annotations

import csv
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imitable.campaign import open_folder
from imitable.commands.build import build
from imitable.commands.collect import AllCollected, collect
from imitable.commands.demo import serving
from imitable.commands.export import export
from imitable.commands.new import new
from imitable.commands.progress import Progress, silent
from imitable.commands.publish import publish
from imitable.commands.rank import rank
from imitable.errors import CampaignError
from imitable_aggregation.settings import Settings

if TYPE_CHECKING:
    from imitable.rehearsal.label_studio import Account
    from imitable_aggregation.rank import RankSummary

YOU = "you@example.com"
KEY = "LABEL_STUDIO_API_KEY"
_MARK = "label-studio-demo"


@dataclass(frozen=True)
class LabelStudioDemo:
    """What the demo did, and how to go on by hand."""

    campaign: Path
    port: int
    """Where `imitable serve` is to listen: the project's backend is there."""
    url: str
    """Of Label Studio."""
    page: str
    """Where the tasks of `you` are."""
    you: Account
    guesses: int
    collected: AllCollected
    summary: RankSummary


def demo(
    out: Path,
    *,
    players: int = 6,
    data: Path | None = None,
    port: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> LabelStudioDemo:
    """Build, publish on a Label Studio that is started for it, play by its HTTP, collect, export and rank, in `out`.

    `data` and `port` are those of Label Studio, as `up` has them. An earlier demo in `out` is replaced; the server goes
    on running. Raises ImitableError subclasses.
    """
    from imitable.game.simulated import draw_profiles
    from imitable.rehearsal.label_studio import data_folder, up
    from imitable.rehearsal.label_studio.accounts import make_accounts, write_accounts
    from imitable.rehearsal.label_studio.playing import play_tasks
    from imitable.store import tables

    _clear(out)
    campaign, data = out / "campaign", data or data_folder()
    with progress("Starting Label Studio", 0):
        server = up(data, annotators=0, port=port)
    names = [f"player-{number:02d}@{tables.SIMULATED_DOMAIN}" for number in range(1, players + 1)]
    with progress("Making accounts", 0):  # in a file of their own: the accounts of `up` are for campaigns with people
        known = {
            one.email: one
            for one in make_accounts(server.url, data / "demo.csv", admin=server.admin, emails=[*names, YOU])
        }
    campaign.mkdir(parents=True)
    (out / _MARK).touch()
    new(campaign)
    door = _free_port()
    toml = files("imitable.commands").joinpath("starter", "label-studio-demo.toml").read_text(encoding="utf-8")
    toml = toml.replace("SERVER", server.url).replace("BACKEND", f"http://127.0.0.1:{door}")
    (campaign / "campaign.toml").write_text(toml, encoding="utf-8")
    write_accounts(campaign / "accounts.csv", [known[name] for name in (*names, YOU)])
    build(campaign, progress=progress)
    with _key(server.admin.token), serving(campaign, port=door):
        made = publish(campaign, platform="label-studio", progress=progress)
        pages = _pages(made.files[0])
        folder = open_folder(campaign)
        rounds = folder.config.episode.rounds * folder.config.sitting.episodes
        profiles = draw_profiles(players, np.random.default_rng(seed), bad=0.0)
        with progress("Playing in Label Studio", players * rounds) as advance:
            guesses = play_tasks(
                server.url, _project(pages[YOU]), [known[name] for name in names], profiles, seed=seed, tick=advance
            )
        collected = collect(campaign, progress=progress)
    export(campaign, out=out / "export")
    summary = rank(out / "export", out=out / "results", settings=Settings(seed=seed), progress=progress)
    page = pages[YOU]
    return LabelStudioDemo(campaign, door, server.url, page, known[YOU], guesses, collected, summary)


def _clear(out: Path) -> None:
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / _MARK).exists():
        raise CampaignError(f"{out} is not empty and holds no demo of Label Studio. Choose another folder with --out.")
    for name in ("campaign", "export", "results"):
        shutil.rmtree(out / name, ignore_errors=True)


@contextmanager
def _key(token: str) -> Iterator[None]:
    """Commands act as this account."""
    before = os.environ.get(KEY)
    os.environ[KEY] = token
    try:
        yield
    finally:
        os.environ.pop(KEY)
        if before is not None:
            os.environ[KEY] = before


def _pages(path: Path) -> dict[str, str]:
    """Where each annotator's tasks are, by e-mail."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["email"]: row["url"] for row in csv.DictReader(file)}


def _project(page: str) -> int:
    return int(page.partition("/projects/")[2].partition("/")[0])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
