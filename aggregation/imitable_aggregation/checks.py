"""Turning text into typed columns, and saying of every row whether it can be used and if not, why.

All checks run on whole columns, so a million rows take a few seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from . import scoring
from .guarding import SIGNS
from .tables import GUESSES, PHASES, Table

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_PLAIN_NUMBER = r"^-?\d{1,30}(\.\d{1,30})?([eE][-+]?\d{1,2})?$"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WORDS = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}
_GUARDED = rf"^'('*[{SIGNS}])"
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")
LARGEST_TRIAL = 1_000_000


def text(column: Any) -> Any:
    """A column as strings without the guard against spreadsheet formulas; missing cells are null."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not pa.types.is_string(column.type):
        column = _printed(column)
    if pc.any(pc.starts_with(column, "'")).as_py():
        column = pc.replace_substring_regex(column, _GUARDED, r"\1")
    return pc.if_else(pc.equal(column, ""), None, column)


def _printed(column: Any) -> Any:
    if pa.types.is_null(column.type) or pa.types.is_large_string(column.type):
        return column.cast(pa.string())
    return pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())


def numbers(column: Any) -> tuple[Floats, Flags]:
    """A column as floats (nan where missing or not a number), and where a cell is there but is no number."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_null(column.type):
        return _floats(column.cast(pa.float64(), safe=False)), np.zeros(len(column), dtype=bool)
    trimmed = pc.utf8_trim_whitespace(pc.fill_null(_as_string(column), ""))
    plain = pc.match_substring_regex(trimmed, _PLAIN_NUMBER)
    values = _floats(pc.if_else(plain, trimmed, None).cast(pa.float64()))
    bad = np.zeros(len(values), dtype=bool)
    rest = pc.and_(pc.invert(plain), pc.not_equal(trimmed, ""))
    for at in np.flatnonzero(_flags(rest)):
        cell = trimmed[int(at)].as_py()
        word = cell.lower().lstrip("+-")
        if _NUMBER.fullmatch(cell):
            values[at] = float(cell)
        elif word in _WORDS:
            values[at] = _WORDS[word] if word == "nan" else math.inf
            bad[at] = word == "nan"
        else:
            bad[at] = True
    return values, bad


def _as_string(column: Any) -> Any:
    return column if pa.types.is_string(column.type) else _printed(column)


def _floats(column: Any) -> Floats:
    return np.array(
        column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy(), dtype=np.float64
    )


def _flags(column: Any) -> Flags:
    return np.asarray(column.to_pandas(), dtype=bool)


def booleans(column: Any) -> tuple[npt.NDArray[np.object_], Flags]:
    """A column as True, False or None, and where a cell is there but is neither."""
    values = [None if v is None else str(v).strip().lower() for v in column.to_pylist()]
    known = [True if v in TRUE else False if v in FALSE else None for v in values]
    bad = [v not in (None, "") and k is None for v, k in zip(values, known, strict=True)]
    return np.array(known, dtype=object), np.array(bad, dtype=bool)


def instants(column: Any) -> tuple[pd.Series[pd.Timestamp], Flags]:
    """A column as UTC times (NaT where missing), and where a cell is there but is no ISO 8601 time."""
    if pa.types.is_timestamp(column.type):
        raw, there = pd.Series(_microseconds(column).to_pandas()), _flags(pc.is_valid(column))
    else:
        raw = pd.Series(text(column).to_pandas(), dtype="str")
        there = raw.notna().to_numpy()
    times = pd.to_datetime(raw, format="ISO8601", utc=True, errors="coerce").astype("datetime64[us, UTC]")
    return times, np.asarray(there & times.isna(), dtype=bool)


def _microseconds(column: Any) -> Any:
    """Timestamps as instants, whatever zone shows them; null where 64 bits do not hold them as microseconds."""
    unit = column.type.unit
    most = (2**63 - 1) // {"s": 10**6, "ms": 10**3}.get(unit, 1)
    ticks = column.cast(pa.int64())
    held = pc.and_(pc.greater_equal(ticks, -most), pc.less_equal(ticks, most))
    return pc.if_else(held, ticks, None).cast(pa.timestamp(unit, "UTC"))


def typed(cells: Any, table: Table) -> tuple[pd.DataFrame, dict[str, Flags]]:
    """Every column of a pyarrow table as its contract says, and where a cell could not be read so."""
    columns: dict[str, Any] = {}
    bad: dict[str, Flags] = {}
    for name in cells.column_names:
        column = cells[name].combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        known = table.column(name)
        match known.type if known else "string":
            case "number" | "integer":
                columns[name], bad[name] = numbers(column)
            case "boolean":
                columns[name], bad[name] = booleans(column)
            case "datetime":
                columns[name], bad[name] = instants(column)
            case _:
                columns[name] = pd.Series(text(column).to_pandas(), dtype="str")
    return pd.DataFrame(columns, index=pd.RangeIndex(cells.num_rows)), bad


Lowest = Callable[[str, bool], float]
"""Lower end of a target's display scale, given its id and whether its truths go below zero."""


