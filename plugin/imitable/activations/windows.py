"""Cutting texts into windows: what an annotator is shown, and exactly what the model is run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from imitable.activations.clusters import VISIBLE, Bools, flags_of, joined_at
from imitable.activations.models import Loaded
from imitable.errors import ModelError

FOCUS_AFTER = 8
"""Tokens of text that stand before the first token that may be asked about: without a past, activations mislead."""

_STRETCH = 10_000
"""Most characters that are tokenized at once: some tokenizers take time with the square of an unspaced text."""

Ints = npt.NDArray[np.int64]


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
    token), never without a visible character, and never where the mark would start or end between code points that
    are shown as one (a letter and its accent, half a flag): such a cluster is asked about whole or not at all."""
    document: int
    """0-based document that the text belongs to."""


def windows(
    loaded: Loaded,
    texts: Sequence[str],
    *,
    documents: Sequence[int],
    shortest: int,
    longest: int,
) -> list[Window]:
    """Cut every text into windows of `shortest` to `longest` tokens, special tokens included.

    Each window's characters are tokenized again by themselves, so that its tokens are the tokens of the text shown.
    `documents` has the document of every text. What is left over at the end of
    a text, or of a stretch of 10,000 characters, and is too short is not used. Call it with a chunk of texts at a
    time: memory grows with the chunk.

    Raises ModelError for a tokenizer that does not do the same every time, or does more than its tokenizer.json says.
    """
    encode = _encoder(loaded.tokenizer)
    specials = loaded.tokenizer.num_special_tokens_to_add()
    room, least = longest - specials, max(shortest - specials, 1)
    whole = zip(texts, documents, strict=True)
    parts = [(part, document) for text, document in whole for part in _stretches(text)]
    read = zip(parts, encode([part for part, _ in parts], False), strict=True)
    unread = [_Unread(number, part, document, tokens) for number, ((part, document), tokens) in enumerate(read)]
    pieces: list[_Piece] = []
    while unread := [each for each in unread if len(each.tokens) - each.start >= least]:
        now = [each.piece(room) for each in unread]
        encoded = encode([piece.text for piece in now], True)
        while over := [at for at, tokens in enumerate(encoded) if len(tokens) > longest and now[at].room > 1]:
            for at in over:  # what begins here may have more tokens than it had in the whole text: take less of it
                now[at] = unread[at].piece(max(1, now[at].room - len(encoded[at]) + longest))
            for at, tokens in zip(over, encode([now[at].text for at in over], True), strict=True):
                encoded[at] = tokens
        for each, piece, tokens in zip(unread, now, encoded, strict=True):
            each.start, each.begin = piece.stop, piece.end
            if shortest <= len(tokens) <= longest:
                piece.tokens = tokens
                pieces.append(piece)
    pieces.sort(key=lambda piece: piece.number)
    made = _made(pieces, special_tokens(loaded.tokenizer))
    for window in made[:1] + made[-1:]:
        if tuple(loaded.tokenizer(window.text)["input_ids"]) != window.token_ids:
            raise ModelError(
                f"The tokenizer of {loaded.model_id} changes tokens in code of its own, or at random: where in a text "
                "they lie is unknown. Use a model whose tokenizer.json does all that its tokenizer does."
            )
    return made


def _encoder(tokenizer: Any) -> Callable[[Sequence[str], bool], list[Any]]:
    """The tokenizer beneath, set as `tokenizer(text)` sets it: its Encodings give tokens without a dictionary each.

    The function it returns takes texts and whether special tokens are added.
    """
    tokenizer("a")  # neither truncation nor padding, and the tokenizer's own choice about spelled special tokens

    def encode(texts: Sequence[str], special: bool) -> list[Any]:
        encoded: list[Any] = tokenizer.backend_tokenizer.encode_batch(list(texts), add_special_tokens=special)
        return encoded

    return encode


