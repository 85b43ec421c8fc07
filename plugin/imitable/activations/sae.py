"""Latents of sparse autoencoders: where in a model they read, and how they are encoded, in float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imitable.activations.anatomy import Anatomy, Block
from imitable.activations.models import Loaded
from imitable.activations.placed import Placed
from imitable.activations.sites import Site, Tap
from imitable.errors import CampaignError
from imitable.targets import Floats, SaeArchitecture, SaeFile, SaeNormalization, kind_of_site

_AT_ONCE = 2**25
"""Pre-activations held at one time where all latents must be known: 128 MB."""


@dataclass(frozen=True, eq=False)
class Latents:
    """Activations of latents, as SAELens encodes. Where a latent depends on no other, only those asked for are
    computed; topk needs them all."""

    architecture: SaeArchitecture
    normalization: SaeNormalization
    k: int
    placed: Placed
    """As `SaeFile.weights`."""

    def __call__(self, caught: Any, units: Sequence[int] | None) -> Any:
        import torch

        weights = self.placed.on(caught.device)
        x = self._normalized(caught.float())
        if "b_dec" in weights:
            x = x - weights["b_dec"]
        if self.architecture == "topk":
            return self._topk(x, weights, units)
        chosen = slice(None) if units is None else list(units)
        own = {name: each[..., chosen] for name, each in weights.items() if name != "b_dec"}
        if self.architecture == "gated":
            open_gates = x @ own["W_enc"] + own["b_gate"] > 0
            return torch.relu(x @ (own["W_enc"] * own["r_mag"].exp()) + own["b_mag"]) * open_gates
        pre = x @ own["W_enc"] + own["b_enc"]
        if self.architecture == "jumprelu":
            return torch.relu(pre) * (pre > own["threshold"])
        return torch.relu(pre)

    def rows(self) -> tuple[Floats, Floats] | None:
        """What every latent reads of the (normalised) stream: a matrix (d_sae, d_in) and biases (d_sae,), before what
        makes it zero or more. For gated ones that of their magnitude. None after layer_norm, which is not linear.
        """
        if self.normalization == "layer_norm":
            return None
        parts = self.placed.arrays
        weight, bias = parts["W_enc"].T, parts["b_mag" if self.architecture == "gated" else "b_enc"]
        if self.architecture == "gated":
            weight = weight * np.exp(parts["r_mag"])[:, None]
        if "b_dec" in parts:
            bias = bias - weight @ parts["b_dec"]
        if self.architecture == "topk" and "decoder_norm" in parts:
            weight, bias = weight * parts["decoder_norm"][:, None], bias * parts["decoder_norm"]
        return weight, bias

    def _normalized(self, x: Any) -> Any:
        if self.normalization == "constant_norm_rescale":
            return x * (x.shape[-1] ** 0.5 / x.norm(dim=-1, keepdim=True))
        if self.normalization == "layer_norm":
            x = x - x.mean(dim=-1, keepdim=True)
            return x / (x.std(dim=-1, keepdim=True) + 1e-5)
        return x

    def _topk(self, x: Any, weights: dict[str, Any], units: Sequence[int] | None) -> Any:
        import torch

        width = weights["W_enc"].shape[1]
        read = []
        for rows in x.reshape(-1, x.shape[-1]).split(max(1, _AT_ONCE // width)):
            pre = rows @ weights["W_enc"] + weights["b_enc"]
            if "decoder_norm" in weights:
                pre = pre * weights["decoder_norm"]
            values, places = pre.topk(self.k, dim=-1, sorted=False)
            sparse = torch.zeros_like(pre).scatter_(-1, places, values.relu())
            read.append(sparse if units is None else sparse[:, list(units)])
        return torch.cat(read).reshape(*x.shape[:-1], -1)


def sae_site(sae: SaeFile, anatomy: Anatomy, *, name: str, layer: int | None = None, loaded: Loaded | None) -> Site:
    """The site `sae.NAME.LAYER`, one unit a latent. `layer` is the one asked for; None takes the file's.

    `loaded` is the model that `anatomy` describes; only an SAE at `hook_mlp_out` needs it.

    Raises CampaignError when the SAE was trained at another layer, reads another width, or reads a place that this
    model has not.
    """
    if layer is not None and layer != sae.layer:
        raise CampaignError(
            f"{sae.folder}: this SAE was trained at layer {sae.layer}, and layer {layer} was asked for. Ask for "
            f"sae.{name}.{sae.layer}, or name the folder of layer {layer}."
        )
    site = f"sae.{name}.{sae.layer}"
    kind_of_site(site)
    if sae.layer >= len(anatomy.blocks):
        raise CampaignError(
            f"{sae.folder}: this SAE was trained at layer {sae.layer}, and the layers of {anatomy.model_id} are 0 to "
            f"{len(anatomy.blocks) - 1}. Name an SAE of this model."
        )
    tap, d_in = _tap(sae, anatomy, loaded)
    if d_in != sae.d_in:
        raise CampaignError(
            f"{sae.folder}: this SAE reads {sae.d_in} numbers at {sae.place}, and {anatomy.model_id} has {d_in} there. "
            "Name an SAE of this model."
        )
    reading = Latents(sae.architecture, sae.normalization, sae.k, Placed(**sae.weights))
    return Site(site, sae.layer, tap, d_in, sae.d_sae, reading, sae.sha256)


def _tap(sae: SaeFile, anatomy: Anatomy, loaded: Loaded | None) -> tuple[Tap, int]:
    """Where the SAE's place is in this model, and how wide it is. Raises CampaignError for a place that it has not."""
    block = anatomy.blocks[sae.layer]
    refused = block.residual_refused
    if sae.place == "attn.hook_z":
        if block.attention is not None:
            return block.attention, block.heads * block.head_dim
        refused = block.attention_refused
    elif sae.place == "hook_mlp_out":
        if block.mlp is not None and _is_added(block, block.mlp.module, loaded):
            return Tap(block.mlp.module, "output"), anatomy.hidden
        refused = block.mlp_refused or (
            "what its MLP puts out is not added to the residual stream as it is (something like a norm comes between), "
            "so that it is not known to be what the SAE was trained on. Choose an SAE of the residual stream."
        )
    elif not refused:
        return Tap(block.path, "input" if sae.place == "hook_resid_pre" else "output"), anatomy.hidden
    raise CampaignError(f"{sae.folder}: {sae.place} cannot be read in {anatomy.model_id}, {block.path}: {refused}")


