"""`imitable rank`: guesses to a ranking, from the CSV alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imitable.commands.buckets import Bucket, is_bucket
from imitable.commands.progress import Progress, silent
from imitable.errors import TablesError

if TYPE_CHECKING:
    from imitable_aggregation.rank import RankSummary
    from imitable_aggregation.settings import Settings


def rank(
    source: Path | str, *, out: Path, settings: Settings | None = None, progress: Progress = silent
) -> RankSummary:
    """Rank the targets of an export folder, here or on s3://, or of a guesses file.

    Raises TablesError naming file, row and field.
    """
    from imitable_aggregation.errors import TableError
    from imitable_aggregation.rank import rank as run

    if is_bucket(source):
        with Bucket(str(source)).fetched(progress=progress) as folder:
            try:
                return rank(folder, out=out, settings=settings, progress=progress)
            except TablesError as error:
                raise TablesError(str(error).replace(str(folder), str(source).rstrip("/"))) from error
    try:
        return run(Path(source), out, settings, progress=progress)
    except TableError as error:
        raise TablesError(str(error)) from error
