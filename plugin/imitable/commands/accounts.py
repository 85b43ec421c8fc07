"""What a person decides about money, in writing; comparing books with a platform; and forgetting somebody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from imitable.commands.folders import built
from imitable.commands.pay import payer_of
from imitable.commands.progress import Progress, silent
from imitable.errors import MoneyError
from imitable.money.amounts import Money, read_money
from imitable.money.budget import standing
from imitable.money.earned import Owed
from imitable.money.forgetting import forget as erase
from imitable.money.ledger import Line, decide, decided, learn, oblige, statement
from imitable.money.payer import Answer, State
from imitable.money.paying import MOST_ATTEMPTS, Paymaster, one_at_a_time
from imitable.money.reconciling import Difference
from imitable.money.reconciling import reconcile as compare


@dataclass(frozen=True)
class Books:
    """Our books beside a platform's."""

    differences: list[Difference]
    forgotten: int
    """Lines of people who were forgotten, of whom the platform can be asked nothing."""


def reconcile(directory: Path, *, progress: Progress = silent) -> dict[str, Books]:
    """Compare our books with what each platform says it paid, both ways, by platform.

    Platforms that are paid by hand have no list, and are left out. Sends nothing. Raises ImitableError subclasses.
    """
    found: dict[str, Books] = {}
    with built(directory) as (folder, store), one_at_a_time(store, folder):
        with store.read() as connection:
            names = sorted({line.platform for line in statement(connection)})
        for name in names:
            payer = payer_of(folder, name)
            if payer.endpoint == "by hand":
                continue
            master = Paymaster(store, folder, payer, lambda: datetime.now(UTC))
            lines = master.lines()
            with progress(f"Reading what {name} paid", len(lines)) as advance:
                differences = compare(payer, lines, master.payouts(lines), master.clock, advance)
            found[name] = Books(differences, sum(line.forgotten and line.attempts > 0 for line in lines))
    return found


def settle(
    directory: Path,
    which: str,
    *,
    paid: bool,
    why: str,
    confirm: Callable[[Sequence[Line]], str] = lambda lines: str(len(lines)),
    platform: str | None = None,
    progress: Progress = silent,
) -> list[Line]:
    """Record what a person found out about payments in doubt, or about one that was refused or failed too often.

    `which` is an operation, or a batch, for all of it that is in doubt, or "all", for everything that is in doubt, and
    not what was refused, on one platform where several are. Each has a decision of its own on record, all or none of
    them. `confirm` is told which they are, and says how many; with another number nothing is recorded. Returns their
    lines as they were. Raises MoneyError where there are none, and without a reason.
    """
    if not why.strip():
        raise MoneyError("Say with --why how you know: it stays beside the payment.")
    now = datetime.now(UTC)
    with built(directory) as (folder, store), one_at_a_time(store, folder):
        with store.read() as connection:
            lines = _meant(statement(connection, platform=platform), which)
        said = confirm(lines).strip()
        if said != str(len(lines)):
            raise MoneyError(f"They are {len(lines)}, and '{said}' was confirmed. Nothing was recorded.")
        state: State = "paid" if paid else "absent"
        with progress("Recording", len(lines)) as advance, store.write() as connection:
            for line in lines:
                operation = str(line.operation_id)
                number = decided(connection, "settle", line.obligation_id, why, now=now, operation=operation, paid=paid)
                learn(connection, [Answer(operation, state, {"decision": number})], now=now)
                advance(1)
    return lines


def _meant(lines: Sequence[Line], which: str) -> list[Line]:
    """The payments that a person can decide on, and means. Raises MoneyError where there are none."""
    if which == "all":
        meant = [line for line in lines if line.doubtful]
        platforms = sorted({line.platform for line in meant})
        if len(platforms) > 1:
            raise MoneyError(f"Payments are in doubt on {', '.join(platforms)}. Name one with --platform.")
        if not meant:
            raise MoneyError("No payment is in doubt. 'imitable pay' would list them.")
        return meant
    meant = [line for line in lines if line.operation_id == which and _waits_for_a_person(line)]
    meant = meant or [line for line in lines if line.batch_id == which and line.doubtful]
    if not meant:
        raise MoneyError(f"No payment in doubt has the operation {which}, nor the batch. 'imitable pay' lists them.")
    return meant


def _waits_for_a_person(line: Line) -> bool:
    tired = line.stand == "absent" and line.attempts >= MOST_ATTEMPTS
    return line.doubtful or line.stand == "failed" or tired


def top_up(directory: Path, sitting: str, amount: str, *, why: str, correction: bool = False) -> str:
    """Owe a sitting something more, as a person decided: returns the kind, `top_up:N` or `correction:N`.

    Raises MoneyError for an unknown sitting, an amount that is none, and without a reason.
    """
    if not why.strip():
        raise MoneyError("Say with --why what it is for: it stays beside the payment.")
    now = datetime.now(UTC)
    with built(directory) as (folder, store), store.write() as connection:
        money = read_money(amount, folder.config.pay.currency)
        if money.minor <= 0:
            raise MoneyError(f"{money} cannot be owed. Name an amount above zero.")
        line = next((one for one in statement(connection) if one.sitting_id == sitting), None)
        if line is None:
            raise MoneyError(f"No sitting {sitting} has earned anything yet. 'imitable ledger' lists them.")
        number = decided(connection, "correction" if correction else "top_up", sitting, why, now=now)
        kind = f"{'correction' if correction else 'top_up'}:{number}"
        owed = Owed(sitting, line.annotator_id, line.platform, line.assignment, kind, money, {"decision": number})
        oblige(connection, folder, owed, now=now, decision=number)
        left = standing(connection, folder).left
        if left is not None and left.minor < 0:
            raise MoneyError(
                f"With {money} more, {Money(-left.minor, money.currency)} more than [pay] cap would be bound. Nothing "
                "was recorded. Raise the cap first."
            )
    return kind


def forget(directory: Path, annotator_id: str) -> None:
    """Erase who an annotator is and what they wrote; guesses and payments stay, under a pseudonym nobody can trace.

    Raises MoneyError for an unknown annotator, while they play, and while something is owed to them.
    """
    now = datetime.now(UTC)
    with built(directory) as (folder, store):
        decide(store, folder, now=now)  # what was earned since the last 'imitable pay' is owed, too
        erase(store, annotator_id, now=now)
