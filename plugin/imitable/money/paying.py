"""Paying exactly once: write down, send, write down; and before anything is sent again, ask the platform what it did.

owed ──write "sending"──> sending ──the platform's answer──> paid | failed | unknown
sending, unknown ──read the platform's own list──> paid
                 ──not in it, and it knows our operation id again──> the same request once more
                 ──not in it twice, a settling delay after it was asked and another one after that, and it lists every
                   payment by our tag──> absent ──> a new attempt
                 ──otherwise──> stays in doubt: a person decides
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.exc import IntegrityError

from imitable.campaign import Folder
from imitable.errors import MoneyError
from imitable.money.amounts import total
from imitable.money.ledger import MISSED, Line, begin, learn, noted, operation_of, platform_ids, statement, wait
from imitable.money.listed import Tick, list_of, pieces, stem, taken_from, unheard
from imitable.money.payer import Answer, Batch, Checking, Held, Keeping, Payer, Payout, State
from imitable.money.sent import SENT, note, refuse_older_books
from imitable.store import Store, in_turn

TAG = "ref "
"""What the tag of a payment's reason begins with; the operation id follows."""

MOST_ATTEMPTS = 3
"""Attempts that begin by themselves; then a person has to look."""

CLOCKS_DIFFER = timedelta(minutes=5)
"""How far the clocks of machines that pay for one campaign may be apart."""

Sending = tuple[Line, Payout]
"""What is owed, and the payment on its way."""


Waiting = dict[str, list[Line]]
"""What has to wait, by the reason."""


@dataclass(frozen=True)
class Round:
    """What one run of paying did."""

    settled: int
    """Payments in doubt that are now known."""
    paid: int
    failed: int
    doubtful: int
    """Payments that may have been made: they are looked for again next time, and never sent blindly."""
    reasons: tuple[str, ...] = ()
    """Why something was not sent, a sentence each."""


def steps(lines: Sequence[Line]) -> int:
    """What `Paymaster.pay` has to do for these lines: look at each, list what was paid as a bonus, and send it."""
    return sum(1 if line.doubtful else 2 if line.kind == "base" else 3 for line in lines)


