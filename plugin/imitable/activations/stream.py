"""Reading the residual stream itself, at the tokens that are asked about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imitable.activations.models import Loaded
from imitable.activations.running import Dtype, Places, run
from imitable.activations.shards import Shard
from imitable.activations.sites import Tap

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Stream:
    """Catches what passes at some taps. Can be sent to another process."""

    taps: tuple[Tap, ...]
    dtype: Dtype = "float32"

    def __call__(self, loaded: Loaded, shard: Shard) -> dict[Tap, Floats]:
        """By tap: (focusable tokens of the shard, d), in the order of the tokens."""
        rows = np.cumsum(shard.focusable) - 1
        found: dict[Tap, Floats] = {}

        def take(tap: Tap, caught: Any, places: Places) -> None:
            flat = places.reshape(-1)
            asked = np.flatnonzero(shard.focusable[flat])
            values = caught.reshape(-1, caught.shape[-1])[asked.tolist()].float().cpu().numpy()
            if tap not in found:
                found[tap] = np.zeros((int(shard.focusable.sum()), values.shape[1]), np.float32)
            found[tap][rows[flat[asked]]] = values

        for _ in run(loaded, shard, list(self.taps), take, dtype=self.dtype):
            pass
        return found
