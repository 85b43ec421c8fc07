"""next.csv: where the next episodes should go. Written all at once; read without mercy, since it is obeyed."""

from __future__ import annotations

import contextlib
import csv
import math
import os
import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .csv_writing import to_csv
from .errors import TableError
from .guarding import guarded

COLUMNS = ("target_id", "level", "probability")
ROUNDING = 1e-6
"""How far above 1 the probabilities may sum."""


@dataclass(frozen=True)
class Planned:
    """That an episode shall be on this target at this level, with this probability."""

    target_id: str
    level: str
    probability: float
    """Above 0, at most 1."""


def write_plan(path: Path, plan: pd.DataFrame) -> None:
    """Write a plan's columns; the file appears whole or not at all. Raises TableError where it cannot be written."""
    if os.path.isdir(path):
        raise TableError("is a folder", remedy="give the path of a file, such as next.csv", file=path)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("xb") as stream:
            stream.write(to_csv(plan[list(COLUMNS)]))
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except OSError as error:
        raise TableError(f"cannot be written ({error})", remedy="check the place", file=path) from error
    finally:
        with contextlib.suppress(OSError):  # where it could not be made, it cannot be removed
            fresh.unlink()


def read_plan(path: Path, *, targets: Collection[str], levels: Collection[str]) -> list[Planned]:
    """Read a plan for these targets and levels: one entry a target and level, in the file's order.

    A target and level may stand in several rows, with one probability. Raises TableError naming line and field for
    anything else than target_id, level and probability, and where all probabilities together exceed 1.
    """
    found: dict[tuple[str, str], float] = {}
    line = 1
    for line, row in _rows(path):
        one = _planned(path, line, row, targets, levels)
        key = (one.target_id, one.level)
        if found.setdefault(key, one.probability) != one.probability:
            raise TableError(
                f"{one.target_id} at the level {one.level} had the probability {found[key]:g} before, and has "
                f"{one.probability:g} here",
                remedy="give it one",
                file=path,
                row=line,
                field="probability",
            )
    if not found:
        raise TableError("plans no episode", remedy="give at least one row", file=path, row=line, field="target_id")
    total = sum(found.values())
    if total > 1 + ROUNDING:
        raise TableError(
            f"the probabilities of its targets sum to {total:.4g}, above 1",
            remedy="divide them by that",
            file=path,
            row=line,
            field="probability",
        )
    return [Planned(target, level, probability) for (target, level), probability in found.items()]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Physical line and cells of every row that is not empty."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, strict=True)
            names = [name.strip() for name in next(rows, [])]
            for name in COLUMNS:
                if names.count(name) != 1:
                    how = "lacks the column" if name not in names else "has twice the column"
                    raise TableError(
                        f"{how} {name} (found: {', '.join(names)[:200] or 'nothing'})",
                        remedy="give target_id, level and probability, as 'imitable plan --out' writes them",
                        file=path,
                        row=1,
                        field=name,
                    )
            for row in rows:
                if not row:
                    continue
                if len(row) != len(names):
                    raise TableError(
                        f"it has {len(row)} fields where the header has {len(names)}",
                        remedy="mend that line",
                        file=path,
                        row=rows.line_num,
                        field=names[min(len(row), len(names) - 1)],
                    )
                yield rows.line_num, dict(zip(names, row, strict=True))
    except FileNotFoundError as error:
        raise TableError(
            "there is no such file", remedy="write one with: imitable plan GUESSES --next 50 --out next.csv", file=path
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"cannot be read ({error})", remedy="save it as CSV in UTF-8", file=path) from error


def _planned(path: Path, line: int, row: dict[str, str], targets: Collection[str], levels: Collection[str]) -> Planned:
    target, level = (_unguarded(row[name].strip()) for name in ("target_id", "level"))
    if target not in targets:
        raise TableError(
            f"{target or 'an empty cell'} is no target of this campaign",
            remedy="plan from guesses of this campaign, or remove the line",
            file=path,
            row=line,
            field="target_id",
        )
    if level not in levels:
        raise TableError(
            f"{level or 'an empty cell'} is no level of this campaign",
            remedy=f"give one of {', '.join(sorted(levels))}",
            file=path,
            row=line,
            field="level",
        )
    try:
        probability = float(row["probability"]) if "_" not in row["probability"] else math.nan
    except ValueError:
        probability = math.nan
    if not 0 < probability <= 1:
        raise TableError(
            f"{row['probability'].strip() or 'an empty cell'} is no probability",
            remedy="give a number above 0 and at most 1",
            file=path,
            row=line,
            field="probability",
        )
    return Planned(target, level, probability)


def _unguarded(text: str) -> str:
    """Text without the guard against spreadsheet formulas that `guarding.guarded` puts in front."""
    return text[1:] if text.startswith("'") and guarded(text[1:]) == text else text
