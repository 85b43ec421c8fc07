"""Finding the MLPs of models of many families by their structure, on tiny random models made here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from building import save_model
from imitable.activations import Loaded, Scan, columns, load_model, mlp_sites, moments, windows
from imitable.campaign import Model
from imitable.errors import ModelError

TEXTS = [
    "One day a little girl named Lily went to the park with her red ball and saw a big dog.",
    "Tom and his mom baked a cake and then they shared it with all of their friends at home.",
]


def llama(**changes: Any) -> Any:
    config = transformers.LlamaConfig(
        vocab_size=512,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        **changes,
    )
    return transformers.LlamaModel(config)


def gpt2() -> Any:
    config = transformers.GPT2Config(vocab_size=512, n_embd=16, n_layer=2, n_head=2, n_positions=64, n_inner=24)
    return transformers.GPT2Model(config)


def gpt_neox() -> Any:
    config = transformers.GPTNeoXConfig(
        vocab_size=512,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    return transformers.GPTNeoXModel(config)


def bert() -> Any:
    return transformers.BertModel(bert_config())


def bert_config() -> Any:
    return transformers.BertConfig(
        vocab_size=512,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
    )


def opt() -> Any:
    config = transformers.OPTConfig(
        vocab_size=512,
        hidden_size=16,
        ffn_dim=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        word_embed_proj_dim=16,
    )
    return transformers.OPTModel(config)


def wide_as_hidden() -> Any:
    """An MLP as wide as the hidden state, where every linear module has the right output size."""
    config = transformers.GPT2Config(vocab_size=512, n_embd=16, n_layer=2, n_head=2, n_positions=64, n_inner=16)
    return transformers.GPT2Model(config)


Hand = Callable[[Any, int, Any], Any]
"""(model, layer, input of its MLP) -> its hidden units, by the textbook."""

FAMILIES: dict[str, tuple[Callable[[], Any], str, str, Hand]] = {
    "llama": (
        llama,
        "layers.{}.mlp",
        "layers.{}.mlp.down_proj",
        lambda m, i, x: torch.nn.functional.silu(m.layers[i].mlp.gate_proj(x)) * m.layers[i].mlp.up_proj(x),
    ),
    "gpt2": (gpt2, "h.{}.mlp", "h.{}.mlp.c_proj", lambda m, i, x: m.h[i].mlp.act(m.h[i].mlp.c_fc(x))),
    "gpt2-as-wide-as-hidden": (
        wide_as_hidden,
        "h.{}.mlp",
        "h.{}.mlp.c_proj",
        lambda m, i, x: m.h[i].mlp.act(m.h[i].mlp.c_fc(x)),
    ),
    "gpt-neox": (
        gpt_neox,
        "layers.{}.mlp",
        "layers.{}.mlp.dense_4h_to_h",
        lambda m, i, x: torch.nn.functional.gelu(m.layers[i].mlp.dense_h_to_4h(x)),
    ),
    "bert": (
        bert,
        "encoder.layer.{}.intermediate",
        "encoder.layer.{}.output.dense",
        lambda m, i, x: torch.nn.functional.gelu(m.encoder.layer[i].intermediate.dense(x)),
    ),
    "opt": (
        opt,
        "decoder.layers.{}.fc1",
        "decoder.layers.{}.fc2",
        lambda m, i, x: torch.relu(m.decoder.layers[i].fc1(x)),
    ),
}


def loaded_from(model: Any, folder: Path) -> Loaded:
    return load_model(Model(path=str(save_model(model, folder))), base=folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_hidden_units_of_every_family_are_found_and_read_right(family: str, tmp_path: Path) -> None:
    make, mlp, projection, by_hand = FAMILIES[family]
    torch.manual_seed(0)
    loaded = loaded_from(make(), tmp_path / family)
    sites = mlp_sites(loaded)
    width = 16 if "wide" in family else 24
    assert [(site.name, site.tap.module, site.width) for site in sites] == [
        (f"mlp.{layer}", projection.format(layer), width) for layer in range(2)
    ]
    cut = windows(loaded, TEXTS, block=1, shortest=12, longest=32)
    assert len(cut) >= 2
    read = columns(Scan(loaded, cut, sites), {site.name: range(width) for site in sites})
    for at, window in enumerate(cut):
        for layer, site in enumerate(sites):
            expected = hidden_units(loaded.model, mlp.format(layer), layer, by_hand, list(window.token_ids))
            np.testing.assert_allclose(read[site.name][at], expected, atol=1e-5)


def hidden_units(model: Any, mlp: str, layer: int, by_hand: Hand, token_ids: list[int]) -> Any:
    """Run one text alone, unbatched, and compute a layer's hidden units from its MLP's input."""
    inputs: list[Any] = []
    handle = model.get_submodule(mlp).register_forward_hook(lambda _module, args, _out: inputs.append(args[0]))
    with torch.no_grad():
        model(input_ids=torch.tensor([token_ids]))
        handle.remove()
        return by_hand(model, layer, inputs[0]).reshape(len(token_ids), -1).numpy()


def test_a_mixture_of_experts_is_refused(tmp_path: Path) -> None:
    config = transformers.MixtralConfig(
        vocab_size=512,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        num_local_experts=2,
        max_position_embeddings=64,
    )
    loaded = loaded_from(transformers.MixtralModel(config), tmp_path / "mixtral")
    with pytest.raises(ModelError, match=r"mixtral, layers\.0: a mixture of experts .* Choose a dense model\.$"):
        mlp_sites(loaded)


def test_layers_that_share_one_mlp_are_refused(tmp_path: Path) -> None:
    config = transformers.AlbertConfig(
        vocab_size=512,
        hidden_size=16,
        embedding_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    loaded = loaded_from(transformers.AlbertModel(config), tmp_path / "albert")
    with pytest.raises(ModelError, match=r"runs 3 times on one text.*MLPs of their own\.$"):
        mlp_sites(loaded)


def test_a_model_that_needs_more_than_tokens_is_refused_in_our_words(tmp_path: Path) -> None:
    config = transformers.T5Config(vocab_size=512, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2)
    loaded = loaded_from(transformers.T5Model(config), tmp_path / "t5")
    with pytest.raises(ModelError, match=r"t5 does not run on a text's tokens alone .*decoder of text\.$"):
        mlp_sites(loaded)


def test_finding_and_reading_leave_no_hook_behind(tmp_path: Path) -> None:
    loaded = loaded_from(llama(), tmp_path / "llama")
    sites = mlp_sites(loaded)
    cut = windows(loaded, TEXTS, block=1, shortest=12, longest=32)
    columns(Scan(loaded, cut, sites), {"mlp.0": [1]})
    moments(Scan(loaded, cut, sites))
    assert not any(module._forward_pre_hooks for module in loaded.model.modules())


def test_weights_that_are_not_numbers_are_found_out(tmp_path: Path) -> None:
    model = llama()
    with torch.no_grad():
        model.layers[1].mlp.up_proj.weight[3] = float("nan")
    loaded = loaded_from(model, tmp_path / "broken")
    cut = windows(loaded, TEXTS, block=1, shortest=12, longest=32)
    with pytest.raises(ModelError, match=r"broken, mlp\.1: the model gives NaN .*Check its weights"):
        moments(Scan(loaded, cut, mlp_sites(loaded)))


def test_moments_are_those_of_all_tokens_that_may_be_asked_about(tmp_path: Path) -> None:
    loaded = loaded_from(llama(), tmp_path / "llama")
    sites = mlp_sites(loaded)
    cut = windows(loaded, TEXTS * 3, block=1, shortest=12, longest=24)
    scan = Scan(loaded, cut, sites)
    every = columns(scan, {"mlp.1": range(24)})["mlp.1"]
    x = np.concatenate([each[list(w.focusable)] for each, w in zip(every, cut, strict=True)]).astype(np.float64)
    found = moments(scan)["mlp.1"]
    centred = x - x.mean(axis=0)
    np.testing.assert_allclose(found.mean, x.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.sd, x.std(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.kurtosis, (centred**4).mean(axis=0) / x.var(axis=0) ** 2 - 3, rtol=1e-4)
    np.testing.assert_array_equal(found.maximum, x.max(axis=0))
    np.testing.assert_array_equal(found.minimum, x.min(axis=0))


def test_progress_counts_every_token_once(tmp_path: Path) -> None:
    loaded = loaded_from(llama(), tmp_path / "llama")
    scan = Scan(loaded, windows(loaded, TEXTS, block=1, shortest=12, longest=32), mlp_sites(loaded))
    ticks: list[int] = []
    moments(scan, tick=ticks.append)
    assert sum(ticks) == scan.tokens
