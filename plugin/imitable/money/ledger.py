"""The ledger: what is owed, and where each payment stands. Append-only; every function is one transaction's part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, insert, select

from imitable.campaign import Folder
from imitable.money.amounts import Money
from imitable.money.earned import RULE, Owed, earned
from imitable.money.payer import Answer, Payout
from imitable.store import Store, insert_once, tables
from imitable.store import money_tables as money

Stand = Literal["nothing", "owed", "sending", "paid", "failed", "unknown", "absent"]
"""`nothing`: decided as zero. `owed`: not sent yet. `sending`: written down before the request, and nothing after it.
The others are the last outcome of the last attempt."""

MISSED = {"found": "not in the platform's list"}
"""What is noted of an attempt that a look into the platform's list did not find: of all that is unknown, no answer."""


@dataclass(frozen=True)
class Line:
    """One obligation, and where it stands."""

    obligation_id: str
    platform: str
    assignment: str
    annotator_id: str
    sitting_id: str
    kind: str
    amount: Money
    rule: str
    facts: Mapping[str, Any]
    decided_at: datetime
    stand: Stand
    attempts: int
    operation_id: str | None
    """Of the last attempt."""
    started_at: datetime | None
    """When the last attempt began."""
    heard_at: datetime | None
    """When an answer was last noted, or that it was asked for again."""
    missed_at: datetime | None
    """When the platform's list was first looked into and lacked it, long enough after `asked_at`."""
    batch_id: str | None
    fee: Money | None
    said: Mapping[str, Any]
    """What the platform said last."""
    waits: tuple[tuple[datetime, str], ...] = ()
    """Why it could not be sent when it was to be, and since when: all reasons that there were, the last one last."""

    @property
    def doubtful(self) -> bool:
        """Whether it may have been paid, and may not."""
        return self.stand in ("sending", "unknown")

    @property
    def asked_at(self) -> datetime | None:
        """The latest moment at which the platform may have been asked to pay it."""
        return max((at for at in (self.started_at, self.heard_at) if at is not None), default=None)

    @property
    def made_up(self) -> bool:
        """Whether it was refused because the platform knows nobody who did the work: nothing is owed for it."""
        return self.stand == "failed" and bool(self.said.get("nobody"))

    @property
    def forgotten(self) -> bool:
        """Whether the annotator was erased, so that the platform can be asked nothing about it."""
        return self.assignment.startswith(tables.FORGOTTEN)

    @property
    def waiting(self) -> str:
        """Why it was not sent last time; empty where it was, or nobody tried."""
        return self.waits[-1][1] if self.waits and self.payable else ""

    @property
    def payable(self) -> bool:
        """Whether it is sent by the next 'imitable pay --execute'."""
        return self.stand in ("owed", "absent")


def decide(store: Store, folder: Folder, *, now: datetime) -> int:
    """Write down what every sitting that is over is owed; what is written already stays as it is. Returns how many."""
    with store.write() as connection:
        return sum(oblige(connection, folder, one, now=now) for one in list(earned(connection, folder)))


def oblige(connection: Connection, folder: Folder, one: Owed, *, now: datetime, decision: int | None = None) -> bool:
    """Write down one obligation, unless this (platform, assignment, annotator, kind) has one already."""
    key = (one.platform, one.assignment, one.annotator_id, one.kind)
    row = {
        "obligation_id": "o_" + folder.derive("obligation", *key),
        "platform": one.platform,
        "assignment": one.assignment,
        "annotator_id": one.annotator_id,
        "kind": one.kind,
        "sitting_id": one.sitting_id,
        "amount": one.amount.minor,
        "currency": one.amount.currency,
        "rule": RULE,
        "facts": one.facts,
        "decision_id": decision,
        "decided_at": now,
    }
    return insert_once(connection, money.obligations, row)


def statement(connection: Connection, *, platform: str | None = None) -> list[Line]:
    """Every obligation with where it stands, in the order in which they were decided."""
    tried: dict[str, list[Any]] = {}
    for row in connection.execute(select(money.attempts).order_by(money.attempts.c.number)):
        tried.setdefault(row.obligation_id, []).append(row)
    learnt: dict[str, Any] = {}
    missed: dict[str, datetime] = {}
    for row in connection.execute(select(money.outcomes).order_by(money.outcomes.c.outcome_id)):
        if row.state == "unknown" and row.facts == MISSED:
            missed.setdefault(row.operation_id, row.seen_at)
        elif not _is_paid(learnt.get(row.operation_id)) or "decision" in row.facts:
            learnt[row.operation_id] = row
            missed.pop(row.operation_id, None)
    waited: dict[str, list[tuple[datetime, str]]] = {}
    for row in connection.execute(select(money.waits).order_by(money.waits.c.wait_id)):
        waited.setdefault(row.obligation_id, []).append((row.seen_at, row.why))
    obligations = money.obligations
    query = select(obligations).order_by(obligations.c.decided_at, obligations.c.sitting_id, obligations.c.kind)
    if platform is not None:
        query = query.where(obligations.c.platform == platform)
    return [
        _line(row, tried.get(row.obligation_id, []), learnt, missed, waited.get(row.obligation_id, []))
        for row in connection.execute(query)
    ]


