"""Simulated annotators use what a level shows beside a text as people would: as far as it went with the answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from building import campaign, edit
from imitable.campaign import open_folder
from imitable.commands.build import build
from imitable.game.simulated import Profile, SimulatedAnnotator, honest
from imitable.game.views import View, as_json
from imitable.store import Store, open_store, tables
from lengths import examples
from playing import Table

PLAYERS = 4


@pytest.fixture(scope="module")
def levelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four real neurons with what they add up beside each text."""
    more = 'levels = ["weights"]\n[sitting]\nepisodes = 4\n[platform.web]\nannotators_per_target = 9'
    directory = campaign(
        tmp_path_factory.mktemp("read") / "c", sites='["mlp.2"]', chosen="units = [3, 4, 5, 7]", texts=600, more=more
    )
    edit(directory, "practice = 3", "practice = 15")
    edit(directory, "held_out = 2\n", "held_out = 8\n")
    edit(directory, "pool = { practice = 16, held_out = 12 }", "pool = { practice = 40, held_out = 30 }")
    build(directory)
    return directory


def play(table: Table, link: int) -> None:
    """Let a careful reader play a whole sitting, by what the game's pages say."""
    player = SimulatedAnnotator(honest(Profile("careful", learning_rate=5)), np.random.default_rng(link))
    token = table.sit(link)

    def seen(view: View) -> Any:
        return json.loads(as_json(view))

    view = seen(table.game.view(token))
    while view["kind"] != "done":
        match view["kind"]:
            case "round":
                view = seen(table.game.guess(token, view["round_id"], str(player.guess(view))))
            case "reveal":
                player.learn(view)
                view = seen(table.game.view(token))
            case "questions":
                answers = {"fun": "3", "interest": "3", "explanation": ""}
                view = seen(table.game.answer(token, view["episode_id"], **answers))


def held_out_skills(directory: Path, changed: Callable[[list[Any]], Sequence[Any]]) -> list[float]:
    """By target: mean held-out skill, where `changed` has made other readings of those of each target's items."""
    store: Store = open_store(open_folder(directory))
    try:
        with store.write() as connection:
            query = select(tables.items.c.target_id, tables.readings).join(tables.items)
            by_target: dict[str, list[Any]] = {}
            for row in connection.execute(query.order_by(tables.readings.c.item_id)):
                by_target.setdefault(row.target_id, []).append(row)
            for rows in by_target.values():
                for row, values in zip(rows, changed([row.values for row in rows]), strict=True):
                    mine = (tables.readings.c.item_id == row.item_id) & (tables.readings.c.level == row.level)
                    connection.execute(update(tables.readings).where(mine).values(values=values))
        table = Table(open_folder(directory), store, PLAYERS)
        for link in range(PLAYERS):
            play(table, link)
        guesses = table.rows(
            select(tables.episodes.c.target_id, tables.guesses.c.guess, tables.truths.c.truth, tables.targets.c.l_ref)
            .join(tables.episodes, tables.episodes.c.episode_id == tables.guesses.c.episode_id)
            .join(
                tables.rounds,
                (tables.rounds.c.episode_id == tables.guesses.c.episode_id)
                & (tables.rounds.c.trial == tables.guesses.c.trial),
            )
            .join(tables.truths, tables.truths.c.item_id == tables.rounds.c.item_id)
            .join(tables.targets, tables.targets.c.target_id == tables.episodes.c.target_id)
            .where(tables.rounds.c.phase == "held_out")
        )
    finally:
        store.close()
    skills: dict[str, list[float]] = {}
    for row in guesses:
        skills.setdefault(row.target_id, []).append(1 - abs(row.guess - row.truth) / row.l_ref)
    return [float(np.mean(skills[name])) for name in sorted(skills)]


