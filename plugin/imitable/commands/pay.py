"""`imitable pay`: what is owed, to whom and why; and paying it, each thing once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from imitable.campaign import Folder
from imitable.commands.folders import built
from imitable.commands.progress import Progress, silent
from imitable.errors import MoneyError
from imitable.money.amounts import Money, total
from imitable.money.budget import Standing, standing
from imitable.money.by_hand import ByHand
from imitable.money.fairness import Fairness, fairness
from imitable.money.fees import fee_on
from imitable.money.ledger import Line, decide, platform_ids, statement
from imitable.money.payer import Payer
from imitable.money.paying import Paymaster, Round, one_at_a_time, steps
from imitable.platforms import find_platform
from imitable.platforms.listing import write_list
from imitable.store import Store
from imitable_aggregation.guarding import guarded

STATEMENT = "statement.csv"
LEDGER = "ledger.csv"


@dataclass(frozen=True)
class Part:
    """What is to be paid through one platform."""

    platform: str
    endpoint: str
    """Where the money goes through; `by hand` where the runner hands it over."""
    stand_in: bool
    """True where no real money moves."""
    due: tuple[Line, ...]
    """What the next `--execute` sends."""
    doubtful: tuple[Line, ...]
    refused: tuple[Line, ...]
    paid: Money
    """Sent and arrived so far, without fees."""
    fees: Money
    """What the platform takes for what is due, as far as its published prices tell."""

    @property
    def total(self) -> Money:
        """What annotators get at the next `--execute`."""
        return total([line.amount for line in self.due], self.paid.currency)


@dataclass(frozen=True)
class Statement:
    """Where a campaign's money is, and what is to be paid."""

    parts: tuple[Part, ...]
    standing: Standing
    fairness: Fairness | None
    path: Path
    """DIR/statement.csv: every line that is due, in doubt or refused, with its reason; for the runner alone."""


def show(directory: Path) -> Statement:
    """Write down what is owed by now, and say where everything stands. Sends nothing.

    Raises ImitableError subclasses.
    """
    with built(directory) as (folder, store):
        return _statement(folder, store)


def pay(
    directory: Path, *, platform: str | None, confirm: Callable[[Part], str], progress: Progress = silent
) -> tuple[Part, Round]:
    """Pay what is due through one platform, once `confirm` gives the total that it is shown.

    Raises MoneyError, and sends nothing, when the total is another one, when several platforms have something due and
    none is named, when the platform has less than is to be sent, and when another process pays.
    """
    with built(directory) as (folder, store), one_at_a_time(store, folder):
        said = _statement(folder, store)
        part = _chosen(said, platform)
        typed = confirm(part).strip()
        if typed not in (part.total.decimal, str(part.total)):
            raise MoneyError(
                f"The total is {part.total}, and '{typed}' was confirmed. Nothing was sent. Read the statement again."
            )
        master = Paymaster(store, folder, payer_of(folder, part.platform), lambda: datetime.now(UTC))
        with progress("Paying", steps([*part.doubtful, *part.due])) as advance:
            return part, master.pay(part.due, advance)


def ledger(directory: Path, out: Path | None = None) -> tuple[Path, int]:
    """Write every obligation and what became of it as CSV, without platform ids; returns the file and its lines."""
    with built(directory) as (folder, store):
        decide(store, folder, now=datetime.now(UTC))
        with store.read() as connection:
            lines = statement(connection)
    path = out or directory / LEDGER
    columns = ("obligation_id", "platform", "annotator_id", "sitting_id", "kind")
    rows = [
        (
            *(getattr(line, column) for column in columns),
            str(line.amount.minor),
            line.amount.currency,
            line.rule,
            json.dumps(line.facts, sort_keys=True),
            line.decided_at.isoformat(),
            line.stand,
            str(line.attempts),
            line.operation_id or "",
            line.started_at.isoformat() if line.started_at else "",
            line.batch_id or "",
            "" if line.fee is None else str(line.fee.minor),
            json.dumps(line.said, sort_keys=True),
            line.waiting,
            json.dumps([[at.isoformat(), why] for at, why in line.waits]),
        )
        for line in lines
    ]
    more = ("amount_minor", "currency", "rule", "facts", "decided_at", "stand", "attempts", "operation_id")
    header = (*columns, *more, "started_at", "batch_id", "fee_minor", "said", "waiting", "waits")
    write_list(path, header, rows)
    return path, len(rows)


def payer_of(folder: Folder, platform: str) -> Payer:
    """How a platform pays: by itself, or by the runner's hand. Raises PlatformError."""
    made = getattr(find_platform(platform), "payer", None)
    payer: Payer = ByHand(platform) if made is None else made(folder)
    return payer


def _statement(folder: Folder, store: Store) -> Statement:
    decide(store, folder, now=datetime.now(UTC))
    with store.read() as connection:
        lines = statement(connection)
        where, fair = standing(connection, folder), fairness(connection, folder)
        known = platform_ids(connection)
    parts = []
    for name in sorted({line.platform for line in lines}):
        mine = [line for line in lines if line.platform == name]
        payer, due = payer_of(folder, name), tuple(line for line in mine if line.payable)
        fees = [fee_on(folder.config, name, line.amount, line.kind) for line in due]
        parts.append(
            Part(
                platform=name,
                endpoint=payer.endpoint,
                stand_in=payer.stand_in,
                due=due,
                doubtful=tuple(line for line in mine if line.doubtful),
                refused=tuple(line for line in mine if line.stand == "failed"),
                paid=total([line.amount for line in mine if line.stand == "paid"], folder.config.pay.currency),
                fees=total(fees, folder.config.pay.currency),
            )
        )
    path = folder.path / STATEMENT
    rows = [
        (
            part.platform,
            line.annotator_id,
            guarded(known.get(line.annotator_id, "")) if part.endpoint == ByHand.endpoint else "",
            line.kind,
            line.amount.decimal,
            line.amount.currency,
            line.stand,
            json.dumps(line.facts, sort_keys=True),
            line.operation_id or "",
            line.waiting,
        )
        for part in parts
        for line in (*part.due, *part.doubtful, *part.refused)
    ]
    columns = ("platform", "annotator_id", "who", "kind", "amount", "currency", "stand", "why", "operation_id")
    header = (*columns, "waiting")
    write_list(path, header, rows)
    return Statement(tuple(parts), where, fair, path)


def _chosen(said: Statement, platform: str | None) -> Part:
    due = [part for part in said.parts if part.due or part.doubtful]
    if platform is not None:
        due = [part for part in said.parts if part.platform == platform]
    if not due:
        raise MoneyError(
            f"Nothing is due on {platform}. See what is with: imitable pay" if platform else "Nothing is due."
        )
    if len(due) > 1:
        names = ", ".join(part.platform for part in due)
        raise MoneyError(f"Several platforms have something due: {names}. Pay one at a time, with --platform.")
    return due[0]
