"""Where a transformer's neurons, heads and residual stream are, found by structure and not by a table of model names.

What this rule cannot vouch for is refused block by block with the reason in words, so that a mixture of experts, which
has no neurons to read, can still be asked for directions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from imitable.activations.models import Loaded
from imitable.activations.modules import attention_above, has_plain_weight, holds_experts, linear_shape
from imitable.activations.sites import Coordinates, Site, Tap
from imitable.activations.watching import Pass, arrives, watch
from imitable.errors import ModelError


@dataclass(frozen=True)
class Block:
    """One block of a transformer."""

    layer: int
    """0-based."""
    path: str
    """Path of its module. What this returns (the first part, where it is a tuple) is the residual stream after it."""
    residual_refused: str = ""
    """Why what it returns is not known to be the residual stream; empty when it is."""
    mlp: Tap | None = None
    """The input of the MLP's output projection, whose coordinates are the neurons."""
    mlp_width: int = 0
    """Number of neurons."""
    mlp_up: tuple[str, ...] = ()
    """Paths of the modules that the neurons' input goes into: one, or a gate and an up projection."""
    mlp_refused: str = ""
    """Why there is no `mlp`, ending with the next action."""
    attention: Tap | None = None
    """The input of attention's output projection: the heads' mixed values, one head after the other."""
    attention_projection: str = ""
    """Path of that projection."""
    heads: int = 0
    """Number of heads."""
    head_dim: int = 0
    """Width of one head; heads times this is the projection's input, which need not be as wide as the model."""
    attention_refused: str = ""
    """Why there is no `attention`, ending with the next action."""


@dataclass(frozen=True)
class Anatomy:
    """The blocks of one model and what can be read in each."""

    model_id: str
    hidden: int
    """Width of the residual stream."""
    blocks: tuple[Block, ...]

    def block(self, layer: int) -> Block:
        """The block at a layer. Raises ModelError for a layer that the model does not have."""
        if not 0 <= layer < len(self.blocks):
            raise ModelError(
                f"{self.model_id} has no layer {layer}: it has {len(self.blocks)} blocks. "
                f"Choose a layer from 0 to {len(self.blocks) - 1}."
            )
        return self.blocks[layer]


def study(loaded: Loaded) -> Anatomy:
    """Run the model on three tokens and find what can be read in every block.

    Blocks are the largest outermost list of modules of one class that hold linear layers which ran. Neurons: the input
    of the one linear module outside attention that leads back to the hidden size. Heads: the input of the one linear
    module that runs inside attention after values have been mixed over tokens, where the mixed values were seen to
    arrive there as they are, `heads` vectors of `head_dim` side by side.

    Raises ModelError for a model without blocks, or one that does not run on tokens alone.
    """
    model, config = loaded.model, loaded.model.config
    lists = _lists(model, encoder_only=bool(getattr(config, "is_encoder_decoder", False)))
    seen = watch(loaded, [block for _, each in lists for block in each])
    ran = {call.module for call in seen.calls}
    lists = [pair for pair in lists if any(part in ran for block in pair[1] for part in block.modules())]
    text = config.get_text_config()
    if not lists or not isinstance(getattr(text, "hidden_size", None), int):
        raise ModelError(f"{loaded.model_id} has no list of transformer blocks. Choose a transformer.")
    prefix, blocks = max(lists, key=lambda pair: len(pair[1]))
    found = []
    for layer, block in enumerate(blocks):
        after = blocks[layer + 1] if layer + 1 < len(blocks) else None
        blank = Block(layer, f"{prefix}.{layer}", _not_residual(block, after, text.hidden_size, seen))
        if getattr(config, "quantization_config", None) is not None:
            why = "the model is quantised, so that its activations are not the model's own. Choose unquantised weights."
            found.append(replace(blank, mlp_refused=why, attention_refused=why))
        else:
            found.append(_attention(_mlp(blank, block, text.hidden_size, seen), block, text, seen))
    return Anatomy(loaded.model_id, int(text.hidden_size), tuple(found))


