"""Who plays what: uniform firsts, then most places left, recorded with its probability; never too many, never twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from scipy.stats import chisquare
from sqlalchemy import func, select

from imitable.game import Game
from imitable.game.views import Done, Landing, Round
from imitable.store import tables
from playing import Table, make_sides

Set = Callable[..., Table]


def test_a_sittings_first_target_is_uniform_and_its_probability_is_recorded(table: Set) -> None:
    here = table(targets=4, links=120, annotators_per_target=1000)
    for link in range(120):
        here.game.view(here.sit(link))
    rows = here.rows(select(tables.episodes))
    assert {(row.assigned_by, row.assignment_probability) for row in rows} == {("uniform", 0.25)}
    assert chisquare(list(Counter(row.target_id for row in rows).values())).pvalue > 1e-4


def test_later_targets_are_drawn_among_those_with_most_places_left(table: Set) -> None:
    here = table(targets=4, links=6, episodes=3, practice=1, held_out=0, annotators_per_target=5)
    for link in range(6):
        here.play(here.sit(link))
    taken: Counter[str] = Counter()
    by_place = here.rows(
        select(tables.episodes, tables.sitting_episodes.c.place)
        .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == tables.episodes.c.episode_id)
        .order_by(tables.episodes.c.started_at, tables.sitting_episodes.c.sitting_id)
    )
    assert Counter(row.assigned_by for row in by_place) == {"uniform": 6, "most_places": 12}
    assert {row.assignment_probability for row in by_place} <= {1.0, 1 / 2, 1 / 3, 1 / 4}
    taken.update(row.target_id for row in by_place)
    assert max(taken.values()) - min(taken.values()) <= 1


def test_nobody_plays_a_target_twice_and_a_sitting_has_different_targets(table: Set) -> None:
    here = table(targets=3, episodes=5, practice=1, held_out=0)
    views = here.play(here.sit())
    assert isinstance(views[-1], Done)
    assert views[-1].episodes == 3
    assert len({row.target_id for row in here.rows(select(tables.episodes))}) == 3


def test_who_played_one_side_of_a_unit_is_not_asked_about_the_other(table: Set) -> None:
    here = table(targets=3, links=6, episodes=3, practice=1, held_out=0)
    make_sides(here.store)
    here.game = Game(here.folder, here.store, clock=here.clock)
    for link in range(6):
        done = here.play(here.sit(link))[-1]
        assert isinstance(done, Done)
        assert done.episodes == 2
    assert {row.target_id for row in here.rows(select(tables.episodes))} == set(here.game.content.targets)


def test_places_are_never_overfilled_by_people_who_come_at_once(table: Set) -> None:
    here = table(targets=3, links=12, episodes=3, practice=1, held_out=0, annotators_per_target=2)
    with ThreadPoolExecutor(12) as people:
        list(people.map(lambda link: here.play(here.sit(link)), range(12)))
    counts = here.rows(select(tables.episodes.c.target_id, func.count()).group_by(tables.episodes.c.target_id))
    assert {count for _, count in counts} == {2}


def test_an_abandoned_episode_gives_its_place_back_and_may_still_be_finished(table: Set) -> None:
    here = table(targets=1, links=3, episodes=1, practice=1, held_out=1, annotators_per_target=1)
    first = here.sit(0)
    here.game.view(first)
    assert isinstance(here.game.view(here.sit(1)), Done)
    here.clock.move(minutes=31)
    assert isinstance(here.game.view(here.sit(2)), Round)
    assert isinstance(here.play(first)[-1], Done)
    assert here.rows(select(func.count()).where(tables.episodes.c.completed_at.is_not(None))) == [(1,)]


def test_levels_are_arms_balanced_within_each_target(table: Set) -> None:
    here = table(
        targets=2, links=8, episodes=2, practice=1, held_out=0, annotators_per_target=4, levels=["text", "examples"]
    )
    for link in range(8):
        token = here.sit(link)
        view = here.game.view(token)
        assert isinstance(view, Round)
        here.play(token)
    episodes = tables.episodes.c
    counts = here.rows(
        select(episodes.target_id, episodes.level, func.count()).group_by(episodes.target_id, episodes.level)
    )
    assert sorted(count for *_, count in counts) == [4, 4, 4, 4]


def test_the_level_text_shows_no_examples(table: Set) -> None:
    here = table(levels=["text"])
    view = here.game.view(here.sit())
    assert isinstance(view, Round)
    assert view.examples == ()


def test_order_and_items_differ_between_annotators(table: Set) -> None:
    here = table(targets=1, links=8, episodes=1)
    for link in range(8):
        here.game.view(here.sit(link))
    rows = here.rows(select(tables.rounds).order_by(tables.rounds.c.episode_id, tables.rounds.c.trial))
    plans: dict[str, list[str]] = {}
    for row in rows:
        plans.setdefault(row.episode_id, []).append(row.item_id)
    assert len({tuple(plan) for plan in plans.values()}) == 8
    assert all(len(set(plan)) == len(plan) for plan in plans.values())


def test_the_items_of_a_target_take_turns_among_annotators(table: Set) -> None:
    here = table(targets=1, links=14, episodes=1, practice=2, held_out=1, annotators_per_target=20)
    for link in range(14):
        here.game.view(here.sit(link))
    of_item = (
        select(tables.items.c.split, tables.items.c.active, func.count(tables.rounds.c.round_id))
        .outerjoin(tables.rounds, tables.rounds.c.item_id == tables.items.c.item_id)
        .group_by(tables.items.c.item_id, tables.items.c.split, tables.items.c.active)
    )
    times: dict[tuple[str, bool], list[int]] = {}
    for split, active, count in here.rows(of_item):
        times.setdefault((split, active), []).append(count)
    assert all(max(counts) - min(counts) <= 1 for counts in times.values())


def test_who_returns_under_another_assignment_meets_no_target_and_no_item_again(table: Set) -> None:
    here = table(targets=5, episodes=2, practice=2, held_out=1, more="[platform.prolific]\nplaces = 30\n")
    for session in ("4" * 24, "5" * 24, "6" * 24):
        ids = {"PROLIFIC_PID": "a" * 24, "STUDY_ID": "b" * 24, "SESSION_ID": session}
        landing = here.game.arrival(here.game.entry("prolific", ids))
        assert isinstance(landing, Landing)
        token = here.game.start(landing.code, agreed=True)
        for step in "123":
            here.game.tutorial(token, step, "5")
        here.play(token)
    assert len(here.rows(select(tables.sittings.c.sitting_id))) == 3
    assert len({row.annotator_id for row in here.rows(select(tables.episodes))}) == 1
    targets = [row.target_id for row in here.rows(select(tables.episodes))]
    assert sorted(targets) == sorted(set(targets))
    assert len(targets) == 5, "all there are, and the third sitting ends after one"
    items = [row.item_id for row in here.rows(select(tables.rounds))]
    assert len(items) == len(set(items)) == 5 * 3
