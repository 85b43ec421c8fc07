"""Methods in a process of their own, which is ended when it has had its time or memory."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from typing import Any

WALL = 4
"""Seconds by the clock for each second of CPU that is allowed: on a busy machine a process waits."""


def limited(measure: Callable[[], dict[str, Any]], *, seconds: int, memory: int | None = None) -> dict[str, Any]:
    """What `measure` returns, or `absent`: why there is nothing.

    It may take `seconds` of CPU, all threads together, and `memory` bytes (default: half of the machine's). Unix only.
    """
    memory = memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)

    def run() -> None:
        here.close()
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            there.send(measure())
        except ImportError as error:
            there.send({"absent": str(error)})
        except MemoryError:
            there.send({"absent": f"wanted more than {memory / 2**30:.0f} GiB"})
        except Exception as error:  # whatever keeps a rival from an answer is what the table must say
            there.send({"absent": f"{type(error).__name__}: {error}"[:100]})

    process = context.Process(target=run)
    process.start()
    there.close()
    try:
        if here.poll(seconds * WALL):
            said: dict[str, Any] = here.recv()
            return said
        return {"absent": f"not done in {seconds * WALL} s by the clock"}
    except EOFError:
        process.join()
        return {"absent": _ended(process.exitcode, seconds, memory)}
    finally:
        process.kill()
        process.join()


def _ended(code: int | None, seconds: int, memory: int) -> str:
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"not done in {seconds} s of CPU"
    if code == -signal.SIGABRT:
        return f"gave up, with {memory / 2**30:.0f} GiB at most"
    return f"ended with {code}"
