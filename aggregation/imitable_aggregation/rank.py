"""What `imitable rank` does: read guesses, judge, fit, and write every table and the report, all at once."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from .analysis import Analysis, analyse
from .baselines import over_levels, players_of
from .episodes import episode_table
from .errors import TableError
from .export import Content, refuse_foreign, write_folder
from .findings import Findings
from .model import DRAWS
from .ranking import APART, EASY, LEARNABLE, draws_table
from .reading import Reading, read_guesses
from .report import render
from .settings import Settings

NAME = "imitable-ranking"
"""What the data package of a ranking is called."""
SHOWN = 20_000
"""Guesses that the report draws, at most."""
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
    groups: pd.DataFrame | None
    """groups.csv as a frame, where groups were asked for."""
    notes: list[str]
    """What was filled in, ignored or assumed, in sentences."""
    n_quarantined: int
    """Rows that could not be used; they are in quarantine.csv."""
    simulated: bool
    """Whether programs played: then nothing here is about people."""
    out: Path
    """The folder that was written."""


def rank(source: Path, out: Path, settings: Settings | None = None, *, progress: Progress = _silent) -> RankSummary:
    """Rank the targets of a folder or file of guesses and write the results to the folder `out`.

    Raises TableError where the source cannot be used or `out` is not ours to replace. Same source and settings: same
    bytes, run.json excepted. `progress` is told of the steps: reading, passing, fitting, tables, report.
    """
    chosen = settings or Settings()
    begun = time.perf_counter()
    with ExitStack() as held:
        refuse_foreign(out, NAME)
        advance = held.enter_context(progress("Ranking", 5))
        reading = held.enter_context(read_guesses(Path(source), allow_simulated=chosen.allow_simulated))
        advance(1)
        statistics = reading.statistics(chosen.engine)
        held.callback(statistics.close)
        if statistics.episodes.empty:
            raise TableError(
                "holds attention checks only", remedy="add practice or held-out rounds", file=source, field="phase"
            )
        advance(1)
        found = analyse(statistics, reading.targets, reading.episodes_played, chosen)
        advance(1)
        notes = [*reading.notes, *found.notes, *_beside_nobody(found, chosen)]
        notes += _all_at_the_top(len(found.ranking), chosen.top_k)
        files = _tables(found, reading, chosen, notes)
        advance(1)
        files["report.html"] = render(_findings(found, reading, chosen, notes))
        files["run.json"] = _run_json(time.perf_counter() - begun)
        write_folder(Path(out), files, name=NAME, title="Which targets people can imitate")
        advance(1)
        return RankSummary(
            ranking=found.ranking,
            annotators=found.annotators,
            groups=found.groups,
            notes=notes,
            n_quarantined=len(reading.quarantine),
            simulated=reading.simulated,
            out=Path(out),
        )


def _all_at_the_top(targets: int, k: int) -> list[str]:
    if not 1 < targets <= k:
        return []
    return [
        f"p_top, the probability to be among the best {k}, is 1 for all of {targets} targets: choose a smaller top k."
    ]


def _beside_nobody(found: Analysis, settings: Settings) -> list[str]:
    if settings.level is None or not over_levels(found.ranking):
        return []
    return [
        "Annotators of one level are not set beside automatic players: baseline_readings is a mean over the campaign's "
        "levels."
    ]


def _tables(found: Analysis, reading: Reading, settings: Settings, notes: list[str]) -> dict[str, Content]:
    files: dict[str, Content] = {
        "ranking.csv": found.ranking,
        "annotators.csv": found.annotators,
        "episodes.csv": episode_table(found.statistics.episodes, found.finished),
        "crowd.csv": found.crowd.items,
        "draws.parquet": draws_table(found.fit),
        "quarantine.csv": reading.quarantine,
        "fit.json": _fit_json(found, reading, settings, notes),
    }
    if found.levels is not None:
        files["levels.csv"] = found.levels
    if found.groups is not None:
        files["groups.csv"] = found.groups
    return files


def _findings(found: Analysis, reading: Reading, settings: Settings, notes: list[str]) -> Findings:
    ranking = found.ranking
    return Findings(
        ranking=ranking.drop(columns=players_of(ranking)) if _beside_nobody(found, settings) else ranking,
        annotators=found.annotators,
        curve=found.statistics.curve,
        estimand=found.fit.estimand,
        notes=notes,
        quarantine=reading.quarantine,
        banner=NOT_PEOPLE if reading.simulated else "",
        coverage=settings.coverage,
        top_k=settings.top_k,
        target_ids=found.fit.target_ids,
        samples=found.fit.samples,
        knots=found.statistics.knots,
        components=found.fit.components,
        crowd=found.crowd,
        guesses=found.statistics.sample(SHOWN),
        groups=found.groups,
        levels=found.by_level,
        influence=found.influence,
    )


def _fit_json(found: Analysis, reading: Reading, settings: Settings, notes: list[str]) -> dict[str, Any]:
    played = found.statistics.episodes
    return {
        "schema_version": 1,
        "simulated": reading.simulated,
        **({"warning": NOT_PEOPLE} if reading.simulated else {}),
        "estimand": found.fit.estimand,
        "level": settings.level,
        "coverage": settings.coverage,
        "top_k": settings.top_k,
        "seed": settings.seed,
        "by": list(settings.by),
        "thresholds": {
            "p_easy": f"start > {EASY:g}",
            "p_learnable": f"gain > {LEARNABLE:g}",
            "tie_group": f"P(first of the group is above) < {APART:g}",
        },
        "sizes": {
            "guesses": int(played["n"].sum()),
            "episodes": len(played),
            "annotators": int(played["annotator_id"].nunique()),
            "targets": int(played["target_id"].nunique()),
            "levels": sorted(str(name) for name in played["level"].unique()),
            "quarantined": len(reading.quarantine),
            "draws": DRAWS,
        },
        "model": "crossed mixed model over knots of the learning curve, correlated effects of targets on annotators",
        "knots": list(found.statistics.knots),
        "variance_components": found.fit.components,
        "iterations": found.fit.iterations,
        "excluded": {
            "annotators": found.excluded,
            "kept_on_request": settings.keep_bad,
            "tau_with_and_without": None if found.influence is None else found.influence.tau,
        },
        "crowd": {"skill": _known(found.crowd.skill), "plain_mean": _known(found.crowd.plain)},
        "input_sha256": reading.hash,
        "input_files": reading.files,
        "notes": notes,
    }


def _known(value: float) -> float | None:
    return None if pd.isna(value) else value


def _run_json(seconds: float) -> dict[str, Any]:
    packages = ("numpy", "pandas", "pyarrow", "scipy", "duckdb", "ibis-framework", "matplotlib", "jinja2", "imitable")
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