def _stretches(text: str) -> Iterator[str]:
    """A text in parts that any tokenizer can take in, cut between words, or at least between characters as shown."""
    begin = 0
    while len(text) - begin > _STRETCH:
        end = begin + _STRETCH
        places = range(end, begin + _STRETCH // 2, -1)
        cut = next((at for at in places if text[at].isspace()), None)
        if cut is None:
            joined = joined_at(flags_of(text[begin : end + 1]))
            cut = next((at for at in places if not joined[at - begin]), end)
        yield text[begin:cut]
        begin = cut
    yield text[begin:]


def special_tokens(tokenizer: Any) -> list[int]:
    """Ids of tokens that stand for no text, those without a role included."""
    added = tokenizer.added_tokens_decoder.items()
    return sorted({*tokenizer.all_special_ids, *(number for number, token in added if token.special)})


@dataclass(slots=True)
class _Piece:
    """Some of a text, which may become a window."""

    number: int
    text: str
    document: int
    room: int
    stop: int
    """The first token, and `end` the first character, of its whole text that are not in it."""
    end: int
    tokens: Any = None
    """Its Encoding."""


@dataclass(slots=True)
class _Unread:
    """A text tokenized as a whole, without special tokens, from whose front pieces are taken."""

    number: int
    text: str
    document: int
    tokens: Any
    start: int = 0
    """The first token, and `begin` the first character, that no piece has taken yet."""
    begin: int = 0
    joined: Bools | None = None

    def piece(self, room: int) -> _Piece:
        """The next `room` tokens, or somewhat fewer, to end between words."""
        stop, end = min(self.start + max(room, 1), len(self.tokens)), len(self.text)
        if stop < len(self.tokens):
            stop, end = self._end(stop)
        return _Piece(self.number, self.text[self.begin : end].strip(), self.document, room, stop, end)

    def _end(self, stop: int) -> tuple[int, int]:
        """The last token at or before `stop`, and past the middle, that starts a word, and where it starts.

        Where there are no spaces: that starts a character as it is shown, or at least a code point.
        """
        seen, text = [], self.text
        for at in range(stop, self.start + (stop - self.start) // 2, -1):
            place = self.tokens.token_to_chars(at)[0]
            if self.begin < place < len(text):
                if text[place].isspace() or text[place - 1].isspace():
                    return at, place
                seen.append((at, place))
        joined = self.joined = joined_at(flags_of(text)) if self.joined is None else self.joined
        whole = [(at, place) for at, place in seen if self.tokens.token_to_chars(at - 1)[1] <= place]
        best = [(at, place) for at, place in whole if not joined[place]] or whole or seen
        return best[0] if best else (stop, self.begin)


def _made(pieces: Sequence[_Piece], special: Sequence[int]) -> list[Window]:
    """Windows from pieces; all tokens of all pieces lie end to end in the arrays."""
    if not pieces:
        return []
    whole = "\n".join(piece.text for piece in pieces)
    ids = [piece.tokens.ids for piece in pieces]
    given = [piece.tokens.offsets for piece in pieces]
    sizes = np.array([len(each) for each in ids])
    last = np.cumsum(sizes)
    lengths = np.array([len(piece.text) for piece in pieces])
    origin = np.repeat(np.cumsum(lengths + 1) - lengths - 1, sizes)
    ends = np.repeat(lengths, sizes)

    raw = np.fromiter(chain.from_iterable(chain.from_iterable(given)), np.int64, 2 * last[-1]).reshape(-1, 2)
    left, right = _disjoint(raw[:, 0] + origin, raw[:, 1] + origin, ends + origin)
    real = right > left
    past: Ints = np.cumsum(real) - real
    past = past - np.repeat(past[last - sizes], sizes)
    flags = flags_of(whole)
    visible = np.concatenate([[0], np.cumsum(flags & VISIBLE)])
    joined = joined_at(flags)
    may = real & (past >= FOCUS_AFTER) & (visible[right] > visible[left]) & ~joined[left] & ~joined[right]
    may &= ~np.isin(np.fromiter(chain.from_iterable(ids), np.int64, last[-1]), special)

    left, right = left - origin, right - origin
    as_given = np.logical_and.reduceat((left == raw[:, 0]) & (right == raw[:, 1]), last - sizes)
    asked = np.flatnonzero(may)
    until = np.searchsorted(asked, last)
    positions = (asked - np.repeat(last - sizes, sizes)[asked]).tolist()
    made = []
    for at in np.flatnonzero(np.diff(until, prepend=0)).tolist():
        tokens = slice(last[at] - sizes[at], last[at])
        offsets = given[at] if as_given[at] else zip(left[tokens].tolist(), right[tokens].tolist(), strict=True)
        focusable = tuple(positions[until[at - 1] if at else 0 : until[at]])
        made.append(Window(pieces[at].text, tuple(ids[at]), tuple(offsets), focusable, pieces[at].document))
    return made


def _disjoint(left: Ints, right: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Tokenizers give a character to each of its tokens, and to the mark of a word's start: keep the last.

    Tokens that are left with nothing lie where the next one that has characters starts.
    """
    starts = np.where(right > left, left, ends[-1])
    after = np.minimum(np.append(np.minimum.accumulate(starts[::-1])[-2::-1], ends[-1]), ends)
    right = np.minimum(right, after)
    empty = right <= left
    return np.where(empty, after, left), np.where(empty, after, right)
