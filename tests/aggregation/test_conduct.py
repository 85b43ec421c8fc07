"""Who plays in earnest: a crowd by hand, recovery on simulated campaigns, the bounds of what may be excluded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from imitable_aggregation.conduct import COLUMNS, influence, judge
from imitable_aggregation.defaults import filled
from imitable_aggregation.impostors import KINDS
from imitable_aggregation.simulate import Setting, simulate
from imitable_aggregation.statistics import Statistics, collect
from lengths import examples

L_REF, PRACTICE, HELD_OUT = 2.5, 12, 4


def known(rows: pd.DataFrame) -> Statistics:
    frame = filled(rows.drop(columns="l_ref"))
    frame["l_ref"] = rows["l_ref"].to_numpy()
    return collect(frame)


def verdict(rows: pd.DataFrame) -> pd.DataFrame:
    found = known(rows)
    return judge(found.episodes, found.people)


def play(how: str, truths: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Guesses of one episode: what the kind says, else an honest player who learns to see."""
    n = len(truths)
    before = np.concatenate([[3.0], np.cumsum(truths[:PRACTICE])[: n - 1] / np.arange(1, min(n, PRACTICE + 1))])
    mean = np.concatenate([before, np.full(max(0, n - len(before)), before[-1])])[:n]
    last = np.concatenate([[5.0], truths[: n - 1]])
    last[PRACTICE + 1 :] = truths[PRACTICE - 1] if n > PRACTICE else 0.0
    said = {
        "fraudster": np.full(n, 5.0),
        "careless": last,
        "dreamer": rng.uniform(0, 10, n),
        "averager": np.round(mean, 1),
        "insider": np.round(truths, 1),
    }
    sees = np.minimum(0.4 + 0.05 * np.arange(n), 0.7)
    honest = mean + sees * (truths - mean) + rng.normal(0, 1.2, n) + rng.normal(0, 0.3)
    return np.asarray(np.clip(said.get(how.split(" ", maxsplit=1)[0], honest), 0, 10), np.float64)


def crowd(names: list[str], *, targets: int = 4, rounds: int = PRACTICE + HELD_OUT, seed: int = 0) -> pd.DataFrame:
    """Everybody plays every target; who is called neither fraudster, careless, ... is honest."""
    rng = np.random.default_rng(seed)
    rows = []
    for target in range(targets):
        for name in names:
            truths = np.where(rng.random(rounds) < 0.4, rng.uniform(0, 0.6, rounds), rng.uniform(2, 10, rounds))
            for at, (truth, guess) in enumerate(zip(truths, play(name, truths, rng), strict=True)):
                rows.append(
                    {
                        "annotator_id": name,
                        "target_id": f"toy/mlp.0/{target}",
                        "episode_id": f"{name} {target}",
                        "trial": at + 1,
                        "phase": "practice" if at < PRACTICE else "held_out",
                        "guess": float(guess),
                        "truth": float(truth),
                        "l_ref": L_REF,
                        "seconds": 0.4 if name == "fraudster" else 6.0,
                    }
                )
    return pd.DataFrame(rows)


HONEST = [f"honest {number:02d}" for number in range(12)]
BAD = {"fraudster": "constant", "careless": "copies", "dreamer": "random", "averager": "running", "insider": "leaks"}


@pytest.fixture(scope="module")
def by_hand() -> pd.DataFrame:
    return verdict(crowd([*HONEST, *BAD]))


def test_every_way_of_not_playing_is_named_and_left_out(by_hand: pd.DataFrame) -> None:
    assert by_hand.loc[list(BAD), "bad_class"].to_dict() == BAD
    assert by_hand.loc[list(BAD), "excluded"].all()
    assert (by_hand.loc[list(BAD), "p_bad"] > 0.99).all()
    assert not by_hand.loc[HONEST, "excluded"].any()
    assert (by_hand.loc[HONEST, "p_bad"] < 0.2).all()
    assert by_hand.loc[HONEST, "bad_class"].isna().all()


