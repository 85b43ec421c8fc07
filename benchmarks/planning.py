"""Plans held against what then happens: forecasts, and where the next episodes go.

Forecasts are made from a small simulated campaign and held against larger ones that are fitted. Choices are compared
at equal budgets: top-two Thompson sampling with a fifth uniform, as `imitable plan --goal top` makes them, and uniform
ones; in a model of normal levels, where the posterior is exact, and on campaigns of the frozen simulator, whose
episodes are revealed as they are chosen and refitted after every batch. Prints tables for benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from imitable_aggregation.allocation import next_episodes
from imitable_aggregation.conduct import judge
from imitable_aggregation.defaults import filled
from imitable_aggregation.model import Fit, fit
from imitable_aggregation.planning import DEFAULT, Variances, forecast
from imitable_aggregation.simulate import Setting, Simulated, simulate
from imitable_aggregation.statistics import Statistics, collect

TARGETS = 100
PILOT = 5
"""Episodes a target of the campaign that is forecast from."""
GOALS = {"uniform": "all", "top-two": "top"}

Policy = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
"""Draws (draws, N), how many, and chance: the targets of the next batch."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4, help="campaigns of each size (default 4)")
    parser.add_argument("--plays", type=int, default=200, help="campaigns of normal levels (default 200)")
    parser.add_argument("--replays", type=int, default=12, help="simulated campaigns that are replayed (default 12)")
    asked = parser.parse_args()
    _print("Forecast and fact", forecasts(range(700, 700 + asked.seeds)))
    _print("Recall of the best 10 of 100, normal levels", _by_budget(normal(asked.plays)))
    _print("Recall of the best 6 of 60, simulated campaigns", _by_budget(replayed(range(800, 800 + asked.replays))))


