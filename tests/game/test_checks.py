"""Attention checks and repeated items: rounds like any other for the annotator, and told apart in the record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import select

from imitable.campaign import read_config
from imitable.commands.export import export
from imitable.errors import CampaignError
from imitable.game.checks import Check, check_of, checks
from imitable.game.views import Done, Landing, Reveal, Round
from imitable.store import open_store, read_build, store_differs, tables
from imitable.testing import invented_campaign
from imitable_aggregation.rank import rank
from imitable_templates.texts import texts
from playing import Table

Set = Callable[..., Table]

CHECKS = checks(texts())

EPISODE = "checks = [3, 8]\nrepeats = [6]"
"""With 4 practice and 3 held-out rounds: practice practice check practice practice repeat held check held held."""


def test_checks_and_repeats_look_like_the_rounds_around_them(table: Set) -> None:
    here = table(practice=4, held_out=3, episodes=1, episode=EPISODE)
    landing = here.game.landing(here.links[0].code)
    assert isinstance(landing, Landing)
    assert landing.rounds == 10
    token = here.sit()
    views = here.play(token)
    asked = [view for view in views if isinstance(view, Round)]
    assert "".join(view.phase[0] for view in asked) == "pppppphhhh"
    assert [view.first_held_out for view in asked] == [False] * 6 + [True] + [False] * 3
    assert {(view.progress.practice, view.progress.held_out) for view in asked} == {(6, 4)}
    reveals = [view for view in views if isinstance(view, Reveal)]
    assert [view.next for view in reveals] == ["round"] * 5 + ["held_out"]
    texts = [view.stimulus for view in asked]
    answers = {check.stimulus: check.answer for check in CHECKS}
    assert [at + 1 for at, text in enumerate(texts) if text in answers] == [3, 8]
    assert reveals[2].truth == answers[texts[2]]
    assert texts[5] in texts[:5]
    done = views[-1]
    assert isinstance(done, Done)
    assert (done.guesses, done.best_possible) == (10, 60)


def test_the_record_tells_checks_and_repeats_apart_and_checks_are_never_counted(table: Set, tmp_path: Path) -> None:
    here = table(practice=4, held_out=3, episode=EPISODE)
    for link in range(3):
        here.play(here.sit(link))
    export(here.folder.path, out=tmp_path / "out")
    rows = pd.read_csv(tmp_path / "out" / "guesses.csv")
    assert len(rows) == 3 * 2 * 10
    assert not rows.duplicated(["episode_id", "trial"]).any()
    for _, episode in rows.groupby("episode_id"):
        assert "".join(phase[0] for phase in episode["phase"]) == "ppcppphchh"
        assert episode["feedback"].tolist() == [True] * 6 + [False] * 4
        times = episode.groupby("item_id").size()
        assert sorted(times) == [1] * 8 + [2]
    checks = rows[rows["phase"] == "check"]
    for _, row in checks.iterrows():
        check = check_of(row["item_id"], CHECKS)
        assert check is not None
        assert row["truth"] == check.answer
    ranked = rank(tmp_path / "out", out=tmp_path / "results")
    assert ranked.ranking["n_guesses"].sum() == len(rows) - len(checks)
    assert not pd.read_csv(tmp_path / "results" / "crowd.csv")["item_id"].str.startswith("check").any()


def test_the_stores_checks_are_no_difference_from_the_build(table: Set) -> None:
    here = table(practice=4, held_out=3, episode=EPISODE)
    here.play(here.sit())
    assert here.rows(select(tables.items.c.item_id).where(tables.items.c.split == "check"))
    assert store_differs(here.store, read_build(here.folder.build)) == []
    assert here.game.__class__(here.folder, here.store).content.stimuli == here.game.content.stimuli


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_says_its_answer_at_the_marked_piece(check: Check) -> None:
    words = {"two": 2, "three": 3, "seven": 7, "eight": 8, "nine": 9}
    assert words[check.stimulus.focus.strip()] == check.answer


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("checks = [3, 3]", "trial 3 twice"),
        ("checks = [4]\nrepeats = [4]", "trial 4 twice"),
        ("checks = [9]", "trial 9, and an episode has 8"),
        ("checks = [1, 2, 3, 4, 5, 6]", "only 5 different checks"),
        ("repeats = [1]", "no practice round to repeat"),
        ("repeats = [2, 3]", "no practice round to repeat"),
        ("checks = [1]\nrepeats = [2]", "no practice round to repeat"),
        ("repeats = [7]", "place repeats among the practice rounds"),
    ],
)
def test_places_that_cannot_be_are_refused(tmp_path: Path, lines: str, said: str) -> None:
    with pytest.raises(CampaignError, match=said):
        invented_campaign(tmp_path, practice=4, held_out=3, episode=lines)


@pytest.mark.parametrize(
    "lines", ["repeats = [5]", "repeats = [2, 4]", "checks = [1, 8]", "repeats = [6]\nchecks = [5]"]
)
def test_places_that_can_be_are_taken_as_they_are(tmp_path: Path, lines: str) -> None:
    folder = invented_campaign(tmp_path, practice=4, held_out=3, episode=lines)
    episode = read_config(folder.path / "campaign.toml").episode
    here = Table(folder, open_store(folder), 1)
    here.play(here.sit())
    played = here.rows(select(tables.rounds.c.trial, tables.rounds.c.phase, tables.rounds.c.item_id))
    assert len(played) == 2 * episode.rounds
    assert {trial for trial, phase, _ in played if phase == "check"} == set(episode.checks)
    here.store.close()
