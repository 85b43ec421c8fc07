"""Questions about one torch module, answered from its shape and class and not from what a model calls it."""

from __future__ import annotations

from typing import Any


def linear_shape(module: Any) -> tuple[int, int] | None:
    """(inputs, outputs) of a linear-like module: nn.Linear, its subclasses, transformers' Conv1D; else None."""
    if hasattr(module, "in_features") and hasattr(module, "out_features"):
        return int(module.in_features), int(module.out_features)
    if _is_conv1d(module):
        return int(module.nx), int(module.nf)
    return None


def has_plain_weight(module: Any) -> bool:
    """Whether a linear-like module holds an ordinary matrix of numbers, and not codes that stand for one."""
    import torch

    inputs, outputs = linear_shape(module) or (0, 0)
    expected = (inputs, outputs) if _is_conv1d(module) else (outputs, inputs)
    weight = getattr(module, "weight", None)
    plain = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    return isinstance(weight, torch.Tensor) and weight.dtype in plain and tuple(weight.shape) == expected


def plain_weight(module: Any) -> Any:
    """The (outputs, inputs) matrix of a linear-like module, whichever way round the module keeps it."""
    weight = module.weight.detach()
    return weight.T if _is_conv1d(module) else weight


def holds_experts(module: Any, hidden: int) -> bool:
    """Whether a module owns several MLPs: stacked in one parameter, or in a list of which any number may run."""
    from torch import nn

    # (experts, d, d); a learned scale may be (1, 1, d), and a convolution's kernel has three sides too
    stacked = not isinstance(module, nn.modules.conv._ConvNd) and any(
        parameter.dim() == 3 and min(parameter.shape[1:]) > 1 for parameter in module.parameters(recurse=False)
    )
    children = list(module.children())
    listed = isinstance(module, nn.ModuleList | nn.ModuleDict) and len(children) > 1
    return stacked or (
        listed
        and len({type(child) for child in children}) == 1
        and any((linear_shape(part) or (0, 0))[1] == hidden for part in children[0].modules())
    )


def attention_above(block: Any, name: str) -> str | None:
    """Name, within its block, of the outermost attention module at or above `name`; "" for the block itself."""
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        above = ".".join(parts[:depth])
        if name and _is_attention(block.get_submodule(above)):
            return above
    # a block may be named for its attention and hold an MLP too: then what is inside it decides
    inside = any(_is_attention(part) for part in block.modules() if part is not block)
    return "" if _is_attention(block) and not inside else None


def _is_attention(module: Any) -> bool:
    kind = type(module).__name__.lower()
    return "attention" in kind or "attn" in kind


def _is_conv1d(module: Any) -> bool:
    return type(module).__name__ == "Conv1D" and hasattr(module, "nf")
