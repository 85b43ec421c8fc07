"""What `imitable export` says of the levels: every reading that was on a page, every look, and nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from building import campaign, edit
from imitable.commands.build import build
from imitable.commands.export import export
from imitable.errors import BuildError
from imitable.game.simulated import Profile, SimulatedAnnotator
from imitable.game.views import Done, Questions, Readings, Reveal, Round, as_json
from imitable.store import open_store, read_build, tables
from imitable.testing import invented_campaign
from imitable_aggregation.rank import rank
from imitable_aggregation.settings import Settings
from playing import Table

MORE = """
levels = ["examples", "neighbours", "upstream", "consult", "weights"]
checks = [2]
[readings]
looks = 3
[sitting]
episodes = 3
[platform.web]
annotators_per_target = 1
"""
PEOPLE = 5


class Watched:
    """People who play, look things up as they like, and remember every round's page as they answered it."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.seen: dict[str, Readings | None] = {}
        """By round."""
        self.looked: dict[str, list[str]] = {}
        """By round, places in order."""
        self.chance = random.Random(5)
        self.who = [SimulatedAnnotator(Profile(f"p{n}"), np.random.default_rng(n)) for n in range(PEOPLE)]

    def play(self, link: int, *, rounds: int | None = None) -> None:
        token = self.table.sit(link)
        view = self.table.game.view(token)
        while not isinstance(view, Done):
            match view:
                case Round():
                    view = self._looks(token, view)
                    self.seen[view.round_id] = view.readings
                    if rounds == 0:
                        return
                    rounds = None if rounds is None else rounds - 1
                    guess = self.who[link].guess(json.loads(as_json(view)))
                    view = self.table.game.guess(token, view.round_id, f"{guess:g}")
                case Reveal():
                    self.who[link].learn(json.loads(as_json(view)))
                    view = self.table.game.view(token)
                case Questions():
                    view = self.table.game.answer(token, view.episode_id, fun="3", interest="3", explanation="")

    def _looks(self, token: str, view: Round) -> Round:
        if view.readings is None or view.readings.looks_left is None:
            return view
        for _ in range(self.chance.randrange(4)):
            place = str(self.chance.randrange(len(view.readings.meters)))
            self.table.clock.move(seconds=1)
            after = self.table.game.look(token, view.round_id, place)
            assert isinstance(after, Round)
            asked = self.looked.setdefault(view.round_id, [])
            asked += [] if place in asked else [place]
            view = after
        return view


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Real neurons at five levels, played by five people, the last of whom is in mid-episode."""
    path = tmp_path_factory.mktemp("levels") / "c"
    directory = campaign(path, sites='["mlp.2"]', chosen="units = [3, 4, 5]", more=MORE)
    build(directory)
    from imitable.campaign import open_folder

    folder = open_folder(directory)
    store = open_store(folder)
    watched = Watched(Table(folder, store, PEOPLE))
    for link in range(PEOPLE - 1):
        watched.play(link)
    watched.play(PEOPLE - 1, rounds=1)
    yield watched
    store.close()


def exported(watched: Watched, out: Path) -> dict[str, pd.DataFrame]:
    export(watched.table.folder.path, out=out)
    return {path.stem: pd.read_csv(path) for path in out.glob("*.csv")}


def test_every_reading_that_was_on_a_page_is_exported_as_it_stood_there(played: Watched, tmp_path: Path) -> None:
    found = exported(played, tmp_path / "out")
    readings = found["readings"]
    places = {(row.episode_id, row.trial): row.round_id for row in played.table.rows(select(tables.rounds))}
    rounds = [places[key] for key in zip(readings["episode_id"], readings["trial"], strict=True)]
    of_round = {str(key): rows for key, rows in readings.groupby(rounds)}
    assert not readings.duplicated(["episode_id", "trial", "place"]).any()
    levels = set()
    for round_id, shown in played.seen.items():
        rows = of_round.pop(round_id, readings.iloc[:0])
        meters = [] if shown is None else [meter for meter in shown.meters if meter.value is not None]
        assert rows["letter"].fillna("").tolist() == [meter.letter for meter in meters]
        assert rows["chosen_by"].tolist() == [meter.group for meter in meters]
        units = rows[rows["letter"].notna()]
        assert units["reading"].tolist() == [meter.value for meter in meters if meter.letter]
        assert units["unit"].str.startswith("stories260K/mlp.").all()
        assert rows.loc[rows["letter"].isna(), ["unit", "reading"]].isna().all(axis=None)
        if shown is not None and shown.level == "weights":
            sums = tuple(rows[f"adds_{part}"].sum() for part in (1, 2))
            assert shown.sums == pytest.approx(sums, abs=1e-9)
            for part in (1, 2):
                product = units["reading"] * units[f"weight_{part}"]
                assert units[f"adds_{part}"].to_numpy() == pytest.approx(product.to_numpy(), abs=0.006)
        levels.add(None if shown is None else shown.level)
    assert of_round == {}  # nothing is said of rounds that nobody saw
    assert levels == {None, "neighbours", "upstream", "consult", "weights"}
    twin = pd.read_parquet(tmp_path / "out" / "readings.parquet")
    pd.testing.assert_frame_equal(twin, readings, check_dtype=False)


def test_what_was_looked_up_is_exported_in_its_order_and_joins_the_guesses(played: Watched, tmp_path: Path) -> None:
    found = exported(played, tmp_path / "out")
    looks, guesses = found["looks"], found["guesses"]
    assert len(looks) == sum(map(len, played.looked.values())) > 10
    both = looks.merge(guesses, on=["episode_id", "trial"], how="left")
    assert set(both["level"].dropna()) == {"consult"}
    for round_id, rows in both.groupby("round_id"):
        assert rows["place"].astype(str).tolist() == played.looked[str(round_id)]
        assert rows["look"].tolist() == list(range(1, len(rows) + 1))
        assert rows["looked_at"].is_monotonic_increasing
        assert (rows["looked_at"] <= rows["answered_at"]).all()
    seen = found["readings"].merge(guesses[guesses["level"] == "consult"], on=["episode_id", "trial"])
    key = ["episode_id", "trial", "place", "letter", "chosen_by"]
    assert set(seen[key].itertuples(index=False)) == set(both.dropna(subset="round_id")[key].itertuples(index=False))


def test_units_are_named_as_the_build_names_them_and_no_target_is_among_them(played: Watched, tmp_path: Path) -> None:
    found = exported(played, tmp_path / "out")
    targets = found["episodes_played"].merge(found["guesses"].drop_duplicates("episode_id"), on="episode_id")
    of_episode = dict(
        zip(targets["episode_id"], zip(targets["target_id"], targets["level_x"], strict=True), strict=True)
    )
    gauges = read_build(played.table.folder.build)["gauges"]
    known = {(gauge.target_id, gauge.level, gauge.place): gauge.unit or None for gauge in gauges}
    for table in ("readings", "looks"):
        rows = found[table][found[table]["episode_id"].isin(of_episode)].astype({"unit": object})
        units = rows["unit"].where(rows["unit"].notna(), None)
        assert len(rows)
        for episode, place, unit in zip(rows["episode_id"], rows["place"], units, strict=True):
            assert known[(*of_episode[episode], place)] == unit
        assert not set(units.dropna()) & set(found["targets"]["target_id"])


def test_what_past_rounds_showed_stays_said_when_settings_change(played: Watched, tmp_path: Path) -> None:
    before = exported(played, tmp_path / "before")
    directory = played.table.folder.path
    edit(directory, "looks = 3", "looks = 3\nshow = 2")
    try:
        with pytest.raises(BuildError, match=r"has been played, and campaign\.toml no longer describes"):
            build(directory)
        after = exported(played, tmp_path / "after")
    finally:
        edit(directory, "looks = 3\nshow = 2", "looks = 3")
    for name, frame in before.items():
        pd.testing.assert_frame_equal(frame, after[name])


def test_levels_go_through_to_the_ranking_and_its_report(played: Watched, tmp_path: Path) -> None:
    guesses = exported(played, tmp_path / "out")["guesses"]
    rank(tmp_path / "out", tmp_path / "results", Settings(by=("level",), keep_bad=True))
    levels = pd.read_csv(tmp_path / "results" / "levels.csv")
    cells = set(levels[["target_id", "level"]].itertuples(index=False, name=None))
    counted = guesses[guesses["phase"] != "check"]
    assert cells == set(counted[["target_id", "level"]].itertuples(index=False, name=None))
    groups = pd.read_csv(tmp_path / "results" / "groups.csv")
    assert len(groups[groups["population"] == "these"]) == 10  # pairs of five levels
    report = (tmp_path / "results" / "report.html").read_text(encoding="utf-8")
    assert "Imitability by level of information" in report


def test_every_column_is_described_and_no_link_is_named(played: Watched, tmp_path: Path) -> None:
    exported(played, tmp_path / "out")
    package = json.loads((tmp_path / "out" / "datapackage.json").read_text(encoding="utf-8"))
    described = {one["path"]: one["schema"]["fields"] for one in package["resources"]}
    assert {"readings.csv", "readings.parquet", "looks.csv"} <= set(described)
    for path in ("readings.csv", "looks.csv"):
        assert all("author's own" not in field["description"] for field in described[path])
        assert b"link-" not in (tmp_path / "out" / path).read_bytes()


def test_a_campaign_that_shows_examples_only_has_no_such_files(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign")
    table = Table(folder, open_store(folder), 1)
    table.play(table.sit())
    export(folder.path, out=tmp_path / "out")
    assert not {"readings.csv", "readings.parquet", "looks.csv"} & {path.name for path in (tmp_path / "out").iterdir()}
    table.store.close()
