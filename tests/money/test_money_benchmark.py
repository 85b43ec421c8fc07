"""The benchmark of money, small: faults that make the plain shape pay twice, and imitable pays everybody once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "money.py"


def test_where_a_plain_shape_pays_twice_imitable_pays_everybody_once() -> None:
    words = [sys.executable, str(BENCHMARK), "--quick", "--only", "psiturk", "--only", "imitable"]
    environment = {name: value for name, value in os.environ.items() if name != "IMITABLE_STORE_URL"}
    done = subprocess.run(
        [*words, "--only", "imitable-prolific"], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if "|" in line]
    plain, ours, prolific = [row for row in table if row[0] not in ("", "---")]
    assert int(plain[2].split()[0]) > 0, "the faults were harmless"
    for row in (ours, prolific):
        name, _, twice, _, booked, unbooked, *_, once, more, unpaid, wrong = row
        assert (name, twice, booked, unbooked) == ("**imitable**", "0 (1)", "0", "0")
        assert (once, more, unpaid, wrong) == ("60", "0", "0", "0")
    killed = [line.split("Processes killed: ")[1] for line in done.stdout.splitlines() if "Processes killed" in line]
    assert "0" not in ", ".join(killed).replace(".", "").split(", "), "nobody was killed"
