"""What has been played so far, as plans need it: from guesses, fitted anew, or from a folder that `rank` wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .analysis import WHO, analyse
from .errors import TableError
from .planning import Variances
from .reading import read_guesses
from .settings import Settings

Floats = npt.NDArray[np.float64]

RESULTS = ("fit.json", "draws.parquet", "ranking.csv")
"""Files of `rank` that are read."""


@dataclass(frozen=True)
class Pilot:
    """Joint draws and variances of what has been played."""

    target_ids: list[str]
    held_out: Floats
    """Joint draws of held-out skill, (draws, N), in the order of `target_ids`."""
    levels: list[str]
    """Levels of information that were played."""
    variances: Variances
    honest: float
    """Share of annotators who were not left out."""
    skill: float
    """Mean held-out skill."""
    l_ref: float
    """Mean loss of the best constant guess, display units."""
    simulated: bool
    """Whether programs played: then nothing here is about people."""
    notes: list[str]


def read_pilot(source: Path, *, allow_simulated: bool = False, seed: int = 0) -> Pilot:
    """Read a folder of `rank`, or fit an export folder or a file of guesses as `rank` does.

    With guesses, targets that nobody (who counts) played are there too, with draws from their prior. Raises TableError
    where the source cannot be used.
    """
    if all((source / name).is_file() for name in RESULTS):
        return _from_results(source)
    with ExitStack() as held:
        reading = held.enter_context(read_guesses(source, allow_simulated=allow_simulated))
        statistics = reading.statistics()
        held.callback(statistics.close)
        if statistics.episodes.empty:
            raise TableError("holds attention checks only", remedy="add practice or held-out rounds", file=source)
        found = analyse(statistics, reading.targets, reading.episodes_played, Settings(seed=seed))
    noted = [note for note in (*reading.notes, *found.notes) if note not in found.crowd.notes]
    named: list[str] = [] if reading.targets is None else reading.targets["target_id"].tolist()
    every = sorted({*named, *statistics.targets["target_id"].tolist()})
    rng = np.random.default_rng([20261127, seed])
    return Pilot(
        target_ids=every,
        held_out=with_unplayed(found.fit.samples["held_out"], found.fit.target_ids, every, rng),
        levels=sorted(str(name) for name in statistics.episodes["level"].unique()),
        variances=Variances.of(found.fit.components, f"the guesses in {source}"),
        honest=1 - len(found.excluded) / statistics.episodes["annotator_id"].nunique(),
        skill=float(found.fit.targets["imitability"].mean()),
        l_ref=float(statistics.targets["l_ref"].mean()),
        simulated=reading.simulated,
        notes=[note.replace(WHO, "'imitable rank' says who and why.") for note in noted],
    )


def with_unplayed(held_out: Floats, played: Sequence[str], every: Sequence[str], rng: np.random.Generator) -> Floats:
    """Draws for `every` target, in that order; for one that was not played, those of random others (its prior)."""
    at = {name: place for place, name in enumerate(played)}
    drawn = np.empty((len(held_out), len(every)))
    for place, name in enumerate(every):
        columns = at[name] if name in at else rng.integers(len(played), size=len(held_out))
        drawn[:, place] = held_out[np.arange(len(held_out)), columns]
    return drawn


def _from_results(folder: Path) -> Pilot:
    import pyarrow as pa

    try:
        fit: dict[str, Any] = json.loads((folder / "fit.json").read_text(encoding="utf-8"))
        draws = pd.read_parquet(folder / "draws.parquet", columns=["draw", "target_id", "held_out"])
        ranking = pd.read_csv(folder / "ranking.csv", usecols=["imitability", "l_ref"])
        wide = draws.pivot(index="draw", columns="target_id", values="held_out")
        sizes, left_out = fit["sizes"], len(fit["excluded"]["annotators"])
        if not sizes["levels"]:
            raise ValueError("fit.json names no level")
        if wide.empty or not np.isfinite(wide.to_numpy(np.float64)).all():
            raise ValueError("draws.parquet lacks draws")
        if not np.isfinite(ranking.to_numpy(np.float64)).all() or ranking.empty:
            raise ValueError("ranking.csv lacks numbers")
        return Pilot(
            target_ids=[str(name) for name in wide.columns],
            held_out=wide.to_numpy(np.float64),
            levels=[str(name) for name in sizes["levels"]],
            variances=Variances.of(fit["variance_components"], f"the ranking in {folder}"),
            honest=1 - left_out / max(sizes["annotators"], 1),
            skill=float(ranking["imitability"].mean()),
            l_ref=float(ranking["l_ref"].mean()),
            simulated=bool(fit["simulated"]),
            notes=[str(note).replace(WHO, f"{folder / 'annotators.csv'} says who and why.") for note in fit["notes"]],
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError, pa.ArrowException) as error:
        raise TableError(
            f"holds results that cannot be read ({type(error).__name__}: {error})",
            remedy="write them anew with 'imitable rank', or give the guesses",
            file=folder,
        ) from error
