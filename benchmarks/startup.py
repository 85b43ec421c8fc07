"""How fast `imitable --help` answers, beside an empty Python and the libraries under it. Ratios of one run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

CASES = {
    "python -c pass": ["-c", "pass"],
    "import typer and rich alone": ["-c", "import typer, rich.console"],
    "imitable --help": ["-m", "imitable", "--help"],
    "import imitable": ["-c", "import imitable"],
}


def main(rounds: int = 15) -> None:
    """Time every case in turn, `rounds` times, and print medians."""
    seconds: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, words in CASES.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - began)
    base = statistics.median(seconds["python -c pass"])
    print("| case | median ms | times an empty Python |\n| --- | ---: | ---: |")
    for name, taken in seconds.items():
        print(f"| {name} | {1000 * statistics.median(taken):.0f} | {statistics.median(taken) / base:.1f} |")


main()
