"""What stands between the residual stream and who reads it: a norm, recognised by what it does and not by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from imitable.activations.anatomy import Anatomy
from imitable.activations.models import Loaded
from imitable.activations.modules import linear_shape
from imitable.activations.sites import Tap
from imitable.activations.watching import Glimpse, glimpse

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Norm:
    """x -> gain · (x - mean) / size(x) + shift; `mean` and `size` are of each vector, over its d numbers.

    At one token the size is one number, so that all that was added to the stream before still adds up after it.
    """

    tap: Tap
    """Where x, the residual stream, is caught."""
    kind: Literal["none", "rms", "layer"]
    """`none`: as it is. `rms`: size is the root of the mean square. `layer`: less the mean, by the deviation."""
    epsilon: float
    """Added under the root."""
    gain: Floats
    """(d,)"""
    shift: Floats
    """(d,)"""

    def size(self, x: Any) -> Any:
        """(..., d) -> (...), torch tensor or array in and out."""
        if self.kind == "none":
            return (x * 0).sum(-1) + 1
        centred = x - x.mean(-1, keepdims=True) if self.kind == "layer" else x
        return ((centred**2).mean(-1) + self.epsilon) ** 0.5

    def folded(self, weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
        """Rows (n, d) and biases (n,) that read the stream as `weight` and `bias` read what the norm makes of it."""
        rows = weight * self.gain
        if self.kind == "layer":
            rows = rows - rows.mean(1, keepdims=True)
        return rows, bias + weight @ self.shift


def plain(tap: Tap, hidden: int) -> Norm:
    """No norm: the stream is read as it is."""
    return Norm(tap, "none", 0.0, np.ones(hidden, np.float32), np.zeros(hidden, np.float32))


def norm_before(loaded: Loaded, anatomy: Anatomy, layer: int) -> Norm | None:
    """The norm whose output a block's MLP is given, or None where what stands there is none that is known.

    One text is run; a module is taken for a norm when its output is what the MLP was given, and when
    its weights, put into the formula, make that output of its input.
    """
    import torch

    block = anatomy.block(layer)
    inside = loaded.model.get_submodule(block.path).named_modules()
    names = [f"{block.path}.{name}" for name, module in inside if name and linear_shape(module) is None]
    seen = glimpse(loaded, [*names, block.mlp_up[0]])
    given = next(each.given for each in reversed(seen) if each.name == block.mlp_up[0])
    makers = [each for each in reversed(seen) if each.made.shape == given.shape and torch.equal(each.made, given)]
    if not makers:  # a sum: the stream itself, where norms stand behind what is added and not before what reads
        return plain(Tap(block.mlp_up[0], "input"), anatomy.hidden)
    return next((found for each in makers if (found := _recognised(each)) is not None), None)


def _recognised(seen: Glimpse) -> Norm | None:
    """The formula that a module follows on what it was given; None when it follows none of those known."""
    import torch

    module, x = seen.module, seen.given
    weight = getattr(module, "weight", None)
    weight = torch.ones_like(x[0]) if weight is None else weight
    if not isinstance(weight, torch.Tensor) or weight.shape != x.shape[-1:] or x.shape != seen.made.shape:
        return None
    bias = getattr(module, "bias", None)
    shift = bias if isinstance(bias, torch.Tensor) else torch.zeros_like(weight)
    stated = (getattr(module, "variance_epsilon", None), getattr(module, "eps", None))
    epsilon = float(next((each for each in stated if each is not None), 1e-6))
    for kind in ("rms", "layer"):
        for gain in (weight, weight + 1):  # Gemma keeps what is to be added to one
            norm = Norm(
                Tap(seen.name, "input"),
                kind,
                epsilon,
                gain.detach().float().cpu().numpy(),
                shift.detach().float().cpu().numpy(),
            )
            centred = x - x.mean(-1, keepdim=True) if kind == "layer" else x
            made = gain.float() * centred / norm.size(x)[..., None] + shift.float()
            if torch.allclose(made, seen.made, rtol=1e-3, atol=1e-4 * float(seen.made.abs().max())):
                return norm
    return None