def test_the_evidence_is_a_sentence_one_can_act_on(by_hand: pd.DataFrame) -> None:
    said = by_hand["evidence"]
    assert said["fraudster"].startswith("answers hardly vary: they differ by 0.00 within an episode where others'")
    assert said["fraudster"].endswith("answers faster than the text can be read: median 0.4 s")
    assert said["careless"] == "repeats the last truth in 100 % of rounds, over 64 guesses on 4 targets"
    assert said["dreamer"].startswith("answers do not follow the truth: slope ")
    assert "where others have 0." in said["dreamer"]
    assert "over 64 guesses on 4 targets" in said["dreamer"]
    assert said["averager"].startswith("answers the mean of the truths so far to within 0.")
    assert said["insider"].startswith("answers the truth from the first round on: 0.03 away where others are 1.")
    assert said[HONEST].isna().mean() > 0.8


def test_nobody_is_left_out_on_one_target_or_under_twenty_guesses() -> None:
    long = crowd(["fraudster", "insider"], targets=1, rounds=40, seed=1)
    short = crowd(["careless", "dreamer"], targets=2, rounds=9, seed=2)
    found = verdict(pd.concat([crowd(HONEST, targets=6), long, short], ignore_index=True))
    assert not found["excluded"].any()
    assert (found.loc[["fraudster", "insider", "careless"], "p_bad"] > 0.5).all()
    assert str(found["evidence"]["insider"]).endswith("too little was played to leave this annotator out")


def test_bad_players_do_not_set_the_standard_even_where_they_are_half() -> None:
    dreamers = [f"dreamer {number}" for number in range(12)]
    found = verdict(crowd([*HONEST, *dreamers], targets=5))
    assert found.loc[dreamers, "excluded"].all()
    assert not found.loc[HONEST, "excluded"].any()


def test_programs_are_not_blamed_for_their_speed() -> None:
    rows = crowd(HONEST).assign(seconds=0.01, platform="simulated")
    assert not verdict(rows)["evidence"].fillna("").str.contains("faster").any()
    hasty = verdict(rows.assign(platform="web"))["evidence"]
    assert hasty.str.contains("answers faster than the text can be read: median 0.0 s", regex=False).all()


def test_items_that_come_back_show_who_answers_anyhow() -> None:
    rows = crowd([*HONEST, "odd"], targets=2)
    rows["item_id"] = rows["target_id"] + "i" + (rows["trial"] % 8).astype(str)
    rows["truth"] = rows.groupby("item_id")["truth"].transform("first")
    swing = np.where(rows["trial"] <= 8, 0.0, 8.0)
    rows.loc[rows["annotator_id"] == "odd", "guess"] = swing[rows["annotator_id"] == "odd"]
    calm = rows["annotator_id"] != "odd"
    rows.loc[calm, "guess"] = np.clip(rows["truth"] + 0.3 * np.sin(np.arange(len(rows))), 0, 10)[calm]
    said = verdict(rows)["evidence"]
    assert "answers differ by 8.0 the 16 times that an item came back, others' by 0." in said["odd"]
    assert not said[HONEST].fillna("").str.contains("came back").any()


def test_both_sides_of_the_scale_are_judged_alike() -> None:
    rows = crowd([*HONEST, *BAD])
    both = rows.assign(guess=2 * rows["guess"] - 10, truth=2 * rows["truth"] - 10, l_ref=2 * rows["l_ref"])
    both["target_id"] += ":both"
    one, two = verdict(rows), verdict(both)
    assert two["bad_class"].fillna("").tolist() == one["bad_class"].fillna("").tolist()
    assert two["p_bad"].to_numpy() == pytest.approx(one["p_bad"].to_numpy(), abs=1e-6)
    assert two["anomaly"].to_numpy() == pytest.approx(one["anomaly"].to_numpy(), rel=1e-4)


def auc(score: pd.Series[float], bad: npt.NDArray[np.bool_]) -> float:
    ranks = stats.rankdata(score)
    m = int(bad.sum())
    return float((ranks[bad].sum() - m * (m + 1) / 2) / (m * (~bad).sum()))


def simulated(**setting: object) -> tuple[pd.DataFrame, npt.NDArray[np.bool_]]:
    seen = simulate(Setting(guesses=20_000, **setting))  # type: ignore[arg-type]
    found = verdict(seen.guesses)
    return found, np.array([seen.kind[int(name[2:])] != "honest" for name in found.index])


@pytest.mark.parametrize("correlated", [0.0, 0.6])
def test_described_bad_players_are_found(correlated: float) -> None:
    found, bad = simulated(correlated=correlated, seed=110)
    assert auc(found["p_bad"], bad) > 0.99
    assert found["excluded"][bad].mean() > 0.75
    assert found["excluded"][~bad].mean() < 0.015


