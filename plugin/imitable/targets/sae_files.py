"""Sparse autoencoders as SAELens saves them: a folder with cfg.json and sae_weights.safetensors. Read by ourselves.

Both layouts are read: that of SAELens 6 (what an SAE was trained on stands under `metadata`) and the older one (it
stands at the top). Whatever would change a latent's activation and is not known here is refused by name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from imitable.errors import CampaignError
from imitable.targets.tensors import Floats, TensorFile, open_tensors

Architecture = Literal["standard", "topk", "jumprelu", "gated"]
Normalization = Literal["none", "constant_norm_rescale", "layer_norm"]
Place = Literal["hook_resid_pre", "hook_resid_post", "hook_mlp_out", "attn.hook_z"]
"""TransformerLens' names: a block's input, its output, its MLP's output, what attention's output projection reads."""

_ARCHITECTURES: dict[str, Architecture] = {
    "standard": "standard",
    "relu": "standard",
    "topk": "topk",
    "jumprelu": "jumprelu",
    "gated": "gated",
}
_PLACES: tuple[Place, ...] = get_args(Place)

_BIASES: dict[Architecture, tuple[str, ...]] = {
    "standard": ("b_enc",),
    "topk": ("b_enc",),
    "jumprelu": ("b_enc", "threshold"),
    "gated": ("b_gate", "b_mag", "r_mag"),
}
"""Tensors of shape (d_sae,) beside W_enc."""

_KEYS = {
    *("architecture", "d_in", "d_sae", "dtype", "device", "metadata", "normalize_activations", "reshape_activations"),
    *("apply_b_dec_to_input", "k", "rescale_acts_by_decoder_norm"),
    # of the training of these architectures, without a part in the encoding:
    *("decoder_init_norm", "l1_coefficient", "lp_norm", "l1_warm_up_steps", "l0_coefficient", "l0_warm_up_steps"),
    *("use_sparse_activations", "aux_loss_coefficient", "pre_act_loss_coefficient", "target_l0"),
    *("jumprelu_init_threshold", "jumprelu_bandwidth", "jumprelu_sparsity_loss_mode", "jumprelu_tanh_scale"),
    "jumprelu_ste_to_input",
}
"""Keys that cfg.json may have at its top in SAELens' layout since version 6."""

_CHOOSE = "Choose another SAE."

_PROCESSING = ("center_writing_weights", "fold_ln", "fold_value_biases", "refactor_factored_attn_matrices")
"""What TransformerLens may do to a model's weights on loading, and what then changes what an SAE reads."""


@dataclass(frozen=True, eq=False)
class SaeFile:
    """What is needed to encode with one SAE."""

    folder: Path
    architecture: Architecture
    d_in: int
    d_sae: int
    """Number of latents."""
    place: Place
    layer: int
    """0-based block that it was trained at."""
    normalization: Normalization
    """What is done to each vector that is read, before anything else."""
    k: int
    """Latents that stay active at once (topk); 0 otherwise."""
    weights: dict[str, Floats]
    """`W_enc` (d_in, d_sae), the architecture's biases (d_sae,), `b_dec` (d_in,) where it is subtracted from what is
    read, `decoder_norm` (d_sae,) where pre-activations are multiplied by it."""
    sha256: str
    """Hash of cfg.json and the weights (and of activation_scaler.json, where it was needed)."""


