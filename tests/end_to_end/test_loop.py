"""The whole loop on a real model, with the server killed in the middle: no guess is lost, none is doubled."""

from __future__ import annotations

import csv
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from imitable.cli.app import app
from imitable.commands.demo import demo
from imitable.commands.export import export
from imitable.commands.folders import built
from imitable.commands.rank import rank
from imitable.game.simulated import draw_profiles
from imitable.platforms.web import WebLinks
from imitable.rehearsal.crowd import CrowdPlayed, play_links
from imitable.store import tables

if TYPE_CHECKING:
    from conftest import Server


@pytest.mark.parametrize("crowd_size", [6, pytest.param(60, marks=pytest.mark.long)])
def test_a_server_killed_in_mid_episode_loses_and_doubles_no_guess(
    small_campaign: Path, serving: Callable[[Path], Server], either_store: str, tmp_path: Path, crowd_size: int
) -> None:
    players, kills = crowd_size, 3 if crowd_size < 10 else 12
    each = max(8, players // 2)  # guesses between two kills: who is not heard for half a minute gives up
    toml = small_campaign / "campaign.toml"
    places = f"annotators_per_target = {players}"  # places are no part of the build
    toml.write_text(toml.read_text(encoding="utf-8").replace("annotators_per_target = 4", places), encoding="utf-8")
    if either_store == "postgresql":
        from imitable.commands.build import build

        build(small_campaign)  # loads the finished build into the other store
    with built(small_campaign) as (folder, store):
        WebLinks("simulated").publish(folder, store, places=players, dry_run=False)
    server = serving(small_campaign)
    with (small_campaign / "links.csv").open(encoding="utf-8", newline="") as file:
        links = [row["url"].replace("http://127.0.0.1:8000", server.address) for row in csv.DictReader(file)]
    confirmed = threading.Semaphore(0)
    found: list[CrowdPlayed] = []
    profiles = draw_profiles(players, np.random.default_rng(1), bad=0.0)
    crowd = threading.Thread(
        target=lambda: found.append(play_links(links, profiles, seed=1, tick=lambda _: confirmed.release()))
    )
    crowd.start()
    for _ in range(kills):
        for _ in range(each):
            assert confirmed.acquire(timeout=60)
        server.kill()
        server.start()
    crowd.join(timeout=120)
    assert not crowd.is_alive()
    told = {round_id: guess for one in found[0].played for round_id, guess in one.guesses}
    assert len(told) == found[0].guesses > kills * each

    export(small_campaign, out=tmp_path / "export")
    guesses = pd.read_csv(tmp_path / "export" / "guesses.csv")
    assert not guesses.duplicated(["episode_id", "trial"]).any()
    assert dict(zip(guesses["round_id"], guesses["guess"], strict=True)) == told
    finished = guesses.groupby("episode_id")["trial"].agg(["max", "count"])
    assert (finished["max"] == finished["count"]).all()

    summary = rank(tmp_path / "export", out=tmp_path / "results")
    assert summary.simulated
    assert len(summary.ranking) == guesses["target_id"].nunique()


def readme_session() -> str:
    """What the README shows of `make demo`."""
    readme = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
    return readme.partition("$ make demo")[2].partition("\n")[2].partition("$ make test")[0]


def shape(session: str) -> list[str]:
    """A session without what differs from run to run: numbers, names, places, the width of columns, notes."""
    for pattern, general in (
        (r"\S*stories260K/\S+", "TARGET"),
        (r"\b(learner|constant|random|copies)-\d+", "PLAYER"),
        (r"\S*/(campaign|results)\b", r"DIR/\1"),
        (r"/j/[0-9a-f]{32}", "/j/CODE"),
        (r"\S+ serve\b", "PROGRAM serve"),
        (r"[+-]?[\d,]*\d(\.\d+)?", "N"),
        (r"[ \t]+", " "),
    ):
        session = re.sub(pattern, general, session)
    lines = [line.strip() for line in session.splitlines() if line.strip()]
    return [line for line in lines if not line.startswith("note:")]


def test_the_demo_shows_the_whole_loop_and_says_that_nothing_in_it_is_about_people(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "demo"), "--players", "10", "--seed", "3"])
    assert shown.exit_code == 0, shown.output
    assert "simulated players: nothing here is about people" in shown.output
    assert shape(shown.output) == shape(readme_session())
    results = tmp_path / "demo" / "results"
    names = {path.name for path in results.iterdir()}
    assert names >= {
        *("ranking.csv", "annotators.csv", "episodes.csv", "fit.json", "run.json"),
        *("datapackage.json", "quarantine.csv", "report.html", "draws.parquet"),
    }
    ranking = pd.read_csv(results / "ranking.csv")
    assert len(ranking) >= 24
    assert ranking["imitability"].notna().all()
    assert (ranking["imitability_low"] <= ranking["imitability_high"]).all()
    fit = json.loads((results / "fit.json").read_text(encoding="utf-8"))
    assert fit["warning"] == "simulated players: nothing here is about people"
    assert "imulated players: nothing here is about people" in (results / "report.html").read_text(encoding="utf-8")
    with built(tmp_path / "demo" / "campaign") as (_folder, store), store.read() as connection:
        played = connection.execute(select(tables.sittings.c.platform)).scalars().all()
    assert set(played) == {"simulated"}


def test_a_demo_that_someone_played_by_hand_is_not_replaced(tmp_path: Path) -> None:
    from imitable.errors import CampaignError
    from imitable.game import Game, make_links

    first = demo(tmp_path / "demo", players=2)
    with built(first.campaign) as (folder, store):
        game = Game(folder, store)
        [link] = make_links(store, folder, platform="web", names=["link-0001"], now=game.clock())
        game.start(link.code, agreed=True)
    with pytest.raises(CampaignError, match="Choose another folder with --out"):
        demo(tmp_path / "demo", players=2)
    with pytest.raises(CampaignError, match="holds no demo"):
        demo(tmp_path, players=2)