class Reasons:
    """Why each row of a chunk cannot be used; the first reason found stands."""

    def __init__(self, n: int) -> None:
        self.of: npt.NDArray[np.object_] = np.full(n, "", dtype=object)

    def add(self, where: npt.ArrayLike, reason: Callable[[int], str] | str) -> None:
        """Give `reason` to the rows in `where` that have none yet."""
        for at in np.flatnonzero(np.asarray(where, dtype=bool) & (self.of == "")):
            self.of[at] = reason if isinstance(reason, str) else reason(int(at))


def check_guesses(
    frame: pd.DataFrame, bad: dict[str, Flags], cells: Any, lowest: Lowest
) -> tuple[npt.NDArray[np.object_], Flags]:
    """Say of each guess why it cannot be used (or nothing), and where its truth lies outside the scale."""
    reasons = Reasons(len(frame))

    def cell(name: str) -> Callable[[int], str]:
        return lambda at: f"{name} {shorten(cells[name][at].as_py())}"

    for name in ("annotator_id", "target_id"):
        reasons.add(frame[name].isna() | (frame[name].str.strip() == ""), f"{name} is empty")
    phase = frame["phase"].str.strip()
    frame["phase"] = phase
    reasons.add(phase.isna() | (phase == ""), "phase is empty")
    reasons.add(~phase.isin(PHASES), lambda at: f"{cell('phase')(at)} is none of {', '.join(PHASES)}")
    for name in ("trial", "guess", "truth"):
        values = frame[name].to_numpy(dtype=np.float64)
        words = bad[name] & ~_is_nan_word(cells[name], bad[name])
        reasons.add(words, lambda at, name=name: f"{cell(name)(at)} is not a number")  # type: ignore[misc]
        reasons.add(bad[name] | np.isinf(values), f"{name} is not finite")
        reasons.add(np.isnan(values), f"{name} is empty")
    trial = frame["trial"].to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore"):
        reasons.add(trial < 1, lambda at: f"{cell('trial')(at)} is below 1")
        whole = (trial == np.floor(trial)) & (trial <= LARGEST_TRIAL)
    reasons.add(~whole, lambda at: f"{cell('trial')(at)} is not a whole number up to {LARGEST_TRIAL}")
    usable = reasons.of == ""
    low = _lows(frame, usable, lowest)
    outside: Flags = np.zeros(len(frame), dtype=bool)
    for name in ("truth", "guess"):
        values = frame[name].to_numpy(dtype=np.float64)
        with np.errstate(invalid="ignore"):
            out = (values < low) | (values > scoring.TOP)
        if name == "truth":
            outside = out & usable
        reasons.add(out, lambda at, name=name: f"{cell(name)(at)} is outside {low[at]:g} to 10")  # type: ignore[misc]
    if "l_ref" in frame:
        reference = frame["l_ref"].to_numpy(dtype=np.float64)
        with np.errstate(invalid="ignore"):
            wrong = bad["l_ref"] | (reference <= 0) | np.isinf(reference)
        reasons.add(wrong, lambda at: f"{cell('l_ref')(at)} is not a number above 0")
        reasons.add(
            not_a_reference(reference),
            lambda at: f"{cell('l_ref')(at)} is no loss on the display scale, which is {scoring.LEAST_L_REF:g} to 10",
        )
    return reasons.of, outside


def not_a_reference(l_ref: Floats) -> Flags:
    """Where a reference loss is smaller or larger than one on the display scale can be."""
    with np.errstate(invalid="ignore"):
        return np.asarray((l_ref < scoring.LEAST_L_REF) | (l_ref > scoring.TOP * (1 + 1e-6)), dtype=bool)


def _is_nan_word(column: Any, bad: Flags) -> Flags:
    words = np.zeros(len(bad), dtype=bool)
    for at in np.flatnonzero(bad):
        words[at] = str(column[int(at)].as_py()).strip().lower().lstrip("+-") in _WORDS
    return words


def _lows(frame: pd.DataFrame, usable: Flags, lowest: Lowest) -> Floats:
    codes, targets = pd.factorize(frame["target_id"])
    truths = frame["truth"].to_numpy(dtype=np.float64)
    below = np.zeros(len(targets), dtype=bool)
    below[np.unique(codes[usable & (truths < 0)])] = True
    ends = np.array([lowest(str(t), bool(b)) for t, b in zip(targets, below, strict=True)] + [0.0])
    return np.asarray(ends[codes], dtype=np.float64)


def shorten(value: object) -> str:
    """A cell as it is quoted in a reason."""
    cell = str(value)
    cell = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cell[:60])
    return repr(cell) if len(str(value)) <= 60 else repr(cell + "…")


def plausible_guess(cells: dict[str, str]) -> bool:
    """Whether a record could be a good guess: cheap, and a little laxer than `check_guesses`."""
    return (
        cells["phase"].strip() in PHASES
        and bool(cells["annotator_id"].strip() and cells["target_id"].strip())
        and all(_NUMBER.fullmatch(cells[name].strip()) for name in ("trial", "guess", "truth"))
    )


def missing_columns(found: Iterable[str], table: Table = GUESSES) -> list[str]:
    """Required columns of a table that are not there, in the order of the contract."""
    names = set(found)
    return [name for name in table.required if name not in names]
