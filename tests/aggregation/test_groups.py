"""Contrasts between groups of targets: who belongs to which, how wide the two intervals are, and what is said."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imitable_aggregation.contrast_words import in_words, noun
from imitable_aggregation.errors import TableError
from imitable_aggregation.group_values import known_columns, layer_of, values_of
from imitable_aggregation.groups import groups_table
from imitable_aggregation.result_tables import GROUPS

Floats = npt.NDArray[np.float64]


class Drawn:
    """Joint draws of targets of known level, as the model gives them: it knows of no groups."""

    def __init__(self, level: Floats, *, spread: float = 0.22, error: float = 0.12, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        n = len(level)
        total = float(level.var()) + spread**2
        self.level = level + rng.normal(0, spread, n)
        seen = self.level + rng.normal(0, error, n)
        keep = total / (total + error**2)
        mean = seen.mean() + keep * (seen - seen.mean())
        held_out = mean + np.sqrt(keep) * error * rng.standard_normal((400, n))
        start = held_out - 0.2 + 0.05 * rng.standard_normal((400, n))
        self.samples = {"start": start, "middle": held_out - 0.1, "held_out": held_out}
        self.ids = [f"m/mlp.0/{at}" for at in range(n)]

    def by(self, values: list[str], **options: object) -> pd.DataFrame:
        """Contrast the values of one column."""
        targets = pd.DataFrame({"target_id": self.ids, "arm": values})
        return groups_table(self.samples, self.ids, targets, ["arm"], **options)  # type: ignore[arg-type]


def two_arms(each: int = 30, gap: float = 0.4, **options: float) -> tuple[Drawn, list[str]]:
    """Targets of two arms, `gap` apart."""
    arms = ["a", "b"] * each
    return Drawn(np.where(np.array(arms) == "a", gap, 0.0), **options), arms  # type: ignore[arg-type]


def one(table: pd.DataFrame, estimand: str = "imitability", population: str = "these") -> pd.Series[float]:
    """The only contrast of an estimand and a population."""
    found = table[(table["estimand"] == estimand) & (table["population"] == population)]
    assert len(found) == 1
    return found.iloc[0]


def test_a_difference_is_not_pulled_together_as_single_targets_are() -> None:
    errors, pulled = [], []
    for seed in range(12):
        drawn, arms = two_arms(gap=0.5, error=0.3, seed=seed)
        a = np.array(arms) == "a"
        truth = drawn.level[a].mean() - drawn.level[~a].mean()
        plain = drawn.samples["held_out"].mean(axis=0)
        errors.append(one(drawn.by(arms))["difference"] - truth)
        pulled.append(plain[a].mean() - plain[~a].mean() - truth)
    assert np.mean(pulled) < -0.15
    assert abs(np.mean(errors)) < 0.06


def test_both_populations_and_all_estimands_stand_in_the_table() -> None:
    drawn, arms = two_arms()
    table = drawn.by(arms)
    assert list(table.columns) == [column.name for column in GROUPS.columns]
    assert not table.duplicated(list(GROUPS.key)).any()
    assert set(zip(table["estimand"], table["population"], strict=True)) == {
        (estimand, population)
        for estimand in ("imitability", "start", "gain")
        for population in ("these", "like_these")
    }
    assert not table.isna().any(axis=None)
    width = table["high"] - table["low"]
    like = table["population"] == "like_these"
    assert (
        width[like & (table["estimand"] == "imitability")].item()
        > width[~like & (table["estimand"] == "imitability")].item()
    )
    assert (table[["n_a", "n_b"]] == 30).all(axis=None)


def test_gain_is_imitability_less_start() -> None:
    drawn, arms = two_arms()
    table = drawn.by(arms)
    parts = {name: one(table, name)["difference"] for name in ("imitability", "start", "gain")}
    assert parts["gain"] == pytest.approx(parts["imitability"] - parts["start"], abs=1e-9)


def test_intervals_for_new_targets_hold_as_often_as_they_say() -> None:
    held: dict[str, list[bool]] = {"these": [], "like_these": []}
    for seed in range(150):
        drawn, arms = two_arms(each=12, gap=0.3, seed=seed)
        a = np.array(arms) == "a"
        table = drawn.by(arms)
        for population, truth in (
            ("these", drawn.level[a].mean() - drawn.level[~a].mean()),
            ("like_these", 0.3),
        ):
            row = one(table, "imitability", population)
            held[population].append(bool(row["low"] <= truth <= row["high"]))
    assert 0.84 <= np.mean(held["like_these"]) <= 0.99
    assert 0.84 <= np.mean(held["these"]) <= 0.97


def test_many_groups_that_do_not_differ_are_pulled_together_and_those_that_do_are_not() -> None:
    arms = [f"g{at % 8}" for at in range(64)]
    spread = {}
    for name, gap in (("same", 0.0), ("apart", 0.3)):
        level = gap * np.array([int(arm[1:]) for arm in arms], dtype=float)
        table = Drawn(level, error=0.25, seed=3).by(arms)
        like = table[(table["estimand"] == "imitability") & (table["population"] == "like_these")]
        spread[name] = like
    assert spread["same"]["difference"].abs().max() < 0.1
    last = spread["apart"][(spread["apart"]["level_a"] == "g0") & (spread["apart"]["level_b"] == "g7")].iloc[0]
    assert last["low"] < -2.1 < last["high"]


def test_what_targets_of_a_group_share_widens_the_interval() -> None:
    drawn, arms = two_arms(gap=0.0)
    shared = np.where(np.array(arms) == "a", 1.0, -1.0) * np.random.default_rng(1).normal(0, 0.15, (400, 1))
    other = Drawn(np.zeros(60))
    other.samples = {name: values + shared for name, values in drawn.samples.items()}
    alone, together = (one(table) for table in (drawn.by(arms), other.by(arms)))
    assert together["high"] - together["low"] > 2 * (alone["high"] - alone["low"])


@pytest.mark.parametrize("seed", range(5))
def test_one_target_of_which_little_is_known_leaves_intervals_for_new_targets_finite(seed: int) -> None:
    rng = np.random.default_rng(seed)
    open_share = np.full((24, 3), (0.65, 0.6, 0.4))  # of the variance of targets, that the data leave open
    mean = rng.normal(0, np.sqrt(1 - open_share))
    open_share[0], mean[0] = (1.5, 1.5, 0.5), (-3.0, -3.0, -2.3)
    draws = 0.2 * (mean + np.sqrt(open_share) * rng.standard_normal((400, 24, 3)))
    other = Drawn(np.zeros(24))
    other.samples = dict(zip(("start", "middle", "held_out"), np.moveaxis(draws, 2, 0), strict=True))
    table = other.by(["a", "b", "c", "d"] * 6)
    assert (table["high"] - table["low"]).max() < 1.6  # targets themselves differ with a standard deviation of 0.2


def test_a_cell_with_semicolons_belongs_to_each_value_and_a_target_with_both_is_left_out() -> None:
    drawn, _ = two_arms(each=6)
    cells = ["kurtosis"] * 4 + ["kurtosis;random"] * 3 + ["random"] * 4 + [""]
    table = drawn.by(cells)
    assert set(table["level_a"]) == {"kurtosis"}
    assert set(table["level_b"]) == {"random"}
    assert set(zip(table["n_a"], table["n_b"], strict=True)) == {(4, 4)}


def test_layers_follow_from_sites_and_stand_in_order_of_size() -> None:
    sites = ["mlp.3", "head.10.norm", "head.2.along-x", "direction.4.y-1", "probe.5.french", "sae.res8k.6", "elsewhere"]
    assert [layer_of(site) for site in sites] == ["3", "10", "2", "4", "5", "6", None]
    targets = pd.DataFrame({"target_id": list("abcdef"), "site": ["mlp.10", "mlp.2", "mlp.2", "mlp.10", "mlp.9", None]})
    values = values_of("layer", list("abcdef"), targets)
    assert values.names == ["2", "9", "10"]
    assert values_of("site", list("abcdef"), targets).names == ["mlp.2", "mlp.9", "mlp.10"]
    assert not values.has[5].any()
    assert known_columns(targets) == ["site", "layer", "level"]


def test_targets_are_matched_by_id_and_not_by_place() -> None:
    drawn, arms = two_arms(each=8)
    targets = pd.DataFrame({"target_id": drawn.ids, "arm": arms})
    shuffled = targets.sample(frac=1, random_state=2)
    assert groups_table(drawn.samples, drawn.ids, shuffled, ["arm"]).equals(drawn.by(arms))


def test_levels_are_contrasted_once_for_both_populations() -> None:
    rng = np.random.default_rng(0)
    effect = rng.normal(0.1, 0.02, 400)
    drawn, arms = two_arms(each=5)
    targets = pd.DataFrame({"target_id": drawn.ids, "arm": arms})
    levels = {"text": -effect, "examples": effect}
    table = groups_table(drawn.samples, drawn.ids, targets, ["level", "arm", "level"], levels=levels)
    of = table[table["factor"] == "level"]
    assert list(of["population"]) == ["these", "like_these"]
    assert of["difference"].iloc[0] == pytest.approx(0.2, abs=0.01)
    assert (of["low"] > 0.1).all()
    assert set(table["factor"]) == {"level", "arm"}


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        ("colour", list("ababab"), r"no column 'colour' .*known: arm, level\); choose one of these"),
        ("arm", list("aaaaaa"), r"every target has the same arm \(a\).*choose a column that varies"),
        ("arm", list("abcdef"), r"'arm' has 6 values for 6 targets, which makes no groups; put several targets"),
        ("arm", [""] * 6, r"no target says anything in the column 'arm'"),
        ("arm", ["a;b"] * 6, r"no target has one value of 'arm' without another"),
        ("level", list("ababab"), r"every guess was made at the same level"),
    ],
)
def test_a_column_that_makes_no_groups_is_named(column: str, cells: list[str], message: str) -> None:
    drawn, _ = two_arms(each=3)
    targets = pd.DataFrame({"target_id": drawn.ids, "arm": cells})
    with pytest.raises(TableError, match=message) as raised:
        groups_table(drawn.samples, drawn.ids, targets, [column])
    assert raised.value.field == column


def test_without_practice_only_imitability_is_contrasted() -> None:
    drawn, arms = two_arms(each=6)
    drawn.samples["start"] = np.full_like(drawn.samples["start"], np.nan)
    assert set(drawn.by(arms)["estimand"]) == {"imitability"}


def test_little_data_gives_numbers_and_not_nan() -> None:
    drawn = Drawn(np.array([0.1, 0.2, 0.3]))
    assert not drawn.by(["a", "a", "b"]).isna().any(axis=None)
    flat = Drawn(np.zeros(4))
    flat.samples = {name: np.full((2, 4), 0.1) for name in flat.samples}
    assert not flat.by(["a", "a", "b", "b"]).isna().any(axis=None)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(12)), st.lists(st.sampled_from("xyz"), min_size=12, max_size=12))
def test_the_order_of_targets_changes_nothing(order: list[int], arms: list[str]) -> None:
    if len(set(arms)) < 2:
        return
    drawn = Drawn(np.zeros(12))
    table = drawn.by(arms)
    ids = [drawn.ids[at] for at in order]
    targets = pd.DataFrame({"target_id": drawn.ids, "arm": arms})
    turned = groups_table({name: v[:, order] for name, v in drawn.samples.items()}, ids, targets, ["arm"])
    pd.testing.assert_frame_equal(turned, table, rtol=1e-6, atol=1e-9)


def test_sentences_say_what_the_intervals_say() -> None:
    base = {"factor": "layer", "level_a": "0", "level_b": "3", "estimand": "imitability", "p_positive": 0.01}
    rows = [
        {**base, "population": "these", "difference": -0.12, "low": -0.21, "high": -0.03, "n_a": 9, "n_b": 7},
        {**base, "population": "like_these", "difference": -0.12, "low": -0.26, "high": 0.02, "n_a": 9, "n_b": 7},
    ]
    told = in_words(pd.DataFrame(rows), noun="neurons")[0].replace("\N{NO-BREAK SPACE}", "")
    assert told == (
        "The 7 neurons of layer 3 were more imitable than the 9 of layer 0 by 0.12 (0.03 to 0.21; 90% interval); "
        "for new neurons like these −0.02 to 0.26."
    )
    rows[0] |= {"high": 0.01}
    assert in_words(pd.DataFrame(rows))[0].startswith(
        "Whether the 7 targets of layer 3 were more imitable than the 9 of"
    )
    rows[0]["n_b"] = 1
    assert in_words(pd.DataFrame(rows))[0].startswith(
        "Whether the one target of layer 3 was more imitable than the 9 of"
    )
    level = {"factor": "level", "level_a": "examples", "level_b": "text"}
    rows = [{**row, **level, "difference": 0.1, "low": 0.05, "high": 0.15} for row in rows]
    assert in_words(pd.DataFrame(rows))[0].startswith("Targets at the level examples were more imitable than those at")
    assert "new targets" not in in_words(pd.DataFrame(rows))[0]
    assert noun(pd.Series(["neuron", "neuron"])) == "neurons"
    assert noun(pd.Series(["neuron", "head"])) == "targets"
