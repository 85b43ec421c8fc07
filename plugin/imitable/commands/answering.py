"""The truths: drawn windows are run again in float32, each on exactly the tokens shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from imitable.activations import Shard, joined, window_again
from imitable.commands.asked import Asked, Unit
from imitable.rounds import Answered, Draft

Answers = dict[tuple[int, int], Answered]
"""By (shard, token in the shard)."""

_AT_ONCE = 2**14
"""Tokens of drawn windows that are run in one piece."""


@dataclass(frozen=True)
class _Piece:
    """Drawn windows, and where each came from: its shard and its first token there."""

    shard: Shard
    origins: tuple[tuple[int, int], ...]


def answer(asked: Asked, drafts: Mapping[Unit, Draft]) -> dict[Unit, Answers]:
    """The float32 activations of every drafted unit at all tokens of its own windows.

    Computed with one torch thread, in pieces that depend on the drafts alone.
    """
    wanted: dict[int, dict[int, list[Unit]]] = {}
    for unit, draft in drafts.items():
        for shard, token in draft.places():
            wanted.setdefault(shard, {}).setdefault(token, []).append(unit)
    found: dict[Unit, Answers] = {unit: {} for unit in drafts}
    if not drafts:
        return found
    pieces = list(_pieces(asked, wanted))
    work = replace(asked.reading(list(drafts)), dtype="float32")
    with asked.progress("Computing truths", sum(len(piece.shard.tokens) for piece in pieces)) as advance:
        results = asked.prepared.workers.map(work, (piece.shard for piece in pieces))
        for piece, read in zip(pieces, results, strict=True):
            columns = {unit: unit.column(read, work) for unit in drafts}
            for at, (number, start) in enumerate(piece.origins):
                window = window_again(asked.prepared.loaded, piece.shard, at)
                rows = slice(piece.shard.starts[at], piece.shard.ends[at])
                for position in range(len(window.token_ids)):
                    for unit in wanted[number].get(start + position, ()):
                        values = columns[unit][rows].copy()
                        found[unit][number, start + position] = Answered(window, values, position)
            advance(len(piece.shard.tokens))
    return found


def _pieces(asked: Asked, wanted: Mapping[int, Mapping[int, object]]) -> Iterator[_Piece]:
    """The windows that hold the wanted tokens, each once, in corpus order, in pieces of a bounded size."""
    held: list[Shard] = []
    origins: list[tuple[int, int]] = []
    for number in sorted(wanted):
        shard = asked.prepared.shards[number]
        for window in np.unique(shard.window_at(np.array(sorted(wanted[number]), dtype=np.int64))).tolist():
            held.append(shard.only([window]))
            origins.append((number, int(shard.starts[window])))
            if sum(len(each.tokens) for each in held) >= _AT_ONCE:
                yield _Piece(joined(held), tuple(origins))
                held, origins = [], []
    if held:
        yield _Piece(joined(held), tuple(origins))
