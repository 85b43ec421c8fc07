"""Attention heads as targets, against the projection itself run on one head at a time."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from activations.families import FAMILIES, HEADS, HIDDEN, LAYERS, by_hand, make, passing

from imitable.activations.anatomy import study
from imitable.activations.heads import head_site
from imitable.activations.sites import Site
from imitable.errors import ModelError
from imitable.targets import TargetId

DIRECTION = np.random.default_rng(3).normal(size=HIDDEN)


def outputs(projection: Any, z: Any) -> Any:
    """(..., heads, hidden): what the projection makes of each head alone, less its bias."""
    alone = z.unflatten(-1, (HEADS, -1))[..., None, :, :] * torch.eye(HEADS)[:, :, None]
    with torch.no_grad():
        return projection(alone.flatten(-2)) - projection(torch.zeros_like(z))[..., None, :]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_heads_of_every_architecture_add_up_and_are_read_right(family: str) -> None:
    it = FAMILIES[family]
    model = make(it.config, **it.more)
    loaded = by_hand(model, family)
    anatomy = study(loaded)
    for layer in range(LAYERS):
        norm = head_site(loaded, anatomy, layer)
        along = head_site(loaded, anatomy, layer, along=DIRECTION, name="red-things")
        path = f"{it.blocks}.{layer}.{it.out}"
        assert norm.tap.module == path
        z, out = passing(model, path)[path]
        assert z.shape[-1] == HEADS * it.head_dim == norm.d_in
        projection = model.get_submodule(path)
        parts = outputs(projection, z)
        bias = 0 if projection.bias is None else projection.bias.detach()
        torch.testing.assert_close(parts.sum(-2) + bias, out, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(norm.reading(z, None), parts.norm(dim=-1), atol=1e-5, rtol=1e-5)
        expected = parts @ torch.from_numpy(DIRECTION).float()
        torch.testing.assert_close(along.reading(z, None), expected, atol=1e-5, rtol=1e-5)


def sites_of(config: str = "Llama") -> list[Site]:
    loaded = by_hand(make(config), config)
    anatomy = study(loaded)
    return [head_site(loaded, anatomy, 1), head_site(loaded, anatomy, 1, along=DIRECTION, name="d", file_hash="ab")]


def test_a_site_of_heads_is_named_as_its_targets_are() -> None:
    norm, along = sites_of()
    assert [norm.name, along.name] == ["head.1.norm", "head.1.along-d"]
    assert [(each.layer, each.width, each.d_in, each.file_hash) for each in (norm, along)] == [
        (1, HEADS, HIDDEN, ""),
        (1, HEADS, HIDDEN, "ab"),
    ]
    assert TargetId.parse(f"m/{along.name}/3").kind == "head"


@pytest.mark.parametrize("at", [0, 1], ids=["norm", "along"])
def test_some_heads_are_read_to_the_last_bit_as_all_are(at: int) -> None:
    reading = sites_of()[at].reading
    z = torch.randn(5, 7, HIDDEN)
    every = reading(z, None)
    assert every.shape == (5, 7, HEADS)
    assert every.dtype == torch.float32
    assert torch.equal(reading(z, [2, 0]), every[..., [2, 0]])
    assert torch.equal(reading(z.reshape(-1, HIDDEN), [3]), every.reshape(-1, HEADS)[:, [3]])


@pytest.mark.parametrize("at", [0, 1], ids=["norm", "along"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_what_was_caught_may_be_of_any_floating_type(at: int, dtype: torch.dtype) -> None:
    reading = sites_of()[at].reading
    z = torch.randn(3, HIDDEN).to(dtype)
    assert torch.equal(reading(z, None), reading(z.float(), None))


@pytest.mark.parametrize("at", [0, 1], ids=["norm", "along"])
def test_a_reading_can_be_sent_to_another_process(at: int) -> None:
    site = sites_of()[at]
    z = torch.randn(3, HIDDEN)
    assert torch.equal(pickle.loads(pickle.dumps(site)).reading(z, None), site.reading(z, None))  # noqa: S301  # ours


def test_a_small_norm_is_not_lost_among_large_weights() -> None:
    """The square root of a Gram product would lose it."""
    model = make("Llama")
    with torch.no_grad():
        weight = model.layers[0].self_attn.o_proj.weight
        weight[:, 0] = 1e4 * torch.ones(HIDDEN)
        weight[:, 1] = weight[:, 0] + 1e-1 * torch.randn(HIDDEN)
    z = torch.zeros(1, HIDDEN)
    z[0, :2] = torch.tensor([1.0, -1.0])
    loaded = by_hand(model, "llama")
    norm = head_site(loaded, study(loaded), 0).reading(z, [0])
    exact = (weight.detach().double() @ z[0].double()).norm()
    assert norm.item() == pytest.approx(exact.item(), rel=0.02)


def test_a_direction_twice_as_long_makes_activations_twice_as_large() -> None:
    loaded = by_hand(make("Llama"), "llama")
    once, twice = (head_site(loaded, study(loaded), 0, along=k * DIRECTION, name="d") for k in (1, 2))
    z = torch.randn(3, HIDDEN)
    torch.testing.assert_close(twice.reading(z, None), 2 * once.reading(z, None))


def test_heads_that_are_refused_give_the_reason() -> None:
    loaded = by_hand(make("DiffLlama"), "diff")
    with pytest.raises(ModelError, match=r"diff, layers\.0: the mixed values of 4 heads of 4 .* behind it\.$"):
        head_site(loaded, study(loaded), 0)


@pytest.mark.parametrize(
    ("along", "name", "message"),
    [
        (DIRECTION[:5], "d", r"along-d: the direction has shape \(5,\), and llama is 16 wide\. Give one of shape"),
        (0 * DIRECTION, "d", r"along-d: the direction is zero.*Give another direction\.$"),
        (np.nan * DIRECTION, "d", r"along-d: the direction is zero, or not of finite numbers"),
        (DIRECTION, "a/b", r"'head\.0\.along-a/b' is not a site of heads: name the direction with letters"),
        (DIRECTION, None, r"'head\.0\.along-' is not a site of heads: name the direction with letters"),
        (None, "d", r"along-d needs the direction itself\. Give `along` the 16 numbers of it\.$"),
    ],
)
def test_a_direction_that_does_not_fit_is_refused(along: Any, name: str | None, message: str) -> None:
    loaded = by_hand(make("Llama"), "llama")
    with pytest.raises(ModelError, match=message):
        head_site(loaded, study(loaded), 0, along=along, name=name)