def counting(connection: Connection, *, platform: str | None = None) -> list[Line]:
    """The statement without work that somebody made up, and what was decided as zero for it."""
    lines = statement(connection, platform=platform)
    made_up = nobodys(lines)
    return [line for line in lines if not line.made_up and not (line.stand == "nothing" and line.sitting_id in made_up)]


def nobodys(lines: Iterable[Line]) -> set[str]:
    """The sittings among them that somebody made up."""
    return {line.sitting_id for line in lines if line.made_up}


def _is_paid(outcome: Any) -> bool:
    """Whether it is known that an attempt was paid: no answer of another request undoes that."""
    return outcome is not None and outcome.state == "paid"


def _line(
    row: Any,
    attempts: Sequence[Any],
    learnt: Mapping[str, Any],
    missed: Mapping[str, datetime],
    waited: Sequence[tuple[datetime, str]],
) -> Line:
    last = attempts[-1] if attempts else None
    outcome = None if last is None else learnt.get(last.operation_id)
    stand: Stand
    if last is None:
        stand = "owed" if row.amount > 0 else "nothing"
    else:
        stand = "sending" if outcome is None else outcome.state
    return Line(
        obligation_id=row.obligation_id,
        platform=row.platform,
        assignment=row.assignment,
        annotator_id=row.annotator_id,
        sitting_id=row.sitting_id,
        kind=row.kind,
        amount=Money(row.amount, row.currency),
        rule=row.rule,
        facts=row.facts,
        decided_at=row.decided_at,
        stand=stand,
        attempts=len(attempts),
        operation_id=None if last is None else last.operation_id,
        started_at=None if last is None else last.started_at,
        heard_at=None if outcome is None else outcome.seen_at,
        missed_at=None if last is None else missed.get(last.operation_id),
        batch_id=None if last is None else last.batch_id,
        fee=None if outcome is None or outcome.fee is None else Money(outcome.fee, row.currency),
        said={} if outcome is None else outcome.facts,
        waits=tuple(waited),
    )


def operation_of(folder: Folder, line: Line) -> str:
    """The id of a line's next attempt: the same however often it is asked for."""
    return f"po-{folder.derive('payout', line.obligation_id, size=24)}-{line.attempts + 1}"


def begin(
    connection: Connection, payouts: Sequence[tuple[Line, Payout]], *, endpoint: str, batch: str | None, now: datetime
) -> None:
    """Write that these are being sent. Raises the database's error for one that another process is sending.

    The caller commits this before it sends anything.
    """
    if batch is not None:
        connection.execute(insert(money.batches).values(batch_id=batch, platform=payouts[0][0].platform, sent_at=now))
    for line, payout in payouts:
        request = json.dumps([payout.kind, payout.assignment, payout.amount.minor, payout.amount.currency])
        connection.execute(
            insert(money.attempts).values(
                operation_id=payout.operation_id,
                obligation_id=line.obligation_id,
                number=line.attempts + 1,
                batch_id=batch,
                endpoint=endpoint,
                request_hash=hashlib.sha256(request.encode()).hexdigest(),
                started_at=now,
            )
        )


def learn(connection: Connection, answers: Sequence[Answer], *, now: datetime) -> None:
    """Write down what became of attempts."""
    for one in answers:
        connection.execute(
            insert(money.outcomes).values(
                operation_id=one.operation_id,
                state=one.state,
                fee=None if one.fee is None else one.fee.minor,
                facts=dict(one.facts),
                seen_at=now,
            )
        )


def noted(connection: Connection, operations: Sequence[str]) -> set[str]:
    """Those of which something was written down since they were begun: that they were asked for again, or an answer."""
    known = money.outcomes.c.operation_id
    return set(connection.execute(select(known).where(known.in_(operations))).scalars())


def wait(connection: Connection, lines: Sequence[Line], why: str, *, now: datetime) -> None:
    """Write down why these were not sent, where it is another reason than the last."""
    rows = [
        {"obligation_id": line.obligation_id, "why": why, "seen_at": now}
        for line in lines
        if not line.waits or line.waits[-1][1] != why
    ]
    if rows:
        connection.execute(insert(money.waits), rows)


def decided(connection: Connection, kind: str, about: str, why: str, *, now: datetime, **facts: object) -> int:
    """Record what a person decided, and return its number."""
    row = insert(money.decisions).values(kind=kind, about=about, why=why, facts=facts, decided_at=now)
    return int(connection.execute(row).inserted_primary_key[0])  # type: ignore[index]  # it has one


def platform_ids(connection: Connection) -> dict[str, str]:
    """Who the platform calls each annotator; those who were forgotten are not in it."""
    identities = tables.identities.c
    found = connection.execute(select(identities.annotator_id, identities.platform_id))
    return {row.annotator_id: row.platform_id for row in found}
