"""How a command says that it is getting on, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Advance = Callable[[int], object]
"""Told how many more units of work are done."""

Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""`with progress("Reading activations", total) as advance:` the CLI draws a bar, the library twin draws nothing."""


@contextmanager
def silent(_what: str, _total: int) -> Iterator[Advance]:
    """The default: no one is listening."""
    yield lambda _done: None
