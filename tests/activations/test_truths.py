"""The truths of a real build, computed again by hand from the stored tokens and from the stored text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers import AutoTokenizer, LlamaModel

from building import builtin_model
from imitable.activations import load_model, read_corpus, windows
from imitable.campaign import Corpus, Model
from imitable.rounds import AnswerKey, Example, Item, PlayedTarget
from imitable.store import read_build

Floats = npt.NDArray[np.float64]
Forward = Callable[[list[int]], dict[str, Floats]]


@pytest.fixture(scope="module")
def built(built_once: Path) -> dict[str, list[Any]]:
    return read_build(built_once / "build")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(builtin_model())


@pytest.fixture(scope="module")
def by_hand() -> Forward:
    """act(gate(x)) * up(x) of every MLP for one text's tokens: nothing of imitable's is used."""
    model = LlamaModel.from_pretrained(builtin_model(), dtype=torch.float32).eval()
    inputs: dict[int, Any] = {}
    for number, layer in enumerate(model.layers):
        layer.post_attention_layernorm.register_forward_hook(
            lambda _module, _args, out, number=number: inputs.__setitem__(number, out)
        )

    def forward(token_ids: list[int]) -> dict[str, Floats]:
        with torch.no_grad():
            model(input_ids=torch.tensor([token_ids]), use_cache=False)
            return {
                f"mlp.{number}": (
                    torch.nn.functional.silu(layer.mlp.gate_proj(inputs[number][0]))
                    * layer.mlp.up_proj(inputs[number][0])
                )
                .numpy()
                .astype(np.float64)
                for number, layer in enumerate(model.layers)
            }

    return forward


def parts(built: dict[str, list[Any]]) -> list[tuple[PlayedTarget, list[Item], dict[str, AnswerKey]]]:
    answers = {answer.item_id: answer for answer in built["truths"]}
    return [
        (target, [item for item in built["items"] if item.target_id == target.target_id], answers)
        for target in built["targets"]
    ]


def test_every_truth_is_the_activation_on_exactly_the_tokens_and_the_text_shown(
    built: dict[str, list[Any]], by_hand: Forward, tokenizer: Any
) -> None:
    for target, items, answers in parts(built):
        for item in items:
            assert tokenizer(item.text)["input_ids"] == list(item.token_ids)
            unit = by_hand(list(item.token_ids))[target.site][:, target.unit]
            answer = answers[item.item_id]
            assert answer.activation == pytest.approx(unit[item.position], abs=1e-5)
            np.testing.assert_allclose(answer.values, unit, atol=1e-5)
            assert answer.activation == answer.values[item.position]


def test_examples_show_the_same_scale_at_every_token(
    built: dict[str, list[Any]], by_hand: Forward, tokenizer: Any
) -> None:
    targets = {target.target_id: target for target in built["targets"]}
    for example in built["examples"]:
        target = targets[example.target_id]
        unit = by_hand(tokenizer(example.text)["input_ids"])[target.site][:, target.unit]
        np.testing.assert_allclose(example.values, display(unit, target), atol=1e-3)
    assert {example.role for example in built["examples"]} == {"top", "middle", "contrast"}
    for target in built["targets"]:
        shown: list[Example] = [one for one in built["examples"] if one.target_id == target.target_id]
        tops = [one.values[one.position] for one in shown if one.role == "top"]
        assert tops == sorted(tops, reverse=True)
        assert max(one.values[one.position] for one in shown if one.role == "contrast") < 5 < tops[0]


def display(activation: npt.ArrayLike, target: PlayedTarget) -> Floats:
    """The rule of the display scale, written a second time."""
    y = np.asarray(activation, dtype=np.float64) * (-1 if target.polarity == "neg" else 1)
    z = 10 * np.arcsinh(y / target.scale_s) / np.arcsinh(target.scale_m / target.scale_s)
    shown: Floats = np.clip(z, -10 if target.polarity == "both" else 0, 10)
    return shown


def test_scale_and_reference_loss_follow_from_the_build_files(built: dict[str, list[Any]]) -> None:
    for target, items, answers in parts(built):
        raw = np.array([answers[item.item_id].activation for item in items])
        truth = np.array([answers[item.item_id].truth for item in items])
        np.testing.assert_allclose(truth, display(raw, target), rtol=1e-12, atol=1e-12)
        y = raw if target.polarity == "pos" else -raw
        assert target.scale_s == pytest.approx(np.median(y[y > 0]), rel=1e-12)
        assert target.scale_m >= y.max()
        assert truth.min() >= 0
        assert truth.max() <= 10
        held_out = truth[[item.split == "held_out" for item in items]]
        assert target.l_ref == pytest.approx(np.abs(held_out - np.median(held_out)).mean(), rel=1e-12)
        assert target.l_ref >= 0.5


def test_the_upper_end_and_the_side_follow_from_the_whole_corpus(
    built: dict[str, list[Any]], by_hand: Forward, built_once: Path
) -> None:
    loaded = load_model(Model(path="builtin:stories260K"), base=built_once)
    texts = [text.text for text in read_corpus(Corpus(path="builtin:tinystories"), base=built_once)]
    shown = {item.text for item in built["items"]} | {example.text for example in built["examples"]}
    cut = windows(loaded, texts, documents=[number // 5 for number in range(len(texts))], shortest=32, longest=48)
    assert shown <= {window.text for window in cut}
    # Windows of other splits that share a run were dropped; the quantile moves by little for it.
    sampled = cut[::3]
    seen = [(by_hand(list(window.token_ids)), list(window.focusable)) for window in sampled]
    for target, items, answers in parts(built):
        values = np.concatenate([acts[target.site][focus, target.unit] for acts, focus in seen])
        assert (values.max() >= -values.min()) == (target.polarity == "pos")
        y = values if target.polarity == "pos" else -values
        pool = [abs(answers[item.item_id].activation) for item in items]
        assert target.scale_m == pytest.approx(max(np.quantile(y, 0.999), *pool), rel=0.1)


def test_a_focus_is_never_first_never_special_and_marks_its_characters(
    built: dict[str, list[Any]], tokenizer: Any
) -> None:
    special = set(tokenizer.all_special_ids)
    for item in built["items"]:
        assert item.position >= 8
        assert item.token_ids[item.position] not in special
        assert 32 <= len(item.token_ids) <= 48
        marked = item.text[slice(*item.focus)]
        piece = tokenizer.convert_ids_to_tokens(item.token_ids[item.position]).replace("▁", " ")
        assert marked.strip()
        assert piece.strip() == marked.strip() or piece.startswith("<0x")
        assert "".join(item.text[left:right] for left, right in item.offsets) == item.text


def test_a_target_has_at_most_one_item_a_document_and_no_item_twice(built: dict[str, list[Any]]) -> None:
    for _, items, _ in parts(built):
        documents = [item.document for item in items]
        assert len(set(documents)) == len(documents)
    ids = [item.item_id for item in built["items"]]
    assert len(set(ids)) == len(ids)


def test_no_run_of_twelve_tokens_stands_in_two_splits(built: dict[str, list[Any]], tokenizer: Any) -> None:
    texts = {(item.text, item.split) for item in built["items"]}
    texts |= {(example.text, "examples") for example in built["examples"]}
    owner: dict[tuple[int, ...], str] = {}
    for text, split in sorted(texts):
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        for start in range(len(tokens) - 11):
            assert owner.setdefault(tuple(tokens[start : start + 12]), split) == split


def test_every_document_belongs_to_one_split(built: dict[str, list[Any]], built_once: Path) -> None:
    splits: dict[int, str] = {}
    for item in built["items"]:
        assert splits.setdefault(item.document, item.split) == item.split
    loaded = load_model(Model(path="builtin:stories260K"), base=built_once)
    texts = [text.text for text in read_corpus(Corpus(path="builtin:tinystories"), base=built_once)]
    document = {
        window.text: window.document
        for window in windows(
            loaded, texts, documents=[number // 5 for number in range(len(texts))], shortest=32, longest=48
        )
    }
    for example in built["examples"]:
        assert document[example.text] not in splits


def test_half_of_a_pool_is_active_and_weights_are_at_least_one(built: dict[str, list[Any]]) -> None:
    for _, items, _ in parts(built):
        for split, size in (("practice", 24), ("held_out", 16)):
            pool = [item for item in items if item.split == split]
            active = sum(not item.stratum.startswith("inactive") for item in pool)
            assert len(pool) == size
            assert active == size // 2
            assert min(item.weight for item in pool) >= 1