class Paymaster:
    """Pays what one platform's annotators are owed. Hold `one_at_a_time` while using it."""

    def __init__(self, store: Store, folder: Folder, payer: Payer, clock: Callable[[], datetime]) -> None:
        self.store = store
        self.folder = folder
        self.payer = payer
        self.clock = clock

    def lines(self) -> list[Line]:
        """Every obligation of this platform, as it stands."""
        with self.store.read() as connection:
            return statement(connection, platform=self.payer.name)

    def payouts(self, lines: Sequence[Line]) -> list[Payout]:
        """These lines as payments, each under the operation of its last attempt."""
        known = self._names()
        return [self._payout(line, line.operation_id or "", known) for line in lines]

    def settle(self, tick: Tick = unheard) -> int:
        """Find out what became of payments in doubt. Returns how many are known now. Raises what `pay` raises."""
        lines = self.lines()
        self._refuse_a_clock_that_went_back(lines)
        refuse_older_books(self.folder, {stem(operation_of(self.folder, line)): line.attempts for line in lines})
        doubtful = [line for line in lines if line.doubtful]
        if not doubtful:
            return 0
        known = self._names()
        payouts = {line.obligation_id: self._payout(line, line.operation_id or "", known) for line in doubtful}
        looked_at = self.clock()
        listed = list_of(self.payer, list(payouts.values()), tick)
        for line in lines:
            if line.stand == "paid":
                taken_from(listed, line)
        answers: list[Answer] = []
        again: list[Line] = []
        for line in doubtful:
            payout = payouts[line.obligation_id]
            if taken_from(listed, line):
                answers.append(Answer(payout.operation_id, "paid", {"found": "in the platform's list"}))
            elif self._known_again(line):
                again.append(line)
            elif self._long_enough(line, looked_at):
                state: State = "absent" if line.missed_at else "unknown"
                answers.append(Answer(payout.operation_id, state, MISSED))
        with self.store.write() as connection:
            learn(connection, answers, now=self.clock())
        for line in again:
            if self._known_again(line):  # still: those before it may have taken long
                answers += self._once_more(payouts[line.obligation_id])
        return sum(answer.state != "unknown" for answer in answers)

    def pay(self, wanted: Sequence[Line], tick: Tick = unheard) -> Round:
        """Settle what is in doubt, then send what is owed of `wanted`, each at most once.

        Each payment, or batch of them, is written down before it is sent. Raises MoneyError and PlatformError; what was
        sent by then is written down. A base in doubt holds up no bonus, not even its own annotator's: approving may be
        repeated, and pays nothing else. A bonus in doubt holds up every other where the platform may pay twice, until
        the next run has looked for it, and any more for the same work until it is settled.
        """
        settled = self.settle(tick)
        now_owed = {line.obligation_id: line for line in self.lines() if line.payable}
        lines = [now_owed[line.obligation_id] for line in wanted if line.obligation_id in now_owed]
        tired = [line for line in lines if line.attempts >= MOST_ATTEMPTS and "decision" not in line.said]
        lines = [line for line in lines if line.attempts < MOST_ATTEMPTS or "decision" in line.said]
        known = self._names()
        sending = [(line, self._payout(line, operation_of(self.folder, line), known)) for line in lines]
        reasons: list[str] = []
        if tired:
            self._wait(tired, f"did not go through {MOST_ATTEMPTS} times")
            reasons.append(
                f"{len(tired)} did not go through {MOST_ATTEMPTS} times: look there, then 'imitable settle' with their "
                "operations, which are in statement.csv."
            )
        sending, answers, held = self._checked(sending, tick)
        bases = [one for one in sending if one[0].kind == "base"]
        bonuses, found, uncertain = self._not_in_the_list([one for one in sending if one[0].kind != "base"], tick)
        for why, waiting in (*held.items(), *uncertain.items()):
            self._wait(waiting, why)
            reasons.append(f"{len(waiting)} cannot be paid yet: {why}.")
        answers += found
        there = sum(one.state == "paid" for one in found)
        if there:
            reasons.append(f"{there} stood in the platform's list already: booked, and not sent again.")
        if len(found) > there:
            reasons.append(
                f"For the work of {len(found) - there} the platform lists a payment that is in no book of ours: look "
                "whether it was this one, then 'imitable settle'."
            )
        self._refuse_what_cannot_be_afforded(bases, bonuses)
        for line, payout in bases:
            answers += self._send([(line, payout)], None, partial(self._approve, payout))
            tick(1)
        batches = _batches(bonuses, self.payer.most_at_once)
        while batches:
            batch = batches.pop(0)
            sent = self._send_batch(batch)
            answers += sent
            tick(len(batch))
            if batches and not self.payer.remembers and any(answer.state == "unknown" for answer in sent):
                self._wait([line for later in batches for line, _ in later], "another bonus is in doubt")
                reasons.append("A bonus is in doubt, and this platform may pay twice: nothing more was sent.")
                break
        count = [answer.state for answer in answers]
        doubtful = [line for line in self.lines() if line.doubtful]
        missed = [line.missed_at for line in doubtful if line.missed_at is not None]
        if missed:
            reasons.append(
                f"{len(missed)} were not in the platform's list, which may lag: a second look, after "
                f"{max(missed) + self._lag:%Y-%m-%d %H:%M} UTC, decides. Pay again then."
            )
        return Round(settled, count.count("paid"), count.count("failed"), len(doubtful), tuple(reasons))

    def _wait(self, lines: Sequence[Line], why: str) -> None:
        """Write down why these were not sent."""
        with self.store.write() as connection:
            wait(connection, lines, why, now=self.clock())

    def _refuse_what_cannot_be_afforded(self, bases: Sequence[Sending], bonuses: Sequence[Sending]) -> None:
        """Raise MoneyError where the platform has less than these alone come to, whatever it takes on top."""
        if bases and isinstance(self.payer, Keeping) and self.payer.keeps_base:
            bases = []
        sending = [*bases, *bonuses]
        balance = self.payer.balance() if sending else None
        if balance is None:
            return
        needed = total([payout.amount for _, payout in sending], balance.currency)
        if balance.minor < needed.minor:
            raise MoneyError(
                f"{self.payer.name} has {balance} left to spend, and {needed} are to be sent, with fees on top. "
                "Nothing was sent. Add funds there, then pay again."
            )

    def _checked(self, sending: list[Sending], tick: Tick) -> tuple[list[Sending], list[Answer], Waiting]:
        """What can be sent, what never can, which is written down as refused, and what has to wait, by the reason."""
        if not isinstance(self.payer, Checking):
            tick(len(sending))
            return sending, [], {}
        held: dict[str, Held] = {}
        for some in pieces(sending, self.payer.reads_at_once):
            held |= self.payer.check([payout for _, payout in some])
            tick(len(some))
        never = [one for one in sending if one[1].operation_id in held and held[one[1].operation_id].final]
        refused = [Answer(payout.operation_id, "failed", held[payout.operation_id].facts) for _, payout in never]
        if never:
            self._write_down(never, refused)
        later: Waiting = {}
        for line, payout in sending:
            if payout.operation_id in held and not held[payout.operation_id].final:
                later.setdefault(held[payout.operation_id].why, []).append(line)
        return [one for one in sending if one[1].operation_id not in held], refused, later

    def _not_in_the_list(self, bonuses: list[Sending], tick: Tick) -> tuple[list[Sending], list[Answer], Waiting]:
        """What can be sent as far as the platform's list tells; what it has paid already is written down as paid; and
        what has to wait.

        Our books may be older than the platform's: a backup was restored, or somebody paid there by hand. Where the
        list has a payment for the same work that no book of ours explains, a person has to say whether it was this one:
        it counts as refused until then.
        """
        if not bonuses:
            return [], [], {}
        lines = self.lines()
        listed = list_of(self.payer, [payout for _, payout in bonuses], tick)
        for line in lines:
            if line.stand == "paid":
                taken_from(listed, line)
        doubtful = {line.assignment for line in lines if line.doubtful and line.kind != "base"}
        there: list[Sending] = []
        others: list[Sending] = []
        uncertain: Waiting = {}
        for line, payout in bonuses:
            if line.assignment in doubtful:  # what the list shows may be the one in doubt
                uncertain.setdefault("another bonus for this work is in doubt", []).append(line)
                continue
            seen = taken_from(listed, replace(line, operation_id=payout.operation_id))
            if seen is not None and seen.amount == line.amount:
                there.append((line, payout))
                continue
            others.append((line, payout))
            if seen is not None:
                listed.append(seen)
        strange = {seen.assignment: seen.amount for seen in listed if seen.kind == "bonus"}
        left: list[Sending] = []
        held: list[Sending] = []
        for one in others:
            (left if one[0].assignment not in strange or "decision" in one[0].said else held).append(one)
        answers = [
            Answer(payout.operation_id, "paid", {"found": "in the platform's list, before it was sent"})
            for _, payout in there
        ]
        answers += [
            Answer(payout.operation_id, "failed", {"found": f"{strange[line.assignment]} for the same work, not ours"})
            for line, payout in held
        ]
        if answers:
            self._write_down([*there, *held], answers)
        return left, answers, uncertain

    def _approve(self, payout: Payout) -> list[Answer]:
        return [self.payer.approve(payout)]

    def _send_batch(self, sending: Sequence[Sending]) -> Sequence[Answer]:
        batch = self.payer.prepare([payout for _, payout in sending])
        ours = total([payout.amount for _, payout in sending], sending[0][1].amount.currency)
        if batch.amount != ours:
            raise MoneyError(
                f"{self.payer.name} would pay {batch.amount} where {ours} are owed (batch {batch.batch_id}). Nothing "
                "of it was sent. Look at the batch there, and at 'imitable ledger', before you try again."
            )
        left = None if batch.fee is None else self.payer.balance()
        if batch.fee is not None and left is not None and left.minor < (ours + batch.fee).minor:
            raise MoneyError(
                f"{self.payer.name} has {left} left to spend, and takes {ours + batch.fee} for the next {len(sending)} "
                "payments, fees included. Nothing of them was sent. Add funds there, then pay again."
            )
        return self._send(sending, batch, lambda: self.payer.bonus(batch))

    def _send(
        self, sending: Sequence[Sending], batch: Batch | None, send: Callable[[], Sequence[Answer]]
    ) -> Sequence[Answer]:
        """Write down, commit, send once, write down what was said."""
        alone = batch is None or batch.batch_id == sending[0][1].operation_id
        self._write_down(sending, batch=None if alone or batch is None else batch.batch_id)
        payouts = [payout for _, payout in sending]
        try:
            note(self.folder, [payout.operation_id for payout in payouts], now=self.clock())
        except OSError as error:
            unsent = [Answer(payout.operation_id, "absent", {"error": "not sent"}) for payout in payouts]
            with self.store.write() as connection:
                learn(connection, unsent, now=self.clock())
            raise MoneyError(
                f"{self.folder.path / SENT} cannot be written ({error}). Nothing of this was sent. Make room, or make "
                "the campaign's folder writable, and pay again."
            ) from error
        return self._asked(payouts, send)

    def _write_down(
        self, sending: Sequence[Sending], answers: Sequence[Answer] = (), *, batch: str | None = None
    ) -> None:
        """Begin attempts, with what is known of them at once. Raises MoneyError for one that was begun before."""
        now = self.clock()
        try:
            with self.store.write() as connection:
                begin(connection, sending, endpoint=self.payer.endpoint, batch=batch, now=now)
                learn(connection, answers, now=now)
        except IntegrityError as error:
            what = "one of these payments" if batch is None else f"one of these payments, or the batch {batch},"
            raise MoneyError(
                f"Another run has begun to send {what} already. Nothing of it was sent by this one. See where it "
                "stands with: imitable pay"
            ) from error

    def _asked(self, payouts: Sequence[Payout], send: Callable[[], Sequence[Answer]]) -> list[Answer]:
        """Send what is written down, once, and write down what was said.

        That a request was refused, or did not get there, ends no doubt where it was not the only one of its operation.
        """
        try:
            answers = {answer.operation_id: answer for answer in send()}
        except Exception as error:  # a payer that breaks its word: it may have been paid
            answers = {}
            failure = f"{type(error).__name__}: {error}"
        else:
            failure = "no answer for this one"
        learnt = [
            answers.get(payout.operation_id) or Answer(payout.operation_id, "unknown", {"error": failure})
            for payout in payouts
        ]
        with self.store.write() as connection:
            others = noted(connection, [payout.operation_id for payout in payouts])
            learnt = [
                one if one.state == "paid" or one.operation_id not in others else replace(one, state="unknown")
                for one in learnt
            ]
            learn(connection, learnt, now=self.clock())
        return learnt

    def _once_more(self, payout: Payout) -> Sequence[Answer]:
        """The same request with the same operation id, which the platform does not do twice."""
        with self.store.write() as connection:
            learn(connection, [Answer(payout.operation_id, "unknown", {"asked": "again"})], now=self.clock())

        def send() -> Sequence[Answer]:
            one = Batch(payout.operation_id, [payout], payout.amount)
            return self._approve(payout) if payout.kind == "base" else self.payer.bonus(one)

        return self._asked([payout], send)

    def _refuse_a_clock_that_went_back(self, lines: Sequence[Line]) -> None:
        """Raise MoneyError where the books have payments from the future: ages computed by this clock are no ages."""
        now = self.clock()
        latest = max((line.started_at for line in lines if line.started_at is not None), default=now)
        if latest - now > CLOCKS_DIFFER:
            raise MoneyError(
                f"This machine's clock says {now:%Y-%m-%d %H:%M} UTC, and the books have a payment of "
                f"{latest:%Y-%m-%d %H:%M}. Nothing was sent. Set the clock right, and pay again."
            )

    def _known_again(self, line: Line) -> bool:
        if line.kind == "base":
            return True  # work is approved once, however often it is asked for
        if line.started_at is None:
            return False
        return self.clock() - line.started_at < self.payer.remembers

    def _long_enough(self, line: Line, looked_at: datetime) -> bool:
        """Whether it means something that the platform's list lacks a payment: a settling delay after it was asked for,
        and the second time as long after the first. What was carried out late, shortly before the first look, may still
        be missing then.
        """
        since = line.missed_at or line.asked_at
        return self.payer.tells_all and since is not None and looked_at - since > self._lag

    @property
    def _lag(self) -> timedelta:
        """How long a payment may be missing from the platform's list, by the clocks of two machines."""
        return self.payer.settling + CLOCKS_DIFFER

    def _names(self) -> dict[str, str]:
        with self.store.read() as connection:
            return platform_ids(connection)

    def _payout(self, line: Line, operation_id: str, known: Mapping[str, str]) -> Payout:
        return Payout(
            operation_id=operation_id,
            obligation_id=line.obligation_id,
            kind=line.kind,
            platform_id=known.get(line.annotator_id, ""),
            assignment=line.assignment,
            amount=line.amount,
            reason=f"{self.folder.config.campaign.name}: {line.kind} ({TAG}{operation_id})",
        )


def _batches(sending: Sequence[Sending], size: int) -> list[list[Sending]]:
    """Cut into batches of `size` at most, none of which pays for the same work twice.

    A platform may take a second line for the same work as a correction of the first, or as a repetition.
    """
    batches: list[dict[str, Sending]] = []
    for one in sending:
        work = one[1].assignment
        batch = next((batch for batch in batches if len(batch) < size and work not in batch), None)
        if batch is None:
            batches.append(batch := {})
        batch[work] = one
    return [list(batch.values()) for batch in batches]


def one_at_a_time(store: Store, folder: Folder) -> AbstractContextManager[None]:
    """Hold the right to pay for this campaign. Raises MoneyError when another process has it.

    What keeps a payment from being sent twice is the key of the attempts; this keeps two runs from getting into each
    other's way.
    """
    busy = "Another 'imitable pay' of this campaign is running. Wait for it, then look with 'imitable pay'."
    return in_turn(store, folder, "pay", busy=MoneyError(busy))
