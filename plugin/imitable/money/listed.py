"""A platform's own list of payments, and which of them are ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from imitable.money.ledger import Line
from imitable.money.payer import Payer, Payout, Seen

Tick = Callable[[int], object]
"""Told how many more payments were looked at, or sent."""

_One = TypeVar("_One")


def unheard(_steps: int) -> None:
    """Nobody listens how far it is."""


def pieces(whole: Sequence[_One], size: int) -> Iterator[Sequence[_One]]:
    """The whole in its order, cut so that none is longer than `size`."""
    return (whole[at : at + size] for at in range(0, len(whole), size))


def list_of(payer: Payer, payouts: Sequence[Payout], tick: Tick = unheard) -> list[Seen]:
    """Everything that the platform says it paid for the work of these payouts, asked for as it is read."""
    by_work: dict[str, list[Payout]] = {}
    for payout in payouts:
        by_work.setdefault(payout.assignment, []).append(payout)
    listed: list[Seen] = []
    for some in pieces(list(by_work.values()), payer.reads_at_once):
        asked = [payout for of_one in some for payout in of_one]
        listed += payer.list_payments(asked)
        tick(len(asked))
    return listed


def taken_from(listed: list[Seen], line: Line) -> Seen | None:
    """Take a line's payment out of the list: by our tag where the platform keeps it, else by work, kind and amount."""
    kind = "base" if line.kind == "base" else "bonus"
    for seen in listed:
        if seen.tag:
            same = line.operation_id is not None and stem(seen.tag) == stem(line.operation_id)
        else:
            same = kind == "base" or seen.amount == line.amount
        if seen.assignment == line.assignment and seen.kind == kind and same:
            listed.remove(seen)
            return seen
    return None


def stem(operation_id: str) -> str:
    """An operation's id without the number of the attempt: books that were restored may have lost count."""
    return operation_id.rpartition("-")[0]