def read_sae(folder: Path) -> SaeFile:
    """Read an SAE's folder. Raises CampaignError that names what is missing, damaged or not supported, and why."""
    path = folder / "cfg.json"
    raw, config = _read_json(path)
    weights = open_tensors(folder / "sae_weights.safetensors")
    metadata = config.get("metadata")
    since_6 = isinstance(metadata, dict)
    about: Mapping[str, Any] = metadata if isinstance(metadata, dict) else config
    _refuse_the_unknown(path, config, since_6)
    architecture, k = _architecture(path, config)
    place, layer = _hook(path, about)
    _refuse_processed_models(path, about, since_6)
    d_in, d_sae = (_whole(path, config, key) for key in ("d_in", "d_sae"))
    if k > d_sae:
        raise CampaignError(f"{path}: k is {k}, and there are only {d_sae} latents (d_sae). Correct it.")
    normalization, factor, scaler = _normalization(path, config)
    reshape = config.get("reshape_activations", "hook_z" if place == "attn.hook_z" and not since_6 else "none")
    if reshape not in ("none", "hook_z") or (reshape == "hook_z") != (place == "attn.hook_z"):
        raise CampaignError(f"{path}: reshape_activations is '{reshape}' at {place}, which is not supported. {_CHOOSE}")
    rescaled = architecture == "topk" and bool(config.get("rescale_acts_by_decoder_norm", False))
    arrays = _weights(weights, architecture, d_in, d_sae, rescaled=rescaled)
    if not config.get("apply_b_dec_to_input", True):
        del arrays["b_dec"]
    if factor != 1:  # as SAELens folds it into the weights when training ends
        arrays["W_enc"] *= np.float32(factor)
        for name in arrays.keys() & {"b_dec", "decoder_norm"}:
            arrays[name] /= np.float32(factor)
    digest = hashlib.sha256(raw + bytes.fromhex(weights.sha256) + scaler).hexdigest()
    return SaeFile(folder, architecture, d_in, d_sae, place, layer, normalization, k, arrays, digest)