def test_bots_that_nobody_described_stand_out() -> None:
    found, bad = simulated(bad_kinds=("half-random",), seed=112)
    assert auc(found["anomaly"], bad) > 0.88
    assert auc(found["p_bad"], bad) > 0.95  # they are a little like random ones
    assert (found["anomaly"][~bad] > 2).mean() < 0.03


def test_people_who_are_all_in_earnest_stay() -> None:
    found, _ = simulated(bad=0.0, seed=112)
    assert found["excluded"].mean() <= 0.01
    assert found["p_bad"].mean() < 0.05


@st.composite
def guesses(draw: st.DrawFn) -> pd.DataFrame:
    """Anything that may be read: few people, few rounds, constants, both polarities, no feedback at all."""
    number = st.integers(0, 100).map(lambda value: value / 10)
    same = draw(st.booleans())
    rows = []
    for episode in range(draw(st.integers(1, 8))):
        who, target = draw(st.integers(0, 3)), draw(st.sampled_from(["m/mlp.0/1", "m/mlp.0/2", "m/probe.0.a/1:both"]))
        lows = -10.0 if target.endswith("both") else 0.0
        for trial in range(1, draw(st.integers(1, 12)) + 1):
            guess, truth = (4.0, 4.0) if same else (draw(number), draw(number))
            rows.append(
                {
                    "annotator_id": f"a_{who}",
                    "target_id": target,
                    "episode_id": f"e_{episode}",
                    "trial": trial,
                    "phase": draw(st.sampled_from(["practice", "held_out"])),
                    "feedback": draw(st.booleans()),
                    "guess": guess if lows == 0 else 2 * guess - 10,
                    "truth": truth if lows == 0 else 2 * truth - 10,
                    "l_ref": 2.0,
                }
            )
    return pd.DataFrame(rows)


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(guesses(), st.integers(0, 1000))
def test_whatever_is_played_gets_a_verdict_that_the_order_of_rows_does_not_change(rows: pd.DataFrame, by: int) -> None:
    known_ = known(rows)
    found = judge(known_.episodes, known_.people)
    assert tuple(found.columns) == COLUMNS
    assert found.index.tolist() == sorted(rows["annotator_id"].unique())
    assert found["p_bad"].between(0, 1).all()
    assert (found["anomaly"] >= 0).all()
    assert np.isfinite(found["anomaly"]).all()
    assert found["bad_class"].dropna().isin(KINDS).all()
    n = rows.groupby("annotator_id").agg(n=("trial", "size"), targets=("target_id", "nunique"))
    assert not found["excluded"][(n["n"] < 20) | (n["targets"] < 2)].any()
    shuffled = known_.episodes.sample(frac=1, random_state=by)
    pd.testing.assert_frame_equal(found, judge(shuffled, known_.people.sample(frac=1, random_state=by)))


def test_one_guess_tells_nothing() -> None:
    found = verdict(crowd(["somebody"], targets=1, rounds=1))
    assert 0.05 < found["p_bad"]["somebody"] < 0.3
    assert found.loc["somebody", ["bad_class", "evidence"]].isna().all()
    assert found.loc["somebody", "anomaly"] == 0


def test_no_episodes_give_no_verdicts() -> None:
    found = judge(known(crowd(["somebody"], targets=1, rounds=1)).episodes.iloc[:0], pd.DataFrame())
    assert found.empty
    assert tuple(found.columns) == COLUMNS


def test_influence_says_how_the_order_moved_and_what_was_left_out() -> None:
    episodes = pd.DataFrame({"annotator_id": ["a", "b", "a", "c"], "target_id": ["t", "t", "u", "u"]})
    cleaned, whole = pd.Series({"t": 0.5, "u": 0.1, "v": 0.3}), pd.Series({"u": 0.2, "t": 0.4, "v": 0.1, "w": 0.9})
    tau, share = influence(cleaned, whole, episodes, ["b"])
    assert tau == pytest.approx(1 / 3)
    assert share.to_dict() == {"t": 0.5, "u": 0.0}
    assert influence(cleaned.iloc[:1], whole, episodes, []).tau == 1.0
    assert influence(cleaned * 0, whole * 0, episodes, []).tau == 1.0