def _print(title: str, table: pd.DataFrame) -> None:
    print(f"\n{title}\n\n| " + " | ".join(map(str, table.columns)) + " |")
    print("| " + " | ".join("---:" for _ in table.columns) + " |")
    for row in table.itertuples(index=False):
        print("| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row) + " |")


def _said(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _fitted(statistics: Statistics) -> tuple[Fit, int, float]:
    """The fit without bad players, as `rank` makes it; annotators, and the share of them that is kept."""
    verdict = judge(statistics.episodes, statistics.people)
    excluded = sorted(verdict.index[verdict["excluded"]])
    kept = statistics.episodes[~statistics.episodes["annotator_id"].isin(excluded)]
    found = fit(kept, statistics.items(excluded), statistics.knots)
    return found, len(verdict), 1 - len(excluded) / len(verdict)


def forecasts(seeds: range) -> pd.DataFrame:
    """What a pilot of five episodes a target, and the defaults, expect of larger campaigns; and what those give."""
    rows = []
    for seed in seeds:
        pilot: tuple[Variances, float] | None = None
        for episodes in (PILOT, 10, 20, 40):
            _said(f"forecast, seed {seed}: {episodes} episodes a target")
            guesses = TARGETS * episodes * 20
            campaign = simulate(Setting(guesses=guesses, per_target=episodes * 20, seed=seed))
            statistics = collect(filled(campaign.guesses))
            found, people, honest = _fitted(statistics)
            statistics.close()
            pilot = pilot or (Variances.of(found.components, "pilot"), honest)
            size = {"targets": TARGETS, "annotators": people, "episodes": 4}
            expected = forecast(pilot[0], honest=pilot[1], **size)
            default = forecast(DEFAULT, honest=pilot[1], **size)
            rows.append(
                {
                    "episodes a target": episodes,
                    **_facts(found, campaign),
                    "tau, pilot": expected.tau,
                    "tau, defaults": default.tau,
                    "interval, pilot": expected.width,
                    "ranks, pilot": expected.rank_width,
                    "best tenth, pilot": expected.top_hit,
                }
            )
    table = pd.DataFrame(rows).groupby("episodes a target", as_index=False).mean()
    names = ["tau", "tau, pilot", "tau, defaults", "interval", "interval, pilot", "ranks", "ranks, pilot"]
    return table[["episodes a target", *names, "best tenth", "best tenth, pilot"]]


def _facts(found: Fit, campaign: Simulated) -> dict[str, float]:
    truth = campaign.imitability[[int(name[-6:]) for name in found.target_ids]]
    value = found.targets["imitability"].to_numpy()
    ranks = (-found.samples["held_out"]).argsort(axis=1).argsort(axis=1)
    low, high = np.quantile(ranks, 0.05, axis=0, method="lower"), np.quantile(ranks, 0.95, axis=0, method="higher")
    k = round(len(value) / 10)
    return {
        "tau": float(kendalltau(value, truth).statistic),
        "interval": float(2 * 1.645 * found.targets["imitability_sd"].median()),
        "ranks": float(np.median(high - low + 1) / len(value)),
        "best tenth": len(set(np.argsort(-value)[:k]) & set(np.argsort(-truth)[:k])) / k,
    }


def _policy(name: str, k: int) -> Policy:
    def choose(draws: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        ids = [str(at) for at in range(draws.shape[1])]
        plan = next_episodes({"held_out": draws}, ids, n, GOALS[name], k=k, rng=rng)  # type: ignore[arg-type]
        return plan["target_id"].astype(int).to_numpy()

    return choose


def normal(plays: int) -> Iterator[dict[str, object]]:
    """Normal levels and episodes of the simulator's size; the posterior is known exactly."""
    level, error, k, batch = 0.064, 0.055, 10, 50
    for name in GOALS:
        policy = _policy(name, k)
        _said(f"normal levels: {name}")
        for seed in range(plays):
            rng = np.random.default_rng(seed)
            truth = rng.normal(0, np.sqrt(level), 100)
            n = np.full(100, 3)
            total = 3 * truth + rng.normal(0, np.sqrt(3 * error), 100)
            while True:
                precision = 1 / level + n / error
                mean = total / error / precision
                yield {"policy": name, "episodes": int(n.sum()), **_recall(mean, truth, k)}
                if n.sum() >= 1300:
                    break
                draws = mean + rng.standard_normal((400, 100)) / np.sqrt(precision)
                for target in policy(draws, batch, rng):
                    n[target] += 1
                    total[target] += rng.normal(truth[target], np.sqrt(error))


def replayed(seeds: range) -> Iterator[dict[str, object]]:
    """Simulated campaigns of 60 episodes a target, of which policies choose what they see; refitted each time."""
    targets, k, batch, most = 60, 6, 30, 780
    for seed in seeds:
        campaign = simulate(Setting(guesses=targets * 60 * 20, per_target=60 * 20, bad=0.0, seed=seed))
        statistics = collect(filled(campaign.guesses))
        episodes = statistics.episodes.sample(frac=1, random_state=seed)
        episodes = episodes.assign(place=episodes.groupby("target_id").cumcount())
        for name in GOALS:
            _said(f"replay, seed {seed}: {name}")
            policy, rng = _policy(name, k), np.random.default_rng(seed)
            seen = dict.fromkeys(sorted(episodes["target_id"].unique()), 3)
            while True:
                shown = episodes[episodes["place"] < episodes["target_id"].map(seen)]
                found = fit(shown, None, statistics.knots)
                truth = campaign.imitability[[int(each[-6:]) for each in found.target_ids]]
                value = found.targets["imitability"].to_numpy()
                yield {"policy": name, "episodes": sum(seen.values()), **_recall(value, truth, k)}
                if sum(seen.values()) >= most:
                    break
                for target in policy(found.samples["held_out"], batch, rng):
                    seen[found.target_ids[target]] += 1
        statistics.close()


def _recall(value: np.ndarray, truth: np.ndarray, k: int) -> dict[str, float]:
    chosen, best = np.argsort(-value)[:k], np.argsort(-truth)[:k]
    return {
        "recall": len(set(chosen) & set(best)) / k,
        "regret": float(truth[best].mean() - truth[chosen].mean()),
    }


def _by_budget(rows: Iterator[dict[str, object]]) -> pd.DataFrame:
    """Recall and regret by policy at some budgets, and when top-two is where uniform ends."""
    table = pd.DataFrame(rows).groupby(["episodes", "policy"])[["recall", "regret"]].agg(["mean", "sem"]).unstack()
    last = float(table["recall", "mean", "uniform"].iloc[-1])
    there = table.index[table["recall", "mean", "top-two"] >= last]
    print(
        f"\nuniform ends at a recall of {last:.3f}; top-two is there with {there.min()} of {table.index[-1]} episodes"
    )
    some = table.iloc[np.linspace(0, len(table) - 1, 6).round().astype(int)]
    return pd.DataFrame(
        {
            "episodes": some.index,
            **{f"recall, {name}": some["recall", "mean", name].to_numpy() for name in GOALS},
            "± (s.e.)": some["recall", "sem", "top-two"].to_numpy(),
            **{f"regret, {name}": [f"{x:.3f}" for x in some["regret", "mean", name]] for name in GOALS},
        }
    )


if __name__ == "__main__":
    main()
