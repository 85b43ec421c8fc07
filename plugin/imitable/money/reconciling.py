"""The ledger beside the platform's own list, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from imitable.money.amounts import Money
from imitable.money.ledger import Line
from imitable.money.listed import Tick, list_of, taken_from, unheard
from imitable.money.payer import Payer, Payout


@dataclass(frozen=True)
class Difference:
    """Something that the ledger and the platform do not agree on."""

    kind: Literal["not there", "another amount", "not booked", "not ours", "in doubt", "refused"]
    """`not there`: paid by our books, and not in the platform's list. `another amount`: paid otherwise than owed. `not
    booked`: in its list, and by our books not paid. `not ours`: in its list, and in no book of ours. `in doubt`: it may
    have been paid. `refused`: it was not taken."""
    annotator_id: str
    amount: Money
    sentence: str
    """What was found, and what to do."""


def reconcile(
    payer: Payer,
    lines: Sequence[Line],
    payouts: Sequence[Payout],
    clock: Callable[[], datetime],
    tick: Tick = unheard,
) -> list[Difference]:
    """Every difference. Payments younger than the platform's settling delay may still be missing from its list.

    Of people who were forgotten the platform can be asked nothing, and work that somebody made up is in no books: both
    are left out.
    """
    left_out = {line.obligation_id for line in lines if line.forgotten or line.made_up}
    lines = [line for line in lines if line.obligation_id not in left_out]
    listed = list_of(payer, [one for one in payouts if one.obligation_id not in left_out], tick)
    found: list[Difference] = []
    by_standing = sorted(lines, key=lambda line: (line.stand != "paid", not line.doubtful))  # what is booked is there
    seen_of = {line.obligation_id: taken_from(listed, line) for line in by_standing if line.attempts}
    for line in lines:
        there = seen_of.get(line.obligation_id)
        about = f"{line.kind} of {line.amount} for {line.annotator_id} (operation {line.operation_id})"
        young = line.started_at is not None and clock() - line.started_at <= payer.settling
        if line.stand == "paid" and there is None and not young:
            what = (
                f"The {about} is paid by our books and not in the list of {payer.name}. Look there before paying again."
            )
            found.append(Difference("not there", line.annotator_id, line.amount, what))
        elif line.stand == "paid" and there is not None and there.amount != line.amount:
            what = (
                f"The {about} is in the list of {payer.name} with {there.amount}. Look there which of the two is right."
            )
            found.append(Difference("another amount", line.annotator_id, line.amount, what))
        elif there is not None and not line.doubtful and line.stand != "paid":
            what = f"The {about} is in the list of {payer.name} with {there.amount}, and not paid by our books. " + (
                "Then: imitable settle, paid." if line.stand == "failed" else "'imitable pay' books it."
            )
            found.append(Difference("not booked", line.annotator_id, line.amount, what))
        elif line.doubtful:
            what = (
                f"The {about} is in doubt: 'imitable pay' asks {payer.name} again; what stays is for 'imitable settle'."
            )
            found.append(Difference("in doubt", line.annotator_id, line.amount, what))
        elif line.stand == "failed":
            what = (
                f"The {about} was refused by {payer.name} ({_said(line)}). Mend that, then: imitable settle, not-paid."
            )
            found.append(Difference("refused", line.annotator_id, line.amount, what))
    owner = {line.assignment: line.annotator_id for line in lines}
    for seen in listed:
        who = owner.get(seen.assignment, "nobody of ours")
        what = (
            f"{payer.name} paid {seen.amount} ({seen.kind}) to {who}, and no line of the ledger says so. Who paid it?"
        )
        found.append(Difference("not ours", owner.get(seen.assignment, ""), seen.amount, what))
    return found


def _said(line: Line) -> str:
    return ", ".join(f"{key}: {value}" for key, value in line.said.items()) or "without a word"
