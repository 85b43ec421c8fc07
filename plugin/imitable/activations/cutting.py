"""From a stream of texts to shards on disk: the one pass that reads the corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from imitable.activations.models import Loaded
from imitable.activations.shards import SHARD_TOKENS, Shard
from imitable.activations.windows import Window, windows

_CHUNK_CHARACTERS = 2**18
"""Characters of text that are tokenized at one time."""


def cut(
    loaded: Loaded,
    texts: Iterable[tuple[int, str]],
    *,
    shortest: int,
    longest: int,
    folder: Path,
    tick: Callable[[int], object] = lambda _characters: None,
) -> list[Path]:
    """Cut (document, text) pairs into windows and write them as shards. Returns the shards' files, in order.

    A shard ends where a document ends, so that every document lies in one shard. What a shard holds depends on the
    texts alone. `tick` is told the characters done.
    """
    made: list[Path] = []
    held: list[Window] = []
    tokens = 0

    def close() -> None:
        nonlocal tokens
        made.append(folder / f"shard-{len(made):06d}.npz")
        Shard.of(held).save(made[-1])
        held.clear()
        tokens = 0

    for chunk in _chunks(texts):
        documents = [document for document, _ in chunk]
        for window in windows(
            loaded, [text for _, text in chunk], documents=documents, shortest=shortest, longest=longest
        ):
            if tokens >= SHARD_TOKENS and window.document != held[-1].document:
                close()
            held.append(window)
            tokens += len(window.token_ids)
        tick(sum(len(text) for _, text in chunk))
    if held:
        close()
    return made


def window_again(loaded: Loaded, shard: Shard, number: int) -> Window:
    """One window of a shard as it was cut, with the characters of its tokens."""
    text = shard.text_of(number)
    again = windows(
        loaded, [text], documents=[int(shard.document[number])], shortest=1, longest=len(shard.token_ids(number))
    )
    return again[0]


def _chunks(texts: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    chunk: list[tuple[int, str]] = []
    size = 0
    for pair in texts:
        chunk.append(pair)
        size += len(pair[1])
        if size >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
