"""The plan of one episode: which items, in which phase and order. Fixed at the episode's first page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Phase = Literal["practice", "held_out", "check"]
"""Practice: truth shown after the guess. Held-out: not shown. Check: an attention check, never counted."""


@dataclass(frozen=True)
class Planned:
    """One round of a plan: an item in its place, and nothing that tells its truth."""

    trial: int
    """1-based place in the episode."""
    phase: Phase
    item_id: str


def plan_rounds(
    pools: Mapping[str, Sequence[tuple[str, bool]]], *, practice: int, held_out: int, rng: np.random.Generator
) -> list[Planned]:
    """Draw an episode from a target's pools: `practice` then `held_out` rounds, each in random order.

    `pools` maps `practice` and `held_out` to (item_id, drawn from an active stratum). Every item of a pool is equally
    likely, and each phase is as active as its pool, to within one item.
    """
    plan: list[Planned] = []
    phases: tuple[tuple[Phase, int], ...] = (("practice", practice), ("held_out", held_out))
    for phase, rounds in phases:
        pool = pools.get(phase, ())
        active = [item for item, is_active in pool if is_active]
        inactive = [item for item, is_active in pool if not is_active]
        exact = rounds * len(active) / max(1, len(pool))
        from_active = int(exact) + int(rng.random() < exact % 1)
        chosen = [active[at] for at in rng.permutation(len(active))[:from_active]]
        chosen += [inactive[at] for at in rng.permutation(len(inactive))[: rounds - from_active]]
        plan += [
            Planned(len(plan) + 1 + at, phase, chosen[pick]) for at, pick in enumerate(rng.permutation(len(chosen)))
        ]
    return plan
