"""Where a transformer's MLP neurons live, found by structure and not by a table of model names."""

from __future__ import annotations

from typing import Any

from imitable.activations.models import Loaded
from imitable.activations.sites import Coordinates, Site, Tap
from imitable.errors import ModelError


def mlp_sites(loaded: Loaded) -> list[Site]:
    """One site a block: the input of the MLP's output projection.

    A neuron's activation is a coordinate of that input: after the non-linearity in plain MLPs, `act(gate) · up` in
    gated ones. Blocks are the largest outermost list of modules of one class that hold linear layers; within a block
    the projection is the last linear module that ran, with the hidden size as its output, outside attention.

    Raises ModelError, with the reason, for models that this rule cannot vouch for: a mixture of experts, no blocks,
    blocks that share one MLP, or a model that does not run on tokens alone.
    """
    import torch

    model = loaded.model
    prefix, blocks = _blocks(model, loaded.model_id)
    hidden = int(model.config.hidden_size)
    order: list[str] = []
    names = {module: name for name, module in model.named_modules()}
    handles = [
        module.register_forward_pre_hook(lambda module, _args: order.append(names[module]))
        for module in model.modules()
        if _linear_shape(module) is not None
    ]
    try:
        with torch.inference_mode():
            model(input_ids=torch.tensor([[1, 1, 1]]))
    except (ValueError, TypeError, RuntimeError, IndexError) as error:
        raise ModelError(
            f"{loaded.model_id} does not run on a text's tokens alone ({str(error).strip().split(chr(10))[0]}). "
            "Choose an encoder or a decoder of text."
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    sites = []
    for layer, block in enumerate(blocks):
        path = f"{prefix}.{layer}"
        if any(parameter.dim() == 3 for parameter in block.parameters()):
            raise ModelError(
                f"{loaded.model_id}, {path}: a mixture of experts has no single hidden layer to read neurons from. "
                "Choose a dense model."
            )
        found = [
            name
            for name in order
            if name.startswith(f"{path}.")
            and _linear_shape(model.get_submodule(name))[1] == hidden  # type: ignore[index]  # hooked: it is linear
            and not _under_attention(model, name)
        ]
        if not found:
            raise ModelError(
                f"{loaded.model_id}, {path}: no MLP output projection to read neurons from (only attention's). "
                "Choose a transformer with an MLP in every block."
            )
        if order.count(found[-1]) > 1:
            raise ModelError(
                f"{loaded.model_id}, {path}: its MLP runs {order.count(found[-1])} times on one text, so that a neuron "
                "has no single activation. Choose a model whose layers have MLPs of their own."
            )
        width = _linear_shape(model.get_submodule(found[-1]))[0]  # type: ignore[index]
        sites.append(Site(f"mlp.{layer}", layer, Tap(found[-1], "input"), width, width, Coordinates()))
    return sites


def _blocks(model: Any, model_id: str) -> tuple[str, Any]:
    """Path and modules of the transformer's blocks."""
    from torch.nn import ModuleList

    found: list[tuple[str, Any]] = []
    for name, module in model.named_modules():
        nested = any(name.startswith(f"{outer}.") for outer, _ in found)
        if not isinstance(module, ModuleList) or len(module) == 0 or nested:
            continue
        one_class = len({type(block) for block in module}) == 1
        if one_class and any(_linear_shape(part) is not None for part in module[0].modules()):
            found.append((name, module))
    if not found:
        raise ModelError(f"{model_id} has no list of transformer blocks. Choose a transformer.")
    return max(found, key=lambda pair: len(pair[1]))


def _linear_shape(module: Any) -> tuple[int, int] | None:
    """(inputs, outputs) of a linear-like module: nn.Linear, its subclasses, transformers' Conv1D; else None."""
    if hasattr(module, "in_features") and hasattr(module, "out_features"):
        return int(module.in_features), int(module.out_features)
    if type(module).__name__ == "Conv1D" and hasattr(module, "nf"):
        return int(module.weight.shape[0]), int(module.nf)
    return None


def _under_attention(model: Any, name: str) -> bool:
    parts = name.split(".")
    ancestors = [model.get_submodule(".".join(parts[:depth])) for depth in range(1, len(parts))]
    return any(
        "attention" in type(part).__name__.lower() or "attn" in type(part).__name__.lower() for part in ancestors
    )
