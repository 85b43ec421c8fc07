"""Cutting texts: what is shown is what the model reads, and what may be asked about."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from building import builtin_model, stories
from imitable.activations import Loaded, Window, load_model, windows
from imitable.campaign import Model
from lengths import examples


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load_model(Model(path="builtin:stories260K"), base=Path())


@pytest.fixture(scope="module")
def byte_level() -> Loaded:
    """A byte-level tokenizer, as GPT-2's: some characters are made of several tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(stories(20), trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    return Loaded("bytes", None, fast, "0" * 64, None, {})


def cut(loaded: Loaded, *texts: str, shortest: int = 12, longest: int = 32, block: int = 1) -> list[Window]:
    return windows(loaded, texts, block=block, shortest=shortest, longest=longest)


def test_a_window_is_tokenized_as_it_is_shown(loaded: Loaded) -> None:
    made = cut(loaded, *stories(40))
    assert len(made) > 40
    for window in made:
        assert loaded.tokenizer(window.text)["input_ids"] == list(window.token_ids)
        assert 12 <= len(window.token_ids) <= 32
        assert window.text == window.text.strip()


def test_windows_follow_each_other_and_end_between_words(loaded: Loaded) -> None:
    story = " ".join(" ".join(stories(6)).split())
    made = cut(loaded, story)
    assert len(made) > 5
    at = 0
    for window in made:
        at = story.index(window.text, at) + len(window.text)
        assert at == len(story) or story[at].isspace()


def test_a_special_token_spelled_out_in_the_text_is_never_asked_about(loaded: Loaded) -> None:
    (window,) = cut(loaded, "One day Lily went to the park with </s> her big red ball and </s> a dog", longest=40)
    marked = {window.text[slice(*window.offsets[at])] for at in window.focusable}
    assert 2 in window.token_ids
    assert "</s>" not in marked
    assert not {window.token_ids[at] for at in window.focusable} & set(loaded.tokenizer.all_special_ids)


def test_consecutive_texts_share_a_document(loaded: Loaded) -> None:
    made = cut(loaded, *stories(7), block=3)
    assert sorted({window.document for window in made}) == [0, 1, 2]


def test_a_focus_has_a_past_and_characters_of_its_own(loaded: Loaded) -> None:
    for window in cut(loaded, *stories(30)):
        spans = [span for span in window.offsets if span[1] > span[0]]
        assert spans == sorted(spans)
        assert all(left[1] <= right[0] for left, right in pairwise(spans))
        assert "".join(window.text[slice(*span)] for span in spans) == window.text
        assert min(window.focusable) >= 8


def test_a_character_of_several_tokens_is_marked_once_and_never_cut(byte_level: Loaded) -> None:
    text = "雨が降っていたので、彼女は公園へ行かずに家で本を読んでいました。" * 4
    made = cut(byte_level, text, shortest=12, longest=40)
    assert len(made) >= 8
    assert "".join(window.text for window in made) == text[: sum(len(window.text) for window in made)]
    for window in made:
        marked = [window.text[slice(*window.offsets[at])] for at in window.focusable]
        assert all(len(each) == 1 for each in marked)
        assert len({window.offsets[at] for at in window.focusable}) == len(window.focusable)


def test_texts_that_are_too_short_give_nothing(loaded: Loaded) -> None:
    assert cut(loaded, "The end.", "", "Yes") == []


@settings(max_examples=examples(60), deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=120))
def test_any_text_at_all_is_cut_without_losing_the_promise(text: str) -> None:
    for loaded in _both():
        for window in cut(loaded, text, shortest=10, longest=24):
            assert loaded.tokenizer(window.text)["input_ids"] == list(window.token_ids)
            for at in window.focusable:
                left, right = window.offsets[at]
                assert window.text[left:right].strip()
                assert at > 0


def _both(kept: list[Any] = []) -> list[Any]:  # noqa: B006  # one tokenizer for all of Hypothesis's examples
    if not kept:
        fast = PreTrainedTokenizerFast(tokenizer_file=str(builtin_model() / "tokenizer.json"))
        kept.append(Loaded("fast", None, fast, "0" * 64, None, {}))
    return kept
