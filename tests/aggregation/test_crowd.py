"""What the crowd knows together: learned on others, honest about its width, and there for the poorest of data."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imitable_aggregation.crowd import Crowd, crowd
from imitable_aggregation.recalibration import IDENTITY, learn, spread
from imitable_aggregation.simulate import Setting, simulate

from .conftest import Builder

NOBODY = pd.DataFrame({"annotator_id": pd.Series(dtype="str"), "bias": pd.Series(dtype="float64")})


@dataclass(frozen=True)
class Frames:
    """What crowd asks of the statistics, from a frame of guesses."""

    guesses: pd.DataFrame
    low: float = 0.0

    @property
    def targets(self) -> pd.DataFrame:
        return self.guesses.groupby("target_id")["l_ref"].first().reset_index().assign(low=self.low)

    def items(self, excluded: AbstractSet[str], bias: pd.DataFrame) -> pd.DataFrame:
        rows = self.guesses[~self.guesses["annotator_id"].isin(list(excluded))]
        taken = bias.set_index("annotator_id")["bias"].reindex(rows["annotator_id"]).fillna(0.0).to_numpy()
        held = (rows["phase"] == "held_out").astype("int64")
        rows = rows.assign(n=1, h_n=held, h_g=(rows["guess"] - taken) * held)
        by = rows.groupby(["target_id", "item_id"], as_index=False)
        return by.agg(truth=("truth", "first"), n=("n", "sum"), h_n=("h_n", "sum"), h_g=("h_g", "sum"))

    def sample(self, limit: int) -> pd.DataFrame:
        rows = self.guesses[self.guesses["phase"] == "held_out"]
        return rows[["annotator_id", "target_id", "item_id", "guess", "truth", "l_ref"]].head(limit)


def test_the_pool_of_a_simulated_campaign_beats_the_mean_and_its_intervals_cover() -> None:
    seen = simulate(Setting(guesses=20_000, seed=5))
    bad = {f"a_{at:06d}" for at in np.flatnonzero(seen.kind != "honest")}
    off = (seen.guesses["guess"] - seen.guesses["truth"]).groupby(seen.guesses["annotator_id"]).mean()
    bias = (0.8 * off).rename("bias").reset_index()
    found = crowd(Frames(seen.guesses), bad, bias)
    assert found.skill > found.plain + 0.05
    hit = found.items["truth"].between(found.items["crowd_low"], found.items["crowd_high"])
    assert 0.85 < hit.mean() < 0.95
    by_size = hit.groupby(found.items["n_guesses"].clip(upper=3)).mean()
    assert by_size.between(0.85, 0.96).all()
    assert (found.targets["crowd_low"] < found.targets["crowd_skill"]).all()
    assert (found.targets["crowd_skill"] < found.targets["crowd_high"]).all()
    assert found.curve["size"].tolist()[:3] == [1, 2, 3]
    assert found.curve["skill"].is_monotonic_increasing
    assert (found.curve["skill"] > found.curve["plain"]).all()
    assert (found.curve["low"] < found.curve["skill"]).all()


def test_no_prediction_learns_from_the_truths_that_it_predicts(crowd: Builder) -> None:
    rows = crowd(targets=12, annotators=30, seed=1)
    # the small crowd's items are met in both phases; the game's pools are apart
    rows["item_id"] += rows["phase"]
    first = rows["target_id"].iloc[0]
    mine = (rows["target_id"] == first) & (rows["phase"] == "held_out")
    before, after = (
        pooled(each).items for each in (rows, rows.assign(truth=(10 - rows["truth"]).where(mine, rows["truth"])))
    )
    of = before["target_id"] == first
    for name in ("crowd", "crowd_low", "crowd_high"):
        pd.testing.assert_series_equal(before.loc[of, name], after.loc[of, name])
    assert not before.loc[~of, "crowd"].equals(after.loc[~of, "crowd"])


def pooled(rows: pd.DataFrame, coverage: float = 0.9, bias: pd.DataFrame = NOBODY) -> Crowd:
    return crowd_of(Frames(rows), set(), bias, coverage)


def crowd_of(frames: Frames, excluded: AbstractSet[str], bias: pd.DataFrame, coverage: float = 0.9) -> Crowd:
    return crowd(frames, excluded, bias, coverage=coverage)


def test_only_who_counts_is_pooled(crowd: Builder) -> None:
    rows = crowd(targets=5, annotators=10, seed=2)
    out = {"a_000", "a_001"}
    kept = rows[~rows["annotator_id"].isin(list(out))]
    pd.testing.assert_frame_equal(crowd_of(Frames(rows), out, NOBODY).items, pooled(kept).items)


def test_the_order_of_rows_does_not_matter(crowd: Builder) -> None:
    rows = crowd(targets=6, annotators=14, seed=3)
    one, two = pooled(rows), pooled(rows.sample(frac=1, random_state=4))
    pd.testing.assert_frame_equal(one.items, two.items)
    pd.testing.assert_frame_equal(one.targets, two.targets)
    pd.testing.assert_frame_equal(one.curve, two.curve)


@settings(max_examples=25, deadline=None)
@given(
    shift=st.floats(-2, 2),
    coverage=st.floats(0.5, 0.98),
    seed=st.integers(0, 9),
    targets=st.integers(1, 6),
)
def test_a_known_bias_changes_nothing_and_ends_hold_the_prediction(
    shift: float, coverage: float, seed: int, targets: int
) -> None:
    rng = np.random.default_rng(seed)
    n = 30 * targets
    truth = np.round(rng.uniform(0, 10, (targets, 8)), 2)
    target, item = rng.integers(targets, size=n), rng.integers(8, size=n)
    rows = pd.DataFrame(
        {
            "annotator_id": [f"a{at}" for at in rng.integers(6, size=n)],
            "target_id": [f"t{at}" for at in target],
            "item_id": [f"i{a}-{b}" for a, b in zip(target, item, strict=True)],
            "phase": np.where(item < 4, "practice", "held_out"),
            "truth": truth[target, item],
            "l_ref": 2.5,
        }
    )
    rows["guess"] = rows["truth"] + rng.normal(0, 2, n)
    one = pooled(rows, coverage).items
    bias = pd.DataFrame({"annotator_id": ["a0", "a1"], "bias": shift})
    theirs = rows["annotator_id"].isin(["a0", "a1"])
    two = pooled(rows.assign(guess=rows["guess"] + shift * theirs), coverage, bias).items
    np.testing.assert_allclose(one["crowd"], two["crowd"], atol=1e-6)
    assert (one["crowd_low"] <= one["crowd"]).all()
    assert (one["crowd"] <= one["crowd_high"]).all()
    assert one["crowd_low"].ge(0).all()
    assert one["crowd_high"].le(10).all()
    wider = pooled(rows, 0.99).items
    assert (wider["crowd_low"] <= one["crowd_low"] + 1e-9).all()
    assert (wider["crowd_high"] >= one["crowd_high"] - 1e-9).all()


def test_one_item_is_predicted_by_the_mean_of_its_guesses_and_nothing_is_known_of_its_width(crowd: Builder) -> None:
    rows = crowd(targets=2, annotators=4, each=2)
    lone = rows[rows["phase"] == "held_out"].iloc[:1]
    found = pooled(lone)
    assert found.items["crowd"].iloc[0] == pytest.approx(lone["guess"].iloc[0])
    assert found.items[["crowd_low", "crowd_high"]].iloc[0].tolist() == [0.0, 10.0]
    assert np.isfinite(found.targets.to_numpy()).all()
    assert found.notes == ["There is one target: what recalibrates its crowd is learned on its other items."]


def test_two_sided_scales_reach_below_zero(crowd: Builder) -> None:
    rows = crowd(targets=2, annotators=3, each=2)
    lone = rows[rows["phase"] == "held_out"].iloc[:1].assign(guess=-4.0, truth=-5.0)
    found = crowd_of(Frames(lone, low=-10.0), set(), NOBODY)
    assert found.items[["crowd", "crowd_low"]].iloc[0].tolist() == [-4.0, -10.0]


def test_without_held_out_rounds_the_crowd_says_nothing_and_says_so(crowd: Builder) -> None:
    found = pooled(crowd(targets=3, annotators=5, each=2, held_out=0))
    assert found.items.empty
    assert found.targets.index.tolist() == ["toy/mlp.0/0", "toy/mlp.0/2", "toy/mlp.1/1"]
    assert found.targets.isna().all(axis=None)
    assert found.curve.empty
    assert found.notes == [
        "No held-out guess names its item (item_id), by which guesses are pooled: crowd.csv and crowd_skill are empty."
    ]


def test_everybody_excluded_is_no_crowd(crowd: Builder) -> None:
    rows = crowd(targets=3, annotators=5, each=2)
    found = crowd_of(Frames(rows), set(rows["annotator_id"]), NOBODY)
    assert found.items.empty
    assert np.isnan(found.skill)


def test_a_target_without_held_out_guesses_has_no_crowd_skill(crowd: Builder) -> None:
    rows = crowd(targets=4, annotators=8, each=3)
    first = rows["target_id"].iloc[0]
    found = pooled(rows[(rows["target_id"] != first) | (rows["phase"] == "practice")])
    assert found.targets.loc[first].isna().all()
    assert found.targets.drop(first).notna().all(axis=None)


def test_without_practice_the_guesses_themselves_say_where_the_target_lies(crowd: Builder) -> None:
    found = pooled(crowd(targets=6, annotators=20, practice=0, seed=6))
    assert found.items["crowd"].notna().all()
    assert found.skill > 0


@pytest.mark.parametrize(("people", "each"), [(5, 1), (5, 3), (200, 1)])
def test_intervals_allow_for_annotators_that_items_share(people: int, each: int) -> None:
    rng = np.random.default_rng(8)
    rows = []
    for target in range(60):
        off = rng.normal(0, 1.5, people)
        same = {"target_id": f"t{target:02d}", "l_ref": 2.0}
        for item in range(30):
            truth = float(rng.uniform(3, 7))
            shown = {"item_id": f"{target}-p{item}", "phase": "practice", "truth": float(rng.uniform(3, 7))}
            rows.append(same | shown | {"annotator_id": "a", "guess": 5.0})
            for who in rng.choice(people, each, replace=False):
                said = {"annotator_id": f"a{target}-{who}", "guess": truth + off[who] + rng.normal()}
                rows.append(same | said | {"item_id": f"{target}-{item}", "phase": "held_out", "truth": truth})
    found = pooled(pd.DataFrame(rows)).targets
    claimed = (found["crowd_high"] - found["crowd_low"]).mean() / 2 / 1.645
    # targets are alike, so that what they differ by is what an interval must allow for
    assert 0.75 < claimed / found["crowd_skill"].std() < 1.4


def test_coefficients_are_recovered_and_nothing_learned_is_the_identity() -> None:
    rng = np.random.default_rng(9)
    x, k = rng.normal(0, 1, 20_000), rng.integers(1, 6, 20_000)
    design = np.stack([x, x / k, np.ones(20_000)], axis=1)
    y = design @ [0.9, -0.4, 0.2] + rng.laplace(0, 0.2, 20_000)
    np.testing.assert_allclose(learn(design, y), [0.9, -0.4, 0.2], atol=0.03)
    assert learn(design[:0], y[:0]).tolist() == IDENTITY.tolist()


def test_ends_of_few_residuals_are_unknown() -> None:
    few = spread(np.zeros(5), np.ones(5, dtype=np.int64), np.arange(5, dtype=np.float64), 0.9)
    assert np.isinf(few.around(np.zeros(1), np.ones(1, dtype=np.int64))).all()
