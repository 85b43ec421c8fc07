"""Directions and linear probes on the residual stream, read from the output of a block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from imitable.activations.anatomy import Anatomy
from imitable.activations.placed import Placed
from imitable.activations.sites import Site, Tap
from imitable.errors import CampaignError
from imitable.targets import Floats, Vectors, kind_of_site


@dataclass(frozen=True, eq=False)
class Linear:
    """Units that are linear in what was caught: `((x - mean) / scale) · weight + bias`."""

    placed: Placed
    """`weight` (n, d), and where there are any `bias` (n,), `mean` (d,), `scale` (d,)."""

    def __call__(self, caught: Any, units: Sequence[int] | None) -> Any:
        parts = self.placed.on(caught.device)
        rows = slice(None) if units is None else list(units)
        x = caught.float()
        if "mean" in parts:
            x = x - parts["mean"]
        if "scale" in parts:
            x = x / parts["scale"]
        read = x @ parts["weight"][rows].T
        return read + parts["bias"][rows] if "bias" in parts else read

    def rows(self) -> tuple[Floats, Floats]:
        """All units as one matrix (n, d) and biases (n,): mean and scale are folded in."""
        parts = self.placed.arrays
        weight: Floats = parts["weight"] / parts["scale"] if "scale" in parts else parts["weight"]
        bias: Floats = parts["bias"] if "bias" in parts else np.zeros(len(weight), np.float32)
        if "mean" in parts:
            bias = bias - weight @ parts["mean"]
        return weight, bias


def vector_site(
    vectors: Vectors,
    anatomy: Anatomy,
    *,
    kind: Literal["direction", "probe"],
    name: str,
    layer: int | None = None,
    model_sha256: str | None,
) -> Site:
    """The site `KIND.LAYER.NAME`, one unit a row of the file, on the output of block LAYER (caught there by a hook:
    `hidden_states[-1]` of many models has been through the final norm).

    `layer` is the one asked for, None where only the file says it; `model_sha256` is the hash of the model that runs
    (None skips the comparison). Raises CampaignError when file, model and layer do not fit together.
    """
    at = _layer(vectors, anatomy, layer)
    block = anatomy.blocks[at]
    if block.residual_refused:
        raise CampaignError(
            f"{vectors.path}: the residual stream of {anatomy.model_id}, {block.path}, cannot be read: "
            f"{block.residual_refused}"
        )
    site = f"{kind}.{at}.{name}"
    kind_of_site(site)
    width = vectors.weight.shape[1]
    if width != anatomy.hidden:
        raise CampaignError(
            f"{vectors.path}: a {kind} of the wrong width: it reads {width} numbers, and the residual stream of "
            f"{anatomy.model_id} has {anatomy.hidden}. Name the file that was made for this model."
        )
    trained = vectors.metadata.get("model_sha256")
    if trained and model_sha256 and trained != model_sha256:
        raise CampaignError(
            f"{vectors.path}: it was trained on another model ({vectors.metadata.get('model_id', 'unnamed')}, hash "
            f"{trained[:12]}; {anatomy.model_id} has {model_sha256[:12]}). Train it on this model: imitable train-probe"
        )
    if kind == "direction" and not vectors.plain:
        raise CampaignError(
            f'{vectors.path}: it has a bias, mean or scale, which directions have not. Write kind = "probe".'
        )
    linear = (
        Placed(weight=vectors.weight)
        if kind == "direction"
        else Placed(weight=vectors.weight, bias=vectors.bias, mean=vectors.mean, scale=vectors.scale)
    )
    return Site(
        name=site,
        layer=at,
        tap=Tap(block.path, "output"),
        d_in=width,
        width=vectors.weight.shape[0],
        reading=Linear(linear),
        file_hash=vectors.sha256,
    )


def _layer(vectors: Vectors, anatomy: Anatomy, asked: int | None) -> int:
    if asked is not None and vectors.layer is not None and asked != vectors.layer:
        raise CampaignError(
            f"{vectors.path}: it was made for layer {vectors.layer}, and layer {asked} was asked for. Ask for layer "
            f"{vectors.layer}."
        )
    layer = vectors.layer if asked is None else asked
    if layer is None:
        raise CampaignError(
            f"{vectors.path}: nothing says which block's output it reads. Write layer = L beside file in [[targets]]."
        )
    if not 0 <= layer < len(anatomy.blocks):
        raise CampaignError(
            f"{vectors.path}: {anatomy.model_id} has no layer {layer}; its layers are 0 to {len(anatomy.blocks) - 1}. "
            "Correct the layer."
        )
    return layer
