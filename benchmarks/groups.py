"""Contrasts between groups on campaigns of known truth: what their intervals cover, beside what else one would take.

Targets of simulated campaigns are put into groups by chance, with chances that do or do not depend on their true
imitability; so the difference between groups is known, for these targets and for new ones that are grouped in the same
way. Prints a table for benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from imitable_aggregation.conduct import judge
from imitable_aggregation.defaults import filled
from imitable_aggregation.groups import groups_table
from imitable_aggregation.model import Fit, fit
from imitable_aggregation.simulate import Setting, Simulated, simulate
from imitable_aggregation.statistics import collect

SLOPES = {
    "2 groups that do not differ": (0.0, 0.0),
    "2 groups": (0.5, -0.5),
    "3 groups": (1.2, 0.0, -0.8),
    "6 groups": (1.5, 0.7, 0.2, -0.2, -0.7, -1.2),
}
"""By how much a group's log chance rises with a standard deviation of imitability."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12, help="campaigns of each kind (default 12)")
    parser.add_argument("--guesses", type=int, default=20_000, help="guesses of a campaign (default 20000)")
    asked = parser.parse_args()
    played = list(_played(asked.guesses, range(600, 600 + asked.seeds)))
    print("| | imitable, new targets | width | imitable, these | width | means, t | width | error: imitable | means |")
    print("| --- |" + " ---: |" * 8)
    for name, slopes in SLOPES.items():
        found = pd.DataFrame(_contrasts(played, np.array(slopes))).mean()
        print(f"| {name} | " + " | ".join(f"{found[key]:.2f}" for key in found.index) + " |")


def _played(guesses: int, seeds: range) -> Iterator[tuple[Fit, Simulated, pd.Series]]:
    """Fits of campaigns, with each target's plain held-out mean."""
    for correlated in (0.0, 0.6):
        for seed in seeds:
            print(f"correlated {correlated:g}, seed {seed}", file=sys.stderr, flush=True)
            campaign = simulate(Setting(guesses=guesses, correlated=correlated, seed=seed))
            statistics = collect(filled(campaign.guesses))
            verdict = judge(statistics.episodes, statistics.people)
            excluded = sorted(verdict.index[verdict["excluded"]])
            kept = statistics.episodes[~statistics.episodes["annotator_id"].isin(excluded)]
            fitted = fit(kept, statistics.items(excluded), statistics.knots)
            statistics.close()
            sums = kept.groupby("target_id")[["h_y", "n_held_out"]].sum().reindex(fitted.target_ids)
            yield fitted, campaign, (sums["h_y"] / sums["n_held_out"]).fillna(0.0)


def _contrasts(played: list[tuple[Fit, Simulated, pd.Series]], slopes: np.ndarray) -> Iterator[dict[str, float]]:
    truths = [campaign.imitability[[int(t[-6:]) for t in fitted.target_ids]] for fitted, campaign, _ in played]
    every = np.concatenate(truths)
    mean, sd = every.mean(), every.std()

    def chances(level: np.ndarray) -> np.ndarray:
        weight = np.exp(np.outer((level - mean) / sd, slopes))
        return np.asarray(weight / weight.sum(axis=1, keepdims=True))

    new = (chances(every) * every[:, None]).sum(axis=0) / chances(every).sum(axis=0)
    for at, ((fitted, _, means), truth) in enumerate(zip(played, truths, strict=True)):
        rng = np.random.default_rng([at, len(slopes)])
        group = (chances(truth).cumsum(axis=1) > rng.random((len(truth), 1))).argmax(axis=1)
        targets = pd.DataFrame({"target_id": fitted.target_ids, "arm": [f"g{one}" for one in group]})
        table = groups_table(fitted.samples, fitted.target_ids, targets, ["arm"])
        table = table[table["estimand"] == "imitability"]
        for pair, rows in table.groupby(["level_a", "level_b"]):
            one, other = (int(name[1:]) for name in pair)  # type: ignore[index]  # a pair of names
            like, these = (rows[rows["population"] == name].iloc[0] for name in ("like_these", "these"))
            of = truth[group == one].mean() - truth[group == other].mean()
            plain = stats.ttest_ind(means[group == one], means[group == other], equal_var=False)
            low, high = plain.confidence_interval(0.9)
            naive = float(means[group == one].mean() - means[group == other].mean())
            expected = new[one] - new[other]
            yield {
                "cover, new": float(like["low"] <= expected <= like["high"]),
                "width, new": like["high"] - like["low"],
                "cover, these": float(these["low"] <= of <= these["high"]),
                "width, these": these["high"] - these["low"],
                "cover, means": float(low <= expected <= high),
                "width, means": float(high - low),
                "error": abs(like["difference"] - expected),
                "error, means": abs(naive - expected),
            }


if __name__ == "__main__":
    main()
