"""Made-up findings of every shape, for the tests of the report."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from imitable_aggregation.conduct import Influence
from imitable_aggregation.crowd import Crowd
from imitable_aggregation.findings import Findings

KNOTS = ("start", "middle", "held_out")


def found(targets: int = 12, annotators: int = 20, *, gap: float = 0.1, sd: float = 0.08, seed: int = 0) -> Findings:
    """Made-up findings: targets `gap` apart, the best first."""
    rng = np.random.default_rng(seed)
    ids = [f"toy/mlp.0/{at}" for at in range(targets)]
    level = 0.7 - gap * np.arange(targets)
    means = {"start": level - 0.3, "middle": level - 0.1, "held_out": level}
    samples = {name: mean + rng.normal(0, sd, (200, targets)) for name, mean in means.items()}
    ranks = (-samples["held_out"]).argsort(axis=1).argsort(axis=1) + 1
    ranking = pd.DataFrame(
        {
            "target_id": ids,
            "n_annotators": 10,
            "rank": np.arange(targets) + 1,
            "tie_group": np.arange(targets) // 4 + 1,
            "rank_low": np.quantile(ranks, 0.05, axis=0, method="lower"),
            "rank_high": np.quantile(ranks, 0.95, axis=0, method="higher"),
            "expected_rank": ranks.mean(axis=0),
            "p_top": (ranks <= 10).mean(axis=0),
            "p_easy": (samples["start"] > 0.25).mean(axis=0),
            "p_learnable": (samples["held_out"] - samples["start"] > 0.1).mean(axis=0),
            "crowd_skill": level + 0.1,
        }
    )
    for name, value in (("imitability", level), ("start", level - 0.3), ("gain", np.full(targets, 0.3))):
        ranking[name], ranking[f"{name}_low"], ranking[f"{name}_high"] = value, value - 1.6 * sd, value + 1.6 * sd
    people = pd.DataFrame(
        {
            "annotator_id": [f"a_{at}" for at in range(annotators)],
            "n_guesses": 100,
            "n_episodes": 5,
            "skill": rng.normal(0.2, 0.2, annotators),
            "bias": rng.normal(0, 0.5, annotators),
            "scale": rng.normal(0.6, 0.2, annotators),
            "bad_class": pd.Series(["constant"] + [None] * (annotators - 1), dtype="str"),
            "evidence": pd.Series(["answers hardly vary", "fast", *[None] * annotators][:annotators], dtype="str"),
            "excluded": [True] + [False] * (annotators - 1),
        }
    )
    people["skill_low"], people["skill_high"] = people["skill"] - 0.2, people["skill"] + 0.2
    curve = pd.DataFrame({"phase": ["practice"] * 6 + ["held_out"] * 3, "trial": np.arange(1, 10), "n": 20, "sd": 0.3})
    curve["mean"] = 0.03 * curve["trial"]
    truth = rng.uniform(0, 10, 200)
    guesses = pd.DataFrame({"guess": truth + rng.normal(0, 2, 200), "truth": truth})
    square = (0.04 * np.eye(3) + 0.02).tolist()
    return Findings(
        ranking=ranking,
        annotators=people,
        curve=curve,
        estimand="expected skill in held-out rounds",
        notes=["l_ref was estimated."],
        quarantine=pd.DataFrame({"reason": ["guess '99' is outside", "guess '98' is outside"]}),
        banner="",
        coverage=0.9,
        top_k=10,
        target_ids=ids,
        samples=samples,
        components={
            "knots": list(KNOTS),
            "target": square,
            "annotator": square,
            "episode": square,
            "noise": 0.6,
            "item": 0.05,
            "gamma": (-0.2 * np.ones((3, 3))).tolist(),
        },
        crowd=pooled(truth, rng),
        guesses=guesses,
        groups=contrasts(),
        levels=by_level(),
        influence=Influence(0.9, pd.Series(0.1, index=pd.Index(ids))),
    )


def pooled(truth: Any, rng: np.random.Generator) -> Crowd:
    said = truth + rng.normal(0, 1, len(truth))
    items = pd.DataFrame({"n_guesses": 3, "crowd": said, "crowd_low": said - 2, "crowd_high": said + 2, "truth": truth})
    curve = pd.DataFrame(
        {"size": [1, 2, 3], "skill": [0.2, 0.3, 0.35], "low": 0.1, "high": 0.4, "plain": [0.1, 0.15, 0.2]}
    )
    return Crowd(items, pd.DataFrame(), curve, 0.33, 0.2)


def by_level() -> pd.DataFrame:
    value = np.array([0.5, 0.3, 0.1])
    table = pd.DataFrame({"level": ["weights", "upstream", "text"], "n_episodes": 40, "imitability": value})
    return table.assign(imitability_low=value - 0.08, imitability_high=value + 0.08)


def contrasts() -> pd.DataFrame:
    rows = []
    for a, b, difference in (("gpt2", "pythia", 0.2), ("gpt2", "opt", 0.01), ("opt", "pythia", -0.3)):
        for population, half in (("these", 0.05), ("like_these", 0.1)):
            row = {"factor": "model_id", "level_a": a, "level_b": b, "estimand": "imitability", "n_a": 6, "n_b": 6}
            ends = {"low": difference - half, "high": difference + half, "p_positive": 0.6}
            rows.append(row | {"population": population, "difference": difference} | ends)
    return pd.DataFrame(rows)


def bare(f: Findings) -> Findings:
    """The least that a ranking may know."""
    return replace(
        f, crowd=None, guesses=None, groups=None, levels=None, influence=None, samples={}, target_ids=(), components={}
    )


def without_start(f: Findings) -> Findings:
    empty = [str(name) for name in f.ranking if re.match("start|gain|p_easy|p_learnable", str(name))]
    held_out = {"held_out": f.samples["held_out"]} | {
        name: np.full_like(f.samples["held_out"], np.nan) for name in KNOTS[:2]
    }
    parts = {"knots": ["held_out"], "noise": 0.6, "item": 0.0, "gamma": [[0.0]]}
    parts |= {name: [[0.04]] for name in ("target", "annotator", "episode")}
    curve = f.curve[f.curve["phase"] == "held_out"]
    return replace(
        f, ranking=f.ranking.assign(**dict.fromkeys(empty, np.nan)), samples=held_out, components=parts, curve=curve
    )


def without_held_out(f: Findings) -> Findings:
    nothing = pd.DataFrame(columns=["size", "skill", "low", "high", "plain"], dtype="float64")
    none = Crowd(f.crowd.items.iloc[:0] if f.crowd else pd.DataFrame(), pd.DataFrame(), nothing, np.nan, np.nan)
    ranking = f.ranking.assign(crowd_skill=np.nan)
    assert f.guesses is not None
    return replace(
        f,
        ranking=ranking,
        crowd=none,
        guesses=f.guesses.iloc[:0],
        curve=f.curve[f.curve["phase"] == "practice"],
        notes=["There are no held-out rounds."],
    )


def all_tied(f: Findings) -> Findings:
    n = len(f.ranking)
    tied = f.ranking.assign(tie_group=1, imitability=0.3, imitability_low=0.1, imitability_high=0.5)
    samples = {name: np.zeros_like(draws) for name, draws in f.samples.items()}
    return replace(f, ranking=tied.assign(rank_low=1, rank_high=n, expected_rank=n / 2), samples=samples)


def nobody_odd(f: Findings) -> Findings:
    empty = pd.Series(None, index=f.annotators.index, dtype="str")
    return replace(f, annotators=f.annotators.assign(excluded=False, evidence=empty, bad_class=empty), influence=None)
