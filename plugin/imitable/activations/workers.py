"""Who runs the model over the shards: threads of this process, or processes on many machines through Ray.

Whoever it is, every shard's result is the same bytes and the results come in the shards' order: each forward pass
uses one torch thread, and its batches are a function of the shard alone.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from imitable.activations.models import Loaded, load_model
from imitable.activations.running import Task, one_thread
from imitable.activations.shards import Shard
from imitable.campaign import Model
from imitable.errors import MissingExtra, ModelError

_GIL_BOUND = 10_000_000
"""Parameters below which a forward pass is mostly Python, and a second thread only waits for the first."""


class Workers(Protocol):
    """Runs one piece of work on many shards."""

    def map(self, work: Task, shards: Iterable[Shard]) -> Iterator[dict[Any, Any]]:
        """The result of every shard, in order. Shards are asked for a few ahead, never all at once."""
        ...

    def close(self) -> None:
        """Give back whatever was held."""
        ...


@dataclass(frozen=True)
class Threads:
    """Threads of this process, one forward pass each: one a core, or one alone for tiny models and accelerators."""

    loaded: Loaded
    count: int | None = None

    def map(self, work: Task, shards: Iterable[Shard]) -> Iterator[dict[Any, Any]]:
        """As `Workers.map`."""
        self.loaded.in_dtype(work.dtype)  # made here, and not by every thread
        with one_thread():
            if self._threads() == 1:
                yield from (work(self.loaded, shard) for shard in shards)
                return
            with ThreadPoolExecutor(self._threads(), initializer=_use_one_thread) as pool:
                try:
                    yield from _in_order(shards, self._threads(), lambda shard: pool.submit(work, self.loaded, shard))
                finally:
                    pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """As `Workers.close`."""

    def _threads(self) -> int:
        if self.count is not None:
            return self.count
        small = self.loaded.device != "cpu" or self.loaded.model.num_parameters() < _GIL_BOUND
        return 1 if small else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class RayWorkers:
    """Actors of a Ray cluster: one a processor, or one a GPU where the cluster has GPUs.

    Each loads the model by itself, from the same path or hub name, and must find the same weights. A shard whose
    worker was killed is done again by another.
    """

    def __init__(self, spec: Model, *, base: Path, sha256: str, address: str | None = None) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingExtra("scale", wanted_for="Building on many machines") from error
        if not ray.is_initialized():
            try:
                _knock(address)
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
            except Exception as error:  # Ray raises bare Exceptions when it cannot start
                why = (str(error).splitlines() or [type(error).__name__])[0]
                raise ModelError(
                    f"No Ray cluster answers at {address or 'this machine'} ({why}). Start one with 'ray start "
                    "--head', or leave out the address to use this machine alone."
                ) from error
        have = _free(ray)
        gpus = int(have.get("GPU", 0))
        actor = ray.remote(_Worker).options(
            num_cpus=0 if gpus else 1, num_gpus=1 if gpus else 0, max_restarts=-1, max_task_retries=-1
        )
        self._ray = ray
        self._actors = [actor.remote(spec, base, sha256) for _ in range(gpus or max(1, int(have.get("CPU", 1))))]

    def map(self, work: Task, shards: Iterable[Shard]) -> Iterator[dict[Any, Any]]:
        """As `Workers.map`."""
        sent = self._ray.put(work)
        turn = iter(range(10**12))

        def submit(shard: Shard) -> Any:
            return self._actors[next(turn) % len(self._actors)].work.remote(sent, shard)

        for answer in _in_order(shards, len(self._actors), submit, wait=self._ray.get):
            if isinstance(answer, ModelError):
                raise answer
            yield answer

    def close(self) -> None:
        """Give the workers back."""
        for actor in self._actors:
            self._ray.kill(actor)


def _knock(address: str | None) -> None:
    """Raise OSError at once where nothing listens: Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition("//")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _free(ray: Any) -> dict[str, float]:
    """What the cluster has to give. Waits a little: what was given back a moment ago is not free at once."""
    for _ in range(60):
        have: dict[str, float] = ray.available_resources()
        if have.get("CPU", 0) >= 1 or have.get("GPU", 0) >= 1:
            return have
        time.sleep(0.5)
    raise ModelError("No processor of the Ray cluster is free. Wait for what runs there, or give it more machines.")


class _Worker:
    """Lives in a process of its own."""

    def __init__(self, spec: Model, base: Path, sha256: str) -> None:
        self.loaded = load_model(spec, base=base)
        self.refusal = None
        if self.loaded.sha256 != sha256:
            self.refusal = ModelError(
                f"A worker found other weights or another tokenizer at {spec.path} than this machine has. Give all "
                "machines the same folder, or a hub name with a revision."
            )

    def work(self, work: Task, shard: Shard) -> dict[str, Any] | ModelError:
        if self.refusal is not None:
            return self.refusal
        try:
            with one_thread():
                return work(self.loaded, shard)
        except ModelError as error:
            return error


def _in_order(
    shards: Iterable[Shard],
    workers: int,
    submit: Callable[[Shard], Any],
    wait: Callable[[Any], Any] = Future.result,
) -> Iterator[Any]:
    """Results in the shards' order, with two shards a worker on their way at any time."""
    ahead: deque[Any] = deque()
    for shard in shards:
        ahead.append(submit(shard))
        if len(ahead) > 2 * workers:
            yield wait(ahead.popleft())
    while ahead:
        yield wait(ahead.popleft())


def _use_one_thread() -> None:
    import torch

    torch.set_num_threads(1)
