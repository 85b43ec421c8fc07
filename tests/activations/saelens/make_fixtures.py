"""Makes the tiny SAEs beside this file, and what SAELens itself encodes with them.

Run with an interpreter that has sae-lens (README.md says which version made what is here):

    python tests/activations/saelens/make_fixtures.py
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import sae_lens  # type: ignore[import-not-found]  # it is installed in no environment of ours, on purpose
import torch
from sae_lens.training.activation_scaler import ActivationScaler  # type: ignore[import-not-found]
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent
D_IN, D_SAE, TOKENS = 12, 20, 16
INFERENCE: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "standard": (sae_lens.StandardSAE, sae_lens.StandardSAEConfig, {}),
    "gated": (sae_lens.GatedSAE, sae_lens.GatedSAEConfig, {}),
    "jumprelu": (sae_lens.JumpReLUSAE, sae_lens.JumpReLUSAEConfig, {}),
    "topk": (sae_lens.TopKSAE, sae_lens.TopKSAEConfig, {"k": 4}),
    "topk-rescaled": (sae_lens.TopKSAE, sae_lens.TopKSAEConfig, {"k": 4, "rescale_acts_by_decoder_norm": True}),
}
IN_TRAINING: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "batchtopk": (sae_lens.BatchTopKTrainingSAE, sae_lens.BatchTopKTrainingSAEConfig, {"k": 4}),
    "matryoshka": (
        sae_lens.MatryoshkaBatchTopKTrainingSAE,
        sae_lens.MatryoshkaBatchTopKTrainingSAEConfig,
        {"k": 4, "matryoshka_widths": [10, 20]},
    ),
}
NORMALIZATIONS = ("none", "constant_norm_rescale", "layer_norm", "expected_average_only_in")


def make(kind: tuple[Any, Any, dict[str, Any]], *, hook: str = "blocks.1.hook_resid_post", **changes: Any) -> Any:
    """An SAE whose every parameter is random, so that each of them matters."""
    sae_class, config_class, own = kind
    sae = sae_class(config_class(d_in=D_IN, d_sae=D_SAE, **own, **changes))
    sae.cfg.metadata.hook_name = hook
    sae.cfg.metadata.model_name = "tiny"
    sae.cfg.metadata.model_from_pretrained_kwargs = {"center_writing_weights": False}
    for name, parameter in sae.named_parameters():
        parameter.data = torch.randn_like(parameter) * (0.3 if name.startswith(("b_", "r_")) else 0.5)
        if name == "threshold":
            parameter.data = parameter.data.abs()
    return sae


def expected(folder: Path, x: Any) -> Any:
    """What the library encodes after loading the folder, in float32."""
    return sae_lens.SAE.load_from_disk(folder, dtype="float32").encode(x).detach()


def main() -> None:
    torch.manual_seed(0)
    for old in HERE.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    results: dict[str, Any] = {}
    inputs = results["inputs"] = torch.randn(TOKENS, D_IN) * 2 + 0.5
    for architecture, kind in INFERENCE.items():
        for normalization in NORMALIZATIONS:
            name = f"{architecture}-{normalization}"
            sae = make(kind, normalize_activations=normalization)
            sae.save_model(HERE / name)
            if normalization == "expected_average_only_in":
                ActivationScaler(scaling_factor=0.37).save(str(HERE / name / "activation_scaler.json"))
                sae = sae_lens.SAE.load_from_disk(HERE / name, dtype="float32")
                sae.fold_activation_norm_scaling_factor(0.37)
                results[name] = sae.encode(inputs).detach()
            else:
                results[name] = expected(HERE / name, inputs)
    for name, kind in IN_TRAINING.items():
        sae = make(kind, rescale_acts_by_decoder_norm=True)
        sae.topk_threshold.fill_(0.8)
        sae.save_inference_model(HERE / name)
        results[name] = expected(HERE / name, inputs)
    make(INFERENCE["standard"], apply_b_dec_to_input=False).save_model(HERE / "no-b_dec")
    results["no-b_dec"] = expected(HERE / "no-b_dec", inputs)
    for dtype in ("float16", "bfloat16"):
        make(INFERENCE["jumprelu"], dtype=dtype).save_model(HERE / dtype)
        results[dtype] = expected(HERE / dtype, inputs)
    make(INFERENCE["standard"], hook="blocks.0.attn.hook_z", reshape_activations="hook_z").save_model(HERE / "hook_z")
    results["hook_z"] = expected(HERE / "hook_z", inputs.reshape(TOKENS, 3, 4))
    version_5(results, inputs)
    save_file({name: each.float().contiguous() for name, each in results.items()}, HERE / "encoded.safetensors")


def version_5(results: dict[str, Any], inputs: Any) -> None:
    """Folders in the older layout, as SAELens 5 wrote them."""
    for name, function in (("version-5-standard", "relu"), ("version-5-topk", "topk")):
        make(INFERENCE["standard"]).save_model(HERE / name)
        config = {
            "architecture": "standard",
            "d_in": D_IN,
            "d_sae": D_SAE,
            "activation_fn_str": function,
            "activation_fn_kwargs": {"k": 3} if function == "topk" else {},
            "apply_b_dec_to_input": True,
            "finetuning_scaling_factor": False,
            "context_size": 128,
            "model_name": "tiny",
            "hook_name": "blocks.1.hook_resid_pre",
            "hook_layer": 1,
            "hook_head_index": None,
            "prepend_bos": True,
            "dataset_path": "none",
            "dataset_trust_remote_code": True,
            "normalize_activations": "none",
            "dtype": "torch.float32",
            "device": "cpu",
            "sae_lens_training_version": "5.11.0",
            "neuronpedia_id": None,
            "model_from_pretrained_kwargs": {},
            "seqpos_slice": [None],
        }
        (HERE / name / "cfg.json").write_text(json.dumps(config))
        weights = load_file(HERE / name / "sae_weights.safetensors")
        if function == "relu":
            weights["scaling_factor"] = torch.ones(D_SAE)  # written for a while, without a meaning
        save_file(weights, HERE / name / "sae_weights.safetensors")
        results[name] = expected(HERE / name, inputs)


if __name__ == "__main__":
    main()
