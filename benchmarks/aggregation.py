"""Rankings of simulated campaigns of known truth: imitable beside what else one would take.

The simulator (`imitable_aggregation.simulate`) was frozen before any estimator was tuned, and is not the estimator's
model; estimators were developed on other seeds than those that are reported here. Writes `benchmarks/aggregation.md`.
`make benchmark-aggregation` sets up what it needs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from aggregation_methods import (
    Method,
    all_means,
    clustered,
    correlation,
    held_out_means,
    marginal_rank_sets,
    mixedlm,
    openskill,
    ours,
    timed,
)
from aggregation_scores import crowd_skill, scores
from aggregation_standing import Results, report

from imitable_aggregation.simulate import Setting, Simulated, simulate

HERE = Path(__file__).resolve().parent
OURS = "**imitable**"
PLAIN = "imitable, plain crossed model, same cleaned data"
LMM = "mixedlm, same knots, same cleaned data"
NAIVE = "held-out means"
SETS = "marginal rank sets (csranks' kind), clustered means"
METHODS: dict[str, Method] = {
    OURS: ours(),
    PLAIN: ours(correlated=False),
    "imitable, nobody left out": ours(conduct=False),
    NAIVE: held_out_means,
    "means of all rounds": all_means,
    "means, t intervals over episodes": clustered,
    "correlation, held-out": correlation(held_out=True),
    "correlation, all rounds": correlation(held_out=False),
    "OpenSkill": openskill,
    SETS: marginal_rank_sets,
}


def main() -> None:
    """Measure, print and write the report."""
    asked = _arguments()
    seeds = range(asked.seeds)
    results = Results(machine=list(_machine()))
    for correlated, title in ((0.6, "assignment correlated with skill"), (0.0, "assignment at random")):
        results.main[title] = list(_compared(asked.guesses, correlated, seeds, limit=asked.limit))
    results.small = list(_small(range(asked.seeds * 2)))
    results.agreement = list(_agreement(asked))
    results.conduct, results.alarms = _conduct(seeds)
    results.crowd = [
        {"seed": seed, **crowd_skill(simulate(Setting(guesses=asked.guesses, seed=seed)))} for seed in seeds
    ]
    results.good = list(_nobody_bad(asked.guesses, seeds))
    results.shared = list(_shared_items(asked.guesses // 5))
    if not asked.quick:
        results.large = list(_large())
    text = report(results, ours=OURS, plain=PLAIN, naive=NAIVE, sets=SETS)
    print(text)
    asked.out.write_text(text + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4, help="campaigns of each kind (default 4)")
    parser.add_argument("--guesses", type=int, default=100_000, help="guesses of a campaign (default 100000)")
    parser.add_argument("--limit", type=int, default=900, help="seconds that a method may take (default 900)")
    parser.add_argument("--quick", action="store_true", help="two small campaigns of each kind: to see that it runs")
    parser.add_argument("--out", type=Path, default=HERE / "aggregation.md", help="the report")
    asked = parser.parse_args()
    if asked.quick:
        asked.seeds, asked.guesses = 2, 10_000
    return asked


def _compared(guesses: int, correlated: float, seeds: Sequence[int], *, limit: int) -> Iterator[dict[str, Any]]:
    """Every method on every campaign; mixedlm on the first, within the limit."""
    for seed in seeds:
        campaign = simulate(Setting(guesses=guesses, correlated=correlated, seed=seed))
        for name, method in METHODS.items():
            _say(f"{guesses:,} guesses, correlated {correlated:g}, seed {seed}: {name}")
            try:
                found = timed(method, campaign.guesses)
            except ImportError as error:
                yield {"method": name, "seed": seed, "absent": str(error)}
                continue
            yield {"method": name, "seed": seed, **scores(found, campaign)}
            if name == OURS:
                cleaned = campaign.guesses[~campaign.guesses["annotator_id"].isin(found.excluded)]
        if seed == seeds[0]:
            _say(f"{guesses:,} guesses, correlated {correlated:g}, seed {seed}: {LMM}")
            yield {"method": LMM, "seed": seed, **_limited(mixedlm, cleaned, campaign, limit)}


def _limited(method: Method, guesses: Any, campaign: Simulated, limit: int) -> dict[str, Any]:
    """Run a method in a process of its own that is ended after `limit` seconds."""
    here, there = multiprocessing.get_context("fork").Pipe(duplex=False)

    def run() -> None:
        try:
            there.send(scores(timed(method, guesses), campaign))
        except Exception as error:  # whatever keeps a rival from an answer is what the table must say
            there.send({"absent": f"{type(error).__name__}: {error}"[:100]})

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    answered = here.poll(limit)
    said: dict[str, Any] = here.recv() if answered else {"absent": f"not done in {limit} s"}
    process.kill()
    process.join()
    return said


def _small(seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    for correlated in (0.6, 0.0):
        for seed in seeds:
            campaign = simulate(Setting(guesses=10_000, correlated=correlated, seed=seed))
            for name in (OURS, PLAIN, NAIVE):
                found = timed(METHODS[name], campaign.guesses)
                yield {"method": f"{name}, correlated {correlated:g}", "seed": seed, **scores(found, campaign)}


def _large() -> Iterator[dict[str, Any]]:
    campaign = simulate(Setting(guesses=1_000_000, correlated=0.6, seed=0))
    for name in (OURS, PLAIN, NAIVE, "means of all rounds", "means, t intervals over episodes"):
        _say(f"1,000,000 guesses: {name}")
        yield {"method": name, "seed": 0, **scores(timed(METHODS[name], campaign.guesses), campaign)}


def _agreement(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """mixedlm and ours on the same rows, with nobody left out and no correlated effect."""
    for guesses in sorted({10_000, asked.guesses}):
        campaign = simulate(Setting(guesses=guesses, correlated=0.0, bad=0.0, seed=0))
        mine = timed(ours(conduct=False, correlated=False), campaign.guesses)
        try:
            theirs = timed(mixedlm, campaign.guesses)
        except ImportError:
            return
        r = float(np.corrcoef(mine.value, theirs.value.reindex(mine.value.index))[0, 1])
        yield {"guesses": guesses, "r": r, "ours": mine.cpu, "mixedlm": theirs.cpu}


def _conduct(seeds: Sequence[int]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    from aggregation_conduct import conduct_rows, false_alarms

    _say("conduct")
    return conduct_rows(seeds), false_alarms(seeds)


def _nobody_bad(guesses: int, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """No bad players and 30 % opaque targets: what the intervals cover, although some may be left out."""
    for seed in seeds:
        campaign = simulate(Setting(guesses=guesses, bad=0.0, opaque=0.3, seed=seed))
        yield {"seed": seed, **scores(timed(METHODS[OURS], campaign.guesses), campaign)}


def _shared_items(guesses: int) -> Iterator[dict[str, Any]]:
    """Held-out pools of forty items and less, which everybody meets: what intervals cover and how wide they are."""
    from imitable_aggregation import simulate as simulator

    pool = dict(simulator.POOL)
    for size in (40, 20, 10, 5):
        simulator.POOL["held_out"] = size  # the simulator itself is not changed: only how many items it draws
        try:
            campaigns = [simulate(Setting(guesses=guesses, bad=0.0, seed=seed)) for seed in (0, 1)]
        finally:
            simulator.POOL.update(pool)
        for seed, campaign in enumerate(campaigns):
            yield {"items": size, "seed": seed, **scores(timed(METHODS[OURS], campaign.guesses), campaign)}


def _machine() -> Iterator[str]:
    model = "unknown processor"
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
    except OSError:
        pass
    yield f"{time.strftime('%Y-%m-%d')}, {model}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} before"
    used = []
    for name in ("imitable", "numpy", "scipy", "pandas", "duckdb", "mixedlm", "openskill", "crowd-kit", "scikit-learn"):
        try:
            used.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            used.append(f"{name} not installed")
    yield f"Python {sys.version.split()[0]}, {', '.join(used)}; one thread of linear algebra"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
