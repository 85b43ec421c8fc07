"""The one pass, held against a slow computation in plain pandas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imitable_aggregation.defaults import filled
from imitable_aggregation.simulate import Setting, simulate
from imitable_aggregation.statistics import Statistics, collect
from lengths import examples

quick = settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = {"g": "guess", "z": "truth", "m": "m", "c": "c"}
TARGETS = {"m/mlp.0/1": 3.0, "m/mlp.0/2": 0.01, "m/probe.1.fr/0:both": 2.5}


def filled_in(rows: pd.DataFrame) -> pd.DataFrame:
    frame = filled(rows.drop(columns="l_ref"))
    frame["l_ref"] = rows["l_ref"].to_numpy()
    return frame


@st.composite
def guesses(draw: st.DrawFn) -> pd.DataFrame:
    rows = []
    pairs = draw(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(sorted(TARGETS))), min_size=1, max_size=6))
    for number, (who, target) in enumerate(pairs):
        lowest = -10.0 if target.endswith("both") else 0.0
        score = st.floats(lowest, 10.0, allow_subnormal=False)
        for trial in sorted(draw(st.sets(st.integers(1, 9), min_size=1, max_size=7))):
            phase = draw(st.sampled_from(["practice", "practice", "held_out", "check"]))
            rows.append(
                {
                    "annotator_id": f"a_{who}",
                    "target_id": target,
                    "episode_id": f"e_{number}",
                    "item_id": draw(st.sampled_from(["i_1", "i_2", "i_3", None])),
                    "trial": trial,
                    "phase": phase,
                    "feedback": draw(st.sampled_from([True, False, phase == "practice"])),
                    "guess": draw(score),
                    "truth": draw(score),
                    "l_ref": TARGETS[target],
                    "level": draw(st.sampled_from(["text", "examples"])) if number == 0 else "text",
                    "platform": "web" if number % 2 else None,
                    "weight": draw(st.sampled_from([np.nan, 0.0, 0.1, 3.0, 1e6])),
                    "seconds": draw(st.sampled_from([np.nan, 0.5, 2.25, 7.0])),
                    "answered_at": pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(seconds=draw(st.integers(0, 9))),
                }
            )
    order = draw(st.permutations(range(len(rows))))
    return filled_in(pd.DataFrame([rows[at] for at in order]))


def products(rows: list[Any], letters: str, by: str = "") -> dict[str, float]:
    """Sums, and sums of products, of what the letters stand for."""
    plain = {p: [r[NAMES[p]] for r in rows] for p in letters}
    one = {p: [r[NAMES[p]] * (r[by] if by else 1.0) for r in rows] for p in letters}
    pairs = [(p, q) for i, p in enumerate(letters) for q in letters[i:]]
    return {p: math.fsum(one[p]) for p in letters} | {
        p + q: math.fsum(a * b for a, b in zip(one[p], plain[q], strict=True)) for p, q in pairs
    }


def mean(rows: list[Any]) -> float:
    return float(np.mean([r["y"] for r in rows])) if rows else np.nan


def by_hand(frame: pd.DataFrame, knots: tuple[float, float, float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Episodes, and the rounds behind them, one by one."""
    episodes, every = [], []
    for name, episode in frame.groupby("episode_id"):
        rows = episode.sort_values("trial")
        shown: list[float] = []
        rounds = []
        for place, row in enumerate(rows.to_dict("records")):
            seen, held = len(shown), row["phase"] == "held_out"
            x = np.array([np.interp(seen, knots, np.eye(3)[j]) for j in range(3)])
            rounds.append(
                row
                | {
                    "x": np.array([0.0, 0.0, 1.0]) if held else x,
                    "y": 1 - abs(row["guess"] - row["truth"]) / row["l_ref"],
                    "m": np.mean(shown) if shown else np.nan,
                    "c": shown[-1] if shown else np.nan,
                    "seen": seen,
                    "held": held,
                    "first": place == row["trial"] - 1 and seen == 0,
                }
            )
            shown += [row["truth"]] if row["feedback"] else []
        rounds = [r for r in rounds if r["phase"] != "check"]
        every += rounds
        if not rounds:
            continue
        held = [r for r in rounds if r["held"]]
        practice = [r for r in rounds if not r["held"]]
        told = [r for r in rounds if r["seen"]]
        half = len(practice) // 2
        heavy = [r for r in held if r["weight"] > 0]
        found: dict[str, Any] = {
            "episode_id": name,
            "n": len(rounds),
            "n_practice": len(practice),
            "n_held_out": len(held),
        }
        found |= {f"x{i}{j}": sum(r["x"][i] * r["x"][j] for r in rounds) for i in range(3) for j in range(i, 3)}
        found |= {f"xy{i}": sum(r["x"][i] * r["y"] for r in rounds) for i in range(3)}
        found |= {"y": sum(r["y"] for r in rounds), "yy": sum(r["y"] ** 2 for r in rounds)}
        found |= products(rounds, "gz")
        found |= {"t_n": len(told)} | {f"t_{k}": v for k, v in products(told, "gzmc").items()}
        found |= {f"h_{k}": v for k, v in products(held, "gz").items()}
        found |= {"h_y": sum(r["y"] for r in held), "h_yy": sum(r["y"] ** 2 for r in held)}
        found |= {"w_n": sum(r["weight"] for r in heavy)}
        found |= {f"w_{k}": v for k, v in products(heavy, "gz", "weight").items()}
        opening = [r for r in practice[:1] if r["first"]]

        found |= {"start": mean(opening), "held_out": mean(held), "mean_skill": mean(rounds)}
        found |= {"early": mean(practice[:half]), "late": mean(practice[len(practice) - half :] if half else [])}
        episodes.append(found)
    return pd.DataFrame(episodes), pd.DataFrame(every)


