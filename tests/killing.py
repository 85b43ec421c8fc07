"""kill -9 of a process that pays, at one of its requests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any


def dying(once: Callable[..., Any], when: str, number: int) -> Callable[..., Any]:
    """The request that pays, at which the process dies when its turn comes: `before` it is sent, or `after`."""
    turn = 0

    def counted(*asked: Any, **fields: Any) -> Any:
        nonlocal turn
        turn += 1
        if turn == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = once(*asked, **fields)
        if turn == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return counted
