"""Simulated annotators at level consult, over real HTTP: they look up what they may, and it is on the record."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from building import campaign
from imitable.commands.build import build
from imitable.commands.folders import built
from imitable.game.simulated import Profile
from imitable.platforms.web import WebLinks
from imitable.rehearsal.crowd import play_links
from imitable.store import tables

if TYPE_CHECKING:
    from conftest import Server

LOOKS = 2


def test_who_plays_in_earnest_looks_up_as_much_as_he_may_and_others_nothing(
    tmp_path: Path, serving: Callable[[Path], Server]
) -> None:
    more = f'levels = ["consult"]\n[readings]\nlooks = {LOOKS}\n[sitting]\nepisodes = 2'
    directory = campaign(tmp_path / "c", sites='["mlp.2"]', chosen="units = [3, 4]", more=more)
    build(directory)
    profiles = [Profile("careful", quits=0.0), Profile("random", kind="random")]
    with built(directory) as (folder, store):
        WebLinks("simulated").publish(folder, store, places=len(profiles), dry_run=False)
    server = serving(directory)
    with (directory / "links.csv").open(encoding="utf-8", newline="") as file:
        links = [row["url"].replace("http://127.0.0.1:8000", server.address) for row in csv.DictReader(file)]
    crowd = play_links(links, profiles, seed=0)
    assert all(one.finished for one in crowd.played)
    rounds = {one.name: [round_id for round_id, _ in one.guesses] for one in crowd.played}
    with built(directory) as (_folder, store), store.read() as connection:
        query = select(tables.looks.c.round_id, func.count().label("looks")).group_by(tables.looks.c.round_id)
        looked = {row.round_id: row.looks for row in connection.execute(query)}
    assert looked == dict.fromkeys(rounds["careful"], LOOKS)
    assert len(rounds["random"]) == len(rounds["careful"]) == 10