def neuron_site(anatomy: Anatomy, layer: int) -> Site:
    """The MLP neurons of one block: after the non-linearity in plain MLPs, `act(gate) · up` in gated ones.

    Raises ModelError, with the reason, for a block whose neurons cannot be vouched for.
    """
    block = anatomy.block(layer)
    if block.mlp is None:
        raise ModelError(f"{anatomy.model_id}, {block.path}: {block.mlp_refused}")
    return Site(f"mlp.{layer}", layer, block.mlp, block.mlp_width, block.mlp_width, Coordinates())


def mlp_sites(loaded: Loaded) -> list[Site]:
    """The neurons of every block. Raises ModelError, with the reason, if those of any block are refused."""
    anatomy = study(loaded)
    return [neuron_site(anatomy, block.layer) for block in anatomy.blocks]


def _lists(model: Any, *, encoder_only: bool) -> list[tuple[str, Any]]:
    """Path and modules of what may be the transformer's blocks: outermost lists of one class that hold linear layers.

    `encoder_only`: the decoder of an encoder-decoder is given another text than the reader sees.
    """
    from torch.nn import ModuleList

    found: list[tuple[str, Any]] = []
    for name, module in model.named_modules():
        nested = any(name.startswith(f"{outer}.") for outer, _ in found)
        if not isinstance(module, ModuleList) or len(module) == 0 or nested:
            continue
        one_class = len({type(block) for block in module}) == 1
        text_of_its_own = encoder_only and "decoder" in name.split(".")
        if one_class and not text_of_its_own and any(linear_shape(part) is not None for part in module[0].modules()):
            found.append((name, module))
    return found


def _not_residual(block: Any, after: Any, hidden: int, seen: Pass) -> str:
    import torch

    left = seen.left.get(block, [])
    if not left:
        return "it does not return a tensor, alone or in a tuple. Choose another model."
    if len(left) != 1:
        return f"it runs {len(left)} times on one text. Choose a model whose layers are its own."
    if left[0].shape[-1] != hidden:
        return f"it returns {left[0].shape[-1]} numbers a token where the model is {hidden} wide. Choose another model."
    if after is not None and not any(torch.equal(left[0], each) for each in seen.came.get(after, [])):
        return "the next block is not given what this one returns. Choose a model whose blocks follow one another."
    return ""


def _mlp(found: Block, block: Any, hidden: int, seen: Pass) -> Block:
    """Add the neurons, or the reason why there are none."""
    own = {name: part for name, part in block.named_modules() if attention_above(block, name) is None}
    back = {name: part for name, part in own.items() if (linear_shape(part) or (0, 0))[1] == hidden}
    ran = [name for call in seen.calls for name, part in back.items() if part is call.module]
    narrowing = [name for name, part in back.items() if (linear_shape(part) or (0, 0))[0] != hidden]
    experts = next((name or "the block's own" for name, part in own.items() if holds_experts(part, hidden)), "")
    if experts:
        reason = (
            f"a mixture of experts ({experts}) has no single hidden layer to read neurons from. Choose a dense model."
        )
    elif not ran:
        reason = (
            "no MLP output projection to read neurons from (only attention's). "
            "Choose a transformer with an MLP in every block."
        )
    elif seen.runs(back[ran[-1]]) > 1:
        reason = (
            f"its MLP runs {seen.runs(back[ran[-1]])} times on one text, so that a neuron has no single activation. "
            "Choose a model whose layers have MLPs of their own."
        )
    elif len({*narrowing, ran[-1]}) > 1:
        several = ", ".join(dict.fromkeys([*narrowing, *ran]))
        reason = (
            f"several modules may be its MLP's output projection ({several}). "
            "Choose a transformer with one MLP in every block."
        )
    elif not (up := _up(own, back[ran[-1]], hidden, seen)):
        reason = f"{ran[-1]} is not the second layer of an MLP. Choose a transformer with an MLP in every block."
    elif not has_plain_weight(back[ran[-1]]):
        reason = f"{ran[-1]} is quantised or has no plain weight matrix. Choose unquantised weights."
    else:
        width = (linear_shape(back[ran[-1]]) or (0, 0))[0]
        paths = tuple(f"{found.path}.{name}" for name in up)
        return replace(found, mlp=Tap(f"{found.path}.{ran[-1]}", "input"), mlp_width=width, mlp_up=paths)
    return replace(found, mlp_refused=reason)


