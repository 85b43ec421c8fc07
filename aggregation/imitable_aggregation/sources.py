"""From files to typed tables, and to the list of rows that are in no state to be used."""

from __future__ import annotations

import glob
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .checks import Flags, missing_columns, not_a_reference, plausible_guess, typed
from .csv_lines import CHUNK, Spoiled, read_csv, shown, told_apart
from .errors import TableError
from .quarantine import Quarantine
from .tables import EPISODES_PLAYED, GUESSES, TARGETS, Table

FILES = ("guesses.csv", "guesses.csv.gz", "guesses.parquet")
"""Names under which a folder may hold its guesses; the first found is read (a CSV may be mended by hand)."""


@dataclass(frozen=True)
class Part:
    """Some typed rows of a table, with the text they were made of."""

    frame: pd.DataFrame
    bad: dict[str, Flags]
    """Where a cell was there but could not be read as its column's type."""
    cells: Any
    """The pyarrow table they were read from."""
    lines: npt.NDArray[np.int64]

    def row(self, at: int) -> str:
        """A row as it was found."""
        values = (column[at].as_py() for column in self.cells.columns)
        return shown(",".join("" if value is None else str(value) for value in values))


def set_aside(files: list[Path], rows: pd.DataFrame, columns: list[str], quarantine: Quarantine) -> None:
    """Put rows that were read but contradict others in the quarantine: `file` (its place), `line` and `reason`.

    Of a row those cells are kept that the file has: `columns`.
    """
    names = [name for name in columns if name in rows]
    told = zip(rows["file"], rows["line"], rows["reason"], rows[names].itertuples(index=False), strict=True)
    for file, line, reason, values in told:
        text = ",".join("" if pd.isna(value) else str(value) for value in values)
        quarantine.add(files[int(file)], [Spoiled(int(line), text, str(reason))])


@dataclass(frozen=True)
class Source:
    """What a researcher pointed at."""

    named: Path
    """As messages name it: the one file, or what was given."""
    files: list[Path]
    """Files of guesses, in the order of their names."""
    folder: Path | None
    """Where targets.csv and episodes_played.csv may lie."""


def find_guesses(source: Path) -> Source:
    """The files of guesses that a source means: a file, those in a folder, or those that a glob matches."""
    try:
        return _found(source)
    except OSError as error:
        raise TableError(
            f"cannot be looked at ({error.strerror})", remedy="check the path and who may read it", file=source
        ) from error


def _found(source: Path) -> Source:
    if source.is_file():
        if source.suffix not in (".csv", ".parquet") and not source.name.endswith(".csv.gz"):
            raise TableError("is neither .csv, .csv.gz nor .parquet", remedy="convert it to one of these", file=source)
        return Source(source, [source], None)
    if source.is_dir():
        for name in FILES:
            if (source / name).is_file():
                return Source(source / name, [source / name], source)
        _refuse_others(source)
        matched = sorted(source.glob("*.parquet"))
        if not matched:
            raise TableError(
                f"holds none of {', '.join(FILES)}, and no other Parquet file",
                remedy="give a folder that `imitable export` wrote, a folder of Parquet files, or a file of guesses",
                file=source,
            )
        return Source(source, matched, source)
    if any(sign in str(source) for sign in "*?["):
        matched = sorted(Path(each) for each in glob.glob(str(source)) if Path(each).is_file())
        if matched and all(each.suffix in (".csv", ".parquet") or each.name.endswith(".csv.gz") for each in matched):
            return Source(source, matched, None)
        raise TableError(
            "matches no file" if not matched else "matches files that are neither .csv, .csv.gz nor .parquet",
            remedy="check the pattern, and put it in quotes",
            file=source,
        )
    raise TableError("there is no such file or folder", remedy="check the path", file=source)


def _refuse_others(folder: Path) -> None:
    """Folders of ours that hold no guesses, with what to do instead."""
    if (folder / "campaign.toml").is_file():
        raise TableError(
            "is a campaign's folder",
            remedy=f"write its guesses with 'imitable export {folder} --out guesses', and give that folder",
            file=folder,
        )
    if (folder / "ranking.csv").is_file():
        raise TableError(
            "holds a ranking, not guesses", remedy="give the guesses that 'imitable rank' was given", file=folder
        )


