"""Plans of episodes: every item alike, in the right phases, the same for the same generator."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from imitable.rounds import plan_rounds
from lengths import examples


def pool(prefix: str, active: int, inactive: int) -> list[tuple[str, bool]]:
    return [(f"{prefix}{n}", n < active) for n in range(active + inactive)]


def test_every_item_of_a_pool_is_equally_likely() -> None:
    pools = {"practice": pool("p", 7, 6), "held_out": pool("h", 4, 5)}
    seen: Counter[str] = Counter()
    places: Counter[tuple[str, int]] = Counter()
    draws = 6000
    for seed in range(draws):
        for one in plan_rounds(pools, practice=5, held_out=2, rng=np.random.default_rng(seed)):
            seen[one.item_id] += 1
            places[one.item_id, one.trial] += 1
    for prefix, size, rounds in (("p", 13, 5), ("h", 9, 2)):
        chance = rounds / size
        error = np.sqrt(chance * (1 - chance) / draws)
        for n in range(size):
            assert abs(seen[f"{prefix}{n}"] / draws - chance) < 4.5 * error
    first = [places[f"p{n}", 1] / draws for n in range(13)]
    assert max(abs(each - 1 / 13) for each in first) < 4.5 * np.sqrt(1 / 13 / draws)


@settings(max_examples=examples(150))
@given(
    active=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    inactive=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    wanted=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_plan_has_its_phases_and_no_item_twice(
    active: tuple[int, int], inactive: tuple[int, int], wanted: tuple[int, int], seed: int
) -> None:
    pools = {"practice": pool("p", active[0], inactive[0]), "held_out": pool("h", active[1], inactive[1])}
    rounds = [min(n, a + i) for n, a, i in zip(wanted, active, inactive, strict=True)]
    plan = plan_rounds(pools, practice=rounds[0], held_out=rounds[1], rng=np.random.default_rng(seed))
    assert [one.trial for one in plan] == list(range(1, len(plan) + 1))
    assert [one.phase for one in plan] == ["practice"] * rounds[0] + ["held_out"] * rounds[1]
    assert len({one.item_id for one in plan}) == len(plan)
    assert all(one.item_id[0] == one.phase[0] for one in plan)
    for phase, prefix, at in (("practice", "p", 0), ("held_out", "h", 1)):
        size = active[at] + inactive[at]
        if size:
            lively = {name for name, is_active in pool(prefix, active[at], inactive[at]) if is_active}
            got = sum(one.item_id in lively for one in plan if one.phase == phase)
            assert abs(got - rounds[at] * active[at] / size) < 1


def test_the_same_generator_gives_the_same_plan() -> None:
    pools = {"practice": pool("p", 8, 8), "held_out": pool("h", 8, 8)}
    plans = [plan_rounds(pools, practice=6, held_out=4, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


@settings(max_examples=examples(150))
@given(
    practice=st.integers(0, 12),
    held_out=st.integers(0, 6),
    checks=st.sets(st.integers(1, 24), max_size=5),
    repeats=st.sets(st.integers(1, 24), max_size=5),
    items=st.integers(0, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_checks_and_repeats_stand_between_the_rounds_and_change_none_of_them(
    practice: int, held_out: int, checks: set[int], repeats: set[int], items: int, seed: int
) -> None:
    pools = {"practice": pool("p", 6, 6), "held_out": pool("h", 3, 3)}
    plain = plan_rounds(pools, practice=practice, held_out=held_out, rng=np.random.default_rng(seed))
    plan = plan_rounds(
        pools,
        practice=practice,
        held_out=held_out,
        rng=np.random.default_rng(seed),
        checks=sorted(checks),
        check_items=[f"c{n}" for n in range(items)],
        repeats=sorted(repeats),
    )
    assert [one.trial for one in plan] == list(range(1, len(plan) + 1))
    firsts = [one for at, one in enumerate(plan) if one.item_id not in {before.item_id for before in plan[:at]}]
    assert [(one.phase, one.item_id) for one in firsts if one.phase != "check"] == [
        (one.phase, one.item_id) for one in plain
    ]
    for one in plan:
        assert (one.phase == "check") == one.item_id.startswith("c")
        assert one.phase != "check" or one.trial in checks
    again = [one for one in plan if one not in firsts]
    assert all(one.phase == "practice" and one.trial in repeats for one in again)
    assert len({one.item_id for one in again}) == len(again)
    begun = [one.trial for one in plan if one.phase == "held_out"]
    assert all(one.trial < begun[0] for one in again if begun)


def test_checks_and_repeats_stand_where_they_were_asked_for_and_a_repeat_is_not_of_the_round_before() -> None:
    pools = {"practice": pool("p", 10, 10), "held_out": pool("h", 4, 4)}
    repeated = Counter[int]()
    for seed in range(300):
        plan = plan_rounds(
            pools,
            practice=8,
            held_out=2,
            rng=np.random.default_rng(seed),
            checks=[3, 13],
            check_items=["c0", "c1", "c2"],
            repeats=[9, 11],
        )
        assert "".join(one.phase[0] for one in plan) == "ppcpppppppphch"
        shown = [one.item_id for one in plan if one.phase == "practice"]
        for trial in (9, 11):
            first = next(one.trial for one in plan if one.item_id == plan[trial - 1].item_id)
            assert trial - first > 3
            repeated[first] += 1
        assert len(set(shown)) == 8
    assert set(repeated) >= {1, 2, 4, 5}


def test_items_take_turns_so_that_none_is_shown_to_many_while_others_lie_idle() -> None:
    pools = {"practice": pool("p", 9, 11), "held_out": pool("h", 5, 8)}
    used: Counter[str] = Counter()
    for seed in range(30):
        plan = plan_rounds(pools, practice=6, held_out=3, rng=np.random.default_rng(seed), used=used)
        used.update(one.item_id for one in plan)
        for every in pools.values():
            for active in (True, False):
                times = [used[item] for item, is_active in every if is_active == active]
                assert max(times) - min(times) <= 1


def known_before(accounts: int, *, of: int, rng: np.random.Generator) -> float:
    """Share of the practice items of another annotator whose truths `accounts` of the `of` before her have seen."""
    pools = {"practice": pool("p", 30, 30), "held_out": pool("h", 20, 20)}
    used: Counter[str] = Counter()
    known: set[str] = set()
    in_league = set(rng.permutation(of)[:accounts].tolist())
    for turn in range(of + 1):
        plan = plan_rounds(pools, practice=15, held_out=5, rng=rng, used=used)
        used.update(one.item_id for one in plan)
        revealed = {one.item_id for one in plan if one.phase == "practice"}
        if turn in in_league:
            known |= revealed
    assert all(one.item_id not in known for one in plan if one.phase == "held_out")
    return len(revealed & known) / len(revealed)


def test_what_accounts_in_league_know_of_anothers_items_is_what_the_docs_say() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "honest-play.md").read_text(encoding="utf-8")
    [row] = [line for line in docs.splitlines() if line.startswith("| of the next person's practice items")]
    said = [int(number) / 100 for number in re.findall(r"(\d+) %", row)]
    rng = np.random.default_rng(5)
    for accounts, share in enumerate(said, start=1):
        measured = float(np.mean([known_before(accounts, of=9, rng=rng) for _ in range(400)]))
        assert abs(measured - share) < 0.03, accounts
    assert len(said) == 4
    [first] = re.findall(r"the first to play a target know (\d+) %", docs)
    measured = float(np.mean([known_before(4, of=4, rng=rng) for _ in range(400)]))
    assert abs(measured - int(first) / 100) < 0.03