def test_he_gains_from_readings_that_tell_and_not_from_shuffled_ones(levelled: Path, tmp_path: Path) -> None:
    """On real neurons, at level weights: as it was built, shuffled over each target's texts, and all alike."""
    rng = np.random.default_rng(1)
    arms: dict[str, Callable[[list[Any]], Sequence[Any]]] = {
        "as built": lambda values: values,
        "shuffled": lambda values: [values[at] for at in rng.permutation(len(values))],
        "all alike": lambda values: [values[0]] * len(values),
    }
    found = {name: held_out_skills(copytree(levelled, tmp_path / name), arm) for name, arm in arms.items()}
    told, shuffled, nothing = (np.array(found[name]) for name in arms)
    assert len(told) == 4
    assert (told - nothing).mean() > 0.25, found
    assert (told > nothing).all(), found
    assert (shuffled - nothing).mean() < 0.05, found
    assert (shuffled - nothing).mean() > -0.2, found  # and he is not badly misled by them


def asked(
    values: Sequence[float | None], truth: float | None = None, *, left: int | None = None, first: bool = False
) -> Any:
    """A page whose text tells nothing, with readings beside it."""
    meters = [{"value": value, "adds": ()} for value in values]
    readings = {"level": "upstream" if left is None else "consult", "meters": meters, "sums": [], "looks_left": left}
    stimulus = {"before": "a ", "focus": "b", "after": " c"}
    page = {"stimulus": stimulus, "first_of_target": first, "examples": [], "low": 0.0, "high": 10.0}
    return page | {"readings": readings} | ({} if truth is None else {"truth": truth})


def careful(seed: int = 0) -> SimulatedAnnotator:
    return SimulatedAnnotator(honest(Profile("careful")), np.random.default_rng(seed))


def test_a_unit_that_goes_against_the_answers_is_read_the_other_way_round() -> None:
    player = careful()
    rng = np.random.default_rng(0)
    for number in range(15):
        value, noise = float(rng.uniform(-10, 10)), float(rng.uniform(-10, 10))
        player.guess(asked([noise, value], first=number == 0))
        player.learn(asked([noise, value], truth=5 - value / 2))
    assert player.guess(asked([0.0, -9.0])) >= 8
    assert player.guess(asked([0.0, 9.0])) <= 2
    assert player.guess(asked([0.0, 0.0], first=True)) == 2  # of a new target nothing is known


def test_he_asks_for_units_that_went_best_once_each_as_often_as_he_may() -> None:
    player = careful()
    rng = np.random.default_rng(0)
    for number in range(20):
        truth = float(rng.uniform(0, 10))
        shown: list[float | None] = [None] * 6
        values = [*rng.normal(0, 4, 5).tolist(), 2 * (truth - 5)]
        chosen = []
        for left in (3, 2, 1):
            place = player.looks_up(asked(shown, left=left, first=number == 0))
            assert place is not None
            chosen.append(place)
            shown[place] = values[place]
        assert len(set(chosen)) == 3
        page = asked(shown, left=0, first=number == 0)
        assert player.looks_up(page) is None
        player.guess(page)
        player.learn(page | {"truth": truth})
    assert 5 in chosen
    assert player.looks_up(asked([1.0], left=None)) is None
    idle = SimulatedAnnotator(Profile("random", kind="random"), np.random.default_rng(0))
    assert idle.looks_up(asked([None, None], left=2, first=True)) is None


@settings(max_examples=examples(30), deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.lists(st.one_of(st.none(), st.floats(-10, 10)), min_size=3, max_size=3), st.floats(0, 10)),
        min_size=1,
        max_size=20,
    )
)
def test_whatever_is_shown_he_guesses_on_the_scale(rows: list[tuple[list[float | None], float]]) -> None:
    player = careful()
    for number, (values, truth) in enumerate(rows):
        page: Mapping[str, Any] = asked(values, left=1, first=number == 0)
        player.looks_up(page)
        assert 0 <= player.guess(page) <= 10
        player.learn({**page, "truth": truth})
