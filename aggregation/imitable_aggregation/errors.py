"""The root of this package's errors: everything that the owner of a table can mend himself.

TableError
  ├─ a file is missing, damaged, or not a table
  ├─ a column is missing, or one target carries two reference losses
  ├─ nothing usable is left, or the numbers are not on the display scale
  └─ the folder for the results belongs to somebody else
"""

from __future__ import annotations

from pathlib import Path


class TableError(Exception):
    """A table that cannot be used as it is; the message is one sentence that ends with what to do next."""

    file: str
    """The file as the user named it, or empty where no single file is at fault."""
    row: int | None
    """Physical line (header = 1) or Parquet row number, where one row is at fault."""
    field: str
    """The column at fault, or empty."""
    remedy: str
    """What to do next, in the imperative, without a full stop."""

    def __init__(
        self, problem: str, *, remedy: str, file: Path | str = "", row: int | None = None, field: str = ""
    ) -> None:
        self.file = str(file)
        self.row = row
        self.field = field
        self.remedy = remedy
        place = self.file + (f", line {row}" if row is not None else "")
        super().__init__(f"{place + ': ' if place else ''}{problem}; {remedy}.")
