"""Cutting texts: what is shown is what the model reads, and what may be asked about, for every family of tokenizers."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
import regex  # type: ignore[import-untyped]  # what Unicode takes for one character; transformers brings it
from activations.tokenizers_at_hand import FAMILIES, FOREIGN, family, in_order, without_model
from hypothesis import given, settings
from hypothesis import strategies as st

from building import stories
from imitable.activations import FOCUS_AFTER, Loaded, Window, windows
from imitable.errors import ModelError
from lengths import examples

FRAGMENTS = (
    *(
        "One day, ",
        "Lily ",
        "went to the park.",
        " She",
        " unbelievable",
        "can't ",
        "  ",
        "\n",
        "\t",
        "\n\n \n",
        "\r\n",
    ),
    *("\x01", "\x7f", "\x85", "\u200b", "\u200d", "\ufeff", "\xad", "\u2060", "\u200f", "\xa0", "\u3000", "\u2028"),
    *("😀", "👩‍👩‍👧", "🇫🇷", "🇩🇪🇫", "👍🏽", "❤️", "🏴\U000e0067\U000e0062\U000e007f", "\U0001fae8", "1️⃣"),
    *("e\u0301", "é", "a\u0323\u0302", "\u0301", "ñ", "\u0344", "ö̲", "Å"),
    *(
        "ذهبت الفتاة ",
        "مُحَمَّد",
        "שלום ",
        "\u0600١٢",
        "雨が降って",
        "公园",
        "ｶﾞ",
        "한국",
        "\u1112\u1161\u11ab",
        "लड़की क्षण ",
        "ไป",
    ),
    *(
        "</s>",
        "<s>",
        "[MASK]",
        "[UNK]",
        " <mask> ",
        "<|endoftext|>",
        "<|reserved_0|>",
        "<unk>",
        "<0x41>",
        "▁",
        "##s",
        "Ġ",
    ),
    *("ﬁrst", "oﬃce", "İstanbul", "ß", "ΣΑΣ", "ﷺ", "½", "№", "①", "ａｂｃ", "x" * 150, "ab" * 60, "\u3164", "\u2800"),
)
"""What tokenizers stumble over: invisible, several bytes, several code points, no spaces, special, normalised away."""

TEXTS = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), min_size=4, max_size=40).map("".join),
    st.lists(st.sampled_from(FRAGMENTS), min_size=4, max_size=30).map(" ".join),
    st.lists(st.sampled_from((*stories(8)[1:], *FOREIGN)), min_size=1, max_size=2).map(" ".join),
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=120),
)


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return family("stories260K")[0]


def cut(loaded: Loaded, *texts: str, shortest: int = 12, longest: int = 32) -> list[Window]:
    return windows(loaded, texts, documents=range(len(texts)), shortest=shortest, longest=longest)


def marked(window: Window, at: int) -> str:
    return window.text[slice(*window.offsets[at])]


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=examples(60), deadline=None)
@given(text=TEXTS, longest=st.integers(14, 48))
def test_any_text_is_cut_without_losing_the_promise(name: str, text: str, longest: int) -> None:
    loaded, stands_for = family(name)
    special = {number for number, token in loaded.tokenizer.added_tokens_decoder.items() if token.special}
    for window in cut(loaded, text, shortest=12, longest=longest):
        assert loaded.tokenizer(window.text)["input_ids"] == list(window.token_ids)
        assert 12 <= len(window.token_ids) == len(window.offsets) <= longest
        assert window.text == window.text.strip()
        assert window.text in text
        assert in_order(window)
        assert window.focusable
        clusters = {0, *(found.end() for found in regex.finditer(r"\X", window.text))}
        for at in window.focusable:
            assert sum(right > left for left, right in window.offsets[:at]) >= FOCUS_AFTER
            assert window.token_ids[at] not in special
            assert regex.search(r"[\p{L}\p{N}\p{P}\p{S}]", marked(window, at))
            assert set(window.offsets[at]) <= clusters
            assert stands_for(window, at), (marked(window, at), window.token_ids[at])


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=examples(30), deadline=None)
@given(text=TEXTS)
def test_a_window_that_is_cut_again_is_itself(name: str, text: str) -> None:
    loaded, _ = family(name)
    for window in cut(loaded, text):
        assert cut(loaded, window.text, shortest=1, longest=len(window.token_ids)) == [
            Window(window.text, window.token_ids, window.offsets, window.focusable, 0)
        ]


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=examples(15), deadline=None)
@given(texts=st.lists(TEXTS, max_size=6))
def test_texts_cut_together_give_what_they_give_alone(name: str, texts: list[str]) -> None:
    loaded, _ = family(name)
    alone = [
        window
        for number, text in enumerate(texts)
        for window in windows(loaded, [text], documents=[number], shortest=12, longest=32)
    ]
    assert cut(loaded, *texts) == alone


@pytest.mark.parametrize("name", FAMILIES)
def test_almost_all_of_a_plain_text_can_be_used(name: str) -> None:
    loaded, _ = family(name)
    text = " ".join(" ".join(stories(200)).split())
    made = cut(loaded, text, shortest=16, longest=32)
    assert sum(len(window.text) for window in made) > 0.97 * len(text)
    asked = sum(len(window.focusable) for window in made)
    after = sum(sum(right > left for left, right in window.offsets) - FOCUS_AFTER for window in made)
    assert asked > 0.9 * after  # the others mark a space


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
    assert 2 in window.token_ids
    assert "</s>" not in {marked(window, at) for at in window.focusable}


def test_a_special_token_without_a_role_is_never_asked_about() -> None:
    loaded, _ = family("llama3")
    (window,) = cut(loaded, "One day Lily went to the park with her<|reserved_0|>big red ball and dog", longest=60)
    reserved = loaded.tokenizer.convert_tokens_to_ids("<|reserved_0|>")
    assert reserved in window.token_ids
    assert reserved not in loaded.tokenizer.all_special_ids
    assert reserved not in {window.token_ids[at] for at in window.focusable}


def test_every_window_has_its_texts_document(loaded: Loaded) -> None:
    texts = stories(7)
    made = windows(loaded, texts, documents=[3, 3, 3, 4, 4, 4, 9], shortest=12, longest=32)
    assert [window.document for window in made] == sorted(window.document for window in made)
    assert {window.document for window in made} == {3, 4, 9}
    assert all(window.text in texts[6] for window in made if window.document == 9)


def test_a_focus_has_a_past_and_characters_of_its_own(loaded: Loaded) -> None:
    for window in cut(loaded, *stories(30)):
        spans = [span for span in window.offsets if span[1] > span[0]]
        assert all(left[1] <= right[0] for left, right in pairwise(spans))
        assert "".join(window.text[slice(*span)] for span in spans) == window.text
        assert min(window.focusable) >= 8


def test_a_character_of_several_tokens_is_marked_once_and_never_cut() -> None:
    loaded, _ = family("stories260K")
    text = "雨が降っていたので、彼女は公園へ行かずに家で本を読んでいました。" * 4
    made = cut(loaded, text, shortest=12, longest=40)
    assert len(made) >= 8
    assert "".join(window.text for window in made) == text[: sum(len(window.text) for window in made)]
    for window in made:
        assert all(len(marked(window, at)) == 1 for at in window.focusable)
        assert len({window.offsets[at] for at in window.focusable}) == len(window.focusable)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("emoji", ["👩‍👩‍👧", "🇫🇷", "👍🏽", "❤️", "ñ"])
def test_code_points_shown_as_one_are_never_cut_in_two(name: str, emoji: str) -> None:
    loaded, _ = family(name)
    for window in cut(loaded, emoji * 60, shortest=10, longest=24):
        assert not window.text.replace(emoji, "")
        assert all(not marked(window, at).replace(emoji, "") for at in window.focusable)


def test_an_emoji_of_one_code_point_and_several_tokens_is_marked_by_the_last() -> None:
    loaded, _ = family("gpt2")
    (window,) = cut(loaded, "One day Lily went to the park with her 😄 and a dog", longest=60)
    (asked,) = [at for at in window.focusable if marked(window, at) == "😄"]
    assert loaded.tokenizer.decode([window.token_ids[asked]]) != "😄"
    assert marked(window, asked - 1) == ""


def test_invisible_characters_are_never_asked_about() -> None:
    for name in FAMILIES:
        loaded, _ = family(name)
        for hidden in ("\u200b", "\ufeff", "\x01", "\xad", "\u2800"):
            for window in cut(loaded, "One day Lily went to the park to see " + f"the{hidden} {hidden}dog " * 9):
                assert all(marked(window, at).strip(hidden + " ") for at in window.focusable)


def test_texts_that_are_too_short_give_nothing(loaded: Loaded) -> None:
    assert cut(loaded, "The end.", "", "Yes", " \n", "\ufeff") == []
    assert cut(loaded) == []


def test_white_space_alone_gives_nothing_however_short_windows_may_be() -> None:
    for name in FAMILIES:
        for text in ("", " ", "\n\t \u3000", "\ufeff", "\u200b\x01"):
            assert cut(family(name)[0], text, shortest=1) == []


def test_a_length_that_leaves_no_room_for_text_gives_nothing() -> None:
    for name in FAMILIES:
        assert cut(family(name)[0], *stories(3), shortest=1, longest=2) == []


@pytest.mark.parametrize("name", FAMILIES)
def test_a_very_long_text_takes_time_in_proportion(name: str) -> None:
    loaded, _ = family(name)
    for text in (" ".join(stories(200)), FOREIGN[3].replace(" ", "") * 150, "x" * 10_000):
        seconds = []
        for often in (1, 8):
            began = time.process_time()
            cut(loaded, text * often)
            seconds.append(time.process_time() - began)
        assert seconds[1] < 24 * seconds[0] + 1


@pytest.mark.parametrize("name", FAMILIES)
def test_a_very_long_text_is_used_almost_to_the_letter(name: str) -> None:
    loaded, _ = family(name)
    text = FOREIGN[3].replace(" ", "") * 400
    made = cut(loaded, text, shortest=16, longest=32)
    assert all(window.text in text for window in made)
    most = 0.9 if name == "bert" else 0.97  # a window may be one long unknown word, and ask about nothing
    assert sum(len(window.text) for window in made) > most * len(text)


def test_padding_and_truncation_saved_with_a_tokenizer_change_nothing() -> None:
    from copy import deepcopy

    fast = deepcopy(family("gpt2")[0].tokenizer)
    fast.backend_tokenizer.enable_truncation(5)
    fast.backend_tokenizer.enable_padding(length=64)
    assert cut(without_model("set", fast), *stories(3)) == cut(family("gpt2")[0], *stories(3))


def test_a_tokenizer_whose_own_code_changes_its_tokens_is_refused() -> None:
    class Prefixing:
        def __init__(self, fast: Any) -> None:
            self._fast = fast

        def __getattr__(self, name: str) -> Any:
            return getattr(self._fast, name)

        def __call__(self, text: str) -> dict[str, list[int]]:
            return {"input_ids": [7, *self._fast(text)["input_ids"]]}

    with pytest.raises(ModelError, match=r"tokenizer of odd changes tokens .* Use a model whose tokenizer\.json"):
        cut(without_model("odd", Prefixing(family("gpt2")[0].tokenizer)), *stories(3))