def _read_json(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        raw = path.read_bytes()
        found = json.loads(raw)
    except (OSError, ValueError, RecursionError) as error:
        raise CampaignError(
            f"{path} cannot be read ({error}). Name a folder with cfg.json and sae_weights.safetensors, as SAELens "
            "saves it."
        ) from error
    if not isinstance(found, dict):
        raise CampaignError(f"{path} holds no JSON object. Put back the file that SAELens wrote.")
    return raw, found


def _whole(path: Path, config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise CampaignError(f"{path}: {key} is {value!r} and not a number of 1 or more. Correct it.")
    return value


def _table(path: Path, config: Mapping[str, Any], key: str) -> dict[str, Any]:
    """An object in the JSON; empty where there is none."""
    value = config.get(key)
    if not isinstance(value, dict | None):
        raise CampaignError(f"{path}: {key} is {value!r} and not an object. Put back what SAELens wrote.")
    return value or {}


def read_decoder(folder: Path) -> Floats:
    """What every latent of an SAE writes: W_dec, (d_sae, d_in)."""
    return open_tensors(folder / "sae_weights.safetensors").read("W_dec")


def _refuse_the_unknown(path: Path, config: Mapping[str, Any], since_6: bool) -> None:
    transcodes = [key for key in ("d_out", "hook_name_out") if config.get(key) is not None]
    if since_6:
        transcodes += [key for key in ("hook_name_out",) if config["metadata"].get(key) is not None]
    if transcodes:
        raise CampaignError(f"{path}: it has '{transcodes[0]}', so it is a transcoder, which is not read. {_CHOOSE}")
    unknown = sorted(config.keys() - _KEYS) if since_6 else []
    if unknown:
        raise CampaignError(
            f"{path}: key '{unknown[0]}' is not known here and might change the activations. Save the SAE with "
            "SAELens' save_inference_model, or choose another one."
        )


def _architecture(path: Path, config: Mapping[str, Any]) -> tuple[Architecture, int]:
    named = str(config.get("architecture", "standard"))
    function = config.get("activation_fn_str", config.get("activation_fn")) or "relu"
    if named in ("batchtopk", "matryoshka_batchtopk"):
        raise CampaignError(
            f"{path}: '{named}' is an SAE in training: its latents depend on the rest of the batch. Save it with "
            "SAELens' save_inference_model, which makes a jumprelu SAE of it."
        )
    if named not in _ARCHITECTURES:
        raise CampaignError(
            f"{path}: architecture '{named}' is not supported; {', '.join(_ARCHITECTURES)} are. {_CHOOSE}"
        )
    if function == "topk" and named in ("standard", "topk"):
        return "topk", _whole(path, _table(path, config, "activation_fn_kwargs"), "k")
    if function not in ("relu", "topk" if named == "topk" else "relu"):
        raise CampaignError(f"{path}: activation function '{function}' of a {named} SAE is not supported. {_CHOOSE}")
    architecture = _ARCHITECTURES[named]
    if architecture == "topk":
        return architecture, _whole(path, config, "k")
    return architecture, 0


def _hook(path: Path, about: Mapping[str, Any]) -> tuple[Place, int]:
    hook = about.get("hook_name", about.get("hook_point"))
    match = re.fullmatch(r"blocks\.([0-9]{1,4})\.(.+)", hook) if isinstance(hook, str) else None
    if match is None or match[2] not in _PLACES:
        raise CampaignError(
            f"{path}: hook_name {hook!r} is not a place that is read here; blocks.L. followed by {', '.join(_PLACES)} "
            f"are. {_CHOOSE}"
        )
    stated = about.get("hook_layer", about.get("hook_point_layer"))
    if stated is not None and stated != int(match[1]):
        raise CampaignError(f"{path}: hook_layer is {stated}, and hook_name is {hook}. Correct one of them.")
    head = about.get("hook_head_index", about.get("hook_point_head_index"))
    if head is not None:
        raise CampaignError(f"{path}: it reads head {head} alone (hook_head_index), which is not supported. {_CHOOSE}")
    return next(place for place in _PLACES if place == match[2]), int(match[1])


def _refuse_processed_models(path: Path, about: Mapping[str, Any], since_6: bool) -> None:
    if about.get("model_from_pretrained_kwargs") is None and not since_6:
        raise CampaignError(
            f"{path} is older than SAELens' note of how the model was loaded. Where it was loaded without processing "
            'of its weights, add to cfg.json: "model_from_pretrained_kwargs": {}'
        )
    kwargs = _table(path, about, "model_from_pretrained_kwargs")
    for key in _PROCESSING:
        if kwargs.get(key):
            raise CampaignError(
                f"{path}: it was trained on a model whose weights were processed on loading ({key}), and here the "
                f"model runs as it is, so that the latents would be wrong. {_CHOOSE}"
            )


def _normalization(path: Path, config: Mapping[str, Any]) -> tuple[Normalization, float, bytes]:
    """What is done at run time, the factor that the weights lack, and the file that told it."""
    named = config.get("normalize_activations") or "none"
    for known in get_args(Normalization):
        if named == known:
            return known, 1.0, b""
    if named not in ("expected_average_only_in", True):
        raise CampaignError(f"{path}: normalize_activations '{named}' is not supported. {_CHOOSE}")
    scaler = path.with_name("activation_scaler.json")
    if not scaler.exists():
        raise CampaignError(
            f"{path}: normalize_activations is expected_average_only_in, and no {scaler.name} beside it says by which "
            "factor. Save the SAE with the factor folded in (SAELens: fold_activation_norm_scaling_factor), or add "
            'that file: {"scaling_factor": F}'
        )
    raw, found = _read_json(scaler)
    factor = found.get("scaling_factor")
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < float("inf"):
        raise CampaignError(f"{scaler}: scaling_factor is {factor!r} and not a positive number. Correct it.")
    return "none", float(factor), raw


def _weights(
    file: TensorFile, architecture: Architecture, d_in: int, d_sae: int, *, rescaled: bool
) -> dict[str, Floats]:
    wanted: dict[str, tuple[int, ...]] = {"W_enc": (d_in, d_sae), "b_dec": (d_in,), "W_dec": (d_sae, d_in)}
    wanted |= dict.fromkeys(_BIASES[architecture], (d_sae,))
    allowed = wanted.keys() | {"scaling_factor"}
    for name in sorted(file.shapes.keys() ^ wanted.keys()):
        if name not in allowed:
            raise CampaignError(f"{file.path}: tensor '{name}' is not one of a {architecture} SAE. {_CHOOSE}")
        if name not in file.shapes:
            raise CampaignError(f"{file.path} has no tensor '{name}', which a {architecture} SAE has. {_CHOOSE}")
    for name, shape in wanted.items():
        if file.shapes[name] != shape:
            raise CampaignError(
                f"{file.path}, tensor '{name}': its shape is {file.shapes[name]}, and d_in and d_sae in cfg.json make "
                f"it {shape}. Put back the cfg.json that belongs to these weights."
            )
    if "scaling_factor" in file.shapes and not np.allclose(file.read("scaling_factor"), 1):
        raise CampaignError(
            f"{file.path}: it has a finetuning scaling_factor other than 1, which is not supported. {_CHOOSE}"
        )
    arrays = {name: file.read(name) for name in wanted if name != "W_dec"}
    if rescaled:
        decoder: Floats = np.linalg.norm(file.read("W_dec"), axis=1).astype(np.float32)
        arrays["decoder_norm"] = decoder
    return arrays