def _up(own: dict[str, Any], down: Any, hidden: int, seen: Pass) -> list[str]:
    """The layer before an MLP's output projection: an up projection, with or without a gate. Empty if it is none.

    These run right before `down`, are given one input as wide as the model, and make one or two numbers a neuron.
    """
    calls = [call for call in seen.calls if any(part is call.module for part in own.values())]
    width = (linear_shape(down) or (0, 0))[0]
    at = next(place for place, call in enumerate(calls) if call.module is down)
    first = at
    while first > 0 and calls[first - 1].given is calls[at - 1].given:
        first -= 1
    up = [linear_shape(call.module) or (0, 0) for call in calls[first:at]]
    # in an MLP as wide as the model, anything else that leads to this width may be the output projection too
    alone = width != hidden or not any((linear_shape(call.module) or (0, 0))[1] == hidden for call in calls[:first])
    fits = {inputs for inputs, _ in up} == {hidden} and sum(made for _, made in up) in (width, 2 * width)
    modules = [call.module for call in calls[first:at]]
    return [name for each in modules for name, part in own.items() if part is each] if alone and fits else []


def _attention(found: Block, block: Any, config: Any, seen: Pass) -> Block:
    """Add the heads, or the reason why there are none."""
    names = {part: name for name, part in block.named_modules() if attention_above(block, name) is not None}
    calls = [call for call in seen.calls if call.module in names]
    if not calls or calls[-1].product == calls[0].product:
        why = "no attention output projection to read heads from. Choose a transformer with attention in every block."
        return replace(found, attention_refused=why)
    rooms = sorted({str(attention_above(block, names[call.module])) for call in calls})
    # the last product in attention is of weights and values: what runs after it is given mixed values
    *others, last = [call for call in calls if call.product == calls[-1].product]
    inputs, outputs = linear_shape(last.module) or (0, 0)
    heads = getattr(config, "num_attention_heads", None)
    if seen.runs(last.module) > 1:
        why = f"its attention runs {seen.runs(last.module)} times on one text. Choose a model whose layers are its own."
    elif len(rooms) > 1 or others:
        several = ", ".join(rooms if len(rooms) > 1 else [names[call.module] for call in (*others, last)])
        why = f"several modules may be its attention's ({several}). Choose a model with one attention in every block."
    elif outputs != config.hidden_size:
        why = f"{names[last.module]} does not lead back to the model's width. Choose a model with plain attention."
    elif not has_plain_weight(last.module):
        why = f"{names[last.module]} is quantised or has no plain weight matrix. Choose unquantised weights."
    elif not isinstance(heads, int) or heads < 1:
        why = f"config.json does not state one number of heads (num_attention_heads: {heads}). Choose another model."
    elif inputs % heads:
        why = f"the {inputs} inputs of {names[last.module]} cannot be {heads} heads. Choose another model."
    elif not arrives(last, heads, inputs // heads):
        why = (
            f"the mixed values of {heads} heads of {inputs // heads} were not seen to reach {names[last.module]} as "
            "they are. Choose a model with plain softmax attention, without a gate or a norm behind it."
        )
    else:
        path = f"{found.path}.{names[last.module]}"
        tap, head_dim = Tap(path, "input"), inputs // heads
        return replace(found, attention=tap, attention_projection=path, heads=heads, head_dim=head_dim)
    return replace(found, attention_refused=why)
