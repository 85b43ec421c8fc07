"""`imitable rank`: guesses to a ranking, from the CSV alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imitable.commands.progress import Progress, silent
from imitable.errors import TablesError

if TYPE_CHECKING:
    from imitable_aggregation.rank import RankSummary


def rank(
    source: Path,
    *,
    out: Path,
    level: str | None = None,
    coverage: float = 0.9,
    top_k: int = 10,
    seed: int = 0,
    allow_simulated: bool = False,
    progress: Progress = silent,
) -> RankSummary:
    """Rank the targets of an export folder or a guesses file. Raises TablesError naming file, row and field."""
    from imitable_aggregation.errors import TableError
    from imitable_aggregation.rank import rank as run

    try:
        return run(
            source,
            out,
            level=level,
            coverage=coverage,
            top_k=top_k,
            seed=seed,
            allow_simulated=allow_simulated,
            progress=progress,
        )
    except TableError as error:
        raise TablesError(str(error)) from error
