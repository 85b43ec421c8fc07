"""Who finds bad players: `conduct` beside a mean score, correlation, an isolation forest and crowd-kit.

Simulated campaigns of known truth, 15 % of annotators bad players: the five described kinds, and half-random bots that
nobody described. ROC-AUC over annotators. The rules that use truths get the same per-episode sums as `conduct`;
crowd-kit's find out who disagrees with the others on the same item, with guesses sorted into five bins, since they know
labels only. Needs scikit-learn and crowd-kit.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from imitable_aggregation.conduct import judge
from imitable_aggregation.defaults import filled
from imitable_aggregation.simulate import DESCRIBED, UNDESCRIBED, Setting, simulate
from imitable_aggregation.statistics import Statistics, collect

Floats = npt.NDArray[np.float64]
GUESSES = 100_000
CORRELATED = (0.0, 0.6)
BINS = (2.0, 4.0, 6.0, 8.0)


class Campaign:
    """One campaign: its guesses, what `statistics` made of them, and who was bad."""

    def __init__(self, setting: Setting) -> None:
        seen = simulate(setting)
        self.guesses = filled(seen.guesses.drop(columns="l_ref"))
        self.guesses["l_ref"] = seen.guesses["l_ref"]
        self.statistics: Statistics = collect(self.guesses)
        self.ids = sorted(self.statistics.episodes["annotator_id"].unique())
        self.bad = np.array([seen.kind[int(name[2:])] != "honest" for name in self.ids])

    def sums(self) -> pd.DataFrame:
        """The sums of each annotator."""
        return self.statistics.episodes.groupby("annotator_id", sort=True).sum(numeric_only=True)


def p_bad(campaign: Campaign) -> Floats:
    """Ours, for what it knows: the probability of playing in a described way."""
    return judge(campaign.statistics.episodes, campaign.statistics.people)["p_bad"].to_numpy(np.float64)


def anomaly(campaign: Campaign) -> Floats:
    """Ours, for what nobody described."""
    return judge(campaign.statistics.episodes, campaign.statistics.people)["anomaly"].to_numpy(np.float64)


def mean_score(campaign: Campaign) -> Floats:
    """Who scores low."""
    sums = campaign.sums()
    return -(sums["y"] / sums["n"]).to_numpy(np.float64)


def score_from_median(campaign: Campaign) -> Floats:
    """Who scores unlike the others, in either direction."""
    score = mean_score(campaign)
    return np.abs(score - np.median(score))


def correlations(sums: pd.DataFrame, kind: str = "z", told: str = "") -> Floats:
    """Correlation of an annotator's guesses with truths (z), last truths (c) or means so far (m); 0 for a constant."""
    names = (f"{told}n", f"{told}g", f"{told}{kind}", f"{told}gg", f"{told}{kind * 2}", f"{told}g{kind}")
    n, g, z, gg, zz, gz = (sums[name].to_numpy(np.float64) for name in names)
    n = np.maximum(n, 1.0)
    spread = np.sqrt(np.maximum(gg - g * g / n, 0) * np.maximum(zz - z * z / n, 0))
    return np.divide(gz - g * z / n, spread, out=np.zeros_like(n), where=spread > 1e-9)


def correlation(campaign: Campaign) -> Floats:
    """Whose guesses correlate with truths unlike the others', in either direction."""
    found = correlations(campaign.sums())
    return np.abs(found - np.median(found))


def isolation_forest(campaign: Campaign) -> Floats:
    """scikit-learn's IsolationForest on nine features of an annotator, copying and running means among them."""
    from sklearn.ensemble import IsolationForest

    s = campaign.sums()
    n = s["n"].to_numpy(np.float64)
    power = np.maximum(s["zz"] - s["z"] ** 2 / n, 1e-9)
    features = np.column_stack(
        [
            s["y"] / n,
            np.sqrt(np.maximum(s["yy"] / n - (s["y"] / n) ** 2, 0)),
            (s["g"] - s["z"]) / n,
            (s["gz"] - s["g"] * s["z"] / n) / power,
            np.sqrt(np.maximum(s["gg"] / n - (s["g"] / n) ** 2, 0)),
            np.sqrt(np.maximum(s["gg"] - 2 * s["gz"] + s["zz"], 0) / n),
            correlations(s),
            correlations(s, "c", "t_"),
            correlations(s, "m", "t_"),
        ]
    )
    return -IsolationForest(n_estimators=300, random_state=0).fit(features).score_samples(features)


