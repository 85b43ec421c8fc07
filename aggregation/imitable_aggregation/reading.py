"""Reading guesses: what a researcher or `imitable export` wrote, checked row by row, with every default filled in.

Nothing is silently dropped: a row that cannot be used is in `Reading.quarantine` with its line and a reason, and
every default that could change a result is in `Reading.notes`. What passes goes to a scratch folder, chunk by chunk,
so that memory does not grow with the file.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from . import scoring
from .checks import check_guesses
from .contradictions import Checked
from .csv_lines import Spoiled
from .defaults import filled, target_parts
from .errors import TableError
from .quarantine import Quarantine
from .shelf import Shelf, half_the_memory, scratch
from .sources import Part, Source, find_guesses, input_hash, parts, set_aside, side_tables, unreadable
from .tables import GUESSES, SIMULATED

if TYPE_CHECKING:
    from .engines import Name
    from .statistics import Statistics

IN_MEMORY = 2_000_000
"""Guesses up to which statistics are made in memory; beyond it, what does not fit is written to the scratch folder."""
FOREIGN = "also_"
"""What a column that the contract does not know is called by until it is handed out, so that it cannot be mistaken for
one that we use, whatever its name and its case."""
LARGEST = 1e30
"""Seconds and weights above this are none: their sums would be infinite."""


@dataclass(frozen=True)
class Reading:
    """Everything usable in a source, and everything that was not. `close`, or leaving a `with`, frees the disk."""

    rows: int
    """Usable guesses."""
    targets: pd.DataFrame | None
    """targets.csv, where it was there."""
    episodes_played: pd.DataFrame | None
    """episodes_played.csv, where it was there."""
    quarantine: pd.DataFrame
    """file, line, row, reason of every row that could not be used."""
    notes: list[str]
    """What was filled in or ignored, in sentences."""
    simulated: bool
    """Whether any row was played by a program."""
    hash: str
    """SHA-256 of the files read."""
    files: list[str]
    """Names of the files read."""
    _shelf: Shelf = field(repr=False)
    _clean: Path = field(repr=False)

    @property
    def guesses(self) -> pd.DataFrame:
        """All of them in memory: one row a usable guess, every column of `tables.GUESSES`, by episode and trial."""
        frame = pd.read_parquet(self._clean)
        order = ["episode_id", "trial"]
        frame = frame.sort_values(order, kind="stable").drop(columns=["line", "file"]).reset_index(drop=True)
        frame = frame.rename(columns=lambda name: str(name).removeprefix(FOREIGN))
        for name in frame.columns:
            if frame[name].dtype == object or str(frame[name].dtype) in ("str", "string"):
                frame[name] = frame[name].astype("str")
        return frame

    def statistics(self, name: Name = "duckdb") -> Statistics:
        """One pass over them with an engine, in bounded memory. Raises TableError for an engine that is not there."""
        from .engines import engine
        from .statistics import collect_from

        if name == "duckdb" and self.rows > IN_MEMORY:
            place = engine(name, folder=self._shelf.folder, memory=half_the_memory() // 2)  # frames need room too
        else:
            place = engine(name)
        return collect_from(place.parquet([self._clean], "guesses"), place)

    def close(self) -> None:
        """Remove the scratch folder; guesses and statistics cannot be asked for after this."""
        self._shelf.close()

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def read_guesses(source: Path, *, allow_simulated: bool = False) -> Reading:
    """Read guesses: a folder written by `imitable export`, a file (.csv, .csv.gz, .parquet), or Parquet files by folder
    or glob.

    Raises TableError where the whole cannot be used: a required column is missing, no row is usable, a target has
    two `l_ref`, the truths look like raw activations, or programs and people are mixed without `allow_simulated`.
    """
    found = find_guesses(Path(source))
    quarantine, notes = Quarantine(), list[str]()
    targets, episodes_played = side_tables(found.folder, quarantine, notes)
    with scratch():
        shelf = Shelf()
    try:
        with scratch():
            columns = _shelve(found, targets, quarantine, notes, shelf)
            clean = _settle(found, targets, columns, quarantine, notes, shelf)
        rows = int(pq.read_metadata(clean).num_rows)
        if not rows:
            raise TableError("has no usable row", remedy=f"mend {quarantine.trouble()}", file=found.named)
        simulated = _simulated(found, clean, allow_simulated=allow_simulated)
    except BaseException:
        shelf.close()
        raise
    names = ("targets.csv", "episodes_played.csv")
    files = [*found.files, *(found.folder / name for name in names if found.folder and (found.folder / name).is_file())]
    return Reading(
        rows=rows,
        targets=targets,
        episodes_played=episodes_played,
        quarantine=quarantine.frame(),
        notes=notes,
        simulated=simulated,
        hash=input_hash(files),
        files=[file.name for file in files],
        _shelf=shelf,
        _clean=clean,
    )


def _shelve(
    found: Source, targets: pd.DataFrame | None, quarantine: Quarantine, notes: list[str], shelf: Shelf
) -> list[str]:
    """Put all rows that pass the checks on the shelf, with their file and physical line; returns the files' columns."""
    polarity: dict[str, str] = {}
    if targets is not None and "polarity" in targets:
        polarity = dict(zip(targets["target_id"], targets["polarity"].fillna(""), strict=True))

    def lowest(target: str, goes_below: bool) -> float:
        side = polarity.get(target) or target.rsplit(":", 1)[-1]
        if side in ("pos", "neg", "both"):
            return scoring.lowest(side)  # type: ignore[arg-type]
        signed = target_parts(target)[1] in ("probe", "direction")
        return -scoring.TOP if signed and goes_below else 0.0

    checked, outside, ignored = 0, 0, Counter[str]()
    columns: list[str] | None = None
    for number, path in enumerate(found.files):
        for part in parts(path, GUESSES, quarantine):
            if columns is not None and list(part.frame.columns) != columns:
                raise TableError(
                    f"has other columns than {found.files[0].name}",
                    remedy="give all files the same columns, in the same order",
                    file=path,
                )
            columns = list(part.frame.columns)
            reasons, out = check_guesses(part.frame, part.bad, part.cells, lowest)
            bad = np.flatnonzero(reasons != "")
            outside += int(out.sum())
            told = (part.frame["truth"] != 0) & ((reasons == "") | out)  # 0 is 0 on every scale
            checked += int(told.sum())
            if not quarantine.has_room(len(bad)):
                _refuse_raw(found, outside, checked)
            quarantine.add(path, [Spoiled(int(part.lines[at]), part.row(int(at)), reasons[at]) for at in bad])
            kept = _kept(part, reasons == "", ignored)
            if len(kept) or not shelf.rows:
                shelf.add(filled(kept, targets).assign(file=number))
    shelf.done()
    _refuse_raw(found, outside, checked)
    notes += [unreadable(count, name) for name, count in ignored.items()]
    if not shelf.rows:
        raise TableError("has no usable row", remedy=f"mend {quarantine.trouble()}", file=found.named)
    return [_told_apart(name) for name in columns or []]


