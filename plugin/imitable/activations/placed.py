"""Arrays that a reading works with, as tensors on whichever device the model runs."""

from __future__ import annotations

from typing import Any

from imitable.targets import Floats


class Placed:
    """Named float32 arrays. Their copies on a GPU are made once; pickles hold the arrays alone."""

    def __init__(self, **arrays: Floats | None) -> None:
        self.arrays = {name: array for name, array in arrays.items() if array is not None}
        """As they were given."""
        self._copies: dict[Any, dict[str, Any]] = {}

    def on(self, device: Any) -> dict[str, Any]:
        """The arrays as tensors on a torch device, by name."""
        import torch

        if device not in self._copies:
            self._copies[device] = {name: torch.from_numpy(each).to(device) for name, each in self.arrays.items()}
        return self._copies[device]

    def __getstate__(self) -> dict[str, Floats]:
        return self.arrays

    def __setstate__(self, arrays: dict[str, Floats]) -> None:
        self.__init__(**arrays)  # type: ignore[misc]  # the state is what it was made from