def labels(campaign: Campaign) -> pd.DataFrame:
    """Guesses as crowd-kit wants them."""
    frame = campaign.guesses
    binned = np.digitize(frame["guess"], BINS)
    return pd.DataFrame({"task": frame["item_id"], "worker": frame["annotator_id"], "label": binned})


def wawa(campaign: Campaign) -> Floats:
    """crowd-kit's worker agreement with the aggregate."""
    from crowdkit.aggregation import Wawa

    return -Wawa().fit(labels(campaign)).skills_.reindex(campaign.ids).to_numpy(np.float64)


def mace(campaign: Campaign) -> Floats:
    """crowd-kit's MACE: the probability that a worker spams. One start instead of ten, which takes minutes."""
    from crowdkit.aggregation import MACE

    data = labels(campaign)
    found = MACE(n_restarts=1, random_state=0).fit(data)
    _, names = pd.factorize(data["worker"])
    return pd.Series(found.spamming_[:, 0], index=names).reindex(campaign.ids).to_numpy(np.float64)


RULES: dict[str, Callable[[Campaign], Floats]] = {
    "ours: p_bad": p_bad,
    "ours: anomaly": anomaly,
    "mean score": mean_score,
    "|mean score − median|": score_from_median,
    "correlation, two-sided": correlation,
    "IsolationForest": isolation_forest,
    "crowd-kit Wawa, binned": wawa,
    "crowd-kit MACE, binned": mace,
}


def conduct_rows(seeds: Sequence[int], guesses: int = GUESSES) -> list[dict[str, object]]:
    """One row a seed, assignment and rule: `seed, correlated, rule, auc_described, auc_undescribed, seconds`.

    Seconds are of CPU, on the described campaign, from sums for what needs sums only. A rival that is not installed has
    no rows.
    """
    rows: list[dict[str, object]] = []
    for seed in seeds:
        for correlated in CORRELATED:
            played = [
                Campaign(Setting(guesses=guesses, bad=0.15, bad_kinds=kinds, seed=seed, correlated=correlated))
                for kinds in (DESCRIBED, UNDESCRIBED)
            ]
            for name, rule in RULES.items():
                begun = time.process_time()
                try:
                    score = rule(played[0])
                except ImportError:
                    continue
                seconds = time.process_time() - begun
                found = [auc(score, played[0].bad), auc(rule(played[1]), played[1].bad)]
                rows.append(
                    {
                        "seed": seed,
                        "correlated": correlated,
                        "rule": name,
                        "auc_described": found[0],
                        "auc_undescribed": found[1],
                        "seconds": seconds,
                    }
                )
    return rows


def false_alarms(seeds: Sequence[int], guesses: int = GUESSES) -> list[dict[str, object]]:
    """`seed, correlated, share_excluded`: of people who are all in earnest, where 30 % of targets are opaque."""
    rows: list[dict[str, object]] = []
    for seed in seeds:
        for correlated in CORRELATED:
            campaign = Campaign(Setting(guesses=guesses, bad=0.0, opaque=0.3, seed=seed, correlated=correlated))
            found = judge(campaign.statistics.episodes, campaign.statistics.people)
            rows.append({"seed": seed, "correlated": correlated, "share_excluded": float(found["excluded"].mean())})
    return rows


def auc(score: Floats, bad: npt.NDArray[np.bool_]) -> float:
    """ROC-AUC: the probability that a bad player scores above an honest one, ties for half."""
    ranks = stats.rankdata(score)
    m = int(bad.sum())
    return float((ranks[bad].sum() - m * (m + 1) / 2) / (m * int((~bad).sum())))


def main() -> None:
    """Print both tables, averaged over seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--guesses", type=int, default=GUESSES)
    asked = parser.parse_args()
    rows = pd.DataFrame(conduct_rows(asked.seeds, asked.guesses))
    by_rule = rows.groupby(["rule", "correlated"], sort=False)[["auc_described", "auc_undescribed", "seconds"]]
    table = by_rule.agg({"auc_described": ["mean", "min"], "auc_undescribed": ["mean", "min"], "seconds": "mean"})
    print(table.round(4).to_string())
    print(pd.DataFrame(false_alarms(asked.seeds, asked.guesses)).to_string(index=False))


if __name__ == "__main__":
    main()
