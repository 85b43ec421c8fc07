"""The pass over many guesses: seconds and peak memory of reading, checking and gathering statistics from Parquet.

Beside it, in the same run: DuckDB alone, doing one group-by on the same file, which checks nothing and knows no order.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROUNDS, HELD_OUT, CHUNK = 20, 5, 50_000
"""Rounds an episode, the last of them held out; episodes written at a time."""


def main() -> None:
    """Generate a file of every size, pass over it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guesses", nargs="+", type=float, default=[1e7], help="default 1e7; 1e8 for the record")
    parser.add_argument("--memory", type=float, default=8.0, help="GB that the machine is taken to have (default 8)")
    parser.add_argument("--part", choices=("ours", "bare"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        print(json.dumps(ours(asked.file, asked.memory) if asked.part == "ours" else bare(asked.file)))
        return
    print("| guesses | file, GB | reading and checking, s | statistics, s | peak resident, GB | bare group-by, s |")
    print("| ---: " * 6 + "|", flush=True)
    for guesses in asked.guesses:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "guesses.parquet"
            write(file, int(guesses))
            size = file.stat().st_size / 1e9
            a, b = (_in_a_process(part, file, asked.memory) for part in ("ours", "bare"))
            print(
                f"| {guesses:,.0f} | {size:.2f} | {a['reading']:.0f} | {a['statistics']:.0f} | {a['peak']:.1f} |"
                f" {b['seconds']:.0f} |",
                flush=True,
            )


def write(file: Path, guesses: int) -> None:
    """Guesses of invented people, with what an export holds of each."""
    rng = np.random.default_rng(0)
    episodes = max(1, guesses // ROUNDS)
    targets, annotators = max(2, episodes // 10), max(2, episodes // 4)
    writer = None
    for begin in range(0, episodes, CHUNK):
        who = np.arange(begin, min(begin + CHUNK, episodes))
        episode, trial = np.repeat(who, ROUNDS), np.tile(np.arange(1, ROUNDS + 1), len(who))
        target = episode * 7919 % targets
        truth = np.round(10 * rng.beta(0.5, 1.0, len(episode)), 3)
        columns = {
            "annotator_id": _names("a_", episode % annotators),
            "target_id": _names("many/mlp.0/", target),
            "trial": pa.array(trial),
            "phase": pa.array(np.where(trial <= ROUNDS - HELD_OUT, "practice", "held_out")).dictionary_encode(),
            "guess": pa.array(np.clip(np.round(truth + rng.normal(0, 2, len(truth)), 1), 0, 10)),
            "truth": pa.array(truth),
            "episode_id": _names("e_", episode),
            "item_id": _names("i_", target * 100 + rng.integers(0, 100, len(target))),
            "l_ref": pa.array(np.full(len(truth), 2.4)),
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _names(prefix: str, numbers: np.ndarray) -> pa.Array:
    kinds, code = np.unique(numbers, return_inverse=True)
    return pa.DictionaryArray.from_arrays(
        pa.array(code.astype(np.int32)), pa.array([f"{prefix}{n:09d}" for n in kinds])
    )


def ours(file: Path, memory: float) -> dict[str, float]:
    """Seconds and peak memory of the pass, on a machine of so many GB."""
    from imitable_aggregation import contradictions, reading

    half = lambda: int(memory * 1e9) // 2  # noqa: E731
    contradictions.half_the_memory = reading.half_the_memory = half
    began = time.perf_counter()
    with reading.read_guesses(file) as found:
        read = time.perf_counter()
        statistics = found.statistics()
        assert int(statistics.episodes["n"].sum()) == found.rows
        done = time.perf_counter()
        statistics.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"reading": read - began, "statistics": done - read, "peak": peak}


def bare(file: Path) -> dict[str, float]:
    """One group-by of DuckDB's own: mean skill of every episode."""
    import duckdb

    began = time.perf_counter()
    duckdb.sql(
        f"SELECT episode_id, avg(1 - abs(guess - truth) / l_ref) FROM read_parquet('{file}') GROUP BY 1"  # noqa: S608
    ).to_arrow_table()
    return {"seconds": time.perf_counter() - began}


def _in_a_process(part: str, file: Path, memory: float) -> dict[str, float]:
    command = [sys.executable, __file__, "--part", part, "--file", str(file), "--memory", str(memory)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