def close(found: pd.Series[float], wanted: pd.Series[float], scale: float = 1.0) -> None:
    np.testing.assert_allclose(
        found.to_numpy(np.float64), wanted.to_numpy(np.float64), rtol=1e-9, atol=1e-9 * scale, err_msg=str(found.name)
    )


@quick
@given(frame=guesses())
def test_episodes_are_what_plain_pandas_finds(frame: pd.DataFrame) -> None:
    found = collect(frame, threads=1)
    wanted, _ = by_hand(frame, found.knots)
    if wanted.empty:
        assert found.episodes.empty
        return
    assert found.episodes["episode_id"].tolist() == wanted["episode_id"].tolist()
    for name in wanted.columns.drop("episode_id"):
        flat = name in ("yy", "h_yy")  # squares of skill on the very flat target reach a million
        close(found.episodes[name], wanted[name], scale=1e6 if flat or name.startswith("w_") else 1e3)


@quick
@given(frame=guesses())
def test_people_items_and_curve_are_what_plain_pandas_finds(frame: pd.DataFrame) -> None:
    found = collect(frame, threads=1)
    _, rounds = by_hand(frame, found.knots)
    if rounds.empty:
        assert found.people.empty
        return
    assert found.people["annotator_id"].tolist() == sorted(rounds["annotator_id"].unique())
    for row in found.people.to_dict("records"):
        own = rounds[rounds["annotator_id"] == row["annotator_id"]]
        timed, told = own["seconds"].dropna(), own[own["seen"] > 0]
        again = own.dropna(subset="item_id").sort_values(["answered_at", "episode_id", "trial"])
        gaps = again.groupby(["target_id", "item_id"])["guess"].diff().abs().dropna()
        wanted = [timed.median(), (timed < 1).mean(), len(gaps), gaps.mean()]
        wanted += [((told["guess"] - told["c"]).abs() <= 0.05 + 1e-9).mean()]
        got = [row[k] for k in ("median_seconds", "fast", "repeats", "repeat_gap", "same_last")]
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9)
    rounds["clipped"] = rounds["y"].clip(lower=-1000)
    each = rounds.groupby(["annotator_id", "phase", "trial"])["clipped"].mean()
    curve = each.groupby(["phase", "trial"]).agg(["size", "mean", "std"]).sort_index(ascending=[False, True])
    assert list(zip(found.curve["phase"], found.curve["trial"], strict=True)) == curve.index.tolist()
    np.testing.assert_allclose(found.curve[["n", "mean", "sd"]], curve, rtol=1e-7, atol=1e-5)
    bias = pd.DataFrame({"annotator_id": ["a_1", "a_9"], "bias": [0.25, 3.0]})
    items = found.items({"a_0"}, bias)
    kept = rounds[(rounds["annotator_id"] != "a_0")].dropna(subset="item_id")
    groups = dict(list(kept.groupby(["target_id", "item_id"])))
    assert [tuple(key) for key in items[["target_id", "item_id"]].to_numpy()] == sorted(groups)
    for row in items.to_dict("records"):
        rows = groups[row["target_id"], row["item_id"]]
        held = rows[rows["held"]]
        less = held["guess"] - np.where(held["annotator_id"] == "a_1", 0.25, 0.0)
        wanted = [rows["truth"].min(), len(rows), rows["y"].sum(), (rows["y"] ** 2).sum(), *np.sum(rows["x"])]
        wanted += [len(held), held["y"].sum(), (held["y"] ** 2).sum(), less.sum(), (less**2).sum()]
        np.testing.assert_allclose([row[k] for k in items.columns[2:]], wanted, rtol=1e-9, atol=1e-3)


