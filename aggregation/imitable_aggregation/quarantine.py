"""The rows that could not be used, each with its line and a reason; bounded, however many there are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa

from .csv_lines import Spoiled
from .errors import TableError
from .tables import QUARANTINE

MOST = 1_000_000
"""Rows that may be put aside. More is no longer a file with some bad rows in it."""
WHOLE = 10_000
"""Rows that are kept as found; later ones are cut."""
CUT = 200
"""Characters that later rows are cut to."""
SCHEMA = pa.schema([("file", pa.string()), ("line", pa.int64()), ("row", pa.string()), ("reason", pa.string())])


class Quarantine:
    """Rows put aside, in the order they are met."""

    def __init__(self) -> None:
        self.first: tuple[str, int, str] | None = None
        """File, line and reason of the first trouble of the first file that has any."""
        self._count = 0
        self._blocks: list[pa.Table] = []
        self._fresh: list[tuple[str, int, str, str]] = []

    def __len__(self) -> int:
        return self._count

    def has_room(self, rows: int) -> bool:
        """Whether so many more may be put aside."""
        return self._count + rows <= MOST

    def add(self, file: Path, spoiled: list[Spoiled]) -> None:
        """Put rows of one file aside. Raises TableError when there are too many."""
        for one in spoiled:
            self._count += 1
            row = one.row if self._count <= WHOLE or len(one.row) <= CUT else one.row[:CUT] + "…"
            self._fresh.append((file.name, one.line, row, one.reason))
            if self.first is None or (file.name == self.first[0] and one.line < self.first[1]):
                self.first = (file.name, one.line, one.reason)
            if len(self._fresh) >= WHOLE:
                self._pack()
            if self._count > MOST:
                raise TableError(
                    f"more than {MOST:,} rows cannot be used, most often because {self._commonest()}",
                    remedy=f"mend {self.trouble()}",
                    file=file,
                )

    def trouble(self) -> str:
        """What is to be mended, in words."""
        if self.first is None:
            return "the file: it holds a header only"
        file, line, reason = self.first
        return f"its rows; the first trouble is in {file}, line {line}: {reason}"

    def frame(self) -> pd.DataFrame:
        """All of them by file and line."""
        self._pack()
        table = pa.concat_tables([SCHEMA.empty_table(), *self._blocks])
        frame = pd.DataFrame(table.sort_by([("file", "ascending"), ("line", "ascending")]).to_pandas())
        names = [column.name for column in QUARANTINE.columns]
        return frame[names].astype({"file": "str", "line": "int64", "row": "str", "reason": "str"})

    def _pack(self) -> None:
        if self._fresh:
            columns = [list(column) for column in zip(*self._fresh, strict=True)]
            self._blocks.append(pa.table(columns, schema=SCHEMA))
            self._fresh.clear()

    def _commonest(self) -> str:
        self._pack()
        counts = Counter(str(reason) for block in self._blocks for reason in block["reason"].to_pylist())
        return counts.most_common(1)[0][0]