def _told_apart(name: str) -> str:
    return name if GUESSES.column(name) else FOREIGN + name


def _refuse_raw(found: Source, outside: int, checked: int) -> None:
    if outside > checked / 2:
        raise TableError(
            f"{outside} of {checked} truths other than 0 lie outside 0 to {scoring.TOP:g}: these look like raw"
            " activations",
            remedy="put guess and truth on the display scale (imitable_aggregation.scoring.display), or end the"
            " target_id in `:both` where both sides are played",
            file=found.named,
            field="truth",
        )


def _kept(part: Part, good: np.ndarray[tuple[int], np.dtype[np.bool_]], ignored: Counter[str]) -> pd.DataFrame:
    frame = part.frame[good].rename(columns=_told_apart)
    for name in ("feedback", "answered_at", "seconds", "weight", "activation"):
        if name not in frame:
            continue
        bad = part.bad[name][good]
        if name in ("seconds", "weight"):
            values = frame[name].to_numpy(np.float64)
            bad = bad | (values < 0) | (values > LARGEST)
            frame[name] = np.where(bad, np.nan, values)
        if bad.any():
            ignored[name] += int(bad.sum())
    frame["line"] = part.lines[good]
    return frame


def _settle(
    found: Source,
    targets: pd.DataFrame | None,
    columns: list[str],
    quarantine: Quarantine,
    notes: list[str],
    shelf: Shelf,
) -> Path:
    """The file of the rows that contradict no other, with one l_ref a target."""
    checked = Checked(shelf, found.named)
    for rows in checked.set_contradictions_aside():
        set_aside(found.files, rows, columns, quarantine)
    references = checked.references(targets, notes)
    clean = shelf.file
    if not checked.settled(references):
        clean = shelf.folder / "guesses.parquet"
        for rows in checked.settle(references, clean):
            set_aside(found.files, rows, columns, quarantine)
    checked.close()
    return clean


def _simulated(found: Source, clean: Path, *, allow_simulated: bool) -> bool:
    programs = rows = 0
    with pq.ParquetFile(clean) as file:
        for batch in file.iter_batches(1_000_000, columns=["platform"]):
            programs += pc.sum(pc.equal(batch.column(0), SIMULATED)).as_py() or 0
            rows += batch.num_rows
    if programs and programs < rows and not allow_simulated:
        raise TableError(
            f"{programs} rows of simulated players stand beside {rows - programs} others",
            remedy="remove the rows with platform = simulated, or pass --allow-simulated",
            file=found.named,
            field="platform",
        )
    return programs > 0
