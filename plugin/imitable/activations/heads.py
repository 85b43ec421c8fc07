"""Attention heads as targets: how much a head writes to the residual stream, or how much along one direction.

What goes into attention's output projection W_O is the heads' mixed values z_h side by side, and W_O splits into one
W_O^h a head. A head's output is W_O^h z_h, a vector of the hidden space; these add up to the projection's output less
its bias, which belongs to no head and is left out here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imitable.activations.anatomy import Anatomy
from imitable.activations.models import Loaded
from imitable.activations.modules import plain_weight
from imitable.activations.sites import Site
from imitable.errors import CampaignError, ModelError
from imitable.targets.ids import kind_of_site


@dataclass(frozen=True, eq=False)
class HeadNorms:
    """|W_O^h z_h|, the Euclidean length of a head's output: 0 or more, in units of the residual stream.

    With W_O^h = QR, where Q's columns are orthonormal, this is |R z_h|: as exact as the whole product, at the cost of
    one head's width instead of the model's.
    """

    factors: Any
    """R of every head: a (heads, min(hidden, head_dim), head_dim) float32 tensor."""

    def __call__(self, caught: Any, units: Sequence[int] | None) -> Any:
        import torch

        factors = self.factors.to(caught.device)
        z = caught.float().unflatten(-1, (len(factors), -1))
        # head by head: a head's numbers then do not depend on which others are asked for
        norms = [torch.linalg.vector_norm(z[..., head, :] @ factors[head].T, dim=-1) for head in _all(units, factors)]
        return torch.stack(norms, dim=-1)


@dataclass(frozen=True, eq=False)
class HeadsAlong:
    """(W_O^h z_h)·d = z_h·(W_O^hᵀ d): what a head adds along d, with its sign.

    d is taken as it was given and is not normalised: twice as long a d makes activations twice as large.
    """

    pulled: Any
    """W_O^hᵀ d of every head: a (heads, head_dim) float32 tensor."""

    def __call__(self, caught: Any, units: Sequence[int] | None) -> Any:
        import torch

        pulled = self.pulled.to(caught.device)
        z = caught.float().unflatten(-1, (len(pulled), -1))
        return torch.stack([z[..., head, :] @ pulled[head] for head in _all(units, pulled)], dim=-1)


def head_site(
    loaded: Loaded,
    anatomy: Anatomy,
    layer: int,
    *,
    along: npt.NDArray[np.floating] | None = None,
    name: str | None = None,
    file_hash: str = "",
) -> Site:
    """The heads of one block: `head.L.norm`, or `head.L.along-NAME` when given a direction (hidden,) and its name.

    `file_hash`: of the file that the direction comes from.

    Raises ModelError, with the reason, for a block whose heads cannot be vouched for, and for a direction that does
    not fit the model.
    """
    import torch

    block = anatomy.block(layer)
    if block.attention is None:
        raise ModelError(f"{anatomy.model_id}, {block.path}: {block.attention_refused}")
    weight = plain_weight(loaded.model.get_submodule(block.attention_projection)).double().cpu()
    by_head = weight.unflatten(1, (block.heads, block.head_dim)).transpose(0, 1)  # (heads, hidden, head_dim)
    reading: HeadNorms | HeadsAlong
    if along is None and name is None:
        site, reading = f"head.{layer}.norm", HeadNorms(torch.linalg.qr(by_head, mode="r").R.float())
    else:
        site = f"head.{layer}.along-{name or ''}"
        direction = torch.from_numpy(_checked(along, site, anatomy))
        reading = HeadsAlong((by_head.transpose(1, 2) @ direction).float())
    return Site(site, layer, block.attention, block.heads * block.head_dim, block.heads, reading, file_hash)


def _all(units: Sequence[int] | None, heads: Any) -> Sequence[int]:
    return range(len(heads)) if units is None else units


def _checked(along: npt.NDArray[np.floating] | None, site: str, anatomy: Anatomy) -> npt.NDArray[np.float64]:
    """A direction in float64, if it and its name can make a site of this model."""
    try:
        kind_of_site(site)
    except CampaignError as error:
        raise ModelError(
            f"'{site}' is not a site of heads: name the direction with letters, digits, '-' and '_'."
        ) from error
    if along is None:
        raise ModelError(f"{site} needs the direction itself. Give `along` the {anatomy.hidden} numbers of it.")
    if along.shape != (anatomy.hidden,):
        raise ModelError(
            f"{site}: the direction has shape {along.shape}, and {anatomy.model_id} is {anatomy.hidden} wide. "
            f"Give one of shape ({anatomy.hidden},)."
        )
    if not np.isfinite(along).all() or not along.any():
        raise ModelError(f"{site}: the direction is zero, or not of finite numbers. Give another direction.")
    return along.astype(np.float64)
