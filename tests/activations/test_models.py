"""Loading models: what is refused, in which words, and what a model's hash depends on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from building import builtin_model, save_model
from imitable.activations import load_model, mlp_sites
from imitable.campaign import Model
from imitable.errors import ModelError


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The built-in model in a folder that a test may damage."""
    return Path(shutil.copytree(builtin_model(), tmp_path / "model"))


def load(folder: Path | str, base: Path) -> Any:
    return load_model(Model(path=str(folder)), base=base)


def change(path: Path, **keys: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no model folder .*/nowhere\. Correct \[model\] path\.$"):
        load("./nowhere", tmp_path)


def test_an_unknown_builtin_names_the_known_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no built-in model 'gpt9'.*builtin:stories260K\.$"):
        load("builtin:gpt9", tmp_path)


def test_pickled_weights_are_refused_with_the_way_out(copy: Path, tmp_path: Path) -> None:
    (copy / "model.safetensors").unlink()
    torch.save({}, copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin is a pickle, .*save_pretrained\(folder\)\.$"):
        load(copy, tmp_path)


def test_a_folder_without_weights_says_what_is_missing(copy: Path, tmp_path: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no safetensors weights\. Add model\.safetensors\.$"):
        load(copy, tmp_path)


def test_a_folder_without_configuration_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"empty has no config\.json\. Give \[model\] path a folder"):
        load("empty", tmp_path)


def test_damaged_weights_are_an_error_in_our_words(copy: Path, tmp_path: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"model cannot be loaded: .*\. Give \[model\] path a folder"):
        load(copy, tmp_path)


def test_weights_of_other_shapes_are_refused(copy: Path, tmp_path: Path) -> None:
    change(copy / "config.json", intermediate_size=100)
    with pytest.raises(ModelError, match=r"its weights do not have the shapes that its config\.json states\."):
        load(copy, tmp_path)


def test_weights_that_are_missing_are_never_made_up(copy: Path, tmp_path: Path) -> None:
    change(copy / "config.json", num_hidden_layers=7)
    with pytest.raises(ModelError, match=r"lack 18 that its config\.json asks for, layers\.5\..*random numbers"):
        load(copy, tmp_path)


def test_a_tokenizer_larger_than_the_model_is_refused(copy: Path, tmp_path: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(copy)
    tokenizer.add_tokens(["zebra", "zebu"])
    tokenizer.save_pretrained(copy)
    with pytest.raises(ModelError, match=r"has 514 tokens and the model only 512.*own tokenizer into its folder\.$"):
        load(copy, tmp_path)


def test_a_hub_that_does_not_answer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        ModelError, match=r"no folder nobody/nothing, and .* hub does not answer .*local folder, or check"
    ):
        load("nobody/nothing", tmp_path)


def test_a_missing_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from imitable.errors import MissingExtra

    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'imitable\[models\]'$"):
        load("builtin:stories260K", tmp_path)


def test_the_hash_depends_on_weights_configuration_and_tokenizer(copy: Path, tmp_path: Path) -> None:
    first = load(copy, tmp_path)
    assert load(copy, tmp_path).sha256 == first.sha256 == load("builtin:stories260K", tmp_path).sha256
    hashes = {first.sha256}
    change(copy / "config.json", rms_norm_eps=1e-3)
    hashes.add(load(copy, tmp_path).sha256)
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    tokenizer["model"]["merges"] = tokenizer["model"]["merges"][:-1]
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    hashes.add(load(copy, tmp_path).sha256)
    assert len(hashes) == 3


def test_a_part_that_was_never_trained_does_not_change_the_hash(tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=512, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2
    )
    folder = save_model(transformers.BertForMaskedLM(config), tmp_path / "bert")  # it has no pooler
    assert load(folder, tmp_path).sha256 == load(folder, tmp_path).sha256
    assert len(mlp_sites(load(folder, tmp_path))) == 2


def test_the_longest_input_is_known(copy: Path, tmp_path: Path) -> None:
    change(copy / "config.json", max_position_embeddings=40)
    assert load(copy, tmp_path).longest == 40


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00"])
@pytest.mark.parametrize("name", ["tokenizer.json", "config.json", "tokenizer_config.json", "special_tokens_map.json"])
def test_a_damaged_file_is_named_with_the_way_out(copy: Path, tmp_path: Path, name: str, content: str) -> None:
    (copy / name).write_text(content)
    with pytest.raises(ModelError, match=rf"{name} is empty or damaged.*Copy it from the model's source again\.$"):
        load(copy, tmp_path)


def test_a_folder_without_a_tokenizer_says_what_is_missing(copy: Path, tmp_path: Path) -> None:
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"it has no tokenizer\.json, .*and a tokenizer, or a hub name"):
        load(copy, tmp_path)


TOKENIZERS: dict[str, dict[str, Any]] = {
    "nothing in it": {},
    "no model": {"added_tokens": []},
    "a model of no kind": {"added_tokens": [], "model": {"type": "BPE"}},
    "no list of tokens": {"added_tokens": 3},
}


@pytest.mark.parametrize("damage", TOKENIZERS)
def test_a_tokenizer_file_without_a_tokenizer_is_named_with_the_way_out(
    damage: str, copy: Path, tmp_path: Path
) -> None:
    (copy / "tokenizer.json").write_text(json.dumps(TOKENIZERS[damage]))
    with pytest.raises(ModelError, match=r"tokenizer\.json is damaged: .* Copy it from the model's source again\.$"):
        load(copy, tmp_path)


def test_weights_of_more_layers_than_the_configuration_has_are_refused(copy: Path, tmp_path: Path) -> None:
    change(copy / "config.json", num_hidden_layers=3)
    with pytest.raises(
        ModelError, match=r"of blocks that its config\.json does not have, .*layers\.3.*number of layers"
    ):
        load(copy, tmp_path)


SIZES: dict[str, Any] = {"vocab_size": 512, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}
T5_SIZES: dict[str, Any] = {"vocab_size": 512, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_heads": 2}


def of(name: str, task: str, **sizes: Any) -> Any:
    return getattr(transformers, f"{name}{task}")(getattr(transformers, f"{name}Config")(**sizes))


SURPLUS: dict[str, tuple[Any, list[str], dict[str, int], str]] = {
    "GPT-2": (
        lambda: of("GPT2", "LMHeadModel", vocab_size=512, n_embd=16, n_head=2, n_layer=12),
        ["transformer.h.0.attn.bias"],
        {"n_layer": 4},
        r"transformer\.h\.10\.",
    ),
    "BERT": (
        lambda: of("Bert", "ForSequenceClassification", **SIZES, num_hidden_layers=3),
        ["bert.embeddings.position_ids", "classifier.1.weight"],
        {"num_hidden_layers": 2},
        r"bert\.encoder\.layer\.2\.",
    ),
    "GPT-NeoX": (
        lambda: of("GPTNeoX", "ForCausalLM", **SIZES, num_hidden_layers=3),
        ["gpt_neox.layers.0.attention.rotary_emb.inv_freq", "gpt_neox.layers.2.attention.bias"],
        {"num_hidden_layers": 2},
        r"gpt_neox\.layers\.2\.",
    ),
    "T5": (
        lambda: of("T5", "ForConditionalGeneration", **T5_SIZES, num_layers=2, num_decoder_layers=4),
        [],
        {"num_layers": 1},
        r"encoder\.block\.1\.",
    ),
}
"""A model with its head, what else may lie beside its weights, fewer layers, and what is then in surplus."""


@pytest.mark.parametrize("family", SURPLUS)
def test_heads_and_buffers_beside_the_weights_do_no_harm_and_blocks_beyond_the_last_do(
    family: str, tmp_path: Path
) -> None:
    make, harmless, fewer, said = SURPLUS[family]
    folder = save_model(make(), tmp_path / family)
    weights = load_file(folder / "model.safetensors") | dict.fromkeys(harmless, torch.ones(1))
    save_file({name: one.clone() for name, one in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    load(folder, tmp_path)
    change(folder / "config.json", **fewer)
    with pytest.raises(
        ModelError, match=rf"of blocks that its config\.json does not have, {said}.*in config\.json right\.$"
    ):
        load(folder, tmp_path)


def test_a_hub_that_does_not_answer_is_told_of_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"no folder somebody/something, and the Hugging Face hub does not answer"):
        load("somebody/something", tmp_path)