def _is_added(block: Block, projection: str, loaded: Loaded | None) -> bool:
    """Whether the output of the MLP's projection goes into the block's output unchanged: it is nudged, and watched."""
    import torch

    if loaded is None:
        raise ValueError("an SAE at hook_mlp_out is placed by running the model, and no model was given")
    left: list[Any] = []
    nudge: Any = 0.0

    def after_projection(_module: Any, _args: Any, out: Any) -> Any:
        return out + nudge

    def after_block(_module: Any, _args: Any, out: Any) -> None:
        left.append((out[0] if isinstance(out, tuple) else out).detach())

    model = loaded.model
    handles = [
        model.get_submodule(projection).register_forward_hook(after_projection),
        model.get_submodule(block.path).register_forward_hook(after_block),
    ]
    device = next(model.parameters()).device
    try:
        with torch.inference_mode():
            tokens = torch.ones((1, 3), dtype=torch.long, device=device)
            model(input_ids=tokens)
            nudge = torch.linspace(-1, 2, left[0].shape[-1], device=device) * left[0].abs().mean()
            model(input_ids=tokens)
    finally:
        for handle in handles:
            handle.remove()
    plain, nudged = left
    return bool(torch.allclose(nudged - plain, nudge.expand_as(plain), atol=1e-3 * float(nudge.abs().max())))
