"""Builders of small crowds, whose skill the tests know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

Builder = Callable[..., pd.DataFrame]


def a_guess(**changes: object) -> dict[str, object]:
    """One good row of guesses."""
    row: dict[str, object] = {
        "annotator_id": "a_1",
        "target_id": "toy/mlp.0/1",
        "trial": 1,
        "phase": "held_out",
        "guess": 3.0,
        "truth": 4.0,
        "l_ref": 3.0,
    }
    return row | changes


@pytest.fixture
def guess() -> Callable[..., dict[str, object]]:
    """Make one good row, with changes."""
    return a_guess


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write rows as guesses.csv and say where."""

    def written(rows: Sequence[dict[str, object]], name: str = "guesses.csv") -> Path:
        path = tmp_path / name
        pd.DataFrame(list(rows)).to_csv(path, index=False, lineterminator="\n")
        return path

    return written


@pytest.fixture
def crowd() -> Builder:
    """Make a crowd that plays at random: skill = target + annotator + episode + item + noise, learned over trials."""

    def made(
        *,
        targets: int = 12,
        annotators: int = 30,
        each: int = 4,
        practice: int = 8,
        held_out: int = 5,
        pool: int = 40,
        spread: float = 0.25,
        seed: int = 0,
    ) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        level = rng.normal(0.2, spread, targets)
        person = rng.normal(0.0, 0.2, annotators)
        ease = rng.normal(0.0, 0.25, (targets, pool))
        truths = np.where(rng.random((targets, pool)) < 0.5, 0.0, rng.uniform(2.0, 10.0, (targets, pool)))
        rows = []
        for a in range(annotators):
            for n in rng.choice(targets, each, replace=False):
                episode = person[a] + rng.normal(0.0, 0.15)
                items = rng.choice(pool, practice + held_out, replace=False)
                for t, item in enumerate(items):
                    skill = level[n] + episode + ease[n, item] + rng.normal(0.0, 0.4) - 0.3 * (t == 0)
                    truth, off = truths[n, item], 3.0 * (1.0 - skill)
                    inside = [g for g in (truth - off, truth + off) if 0 <= g <= 10] or [float(np.clip(truth, 0, 10))]
                    rows.append(
                        a_guess(
                            annotator_id=f"a_{a:03d}",
                            target_id=f"toy/mlp.{n % 2}/{n}",
                            trial=t + 1,
                            phase="practice" if t < practice else "held_out",
                            guess=float(rng.choice(inside)),
                            truth=float(truth),
                            episode_id=f"e_{a}_{n}",
                            item_id=f"i_{n}_{item}",
                            seconds=float(rng.uniform(3, 9)),
                            known=level[n],
                        )
                    )
        return pd.DataFrame(rows)

    return made