def parts(path: Path, table: Table, quarantine: Quarantine) -> Iterator[Part]:
    """Read a CSV or Parquet file in typed parts; structurally broken rows go to the quarantine."""
    if path.suffix == ".parquet":
        yield from _parquet(path, table)
        return
    plausible: Callable[[dict[str, str]], bool] = plausible_guess
    if table is not GUESSES:
        plausible = lambda cells: all(cells[name].strip() for name in table.required)  # noqa: E731
    checked = False

    def checked_plausible(cells: dict[str, str]) -> bool:
        return not missing_columns(cells, table) and plausible(cells)

    for chunk in read_csv(path, plausible=checked_plausible):
        if not checked:
            _require(path, chunk.cells.column_names, table)
            checked = True
        quarantine.add(path, chunk.spoiled)
        frame, bad = typed(chunk.cells, table)
        yield Part(frame, bad, chunk.cells, chunk.lines)
    if not checked:
        raise TableError("holds a header and no rows", remedy="give a file with at least one row", file=path)


def _parquet(path: Path, table: Table) -> Iterator[Part]:
    try:
        with pq.ParquetFile(path) as file:
            names = told_apart(file.schema_arrow.names)
            _require(path, names, table)
            first = 1
            for batch in file.iter_batches(CHUNK):
                cells = pa.Table.from_batches([batch]).rename_columns(names)
                frame, bad = typed(cells, table)
                yield Part(frame, bad, cells, np.arange(first, first + len(frame), dtype=np.int64))
                first += len(frame)
    except (pa.ArrowException, OSError) as error:
        raise TableError(
            f"cannot be read as Parquet ({error})", remedy="write it again, or give a CSV", file=path
        ) from error


def _require(path: Path, found: list[str], table: Table) -> None:
    missing = missing_columns(found, table)
    if not missing:
        twice = [name for name in table.required if f"{name}.1" in found]
        if twice:
            raise TableError(f"has the column {twice[0]} twice", remedy="keep one of them", file=path, field=twice[0])
        return
    split = next((f"{word}s" for word, sign in (("semicolon", ";"), ("tab", "\t")) if found and sign in found[0]), "")
    hint = f"save it separated by commas, not {split}" if split and len(found) == 1 else "add or rename it"
    raise TableError(
        f"lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        f" (found: {', '.join(name if len(name) <= 40 else name[:39] + '…' for name in found[:40])})",
        remedy=hint,
        file=path,
        field=missing[0],
    )


def side_table(path: Path, table: Table, quarantine: Quarantine, notes: list[str]) -> pd.DataFrame | None:
    """Read targets.csv or episodes_played.csv if it is there; the first row of a key stands.

    A number that is none, or is infinite, is left empty, which `notes` say; so is an `l_ref` that cannot be one.
    """
    if not path.is_file():
        return None
    key = table.key[0]
    frames: list[pd.DataFrame] = []
    seen: set[str] = set()
    ignored: Counter[str] = Counter()
    for part in parts(path, table, quarantine):
        keep = np.ones(len(part.frame), dtype=bool)
        for at, value in enumerate(part.frame[key]):
            reason = f"{key} is empty" if pd.isna(value) else f"{key} came before" if value in seen else ""
            if reason:
                keep[at] = False
                quarantine.add(path, [Spoiled(int(part.lines[at]), part.row(at), reason)])
            else:
                seen.add(value)
        for name in part.bad:
            ignored[name] += int(_emptied(part, name)[keep].sum())
        frames.append(part.frame[keep])
    notes += [unreadable(count, f"{name} in {path.name}") for name, count in ignored.items() if count]
    return pd.concat(frames, ignore_index=True)


def _emptied(part: Part, name: str) -> Flags:
    """Leave cells empty that are no value of their column; says which."""
    if part.frame[name].dtype != np.float64:
        return part.bad[name]
    values = part.frame[name].to_numpy(np.float64)
    no_value: Flags = part.bad[name] | np.isinf(values)
    if name == "l_ref":
        no_value |= not_a_reference(values)
    part.frame[name] = np.where(no_value, np.nan, values)
    return no_value


def unreadable(count: int, where: str) -> str:
    """What is said of cells that are there and could not be read."""
    cells, were = ("cells", "were") if count > 1 else ("cell", "was")
    return f"{count} {cells} of {where} could not be read and {were} left empty."


def side_tables(
    folder: Path | None, quarantine: Quarantine, notes: list[str]
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """The targets and the episodes played that lie beside the guesses, where there are any."""
    if folder is None:
        return None, None
    return (
        side_table(folder / "targets.csv", TARGETS, quarantine, notes),
        side_table(folder / "episodes_played.csv", EPISODES_PLAYED, quarantine, notes),
    )


def input_hash(paths: list[Path]) -> str:
    """SHA-256 over the names and bytes of the files that were read."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        with path.open("rb") as stream:
            digest.update(f"{path.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()
