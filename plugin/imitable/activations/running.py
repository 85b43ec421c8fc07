"""Running a model over a shard: no padding, no language-modelling head, no layer deeper than the deepest one read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from imitable.activations.models import Loaded
from imitable.activations.moments import Moments, Sums
from imitable.activations.shards import BATCH_TOKENS, Shard
from imitable.activations.sites import Site, Tap
from imitable.errors import ModelError

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
"""Places of tokens in a shard, (windows, length)."""
Take = Callable[[Tap, Any, Places], None]
"""Told a tap, what it caught, (windows, length, d), and the tokens' places."""
Dtype = Literal["float32", "bfloat16"]

_DEVICE_BATCH_TOKENS = 2**16
"""An accelerator wants more at a time than a processor."""


class Task(Protocol):
    """Something to compute of every shard, which can be sent to another process."""

    @property
    def dtype(self) -> Dtype:
        """What the model is run in."""
        ...

    def __call__(self, loaded: Loaded, shard: Shard) -> dict[Any, Any]:
        """Arrays or their like, by name."""
        ...


@dataclass(frozen=True)
class Work:
    """What to compute of every shard. Can be sent to another process."""

    sites: tuple[Site, ...]
    units: Mapping[str, tuple[int, ...]] | None
    """The units to read at every token, by site name; None for the moments of all units of all sites."""
    dtype: Dtype

    def __call__(self, loaded: Loaded, shard: Shard) -> dict[str, Any]:
        """By site name: Moments, or a (tokens, units) float32 array in the order of the shard's tokens."""
        return moments(loaded, shard, self) if self.units is None else columns(loaded, shard, self)


def moments(loaded: Loaded, shard: Shard, work: Work) -> dict[str, Moments]:
    """Moments of all units of the sites over the shard's focusable tokens, in memory O(units)."""
    import torch

    sums = {site.name: Sums(site.width) for site in work.sites}
    sites = by_tap(work.sites)

    def take(tap: Tap, caught: Any, places: Places) -> None:
        rows = torch.from_numpy(np.flatnonzero(shard.focusable[places])).to(caught.device)
        if len(rows):
            picked = caught.reshape(-1, caught.shape[-1]).index_select(0, rows)
            for site in sites[tap]:
                sums[site.name].add(site.reading(picked, None))

    for _ in run(loaded, shard, list(sites), take, dtype=work.dtype):
        pass
    found = {name: each.result() for name, each in sums.items()}
    for name, each in found.items():
        if each.count and not (np.isfinite(each.mean).all() and np.isfinite(each.powers).all()):
            raise not_finite(loaded, name)
    return found


def columns(loaded: Loaded, shard: Shard, work: Work) -> dict[str, Floats]:
    """Activations of chosen units at every token of the shard."""
    chosen = {site.name: (work.units or {})[site.name] for site in work.sites}
    read: dict[str, Floats] = {
        name: np.empty((len(shard.tokens), len(units)), np.float32) for name, units in chosen.items()
    }
    sites = by_tap(work.sites)

    def take(tap: Tap, caught: Any, places: Places) -> None:
        for site in sites[tap]:
            values = site.reading(caught, chosen[site.name]).cpu().numpy()
            if not np.isfinite(values).all():
                raise not_finite(loaded, site.name)
            read[site.name][places] = values

    for _ in run(loaded, shard, list(sites), take, dtype=work.dtype):
        pass
    return read


def run(loaded: Loaded, shard: Shard, taps: Sequence[Tap], take: Take, *, dtype: Dtype = "float32") -> Iterator[Places]:
    """Run the model on every window of the shard, in batches of windows of one length.

    `take` is given what each tap catches, at once, so that the model's own memory is not kept. Yields the batch's
    tokens' places after each batch. Batches are a function of the shard alone. The forward pass ends as soon as every
    tap has caught something.
    """
    import torch

    at_once = BATCH_TOKENS if loaded.device == "cpu" else _DEVICE_BATCH_TOKENS
    with _listening(loaded.in_dtype(dtype), taps, take) as hear:
        for _windows, places in shard.batches(at_once):
            tokens = torch.from_numpy(shard.tokens[places].astype(np.int64)).to(loaded.device)
            with torch.inference_mode():
                hear(tokens, places)
            yield places


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread, here and in threads begun here: sums then do not depend on how many there are."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Enough(Exception):
    """Every tap has caught something: the rest of the forward pass is not needed."""


@contextmanager
def _listening(model: Any, taps: Sequence[Tap], take: Take) -> Iterator[Callable[[Any, Places], None]]:
    """Hooks on the taps, and a function that runs the model on a (windows, length) tensor of tokens.

    Several threads may listen to one model: each takes what its own forward pass caught.
    """
    mine = threading.get_ident()
    caught: set[Tap] = set()
    places: Places

    def catch(tap: Tap, value: Any) -> None:
        if threading.get_ident() != mine:
            return
        x = value[0] if isinstance(value, tuple) else value
        take(tap, x.reshape(*places.shape, x.shape[-1]), places)
        caught.add(tap)
        if len(caught) == len(taps):
            raise _Enough

    def into(tap: Tap) -> Callable[[Any, Any], None]:
        return lambda _module, arguments: catch(tap, arguments)

    def out_of(tap: Tap) -> Callable[[Any, Any, Any], None]:
        return lambda _module, _arguments, result: catch(tap, result)

    handles = []
    for tap in taps:
        module = model.get_submodule(tap.module)
        if tap.side == "input":
            handles.append(module.register_forward_pre_hook(into(tap)))
        else:
            handles.append(module.register_forward_hook(out_of(tap)))

    def hear(tokens: Any, at: Places) -> None:
        nonlocal places
        places = at
        caught.clear()
        try:
            model(input_ids=tokens)
        except _Enough:
            return
        silent = next(tap.module for tap in taps if tap not in caught)
        raise ModelError(
            f"{silent} was not reached when the model ran on a text, so that nothing can be read there. Choose other "
            "sites."
        )

    try:
        yield hear
    finally:
        for handle in handles:
            handle.remove()


def by_tap(sites: Sequence[Site]) -> dict[Tap, list[Site]]:
    """Sites by where a hook listens for them."""
    found: dict[Tap, list[Site]] = {}
    for site in sites:
        found.setdefault(site.tap, []).append(site)
    return found


def not_finite(loaded: Loaded, site: str) -> ModelError:
    """The error for NaN or infinite activations."""
    return ModelError(
        f"{loaded.model_id}, {site}: the model gives NaN or infinite activations. Check its weights; imitable computes "
        "truths in float32."
    )
