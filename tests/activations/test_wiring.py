"""How units are joined to the residual stream, on tiny random models of many architectures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from activations.families import FAMILIES, HIDDEN, LAYERS, by_hand, make

from imitable.activations.anatomy import study
from imitable.activations.watching import glimpse
from imitable.activations.wiring import Wiring, strength


@pytest.mark.parametrize("family", FAMILIES)
def test_what_neurons_read_adds_up_to_what_goes_into_them(family: str) -> None:
    it = FAMILIES[family]
    model = make(it.config, **it.more)
    with torch.no_grad():  # norms and biases begin as ones and zeros
        for vector in (each for each in model.parameters() if each.dim() == 1):
            vector.add_(0.3 * torch.randn_like(vector))
    loaded = by_hand(model, family)
    anatomy = study(loaded)
    wiring = Wiring(loaded, anatomy)
    for layer in range(LAYERS):
        joins, block = wiring.neurons(layer), anatomy.blocks[layer]
        if joins is None:
            pytest.fail(f"{family}, layer {layer}: no joins")
        assert block.mlp is not None
        seen = {each.name: each for each in glimpse(loaded, [joins.norm.tap.module, *block.mlp_up, block.mlp.module])}
        x = seen[joins.norm.tap.module].given
        size = joins.norm.size(x).numpy()
        into = np.einsum("pnd,td->ptn", joins.reads, x.numpy()) / size[:, None] + joins.bias[:, None]
        made = torch.cat([seen[name].made for name in block.mlp_up], dim=-1).numpy()
        parts = np.split(made, len(into), axis=1)
        assert any(np.allclose(into, order, rtol=1e-3, atol=1e-4) for order in (parts, parts[::-1]))
        down = model.get_submodule(block.mlp.module)
        bias = getattr(down, "bias", None)
        out = seen[block.mlp.module].given.numpy() @ joins.writes + (0 if bias is None else bias.detach().numpy())
        np.testing.assert_allclose(out, seen[block.mlp.module].made.numpy(), rtol=1e-3, atol=1e-4)


def test_strength_takes_the_larger_of_a_gated_neurons_two_connections() -> None:
    reads = np.zeros((2, 1, HIDDEN), np.float32)
    reads[0, 0, 0], reads[1, 0, 0] = 1, -3
    writes = np.zeros((2, HIDDEN), np.float32)
    writes[0, 0], writes[1, 1] = 2, 1
    assert strength(reads, writes).tolist() == [[-6, 0]]
