"""Text that a spreadsheet would run as a formula gets a `'` in front.

So that reading undoes exactly what writing did, text that already looks guarded is guarded once more.
"""

from __future__ import annotations

import re

SIGNS = "=+\\-@\t\r\uff1d\uff0b\uff0d\uff20"
"""What text begins with that some spreadsheet runs as a formula: = + - @, also in full width, tab, carriage return."""

_FORMULA = re.compile(rf"'*[{SIGNS}]")


def guarded(text: str) -> str:
    """Text as a spreadsheet may see it: a `'` before what would begin a formula."""
    return f"'{text}" if _FORMULA.match(text) else text
