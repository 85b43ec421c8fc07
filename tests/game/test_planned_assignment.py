"""A plan steers a sitting's later episodes with the probabilities it gives, and nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import chisquare
from sqlalchemy import select

from imitable.commands.assign import assign
from imitable.errors import TablesError
from imitable.store import tables
from playing import Table

Set = Callable[..., Table]

HEADER = "target_id,level,probability\n"


def target(unit: int) -> str:
    return f"invented/mlp.0/{unit}"


def write(here: Table, *rows: tuple[int, float] | tuple[int, float, str]) -> Path:
    """Write a plan of (unit, probability[, level])."""
    lines = [f"{target(unit)},{level[0] if level else 'examples'},{chance}\n" for unit, chance, *level in rows]
    path = here.folder.path / "next.csv"
    path.write_text(HEADER + "".join(lines), encoding="utf-8")
    return path


def episodes(here: Table) -> list[Any]:
    """All episodes with their place in their sitting."""
    return here.rows(
        select(tables.episodes, tables.sitting_episodes.c.place)
        .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == tables.episodes.c.episode_id)
        .order_by(tables.sitting_episodes.c.sitting_id, tables.sitting_episodes.c.place)
    )


def play(here: Table, links: int) -> None:
    for link in range(links):
        here.play(here.sit(link))


def test_first_targets_stay_uniform_and_later_ones_get_their_probability(table: Set) -> None:
    here = table(targets=5, links=70, practice=1, held_out=0, annotators_per_target=1000)
    done = assign(here.folder.path, write(here, (0, 0.5), (1, 0.2)))
    assert (done.targets, done.of, done.full, done.replaced) == (2, 5, [], False)
    assert done.share == pytest.approx(0.7)
    play(here, 70)
    rows = episodes(here)
    first = [row for row in rows if row.place == 0]
    assert {(row.assigned_by, row.assignment_probability) for row in first} == {("uniform", 0.2)}
    assert chisquare(list(Counter(row.target_id for row in first).values())).pvalue > 1e-4
    began = {row.annotator_id: row.target_id for row in first}
    expected: dict[str, float] = defaultdict(float)
    for row in rows:
        if row.place == 0:
            continue
        open_now = {target(0): 0.5, target(1): 0.2}
        open_now.pop(began[row.annotator_id], None)
        whole = sum(open_now.values()) + 0.3
        for name, chance in open_now.items():
            expected[name] += chance / whole
        if row.target_id in open_now:
            assert row.assigned_by == "plan"
            assert row.assignment_probability == pytest.approx(open_now[row.target_id] / whole)
        else:
            assert row.assigned_by == "most_places"
            assert row.assignment_probability <= 0.3 / whole + 1e-12
    got = Counter(row.target_id for row in rows if row.place == 1)
    seen = [got[target(0)], got[target(1)], 70 - got[target(0)] - got[target(1)]]
    wanted = [expected[target(0)], expected[target(1)], 70 - expected[target(0)] - expected[target(1)]]
    assert chisquare(seen, wanted).pvalue > 1e-4


def test_recorded_probabilities_are_those_of_all_choices_together(table: Set) -> None:
    """Every choice that could have been made is made with its probability: they sum to 1 over all sittings."""
    here = table(targets=3, links=50, practice=1, held_out=0, annotators_per_target=1000, levels=["text", "examples"])
    assign(here.folder.path, write(here, (0, 0.4, "text"), (1, 0.1, "examples")))
    play(here, 50)
    chances: dict[tuple[str, str, str], set[float]] = {}
    rows = episodes(here)
    began = {row.annotator_id: row.target_id for row in rows if row.place == 0}
    for row in rows:
        if row.place == 1 and row.assigned_by == "plan":
            key = (began[row.annotator_id], row.target_id, row.level)
            chances.setdefault(key, set()).add(round(row.assignment_probability, 9))
    assert all(len(values) == 1 for values in chances.values())
    assert {key[1:] for key in chances} == {(target(0), "text"), (target(1), "examples")}
    assert chances[target(2), target(0), "text"] == {0.4}
    assert chances[target(1), target(0), "text"] == {round(0.4 / 0.9, 9)}


def test_places_bind_and_what_is_full_gets_nothing(table: Set) -> None:
    here = table(targets=4, links=8, practice=1, held_out=0, annotators_per_target=3)
    path = write(here, (0, 1.0))
    assign(here.folder.path, path)
    play(here, 8)
    counts = Counter(row.target_id for row in episodes(here))
    assert counts[target(0)] == 3
    assert max(counts.values()) <= 3
    again = assign(here.folder.path, path)
    assert again.full == [target(0)]
    assert again.replaced


def test_a_target_with_a_place_left_on_another_platform_is_not_full(table: Set) -> None:
    here = table(targets=4, links=8, practice=1, held_out=0, annotators_per_target=3, more="[platform.prolific]\n")
    path = write(here, (0, 1.0))
    assign(here.folder.path, path)
    play(here, 8)
    assert assign(here.folder.path, path).full == []


def test_a_plan_that_names_everything_is_all_that_counts(table: Set) -> None:
    here = table(targets=3, links=20, practice=1, held_out=0, annotators_per_target=1000)
    assign(here.folder.path, write(here, (0, 0.6), (1, 0.3), (2, 0.1)))
    play(here, 20)
    assert {row.assigned_by for row in episodes(here) if row.place > 0} == {"plan"}


def test_a_running_server_obeys_the_newest_plan(table: Set) -> None:
    here = table(targets=3, links=20, practice=1, held_out=0, annotators_per_target=1000)
    assign(here.folder.path, write(here, (0, 1.0)))
    play(here, 10)
    assign(here.folder.path, write(here, (1, 0.5), (1, 0.5)))
    for link in range(10, 20):
        here.play(here.sit(link))
    of = {here.folder.annotator_id("web", f"link-{link}"): link for link in range(20)}
    later = [(of[row.annotator_id], row) for row in episodes(here) if row.assigned_by == "plan"]
    assert {row.target_id for link, row in later if link < 10} == {target(0)}
    assert {row.target_id for link, row in later if link >= 10} == {target(1)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("target_id,level\n", r"next\.csv, line 1: lacks the column probability \(found: target_id, level\)"),
        ("target_id,level,level,probability\n", r"line 1: has twice the column level"),
        ("", r"line 1: lacks the column target_id \(found: nothing\)"),
        (HEADER, r"plans no episode"),
        (HEADER + "invented/mlp.0/0,examples,0.5\ninvented/mlp.9/0,examples,0.1\n", r"line 3: invented/mlp\.9/0 is no"),
        (HEADER + "invented/mlp.0/0,weights,0.5\n", r"line 2: weights is no level of this .*; give one of examples"),
        (HEADER + "invented/mlp.0/0,examples,0\n", r"line 2: 0 is no probability; give a number above 0"),
        (HEADER + "invented/mlp.0/0,examples,nan\n", r"line 2: nan is no probability"),
        (HEADER + "invented/mlp.0/0,examples,1e1\n", r"line 2: 1e1 is no probability"),
        (HEADER + "invented/mlp.0/0,examples,\n", r"line 2: an empty cell is no probability"),
        (HEADER + "invented/mlp.0/0,examples\n", r"line 2: it has 2 fields where the header has 3"),
        (
            HEADER + "invented/mlp.0/0,examples,0.5\n\ninvented/mlp.0/0,examples,0.4\n",
            r"line 4: .*0\.5 before, and .*0\.4",
        ),
        (HEADER + "".join(f"invented/mlp.0/{at},examples,0.4\n" for at in range(3)), r"sum to 1\.2, above 1"),
    ],
)
def test_a_plan_that_cannot_be_obeyed_is_named_by_line_and_the_old_one_stays(
    text: str, message: str, table: Set
) -> None:
    here = table()
    assign(here.folder.path, write(here, (2, 0.25)))
    bad = here.folder.path / "next.csv"
    bad.write_text(text, encoding="utf-8")
    with pytest.raises(TablesError, match=message):
        assign(here.folder.path, bad)
    assert here.rows(select(tables.planned)) == [(target(2), "examples", 0.25)]


def test_a_missing_plan_says_how_to_make_one(table: Set) -> None:
    here = table()
    with pytest.raises(TablesError, match=r"nowhere\.csv: there is no such file; write one with: imitable plan"):
        assign(here.folder.path, here.folder.path / "nowhere.csv")


def test_a_rebuilt_campaign_has_no_plan(table: Set) -> None:
    from imitable.store import load_build, read_build

    here = table()
    assign(here.folder.path, write(here, (0, 0.5)))
    load_build(here.store, name="invented", build_hash="other", records=read_build(here.folder.build))
    assert here.rows(select(tables.planned)) == []
