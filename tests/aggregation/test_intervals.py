"""The intervals of a ranking, whatever the coverage: each holds its estimate, and wider ones hold narrower ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from imitable_aggregation.rank import rank
from imitable_aggregation.settings import Settings

COVERAGES = (0.01, 0.5, 0.9, 0.999)
TABLES = ("ranking.csv", "annotators.csv", "crowd.csv", "levels.csv", "groups.csv")


@pytest.fixture
def tables(tmp_path: Path, crowd: Callable[..., pd.DataFrame]) -> list[dict[str, pd.DataFrame]]:
    """By coverage, the tables of a crowd whose many targets hardly differ."""
    rows = crowd(targets=60, annotators=40, each=4, spread=0.05)
    rows["level"] = ["text" if name[-1] in "02468" else "examples" for name in rows["annotator_id"]]
    rows.to_csv(tmp_path / "guesses.csv", index=False)
    found = []
    for coverage in COVERAGES:
        out = tmp_path / f"{coverage:g}"
        rank(tmp_path / "guesses.csv", out, Settings(coverage=coverage, by=("site", "level")))
        found.append({name: pd.read_csv(out / name) for name in TABLES})
    return found


def test_every_interval_holds_its_estimate_and_the_narrower_ones(tables: list[dict[str, pd.DataFrame]]) -> None:
    narrower: dict[tuple[str, str], pd.DataFrame] = {}
    for found in tables:
        for table, frame in found.items():
            for low in [str(name) for name in frame if str(name).endswith("low")]:
                name = {"low": "difference", "crowd_low": "crowd" if table == "crowd.csv" else "crowd_skill"}
                ends = frame[[low, low.removesuffix("low") + "high"]].set_axis(["low", "high"], axis=1)
                value = frame[name.get(low, low.removesuffix("_low"))]
                known = value.notna() & ends["low"].notna()
                assert known.any(), (table, low)
                assert value[known].between(ends["low"][known], ends["high"][known]).all(), (table, low)
                inner = narrower.get((table, low), ends)
                assert (ends["low"][known] <= inner["low"][known]).all(), (table, low)
                assert (ends["high"][known] >= inner["high"][known]).all(), (table, low)
                narrower[table, low] = ends
