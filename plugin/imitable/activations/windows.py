"""Cutting texts into windows: what an annotator is shown, and exactly what the model is run on."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from imitable.activations.models import Loaded
from imitable.errors import ModelError

FOCUS_AFTER = 8
"""Tokens of text that stand before the first token that may be asked about: without a past, activations mislead."""

_STRETCH = 10_000
"""Most characters that are tokenized at once: some tokenizers take time with the square of an unspaced text."""

_VISIBLE, _TO_THE_LEFT, _TO_THE_RIGHT, _HALF_A_FLAG = 1, 2, 4, 8
"""What a code point is: something to see, shown as one with what stands before it (or after it), half a flag."""

_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and symbols by category that show nothing: Hangul fillers, the braille pattern without dots."""

_CONTINUING = (
    ("\u1160", "\u11ff"),  # vowels and finals of Hangul syllables
    ("\ud7b0", "\ud7ff"),
    ("\u200c", "\u200d"),  # zero-width joiner and non-joiner
    ("\uff9e", "\uff9f"),  # half-width voicing marks
    ("\U0001f3fb", "\U0001f3ff"),  # skin tones
    ("\U000e0020", "\U000e007f"),  # tags: the flags of Scotland and Wales
)
"""Ranges of code points, besides marks, that are shown as one with what stands before them."""

_OPENING = (
    ("\r", "\r"),
    ("\u200d", "\u200d"),
    ("\u1100", "\u115f"),  # initials of Hangul syllables
    ("\ua960", "\ua97c"),
    ("\u0600", "\u0605"),  # signs that Arabic and Syriac write around what follows
    ("\u06dd", "\u06dd"),
    ("\u070f", "\u070f"),
    ("\u0890", "\u0891"),
    ("\u08e2", "\u08e2"),
    ("\u0d4e", "\u0d4e"),
    ("\U000110bd", "\U000110bd"),
    ("\U000110cd", "\U000110cd"),
)
"""Ranges of code points, besides viramas, that are shown as one with what follows them."""

_VIRAMA = 9
"""Combining class of the signs that bind two consonants into one."""

Bools = npt.NDArray[np.bool_]
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
    documents: Sequence[int] | None = None,
    shortest: int,
    longest: int,
    block: int | None = None,
) -> list[Window]:
    """Cut every text into windows of `shortest` to `longest` tokens, special tokens included.

    Each window's characters are tokenized again by themselves, so that its tokens are the tokens of the text shown.
    `documents` has the document of every text (or `block` consecutive texts make one). What is left over at the end of
    a text, or of a stretch of 10,000 characters, and is too short is not used. Call it with a chunk of texts at a
    time: memory grows with the chunk.

    Raises ModelError for a tokenizer that does not do the same every time, or does more than its tokenizer.json says.
    """
    if documents is None:
        documents = [number // (block or 1) for number in range(len(texts))]
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
    made = _made(pieces, _special(loaded.tokenizer))
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
            joined = _joined(_flags(text[begin : end + 1]))
            cut = next((at for at in places if not joined[at - begin]), end)
        yield text[begin:cut]
        begin = cut
    yield text[begin:]


def _special(tokenizer: Any) -> list[int]:
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
        joined = self.joined = _joined(_flags(text)) if self.joined is None else self.joined
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
    flags = _flags(whole)
    visible = np.concatenate([[0], np.cumsum(flags & _VISIBLE)])
    joined = _joined(flags)
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


def _flags(text: str) -> npt.NDArray[np.uint8]:
    """What every code point of a text is, as a sum of _VISIBLE, _TO_THE_LEFT and the like."""
    table = np.zeros(0x110000, np.uint8)
    for letter in set(text):
        table[ord(letter)] = _flag(letter)
    return table[np.frombuffer(text.encode("utf-32-le"), np.uint32)]


def _flag(letter: str) -> int:
    if "!" <= letter <= "~":
        return _VISIBLE
    category = unicodedata.category(letter)
    flag = _VISIBLE if category[0] in "LNPS" and letter not in _BLANK else 0
    if category[0] == "M" or any(low <= letter <= high for low, high in _CONTINUING):
        flag |= _TO_THE_LEFT
    if unicodedata.combining(letter) == _VIRAMA or any(low <= letter <= high for low, high in _OPENING):
        flag |= _TO_THE_RIGHT
    return flag | (_HALF_A_FLAG if "\U0001f1e6" <= letter <= "\U0001f1ff" else 0)


def _joined(flags: npt.NDArray[np.uint8]) -> Bools:
    """Whether a place, 0 to the text's length, lies between code points that are shown as one.

    As the Unicode standard's grapheme clusters (UAX 29), or wider: a row of flags is one, and what follows a virama.
    """
    joined = np.zeros(len(flags) + 1, np.bool_)
    joined[:-1] |= (flags & _TO_THE_LEFT) > 0
    joined[1:] |= (flags & _TO_THE_RIGHT) > 0
    joined[1:-1] |= (flags[1:] & flags[:-1] & _HALF_A_FLAG) > 0
    return joined