@pytest.fixture(scope="module")
def campaign() -> pd.DataFrame:
    return filled_in(simulate(Setting(guesses=20_000)).guesses)


@pytest.fixture(scope="module")
def known(campaign: pd.DataFrame) -> Statistics:
    return collect(campaign)


def test_a_campaign_has_its_usual_knots(known: Statistics) -> None:
    assert known.knots == (0.0, 3.0, 15.0)


def test_the_number_of_threads_and_the_order_of_rows_change_no_bit(campaign: pd.DataFrame, known: Statistics) -> None:
    mixed = campaign.sample(frac=1.0, random_state=3)
    for other in (collect(campaign, threads=1), collect(mixed, threads=3)):
        for name in ("episodes", "targets", "people", "curve"):
            pd.testing.assert_frame_equal(getattr(known, name), getattr(other, name), check_exact=True)
        pd.testing.assert_frame_equal(known.items({"a_000003"}), other.items({"a_000003"}), check_exact=True)
        pd.testing.assert_frame_equal(known.sample(500), other.sample(500), check_exact=True)


def test_a_sample_holds_whole_groups_within_its_limit(campaign: pd.DataFrame, known: Statistics) -> None:
    sample, everything = known.sample(500), known.sample(10**9)
    assert 400 < len(sample) <= 500
    keys = ["target_id", "item_id"]
    sizes, all_sizes = (frame.groupby(keys).size() for frame in (sample, everything))
    assert (sizes == all_sizes.loc[sizes.index]).all()
    assert len(everything) == (campaign["phase"] == "held_out").sum()


@pytest.mark.parametrize(
    ("phases", "knots"),
    [
        (["practice"] * 15 + ["held_out"] * 5, (0.0, 3.0, 15.0)),
        (["practice"] * 3 + ["held_out"] * 2, (0.0, 1.5, 3.0)),
        (["practice"] * 15, (0.0, 3.0, 14.0)),
        (["held_out"] * 5, (0.0, 0.5, 1.0)),
        (["practice"], (0.0, 0.5, 1.0)),
    ],
)
def test_knots_follow_the_design(phases: list[str], knots: tuple[float, float, float]) -> None:
    rows = [
        {
            "annotator_id": "a",
            "target_id": "t",
            "trial": n + 1,
            "phase": phase,
            "guess": 1.0,
            "truth": 2.0,
            "l_ref": 3.0,
        }
        for n, phase in enumerate(phases)
    ]
    found = collect(filled_in(pd.DataFrame(rows)))
    assert found.knots == knots
    if "practice" not in phases:
        assert found.episodes[["x00", "x11"]].to_numpy().tolist() == [[0.0, 0.0]]
