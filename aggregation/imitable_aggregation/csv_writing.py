"""Writing CSV that spreadsheets, R and we ourselves read back without a change.

UTF-8, comma, LF, shortest floats that read back exactly, true/false, nothing for a missing cell, times in ISO 8601
UTC. Text that a spreadsheet would run as a formula is guarded; numbers never are, so that -0.5 stays a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from .guarding import guarded

_QUOTED = re.compile(r'[",\r\n]')


def _cell(value: object) -> str:
    text = guarded(str(value))
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _number(value: object) -> str:
    return repr(float(value))  # type: ignore[arg-type]


def _integer(value: object) -> str:
    return str(int(value))  # type: ignore[call-overload]


def _truth(value: object) -> str:
    return "true" if value else "false"


def _time(value: object) -> str:
    return pd.Timestamp(value).tz_convert("UTC").isoformat().replace("+00:00", "Z")  # type: ignore[arg-type]


def _mixed(value: object) -> str:
    return _truth(value) if isinstance(value, bool) else _cell(value)


def _writer(column: pd.Series[Any]) -> Callable[[object], str]:
    kinds = pd.api.types
    if kinds.is_bool_dtype(column.dtype):
        return _truth
    if kinds.is_integer_dtype(column.dtype):
        return _integer
    if kinds.is_float_dtype(column.dtype):
        return _number
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return _time
    return _mixed


def to_csv(frame: pd.DataFrame) -> bytes:
    """The bytes of a table as CSV, header first, its index left out."""
    columns: list[list[str]] = []
    for at in range(frame.shape[1]):
        column = frame.iloc[:, at]
        write = _writer(column)
        missing = column.isna()
        if write in (_cell, _mixed, _time):
            codes, values = pd.factorize(column)
            texts = [*map(write, values.tolist() if write is not _time else values), ""]
            columns.append([texts[code] for code in codes])
        elif missing.any():
            pairs = zip(column, missing, strict=True)
            columns.append(["" if gone else write(value) for value, gone in pairs])
        else:
            columns.append(list(map(write, column.tolist())))
    if len(columns) == 1:  # an empty line would be no row
        columns = [[cell or '""' for cell in columns[0]]]
    rows = [",".join(_cell(name) for name in frame.columns), *map(",".join, zip(*columns, strict=True))]
    return ("\n".join(rows) + "\n").encode()
