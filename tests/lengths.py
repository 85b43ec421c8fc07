"""How far a test looks: `make test` looks a little way, `make test-long` ten times as far."""

from __future__ import annotations

import os


def examples(short: int) -> int:
    """Hypothesis examples to try, where `short` are enough for every day."""
    return short * (10 if os.environ.get("IMITABLE_TESTS") == "long" else 1)
