"""Rankings of simulated campaigns of known truth: imitable beside what else one would take.

The simulator (`imitable_aggregation.simulate`) was frozen before any estimator was tuned, and is not the estimator's
model. Writes `benchmarks/aggregation.md`, the same for the same arguments but for seconds. `make benchmark-aggregation`
sets up what it needs; a rival that does not install is named as absent.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from aggregation_conditions import ASSIGNMENTS, command, compared, crowds, fresh, nobody_bad, shared_items
from aggregation_conduct import conduct_rows
from aggregation_tables import Results, report

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Measure, print and write the report."""
    asked = _arguments()
    seeds = range(asked.first, asked.first + asked.seeds)
    results = Results(machine=list(_machine()), seeds=list(seeds), limit=asked.limit)
    for correlated, title in ASSIGNMENTS.items():
        results.main[title] = list(compared(asked.guesses, correlated, seeds, limit=asked.limit))
        more = range(asked.first, asked.first + 2 * asked.seeds)
        results.small[title] = list(compared(10_000, correlated, more, limit=asked.limit))
    results.fresh = list(fresh(asked.guesses, range(asked.first + 200, asked.first + 200 + 4 * asked.seeds)))
    results.conduct = conduct_rows(seeds, asked.guesses)
    results.crowd = list(crowds(asked.guesses, seeds))
    results.good = list(nobody_bad(asked.guesses, seeds))
    results.shared = list(shared_items(asked.guesses // 5, seeds))
    results.commands = [command(asked.guesses)]
    if not asked.quick:
        results.commands.append(command(1_000_000))
        results.large = list(compared(1_000_000, 0.6, seeds[:1], limit=asked.limit, agree=False))
    text = report(results)
    print(text)
    asked.out.write_text(text + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4, help="campaigns of each kind (default 4)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--guesses", type=int, default=100_000, help="guesses of a campaign (default 100000)")
    parser.add_argument("--limit", type=int, default=900, help="seconds of CPU that a rival may take (default 900)")
    parser.add_argument("--quick", action="store_true", help="two small campaigns of each kind, none of a million")
    parser.add_argument("--out", type=Path, default=HERE / "aggregation.md", help="the report")
    asked = parser.parse_args()
    if asked.quick:
        asked.seeds, asked.guesses = 2, 20_000
    return asked


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


if __name__ == "__main__":
    main()
