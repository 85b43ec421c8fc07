"""Which units are active together with chosen ones: correlations over a corpus, in memory O(chosen · units)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imitable.activations.models import Loaded
from imitable.activations.running import Dtype, Places, Work, by_tap, columns, run
from imitable.activations.shards import Shard
from imitable.activations.sites import Site, Tap

Doubles = npt.NDArray[np.float64]
Sums = dict[str, Doubles]


@dataclass(frozen=True)
class Together:
    """Takes sums over focusable tokens, of which correlations are made. Can be sent to another process."""

    chosen: Work
    """Reads the units that everything is correlated with."""
    others: tuple[Site, ...]
    """All units of these are."""

    @property
    def dtype(self) -> Dtype:
        """As a Work's."""
        return self.chosen.dtype

    def __call__(self, loaded: Loaded, shard: Shard) -> Sums:
        """`count` (1,), `chosen` (2, n): sums of y and y²; by site name (2 + n, width): sums of a, a² and y·a."""
        import torch

        read = columns(loaded, shard, self.chosen)
        y = np.concatenate([read[site.name] for site in self.chosen.sites], axis=1)
        rows = y[shard.focusable].astype(np.float64)
        found: Sums = {"count": np.array([len(rows)], np.float64), "chosen": np.stack([rows.sum(0), (rows**2).sum(0)])}
        found |= {site.name: np.zeros((2 + y.shape[1], site.width)) for site in self.others}
        sites = by_tap(self.others)

        def take(tap: Tap, caught: Any, places: Places) -> None:
            flat = places.reshape(-1)
            at = np.flatnonzero(shard.focusable[flat])
            picked = caught.reshape(-1, caught.shape[-1]).index_select(0, torch.from_numpy(at).to(caught.device))
            mine = torch.from_numpy(y[flat[at]]).to(caught.device)
            for site in sites[tap]:
                a = site.reading(picked, None).float()
                sums = torch.cat([a.sum(0)[None], (a * a).sum(0)[None], mine.T @ a])
                found[site.name] += sums.double().cpu().numpy()

        for _ in run(loaded, shard, list(sites), take, dtype=self.dtype):
            pass
        return found


def correlations(results: Iterable[Sums]) -> tuple[dict[str, Doubles], dict[str, Doubles]]:
    """From the results of all shards: by site the correlations (chosen, width), and each unit's deviation (width,).

    A unit that does not vary is correlated with nothing.
    """
    total: Sums = {}
    for sums in results:
        for name, each in sums.items():
            total[name] = each + total.get(name, 0.0)
    n = max(float(total.pop("count")[0]), 1.0)
    y, y2 = total.pop("chosen") / n
    of_chosen = np.sqrt(np.maximum(y2 - y**2, 0))
    found, deviations = {}, {}
    for name, each in total.items():
        a, a2 = each[:2] / n
        deviations[name] = np.sqrt(np.maximum(a2 - a**2, 0))
        both = of_chosen[:, None] * deviations[name]
        covariance = each[2:] / n - y[:, None] * a
        found[name] = np.divide(covariance, both, out=np.zeros_like(both), where=both > 1e-9 * np.abs(both).max())
    return found, deviations
