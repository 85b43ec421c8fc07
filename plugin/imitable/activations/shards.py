"""Shards: windows of consecutive documents as flat arrays. The unit of work, of resuming and of merging.

What a shard holds is a function of the corpus alone, never of how many workers there are: what is computed from it
is the same on one machine and on many.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imitable.activations.windows import Window

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SHARD_TOKENS = 2**15
"""A shard is closed at the first document that ends at or after this many tokens."""

BATCH_TOKENS = 4096
"""Tokens that a model is run on at one time."""


@dataclass(frozen=True)
class Shard:
    """Some windows, laid end to end. Token arrays have one entry a token, the others one a window."""

    tokens: npt.NDArray[np.int32]
    focusable: Flags
    """Tokens that may be asked about."""
    lengths: npt.NDArray[np.int32]
    document: Ints
    text: npt.NDArray[np.uint8]
    """All texts in UTF-8, one after the other."""
    text_ends: Ints
    """Where each text ends, in bytes."""

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def ends(self) -> Ints:
        """Where each window's tokens end."""
        return np.cumsum(self.lengths, dtype=np.int64)

    @cached_property
    def starts(self) -> Ints:
        """Where each window's tokens begin."""
        return self.ends - self.lengths

    def text_of(self, window: int) -> str:
        """The text that an annotator is shown."""
        start = self.text_ends[window - 1] if window else 0
        return self.text[start : self.text_ends[window]].tobytes().decode()

    def token_ids(self, window: int) -> tuple[int, ...]:
        """The tokens of one window."""
        return tuple(self.tokens[self.starts[window] : self.ends[window]].tolist())

    def window_at(self, token: Ints) -> Ints:
        """The windows that tokens, by their place in the shard, belong to."""
        return np.searchsorted(self.ends, token, side="right")

    def only(self, windows: npt.ArrayLike) -> Shard:
        """Some of the windows, by index or by mask, in order."""
        chosen = np.arange(len(self))[np.asarray(windows)]
        token = np.zeros(len(self), dtype=bool)
        token[chosen] = True
        of_token = np.repeat(token, self.lengths)
        sizes = np.diff(self.text_ends, prepend=0)
        return Shard(
            tokens=self.tokens[of_token],
            focusable=self.focusable[of_token],
            lengths=self.lengths[chosen],
            document=self.document[chosen],
            text=self.text[np.repeat(token, sizes)],
            text_ends=np.cumsum(sizes[chosen], dtype=np.int64),
        )

    def batches(self, at_once: int = BATCH_TOKENS) -> Iterator[tuple[Ints, Ints]]:
        """Windows of one length at a time, so that nothing is padded; about `at_once` tokens a batch.

        Yields (windows, their tokens' places in the shard, as a (windows, length) array), shortest first.
        """
        order = np.argsort(self.lengths, kind="stable")
        lengths, firsts = np.unique(self.lengths[order], return_index=True)
        for length, group in zip(lengths.tolist(), np.split(order, firsts[1:]), strict=True):
            size = max(1, at_once // length)
            for start in range(0, len(group), size):
                batch = group[start : start + size]
                yield batch, self.starts[batch][:, None] + np.arange(length)

    def save(self, path: Path) -> None:
        """Write the shard, all of it or nothing."""
        save_arrays(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Shard:
        """Read what `save` wrote."""
        with np.load(path) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    @classmethod
    def of(cls, windows: Sequence[Window]) -> Shard:
        """Lay windows end to end."""
        texts = [window.text.encode() for window in windows]
        lengths = np.array([len(window.token_ids) for window in windows], dtype=np.int32)
        focusable = np.zeros(int(lengths.sum()), dtype=bool)
        for start, window in zip(np.cumsum(lengths) - lengths, windows, strict=True):
            focusable[start + np.array(window.focusable, dtype=np.int64)] = True
        return cls(
            tokens=np.fromiter((token for window in windows for token in window.token_ids), dtype=np.int32),
            focusable=focusable,
            lengths=lengths,
            document=np.array([window.document for window in windows], dtype=np.int64),
            text=np.frombuffer(b"".join(texts), dtype=np.uint8),
            text_ends=np.cumsum([len(text) for text in texts], dtype=np.int64),
        )


def joined(shards: Iterable[Shard]) -> Shard:
    """Several shards as one."""
    parts = list(shards)
    ends = np.concatenate([[0], np.cumsum([len(part.text) for part in parts])])
    return Shard(
        tokens=np.concatenate([part.tokens for part in parts]),
        focusable=np.concatenate([part.focusable for part in parts]),
        lengths=np.concatenate([part.lengths for part in parts]),
        document=np.concatenate([part.document for part in parts]),
        text=np.concatenate([part.text for part in parts]),
        text_ends=np.concatenate([part.text_ends + start for part, start in zip(parts, ends, strict=False)]),
    )


def save_arrays(path: Path, **arrays: npt.NDArray[np.generic]) -> None:
    """Write arrays under their names to one .npz file that appears all at once."""
    half = path.with_name(f"{path.name}.half")
    with half.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes the names for its own options
        file.flush()
        os.fsync(file.fileno())
    half.rename(path)
