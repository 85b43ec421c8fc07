"""A site: a place in a model whose units can be targets, and how their activations are read from what passes there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol


@dataclass(frozen=True)
class Tap:
    """Where a hook listens: what goes into a module, or what comes out of it."""

    module: str
    """Path of the module, as `get_submodule` takes it."""
    side: Literal["input", "output"]
    """`input`: its first positional argument. `output`: what it returns (the first part, where that is a tuple)."""


class Reading(Protocol):
    """Turns what a tap caught into the activations of units. An object that can be pickled and is never changed."""

    def __call__(self, caught: Any, units: Sequence[int] | None) -> Any:
        """(..., d) tensor of any floating type -> (..., units) float32 tensor; all units of the site for None.

        All units may also come in the type that was caught, where nothing is computed.
        """
        ...


@dataclass(frozen=True)
class Site:
    """A place whose units can be targets."""

    name: str
    """As in target ids: `mlp.3`, `sae.res8k.4`."""
    layer: int
    """0-based block."""
    tap: Tap
    d_in: int
    """Width of what the tap catches."""
    width: int
    """Number of units."""
    reading: Reading
    file_hash: str = ""
    """SHA-256 of the file of the probe, directions or SAE; empty for a site of the model alone."""


@dataclass(frozen=True)
class Coordinates:
    """Units that are coordinates of what was caught: MLP neurons."""

    def __call__(self, caught: Any, units: Sequence[int] | None) -> Any:
        import torch

        if units is None:
            return caught
        rows = caught.reshape(-1, caught.shape[-1])
        chosen = rows.index_select(1, torch.tensor(units, device=caught.device))
        return chosen.float().reshape(*caught.shape[:-1], len(units))
