"""Running a model over windows and reading chosen units, without padding and without storing what is not needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imitable.activations.models import Loaded
from imitable.activations.sites import Site
from imitable.activations.windows import Window
from imitable.errors import ModelError

Floats = npt.NDArray[np.float32]
Tick = Callable[[int], object]
"""Told the number of tokens done by each batch: progress."""

_TOKENS_A_BATCH = 4096


@dataclass(frozen=True)
class Scan:
    """Windows and the sites to read in one run of the model over them."""

    loaded: Loaded
    windows: Sequence[Window]
    sites: Sequence[Site]

    @property
    def tokens(self) -> int:
        """Tokens in all windows."""
        return sum(len(window.token_ids) for window in self.windows)


@dataclass(frozen=True)
class Moments:
    """Moments of every unit of a site over all focusable tokens. Arrays have one entry a unit."""

    mean: npt.NDArray[np.float64]
    sd: npt.NDArray[np.float64]
    kurtosis: npt.NDArray[np.float64]
    """Excess kurtosis; 0 for a constant unit."""
    minimum: npt.NDArray[np.float64]
    maximum: npt.NDArray[np.float64]


def moments(scan: Scan, *, tick: Tick | None = None) -> dict[str, Moments]:
    """Moments of all units of the scanned sites, by site name, in one pass and in memory O(units)."""
    sums = {site.name: _Sums(site.width) for site in scan.sites}
    for batch, read in _run(scan, tick):
        rows = _focusable(scan, batch)
        for site in scan.sites:
            sums[site.name].add(read[site.name].reshape(-1, site.width)[rows])
    return {name: each.result() for name, each in sums.items()}


def columns(scan: Scan, units: Mapping[str, Sequence[int]], *, tick: Tick | None = None) -> dict[str, list[Floats]]:
    """Activations of chosen units (by site name) at every token: a list of (tokens, units) arrays, one a window.

    Computed with one torch thread, in batches that depend on the windows alone, so that the same windows give the
    same bytes.
    """
    kept: dict[str, list[Floats]] = {name: [np.empty(0, np.float32)] * len(scan.windows) for name in units}
    with _one_thread():
        for batch, read in _run(scan, tick):
            for name, chosen in units.items():
                values = read[name][:, :, list(chosen)]
                for row, index in enumerate(batch):
                    kept[name][index] = np.ascontiguousarray(values[row])
    return kept


class _Sums:
    """Power sums about the first row, so that no precision is lost to a large mean."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.origin: npt.NDArray[np.float64] | None = None
        self.powers = np.zeros((4, width))
        self.minimum = np.full(width, np.inf)
        self.maximum = np.full(width, -np.inf)

    def add(self, rows: Floats) -> None:
        if len(rows) == 0:
            return
        self.minimum = np.minimum(self.minimum, rows.min(axis=0))
        self.maximum = np.maximum(self.maximum, rows.max(axis=0))
        x = rows.astype(np.float64)
        if self.origin is None:
            self.origin = x.mean(axis=0)
        x -= self.origin
        squares = x * x
        self.powers[0] += x.sum(axis=0)
        self.powers[1] += squares.sum(axis=0)
        self.powers[2] += np.einsum("ij,ij->j", squares, x)
        self.powers[3] += np.einsum("ij,ij->j", squares, squares)
        self.count += len(x)

    def result(self) -> Moments:
        if self.origin is None:
            raise ModelError("No token of the corpus can be asked about. Use longer texts, or a smaller min_tokens.")
        a, b, c, d = self.powers / self.count
        variance = np.maximum(b - a**2, 0)
        fourth = d - 4 * a * c + 6 * a**2 * b - 3 * a**4
        with np.errstate(divide="ignore", invalid="ignore"):
            kurtosis = np.where(variance > 1e-12, fourth / variance**2 - 3, 0.0)
        return Moments(self.origin + a, np.sqrt(variance), kurtosis, self.minimum, self.maximum)


def _focusable(scan: Scan, batch: Sequence[int]) -> npt.NDArray[np.intp]:
    """Rows of the flattened (batch x tokens) array that may be asked about."""
    length = len(scan.windows[batch[0]].token_ids)
    return np.array([row * length + at for row, index in enumerate(batch) for at in scan.windows[index].focusable])


def _run(scan: Scan, tick: Tick | None) -> Iterator[tuple[list[int], dict[str, Any]]]:
    """Run the model batch by batch over windows of equal length: (window indices, site -> (B, T, F) array)."""
    import torch

    model = scan.loaded.model
    caught: dict[str, Any] = {}

    def catch(name: str) -> Callable[[Any, Any], None]:
        def hook(_module: Any, args: Any) -> None:
            caught[name] = args[0].detach()

        return hook

    handles = [model.get_submodule(site.tap.module).register_forward_pre_hook(catch(site.name)) for site in scan.sites]
    try:
        for batch in _batches(scan.windows):
            tokens = torch.tensor([scan.windows[index].token_ids for index in batch])
            with torch.inference_mode():
                model(input_ids=tokens)
            read = {
                site.name: caught[site.name].reshape(*tokens.shape, site.width).float().cpu().numpy()
                for site in scan.sites
            }
            for name, values in read.items():
                if not np.isfinite(values).all():
                    raise ModelError(
                        f"{scan.loaded.model_id}, {name}: the model gives NaN or infinite activations. "
                        "Check its weights; imitable runs it in float32."
                    )
            yield batch, read
            if tick is not None:
                tick(tokens.numel())
    finally:
        for handle in handles:
            handle.remove()


def _batches(windows: Sequence[Window]) -> Iterator[list[int]]:
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, window in enumerate(windows):
        by_length[len(window.token_ids)].append(index)
    for length, indices in sorted(by_length.items()):
        size = max(1, _TOKENS_A_BATCH // length)
        for start in range(0, len(indices), size):
            yield indices[start : start + size]


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
