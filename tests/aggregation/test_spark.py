"""The same statistics from a real Spark on this machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from conftest import missing

from imitable_aggregation.defaults import filled
from imitable_aggregation.errors import TableError
from imitable_aggregation.simulate import Setting, simulate
from imitable_aggregation.statistics import Statistics, collect

pytestmark = pytest.mark.xdist_group("spark")


@pytest.fixture(scope="module")
def guesses() -> pd.DataFrame:
    """A campaign with weights, seconds, attention checks and items that come back."""
    rows = simulate(Setting(guesses=1_000)).guesses
    rng = np.random.default_rng(1)
    rows["weight"] = rng.choice([np.nan, 0.5, 3.0, 100.0], len(rows))
    rows["seconds"] = rng.uniform(0.5, 9, len(rows)).round(2)
    rows.loc[rng.random(len(rows)) < 0.1, "phase"] = "check"
    rows.loc[rows["item_id"].str.endswith("1"), "item_id"] = "again"
    rows.loc[rng.random(len(rows)) < 0.1, "item_id"] = None
    return filled(rows)


@pytest.fixture(scope="module")
def from_spark(guesses: pd.DataFrame) -> Iterator[Statistics]:
    if importlib.util.find_spec("pyspark") is None:
        missing("pyspark")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        missing("Java")
    found = collect(guesses, name="spark", threads=2)
    yield found
    found.close()


def test_spark_and_duckdb_agree_to_the_last_bit(guesses: pd.DataFrame, from_spark: Statistics) -> None:
    known = collect(guesses)
    bias = pd.DataFrame({"annotator_id": ["a_000001"], "bias": [0.3]})
    pairs = [(getattr(known, name), getattr(from_spark, name)) for name in ("episodes", "targets", "people", "curve")]
    pairs += [tuple(each.items({"a_000003"}, bias, level="text") for each in (known, from_spark))]  # type: ignore[list-item]
    pairs += [tuple(each.sample(60) for each in (known, from_spark))]  # type: ignore[list-item]
    for ours, other in pairs:
        assert len(ours) > 0
        pd.testing.assert_frame_equal(ours, other, check_exact=True)
    assert known.people["repeats"].sum() > 0
    assert (known.episodes["w_n"] > 0).any()


def test_an_engine_that_is_not_there_is_named_with_the_way_to_it(
    guesses: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TableError, match="no engine 'postgres'; choose duckdb or spark"):
        collect(guesses, name="postgres")  # type: ignore[arg-type]
    monkeypatch.setitem(__import__("sys").modules, "pyspark.errors", None)
    with pytest.raises(TableError, match=r"Spark is not installed; run pip install 'imitable\[spark\]'"):
        collect(guesses, name="spark")
