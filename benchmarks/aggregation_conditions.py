"""What is measured: the campaigns, and which method plays on which."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import aggregation_rank_sets as rank_sets
import numpy as np
import pandas as pd
from aggregation_limits import limited
from aggregation_methods import Found, Method, ours, timed
from aggregation_rivals import all_means, clustered, correlation, held_out_means, lmer, openskill
from aggregation_scores import crowd_skill, scores

from imitable_aggregation import simulate as simulator
from imitable_aggregation.simulate import Setting, Simulated, simulate

OURS = "**imitable**"
PLAIN = "imitable, plain crossed model, same cleaned data"
EVERYBODY = "imitable, nobody left out"
OUR_SETS = "imitable's estimates, with marginal rank sets"
NAIVE = "held-out means"
SETS = "means over episodes, with marginal rank sets"
LMM = "mixedlm, same knots, same cleaned data"
LMM_ALL = "mixedlm, same knots, nobody left out"
MINE: dict[str, Method] = {OURS: ours(), PLAIN: ours(correlated=False), EVERYBODY: ours(conduct=False)}
RIVALS: dict[str, Method] = {
    NAIVE: held_out_means,
    "means of all rounds": all_means,
    "means over episodes, t intervals": clustered,
    SETS: rank_sets.of_means,
    "correlation, held-out": correlation(held_out=True),
    "correlation, all rounds": correlation(held_out=False),
    "OpenSkill": openskill,
}
ASSIGNMENTS = {0.6: "assignment correlated with skill", 0.0: "assignment at random"}

Row = dict[str, Any]


def compared(guesses: int, correlated: float, seeds: Sequence[int], *, limit: int, agree: bool = True) -> Iterator[Row]:
    """A row for every method and campaign. Rivals have a process and `limit` seconds of CPU each.

    mixedlm gets the guesses of those whom imitable did not leave out and, where `agree`, everybody's too: there `r` is
    how its targets' levels correlate with those of imitable's plain model on the same guesses, items taken as fresh.
    """
    for seed in seeds:
        campaign = simulate(Setting(guesses=guesses, correlated=correlated, seed=seed))
        rows = campaign.guesses
        about = {"guesses": guesses, "correlated": correlated, "seed": seed}
        for name, method in MINE.items():
            _say(about, name)
            found = timed(method, rows)
            yield {"method": name, **about, **scores(found, campaign)}
            if name == OURS:
                best = found
        cleaned = rows[~rows["annotator_id"].isin(best.excluded)]
        _say(about, OUR_SETS)
        yield {"method": OUR_SETS, **about, **limited(partial(_with_sets, best, campaign), seconds=limit)}
        for name, method in (*RIVALS.items(), (LMM, lmer)):
            _say(about, name)
            played = cleaned if name == LMM else rows
            said = limited(partial(_scored, method, played, campaign), seconds=limit)
            yield {"method": name, **about, **without_values(said)}
        if agree:
            _say(about, LMM_ALL)
            said = limited(partial(_scored, lmer, rows, campaign), seconds=limit)
            if "values" in said:
                same = timed(ours(conduct=False, correlated=False, shared_items=False), rows)
                said["r"] = float(np.corrcoef(same.value, said["values"].reindex(same.value.index))[0, 1])
                said["our_cpu"] = same.cpu
            yield {"method": LMM_ALL, **about, **without_values(said)}


def fresh(guesses: int, seeds: Sequence[int]) -> Iterator[Row]:
    """imitable alone, and its plain model, on campaigns that nothing else here looks at: figures with less chance."""
    for correlated in ASSIGNMENTS:
        for seed in seeds:
            about = {"guesses": guesses, "correlated": correlated, "seed": seed}
            campaign = simulate(Setting(guesses=guesses, correlated=correlated, seed=seed))
            for name in (OURS, PLAIN):
                _say(about, name)
                yield {"method": name, **about, **scores(timed(MINE[name], campaign.guesses), campaign)}


def _scored(method: Method, guesses: pd.DataFrame, campaign: Simulated) -> Row:
    found = timed(method, guesses)
    return {**scores(found, campaign), "values": found.value}


def _with_sets(found: Found, campaign: Simulated) -> Row:
    began = time.process_time(), time.perf_counter()
    found = replace(found, ranks=rank_sets.of_ours(found))
    found.cpu += time.process_time() - began[0]
    found.wall += time.perf_counter() - began[1]
    return {
        key: cell for key, cell in scores(found, campaign).items() if key.startswith(("tau", "rank", "cpu", "wall"))
    }


def without_values(said: Row) -> Row:
    """What goes into a table."""
    return {key: cell for key, cell in said.items() if key != "values"}


def nobody_bad(guesses: int, seeds: Sequence[int]) -> Iterator[Row]:
    """No bad players, and 30 % opaque targets: who is left out although he is in earnest, and what intervals cover."""
    for correlated in ASSIGNMENTS:
        for seed in seeds:
            setting = Setting(guesses=guesses, correlated=correlated, bad=0.0, opaque=0.3, seed=seed)
            _say({"guesses": guesses, "correlated": correlated, "seed": seed}, "nobody bad")
            campaign = simulate(setting)
            yield {"correlated": correlated, "seed": seed, **scores(timed(MINE[OURS], campaign.guesses), campaign)}


def shared_items(guesses: int, seeds: Sequence[int], sizes: Sequence[int] = (40, 20, 10, 5)) -> Iterator[Row]:
    """Held-out pools of forty items, the simulator's own, and fewer, which everybody meets: `cover` and `width`.

    The simulator is not changed, only the number of items that it draws. `shared` False: the fit takes every item as
    fresh, as if nobody else had met it.
    """
    usual = simulator.POOL["held_out"]
    for size in sizes:
        for seed in seeds:
            _say({"guesses": guesses, "seed": seed}, f"{size} held-out items")
            simulator.POOL["held_out"] = size
            try:
                campaign = simulate(Setting(guesses=guesses, bad=0.0, seed=seed))
            finally:
                simulator.POOL["held_out"] = usual
            for shared in (True, False):
                found = timed(ours(shared_items=shared), campaign.guesses)
                yield {"items": size, "shared": shared, "seed": seed, **scores(found, campaign)}


def crowds(guesses: int, seeds: Sequence[int]) -> Iterator[Row]:
    """What the pooled crowd knows, and the plain mean of its guesses."""
    for correlated in ASSIGNMENTS:
        for seed in seeds:
            _say({"guesses": guesses, "correlated": correlated, "seed": seed}, "crowd")
            campaign = simulate(Setting(guesses=guesses, correlated=correlated, seed=seed))
            yield {"correlated": correlated, "seed": seed, **crowd_skill(campaign)}


def command(guesses: int) -> Row:
    """`imitable rank` as a process, from a CSV on disk to the report: seconds of CPU and by the clock."""
    _say({"guesses": guesses}, "imitable rank")
    with tempfile.TemporaryDirectory() as folder:
        table, out = Path(folder) / "guesses.csv", Path(folder) / "out"
        simulate(Setting(guesses=guesses, correlated=0.6, seed=0)).guesses.to_csv(table, index=False)
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        program = Path(sys.executable).with_name("imitable")
        subprocess.run([program, "rank", table, "--out", out], check=True, stdout=subprocess.DEVNULL)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"guesses": guesses, "bytes": table.stat().st_size, "cpu": cpu, "wall": wall}


def _say(about: Row, what: str) -> None:
    where = ", ".join(f"{key} {value:,}" for key, value in about.items())
    print(f"{time.strftime('%H:%M:%S')} {where}: {what}", file=sys.stderr, flush=True)
