"""No text on two sides: windows that share a run of 12 tokens with another split, or that came before, are dropped.

Runs are compared by 64-bit hashes, sorted piece by piece on disk: memory does not grow with the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imitable.activations import Shard
from imitable.rounds.records import Split

RUN = 12
"""Texts of two splits may not share a run of this many tokens."""

KEPT_FIRST: tuple[Split, ...] = ("held_out", "practice", "examples")
"""Which split keeps a text that stands in several."""

_SHARDS_A_PIECE = 8
_RECORD = np.dtype([("hash", "u8"), ("rank", "u1"), ("whole", "?"), ("shard", "u4"), ("window", "u4")])
_PRIME = np.uint64(0x9E3779B97F4A7C15)

Flags = npt.NDArray[np.bool_]


def windows_to_keep(
    shards: Sequence[Shard], splits: Sequence[Split], *, special: frozenset[int], work: Path
) -> list[Flags]:
    """For every shard, which of its windows stay. `splits` is by document, `special` token ids do not count.

    A window goes when it shares a run with any window of a split that comes first (held-out, practice, examples), or
    when all of it stood there before. `work` is a folder for pieces, of 18 bytes a token in all.
    """
    ranks = np.array([KEPT_FIRST.index(split) for split in splits], dtype=np.uint8)
    keep: list[Flags] = []
    bits = min(8, (len(shards) // _SHARDS_A_PIECE).bit_length())
    files = [(work / f"runs-{piece:03d}").open("wb") for piece in range(2**bits)]
    try:
        for number, shard in enumerate(shards):
            keep.append(np.ones(len(shard), dtype=bool))
            records = _hashes(shard, special)
            records["shard"] = number
            records["rank"] = ranks[shard.document[records["window"]]]
            records = records[np.argsort(records["hash"])]
            firsts = records["hash"] >> np.uint64(1) >> np.uint64(63 - bits)
            borders = np.searchsorted(firsts, np.arange(2**bits + 1, dtype=np.uint64))
            for file, start, stop in zip(files, borders[:-1], borders[1:], strict=True):
                file.write(records[start:stop].tobytes())
    finally:
        for file in files:
            file.close()
    for file in files:
        path = Path(file.name)
        for shard_number, window in _to_drop(np.fromfile(path, dtype=_RECORD)):
            keep[shard_number][window] = False
        path.unlink()
    return keep


def _hashes(shard: Shard, special: frozenset[int]) -> npt.NDArray[np.void]:
    """One record a run of 12 tokens, and one a whole window."""
    counts = ~np.isin(shard.tokens, list(special))
    tokens = shard.tokens[counts].astype(np.uint64)
    window = np.repeat(np.arange(len(shard), dtype=np.uint32), shard.lengths)[counts]
    mixed = _mixed(tokens)
    runs: npt.NDArray[np.uint64] = np.zeros(max(0, len(tokens) - RUN + 1), np.uint64)
    for ahead in range(RUN if len(runs) else 0):
        runs = runs * _PRIME + mixed[ahead : ahead + len(runs)]
    within = window[: len(runs)] == window[RUN - 1 :] if len(runs) else np.zeros(0, bool)
    place = np.arange(len(tokens), dtype=np.uint64) - np.searchsorted(window, window).astype(np.uint64)
    present, first = np.unique(window, return_index=True)
    whole = np.add.reduceat(_mixed(mixed + place * _PRIME), first) if len(tokens) else np.zeros(0, np.uint64)
    records = np.zeros(int(within.sum()) + len(present), dtype=_RECORD)
    records["hash"] = _mixed(np.concatenate([runs[within], whole]))
    records["window"] = np.concatenate([window[: len(runs)][within], present])
    records["whole"][int(within.sum()) :] = True
    return records


def _to_drop(records: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    order = np.lexsort((records["window"], records["shard"], records["rank"], records["hash"]))
    records = records[order]
    _, first, group = np.unique(records["hash"], return_index=True, return_inverse=True)
    later_split = records["rank"] > records["rank"][first][group]
    repeated = records["whole"].copy()
    repeated[first] = False
    drop: npt.NDArray[np.void] = records[later_split | repeated][["shard", "window"]]
    return drop


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread bits over all 64 (splitmix64: Steele, Lea and Flood, OOPSLA 2014)."""
    z = values + _PRIME
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
