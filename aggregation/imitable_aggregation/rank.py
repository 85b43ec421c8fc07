"""What `imitable rank` does: read guesses, fit, and write every table and the report, all at once."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .annotators import annotators_table
from .episodes import at_level, episode_table, scored
from .errors import TableError
from .export import Content, write_folder
from .model import DRAWS, Fit, fit, fit_levels
from .moments import ASSUMED_ANNOTATOR, ASSUMED_NOISE
from .ranking import EASY, LEARNABLE, levels_table, ranking_table
from .reading import Reading, read_guesses
from .report import Findings, render

NOT_PEOPLE = "simulated players: nothing here is about people"
"""What every face of a result says when a program played."""


Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""`with progress(what, total) as advance:` shows how far the work is."""


@contextmanager
def _silent(_what: str, _total: int) -> Iterator[Callable[[int], object]]:
    yield lambda _done: None


@dataclass(frozen=True)
class RankSummary:
    """What was found, for who prints it."""

    ranking: pd.DataFrame
    """ranking.csv as a frame, most imitable first."""
    annotators: pd.DataFrame
    """annotators.csv as a frame."""
    notes: list[str]
    """What was filled in, ignored or assumed, in sentences."""
    n_quarantined: int
    """Rows that could not be used; they are in quarantine.csv."""
    simulated: bool
    """Whether programs played: then nothing here is about people."""
    out: Path
    """The folder that was written."""


def rank(
    source: Path,
    out: Path,
    *,
    level: str | None = None,
    coverage: float = 0.9,
    top_k: int = 10,
    seed: int = 0,
    allow_simulated: bool = False,
    progress: Progress = _silent,
) -> RankSummary:
    """Rank the targets of a folder or file of guesses and write the results to the folder `out`.

    `coverage` is that of all intervals (0 to 1, exclusive), `top_k` the k of `p_top`. Raises TableError where the
    source cannot be used or `out` is not ours to replace. Same source and arguments: same bytes, run.json excepted.
    `progress` is told of the four steps: reading, fitting, tables, report.
    """
    if not 0 < coverage < 1:
        raise TableError(f"coverage {coverage:g} is not between 0 and 1", remedy="give for example 0.9")
    if top_k < 1:
        raise TableError(f"top_k {top_k} is below 1", remedy="give for example 10")
    begun = time.perf_counter()
    with progress("Ranking", 4) as advance:
        reading = read_guesses(Path(source), allow_simulated=allow_simulated)
        advance(1)
        rows = scored(reading.guesses)
        if rows.empty:
            raise TableError(
                "holds attention checks only", remedy="add practice or held-out rounds", file=source, field="phase"
            )
        episodes = episode_table(rows, reading.episodes_played)
        played = at_level(rows, level)
        found = fit(played, level=level, seed=seed)
        advance(1)
        ranking = ranking_table(found, played, episodes, reading.targets, coverage=coverage, top_k=top_k)
        annotators = annotators_table(found, played, coverage=coverage)
        notes = [*reading.notes, *found.notes]
        settings: dict[str, Any] = {"level": level, "coverage": coverage, "top_k": top_k, "seed": seed}
        files: dict[str, Content] = {
            "ranking.csv": ranking,
            "annotators.csv": annotators,
            "episodes.csv": episodes,
            "draws.parquet": found.draws,
            "quarantine.csv": reading.quarantine,
            "fit.json": _fit_json(found, reading, played, settings, notes),
        }
        if rows["level"].nunique() > 1:
            files["levels.csv"] = levels_table(fit_levels(rows), coverage=coverage)
        advance(1)
        files["report.html"] = render(
            Findings(
                ranking=ranking,
                annotators=annotators,
                rows=played,
                notes=notes,
                estimand=found.estimand,
                quarantine=reading.quarantine,
                banner=NOT_PEOPLE if reading.simulated else "",
                coverage=coverage,
                top_k=top_k,
            )
        )
        files["run.json"] = _run_json(time.perf_counter() - begun)
        advance(1)
        write_folder(Path(out), files, name="imitable-ranking", title="Which targets people can imitate")
    return RankSummary(
        ranking=ranking,
        annotators=annotators,
        notes=notes,
        n_quarantined=len(reading.quarantine),
        simulated=reading.simulated,
        out=Path(out),
    )


def _fit_json(
    found: Fit, reading: Reading, rows: pd.DataFrame, settings: dict[str, Any], notes: list[str]
) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "simulated": reading.simulated,
        **({"warning": NOT_PEOPLE} if reading.simulated else {}),
        "estimand": found.estimand,
        **settings,
        "thresholds": {"p_easy": f"start > {EASY:g}", "p_learnable": f"gain > {LEARNABLE:g}"},
        "sizes": {
            "guesses": len(rows),
            "episodes": int(rows["episode_id"].nunique()),
            "annotators": int(rows["annotator_id"].nunique()),
            "targets": int(rows["target_id"].nunique()),
            "levels": sorted(str(name) for name in rows["level"].unique()),
            "quarantined": len(reading.quarantine),
            "draws": DRAWS,
        },
        "model": "mean over annotators, two-way variance over people and items, shrinkage to the common mean",
        "variance_components": {name: value for name, value in found.components.items() if np.isfinite(value)},
        "assumed_where_unseen": {"annotator": ASSUMED_ANNOTATOR, "noise": ASSUMED_NOISE},
        "iterations": 0,
        "input_sha256": reading.hash,
        "input_files": reading.files,
        "notes": notes,
    }


def _run_json(seconds: float) -> dict[str, Any]:
    packages = ("numpy", "pandas", "pyarrow", "scipy", "matplotlib", "jinja2", "imitable")
    versions = {}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "seconds": round(seconds, 3),
        "versions": {"python": sys.version.split()[0], **versions},
        "machine": {"system": platform.system(), "architecture": platform.machine()},
    }
