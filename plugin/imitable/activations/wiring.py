"""How units are joined to the residual stream: the directions that they read and those that they write.

A neuron i of an earlier block adds `activation · writes_i` to the stream, and a unit j that reads the stream sees of it
`activation · (writes_i · reads_j) / size`, where size is the norm's at that token. So `writes_i · reads_j`, with the
norm's gain in reads_j, is the strength of their connection (OpenAI, "Language models can explain neurons in language
models", 2023: W_out · (gain · W_in)). A gated neuron reads twice, by its gate and by its up projection.

Where a model puts another norm behind an MLP, before its output is added, the product is an approximation of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from imitable.activations.anatomy import Anatomy, Block
from imitable.activations.models import Loaded
from imitable.activations.modules import has_plain_weight, plain_weight
from imitable.activations.norms import Norm, norm_before, plain
from imitable.activations.sae import Latents
from imitable.activations.sites import Coordinates, Site
from imitable.activations.vectors import Linear
from imitable.activations.watching import glimpse

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Joins:
    """How some units of one place are joined to the stream. Float32."""

    norm: Norm
    reads: Floats
    """(parts, units, d): what is read, the norm's gain included. Gated neurons have two parts, the gate first."""
    bias: Floats
    """(parts, units)"""
    writes: Floats | None
    """(units, d); None where it is not known."""
    after: int
    """Neurons of blocks before this one are upstream."""
    before: int
    """Neurons of this block and later ones are downstream."""


class Wiring:
    """The joins of one model's units."""

    def __init__(self, loaded: Loaded, anatomy: Anatomy) -> None:
        self._loaded, self._anatomy = loaded, anatomy
        self.neurons = cache(self._neurons)
        """`neurons(layer)`: the joins of all neurons of a block; None where its weights cannot be vouched for."""

    def of(self, site: Site, decoder: Floats | None = None) -> Joins | None:
        """The joins of all units of a site; None where they are not known: heads, and what reads elsewhere.

        `decoder`: (units, d), what latents of an SAE write.
        """
        hidden = self._anatomy.hidden
        if isinstance(site.reading, Coordinates):
            return self.neurons(site.layer)
        block = self._anatomy.block(site.layer)
        if site.tap.module != block.path or site.d_in != hidden:
            return None
        after = site.layer + (site.tap.side == "output")
        stream = plain(site.tap, hidden)
        if isinstance(site.reading, Linear):
            rows, bias = site.reading.rows()
            return Joins(stream, rows[None], bias[None], rows, after, after)
        if isinstance(site.reading, Latents) and (found := site.reading.rows()) is not None:
            if site.reading.normalization == "constant_norm_rescale":
                stream = Norm(site.tap, "rms", 0.0, stream.gain, stream.shift)
            return Joins(stream, found[0][None], found[1][None], decoder, after, after)
        return None

    def _neurons(self, layer: int) -> Joins | None:
        block = self._anatomy.block(layer)
        if block.mlp is None:
            return None
        up = [self._loaded.model.get_submodule(path) for path in block.mlp_up]
        down = self._loaded.model.get_submodule(block.mlp.module)
        if not all(has_plain_weight(module) for module in (*up, down)):
            return None
        norm, order = norm_before(self._loaded, self._anatomy, layer), self._order(block)
        if norm is None or order is None:
            return None
        weight = np.concatenate([_array(plain_weight(module)) for module in up])
        bias = np.concatenate([_bias(module) for module in up])
        rows, biases = norm.folded(weight, bias)
        return Joins(
            norm=norm,
            reads=rows.reshape(len(order), block.mlp_width, -1)[order],
            bias=biases.reshape(len(order), block.mlp_width)[order],
            writes=np.ascontiguousarray(_array(plain_weight(down)).T),
            after=layer,
            before=layer + 1,
        )

    def _order(self, block: Block) -> list[int] | None:
        """Where the gate, then the rest, lie among the numbers that go into the neurons, `mlp_width` each.

        That is seen from the neurons: they are the activation function of the gate, times the other part. None where
        they are not, so that it is not known what a neuron reads.
        """
        import torch
        from transformers.activations import ACT2FN

        assert block.mlp is not None  # noqa: S101  # asked for blocks with neurons only
        last = {each.name: each for each in glimpse(self._loaded, [*block.mlp_up, block.mlp.module])}
        whole = torch.cat([last[name].made for name in block.mlp_up], dim=-1)
        parts, neurons = whole.split(block.mlp_width, dim=-1), last[block.mlp.module].given
        if len(parts) == 1:
            return [0]
        for gate in range(2):
            for name in ACT2FN:
                made = ACT2FN[name](parts[gate]) * parts[1 - gate]
                if torch.allclose(made, neurons, rtol=1e-3, atol=1e-4 * float(neurons.abs().max())):
                    return [gate, 1 - gate]
        return None


def strength(reads: Floats, writes: Floats) -> Floats:
    """(parts, n, d) and (m, d) -> (n, m): the larger of the connections, by size, over the parts; signed."""
    each = np.einsum("pnd,md->pnm", reads, writes, optimize=True)
    largest: Floats = np.take_along_axis(each, np.abs(each).argmax(0)[None], 0)[0]
    return largest


def _array(tensor: Any) -> Floats:
    found: Floats = tensor.detach().float().cpu().numpy()
    return found


def _bias(module: Any) -> Floats:
    bias = getattr(module, "bias", None)
    return np.zeros(plain_weight(module).shape[0], np.float32) if bias is None else _array(bias)
