"""Cutting texts into windows: what an annotator is shown, and exactly what the model is run on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imitable.activations.models import Loaded

FOCUS_AFTER = 8
"""Tokens of text that stand before the first token that may be asked about: without a past, activations mislead."""


@dataclass(frozen=True)
class Window:
    """A shown text and its tokens. Running the model on `text` alone gives the truth at every token."""

    text: str
    token_ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    """Characters [start, end) of `text` that each token covers, in order and without overlap: a character made of
    several tokens belongs to the last of them. Empty for the others, and for special tokens."""
    focusable: tuple[int, ...]
    """Positions that may be asked about: never the first, never special (also where the text itself spells a special
    token), never only white space."""
    document: int
    """0-based document that the text belongs to."""


def windows(loaded: Loaded, texts: Sequence[str], *, block: int, shortest: int, longest: int) -> list[Window]:
    """Cut every text into windows of `shortest` to `longest` tokens, special tokens included.

    Each window's characters are tokenized again by themselves, so that its tokens are the tokens of the text shown.
    `block` consecutive texts make one document. What is left over at a text's end and is too short is not used.
    """
    made = []
    encoded = loaded.tokenizer(list(texts), return_offsets_mapping=True, truncation=False, verbose=False)
    specials = len(loaded.tokenizer("a")["input_ids"]) - len(
        loaded.tokenizer("a", add_special_tokens=False)["input_ids"]
    )
    room = longest - specials
    special = frozenset(loaded.tokenizer.all_special_ids)
    snippets: list[tuple[str, int]] = []
    for number, (text, offsets) in enumerate(zip(texts, encoded["offset_mapping"], strict=True)):
        spans = [span for span in offsets if span[1] > span[0]]
        start = 0
        while len(spans) - start >= shortest - specials:
            stop = _word_end(text, spans, start, min(start + room, len(spans)))
            snippets.append((text[spans[start][0] : spans[stop - 1][1]].strip(), number // block))
            start = stop
    if not snippets:
        return []
    again = loaded.tokenizer([text for text, _ in snippets], return_offsets_mapping=True, verbose=False)
    for (text, document), ids, offsets in zip(snippets, again["input_ids"], again["offset_mapping"], strict=True):
        if shortest <= len(ids) <= longest:
            spans_kept = _disjoint(offsets)
            real = [at for at, (left, right) in enumerate(spans_kept) if right > left]
            focusable = tuple(
                at for at in real[FOCUS_AFTER:] if ids[at] not in special and text[slice(*spans_kept[at])].strip()
            )
            if focusable:
                made.append(Window(text, tuple(ids), spans_kept, focusable, document))
    return made


def _word_end(text: str, spans: Sequence[tuple[int, int]], start: int, stop: int) -> int:
    """The last place at or before `stop` (and past the middle) where a window can end without cutting a word.

    In text without spaces: without cutting a character.
    """
    places = range(stop, start + (stop - start) // 2, -1)
    for at in places:
        if at == len(spans) or text[spans[at][0]].isspace() or text[spans[at][0] - 1].isspace():
            return at
    return next((at for at in places if spans[at][0] >= spans[at - 1][1]), stop)


def _disjoint(offsets: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Tokenizers give a character to each of its tokens, and to the mark of a word's start: keep the last."""
    kept = []
    after: int | None = None
    for left, right in reversed(offsets):
        stop = int(right) if after is None else min(int(right), after)
        kept.append((int(left), max(int(left), stop)))
        if right > left:
            after = int(left)
    return tuple(reversed(kept))
