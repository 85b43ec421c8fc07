"""Reading neurons and heads over texts: the same numbers as one text run alone, and moments over all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from activations.families import FAMILIES, HIDDEN, LAYERS, NEURONS, make, passing

from building import save_model
from imitable.activations import Loaded, Shard, Work, load_model, mlp_sites, study, windows
from imitable.activations.heads import head_site
from imitable.activations.running import columns, moments
from imitable.campaign import Model
from imitable.errors import ModelError

TEXTS = [
    "One day a little girl named Lily went to the park with her red ball and saw a big dog.",
    "Tom and his mom baked a cake and then they shared it with all of their friends at home.",
]


def loaded_from(model: Any, folder: Path) -> Loaded:
    return load_model(Model(path=str(save_model(model, folder))), base=folder)


def shard_of(loaded: Loaded, texts: list[str]) -> Shard:
    return Shard.of(windows(loaded, texts, documents=range(len(texts)), shortest=12, longest=32))


@pytest.mark.parametrize(
    "family",
    ["llama", "gpt2", "gpt-neox", "bert", "opt", "modernbert", "gemma3", "bloom", "t5-encoder", "bart-encoder"],
)
def test_units_of_many_texts_at_once_are_those_of_each_text_alone(family: str, tmp_path: Path) -> None:
    it = FAMILIES[family]
    loaded = loaded_from(make(it.config, **it.more), tmp_path / family)
    anatomy = study(loaded)
    heads = head_site(loaded, anatomy, 1, along=np.arange(HIDDEN) - 7.0, name="d")
    sites = (*mlp_sites(loaded), head_site(loaded, anatomy, 1), heads)
    shard = shard_of(loaded, TEXTS)
    assert len(shard) >= 2
    work = Work(sites, {site.name: tuple(range(site.width)) for site in sites}, "float32")
    read = columns(loaded, shard, work)
    for window in range(len(shard)):
        caught = passing(loaded.model, *(site.tap.module for site in sites), tokens=shard.token_ids(window))
        for site in sites:
            alone = site.reading(caught[site.tap.module][0], None).reshape(-1, site.width).numpy()
            at_once = read[site.name][shard.starts[window] : shard.ends[window]]
            np.testing.assert_allclose(at_once, alone, atol=1e-4, rtol=1e-4)


def test_a_folder_with_a_whole_t5_is_read_in_its_encoder(tmp_path: Path) -> None:
    it = FAMILIES["t5-encoder"]
    config = transformers.T5Config(vocab_size=512, d_model=HIDDEN, **it.more)
    sites = mlp_sites(loaded_from(transformers.T5Model(config), tmp_path / "t5"))
    assert [site.tap.module for site in sites] == [f"{it.blocks}.{layer}.{it.down}" for layer in range(LAYERS)]


def test_reading_leaves_no_hook_behind(tmp_path: Path) -> None:
    loaded = loaded_from(make("Llama"), tmp_path / "llama")
    sites = tuple(mlp_sites(loaded))
    shard = shard_of(loaded, TEXTS)
    columns(loaded, shard, Work(sites[:1], {"mlp.0": (1,)}, "float32"))
    moments(loaded, shard, Work(sites, None, "float32"))
    assert not any(each._forward_pre_hooks or each._forward_hooks for each in loaded.model.modules())


def test_weights_that_are_not_numbers_are_found_out(tmp_path: Path) -> None:
    model = make("Llama")
    with torch.no_grad():
        model.layers[1].mlp.up_proj.weight[3] = float("nan")
    loaded = loaded_from(model, tmp_path / "broken")
    with pytest.raises(ModelError, match=r"broken, mlp\.1: the model gives NaN .*Check its weights"):
        moments(loaded, shard_of(loaded, TEXTS), Work(tuple(mlp_sites(loaded)), None, "float32"))


def test_moments_are_those_of_all_tokens_that_may_be_asked_about(tmp_path: Path) -> None:
    loaded = loaded_from(make("Llama"), tmp_path / "llama")
    sites, shard = tuple(mlp_sites(loaded)), shard_of(loaded, TEXTS * 3)
    every = columns(loaded, shard, Work(sites[1:], {"mlp.1": tuple(range(NEURONS))}, "float32"))["mlp.1"]
    x = every[shard.focusable].astype(np.float64)
    found = moments(loaded, shard, Work(sites, None, "float32"))["mlp.1"]
    assert found.count == shard.focusable.sum()
    centred = x - x.mean(axis=0)
    np.testing.assert_allclose(found.mean, x.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.sd, x.std(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.kurtosis, (centred**4).mean(axis=0) / x.var(axis=0) ** 2 - 3, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(found.maximum, x.max(axis=0))
    np.testing.assert_array_equal(found.minimum, x.min(axis=0))
