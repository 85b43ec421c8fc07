"""The plan of one episode: which items, in which phase and order. Fixed at the episode's first page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Phase = Literal["practice", "held_out", "check"]
"""Practice: truth shown after the guess. Held-out: not shown. Check: an attention check, never counted."""

APART = 3
"""Practice rounds that a repeated item was shown before, where there are as many: not the last ones."""


@dataclass(frozen=True)
class Planned:
    """One round of a plan: an item in its place, and nothing that tells its truth."""

    trial: int
    """1-based place in the episode."""
    phase: Phase
    item_id: str


def plan_rounds(
    pools: Mapping[str, Sequence[tuple[str, bool]]],
    *,
    practice: int,
    held_out: int,
    rng: np.random.Generator,
    checks: Sequence[int] = (),
    check_items: Sequence[str] = (),
    repeats: Sequence[int] = (),
    used: Mapping[str, int] | None = None,
) -> list[Planned]:
    """Draw an episode from a target's pools: `practice` then `held_out` rounds, each in random order.

    `pools` maps `practice` and `held_out` to (item_id, drawn from an active stratum). Every item of a pool is equally
    likely, and each phase is as active as its pool, to within one item. `used` says in how many earlier plans each item
    stands: those in fewest come first, so that no truth is shown to many people while others lie idle.

    `checks` and `repeats` are trials of the finished plan, between the others: at `checks` stands one of `check_items`,
    in random order, and at `repeats` an earlier practice item comes again, as practice; no item comes more than twice.
    A repeat with no practice round left to repeat is left out, and so is a check without an item.
    """
    times = used or {}
    drawn: list[tuple[Phase, str]] = []
    phases: tuple[tuple[Phase, int], ...] = (("practice", practice), ("held_out", held_out))
    for phase, rounds in phases:
        pool = pools.get(phase, ())
        active = [item for item, is_active in pool if is_active]
        inactive = [item for item, is_active in pool if not is_active]
        exact = rounds * len(active) / max(1, len(pool))
        from_active = int(exact) + int(rng.random() < exact % 1)
        chosen = _fewest_first(active, times, rng)[:from_active]
        chosen += _fewest_first(inactive, times, rng)[: rounds - from_active]
        drawn += [(phase, chosen[pick]) for pick in rng.permutation(len(chosen))]
    obvious = [check_items[at] for at in rng.permutation(len(check_items))] if checks else []
    plan: list[Planned] = []
    while drawn or len(plan) + 1 in {*checks, *repeats}:
        trial = len(plan) + 1
        again = _repeatable(plan) if trial in repeats else []
        if trial in checks and obvious:
            plan.append(Planned(trial, "check", obvious.pop()))
        elif again:
            plan.append(Planned(trial, "practice", again[int(rng.integers(len(again)))]))
        elif drawn:
            plan.append(Planned(trial, *drawn.pop(0)))
        else:
            break
    return plan


def _fewest_first(items: Sequence[str], times: Mapping[str, int], rng: np.random.Generator) -> list[str]:
    """The items in random order, those that stand in fewest plans before the others."""
    return sorted((items[at] for at in rng.permutation(len(items))), key=lambda item: times.get(item, 0))


def _repeatable(plan: Sequence[Planned]) -> list[str]:
    """Practice items that were shown once, and not just now where there are others; none once held-out rounds began."""
    if any(one.phase == "held_out" for one in plan):
        return []
    shown = [one.item_id for one in plan if one.phase == "practice"]
    once = [item for item in shown if shown.count(item) == 1]
    return [item for item in once if item not in shown[-APART:]] or once[:1]
