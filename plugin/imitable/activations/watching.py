"""One short forward pass with everything watched that the anatomy of a model is read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from imitable.activations.models import Loaded
from imitable.activations.modules import linear_shape
from imitable.errors import ModelError

TOKENS = 3
"""Length of the watched text."""

_PRODUCTS = frozenset({"matmul", "__matmul__", "bmm", "baddbmm", "einsum", "scaled_dot_product_attention"})
"""Functions that mix values over tokens: one of them makes what goes into attention's output projection."""


@dataclass(frozen=True)
class Call:
    """One run of a linear-like module."""

    module: Any
    given: Any
    """Its input, the very object: modules that share an input were given one object."""
    product: int
    """How many products of tensors had been taken before it, over the whole pass."""
    mixed: Any
    """The latest of these; None before the first."""


@dataclass(frozen=True)
class Pass:
    """What happened in the pass."""

    calls: list[Call] = field(default_factory=list)
    """In order."""
    came: dict[Any, list[Any]] = field(default_factory=dict)
    """Tensors that a block was given the last time it ran, copied."""
    left: dict[Any, list[Any]] = field(default_factory=dict)
    """What a block returned (the first part, where that is a tuple), copied, once a run."""

    def runs(self, module: Any) -> int:
        """How often a linear-like module ran."""
        return sum(call.module is module for call in self.calls)


def watch(loaded: Loaded, blocks: Sequence[Any]) -> Pass:
    """Run the model on three ordinary tokens. Leaves no hook behind.

    Raises ModelError for a model that does not run on tokens alone.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    seen = Pass()
    products: list[Any] = [None]

    class Products(TorchFunctionMode):  # type: ignore[misc]  # torch is Any to the type checker
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if getattr(func, "__name__", "") in _PRODUCTS and isinstance(result, torch.Tensor):
                products.append(result)
            return result

    def on_linear(module: Any, args: Any) -> None:
        if args:
            seen.calls.append(Call(module, args[0], len(products) - 1, products[-1]))

    def on_block(block: Any, _args: Any, out: Any) -> None:
        first = out[0] if isinstance(out, tuple) else out
        if isinstance(first, torch.Tensor):
            seen.left.setdefault(block, []).append(first.clone())

    def before_block(block: Any, args: Any, kwargs: Any) -> None:
        seen.came[block] = [each.clone() for each in (*args, *kwargs.values()) if isinstance(each, torch.Tensor)]

    handles = [
        module.register_forward_pre_hook(on_linear)
        for module in loaded.model.modules()
        if linear_shape(module) is not None
    ]
    handles += [block.register_forward_pre_hook(before_block, with_kwargs=True) for block in blocks]
    handles += [block.register_forward_hook(on_block) for block in blocks]
    try:
        device = next(loaded.model.parameters()).device
        with torch.inference_mode(), Products():
            loaded.model(input_ids=torch.full((1, TOKENS), _ordinary(loaded.model.config), device=device))
    except (ValueError, TypeError, RuntimeError, IndexError, AttributeError) as error:
        raise ModelError(
            f"{loaded.model_id} does not run on a text's tokens alone ({str(error).strip().split(chr(10))[0]}). "
            "Choose an encoder or a decoder of text."
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return seen


@dataclass(frozen=True)
class Glimpse:
    """One run of one module: its first argument and its result, (tokens, d) in float32."""

    name: str
    module: Any
    given: Any
    made: Any


def glimpse(loaded: Loaded, names: Sequence[str]) -> list[Glimpse]:
    """Run the model on nine different tokens and see what modules make of what they are given, in order.

    Modules that are given or return anything but one tensor are left out. Leaves no hook behind.
    """
    import torch

    seen: list[Glimpse] = []

    def note(name: str) -> Any:
        def noted(module: Any, args: Any, out: Any) -> None:
            if args and isinstance(args[0], torch.Tensor) and isinstance(out, torch.Tensor):
                flat = [each.detach().float().clone().reshape(-1, each.shape[-1]) for each in (args[0], out)]
                seen.append(Glimpse(name, module, *flat))

        return noted

    handles = [loaded.model.get_submodule(name).register_forward_hook(note(name)) for name in names]
    try:
        last = int(loaded.model.get_input_embeddings().weight.shape[0]) - 1
        tokens = torch.linspace(last // 8, last, 9).long()[None]
        with torch.no_grad():
            loaded.model(input_ids=tokens.to(loaded.device))
    finally:
        for handle in handles:
            handle.remove()
    return seen


def arrives(call: Call, heads: int, head_dim: int) -> bool:
    """Whether a module was given the latest product as it is: one vector a head and token, head after head."""
    import torch

    product = call.mixed
    if product is None or product.shape[-2:] != (TOKENS, head_dim) or product.numel() != TOKENS * heads * head_dim:
        return False
    side_by_side = product.reshape(heads, TOKENS, head_dim).transpose(0, 1).reshape(TOKENS, heads * head_dim)
    return bool(torch.equal(side_by_side, call.given.reshape(TOKENS, heads * head_dim)))


def _ordinary(config: Any) -> int:
    """The smallest token id that no configuration gives a meaning of its own, such as padding."""
    text = config.get_text_config()
    special: set[int] = set()
    for name in ("pad", "bos", "eos", "sep", "cls", "mask", "unk", "decoder_start"):
        stated = getattr(text, f"{name}_token_id", None)
        special.update(stated if isinstance(stated, list) else [stated] if isinstance(stated, int) else [])
    size = int(getattr(text, "vocab_size", 2))
    return next((token for token in range(size) if token not in special), 0)
