"""Money through an MTurk-style site: base pay by approving assignments, all else as bonuses.

A bonus carries our operation id, which the site knows again for a day, and by which it is found in the site's list. The
client that pays never tries by itself: a repeated request is answered as an error that means "already done".
"""

from __future__ import annotations

import re
import sys
import time
import weakref
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property

from imitable.campaign import Folder
from imitable.errors import NoAnswer, PlatformError
from imitable.money import Answer, Batch, Held, Money, Payout, Seen
from imitable.money.amounts import read_money
from imitable.money.paying import TAG
from imitable.platforms.mturk.assignments import Assignment, key_of, listed, read
from imitable.platforms.mturk.client import Api, Row, address
from imitable.platforms.mturk.hits import CURRENCY, find, settings_of
from imitable.platforms.mturk.refusals import NotSent, Refused, words_of
from imitable.platforms.reaching import is_stand_in

SLOWER = 2.0
"""Seconds that are waited after the site said that too much is asked at a time."""

_DONE = re.compile(r"already been processed|idempotency token", re.IGNORECASE)
_TAGGED = re.compile(rf"\({re.escape(TAG)}([A-Za-z0-9-]+)\)\s*$")


class MTurkPayer:
    """How workers are paid. Raises PlatformError for what is not paid, and not sent."""

    name = "mturk"
    remembers = timedelta(hours=23)
    settling = timedelta(hours=1)
    tells_all = True
    most_at_once = 1
    reads_at_once = sys.maxsize

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.endpoint = address(settings_of(folder))
        self.stand_in = is_stand_in(self.endpoint)
        self._api: Api | None = None

    @property
    def api(self) -> Api:
        """The account, opened when it is first needed and closed with this payer."""
        if self._api is None:
            self._api = Api(settings_of(self.folder))
            weakref.finalize(self, self._api.close)
        return self._api

    def check(self, payouts: Sequence[Payout]) -> Mapping[str, Held]:
        """What cannot be paid: work that is not this worker's, that was not handed in, or that has no receipt."""
        hits = find(self.api, self.folder)
        known = {one.key: one for one in listed(self.api, self.folder, hits)}
        rewards = {str(hit["HITId"]): read_money(str(hit["Reward"]), CURRENCY) for hit in hits.values()}
        owners = {one.assignment: one.worker for one in known.values()}
        held: dict[str, Held] = {}
        for payout in payouts:
            problem = _problem(payout, known.get(payout.assignment), owners, rewards)
            if problem is not None:
                held[payout.operation_id] = problem
        return held

    def approve(self, payout: Payout) -> Answer:
        """Approve an assignment, unless it is already; what the site then says of it counts.

        In doubt it is asked again by the next run, after another look.
        """
        if self._status(payout) == "Approved":
            return Answer(payout.operation_id, "paid", {"status": "Approved"})
        try:
            self.api.once("ApproveAssignment", AssignmentId=_assignment(payout))
        except (Refused, NoAnswer) as error:
            status = self._status(payout)
            if status == "Approved":
                return Answer(payout.operation_id, "paid", {**_facts(error), "status": status})
            return self._not_done(payout, error, status=status)
        return Answer(payout.operation_id, "paid", {"answer": 200})

    def _status(self, payout: Payout) -> str:
        """What is said of an assignment of this worker now; `unread` where nothing can be had."""
        try:
            row = read(self.folder, self.api.read("GetAssignment", AssignmentId=_assignment(payout))["Assignment"])
        except PlatformError:
            return "unread"
        return row.status if row.worker == payout.platform_id else "another's"

    def prepare(self, payouts: Sequence[Payout]) -> Batch:
        """Nothing has to be prepared: a bonus is one request."""
        [one] = payouts
        return Batch(one.operation_id, payouts, one.amount)

    def bonus(self, batch: Batch) -> Sequence[Answer]:
        """Send one bonus, once, under its operation id."""
        [payout] = batch.payouts
        try:
            self.api.once(
                "SendBonus",
                WorkerId=payout.platform_id,
                AssignmentId=_assignment(payout),
                BonusAmount=payout.amount.decimal,
                Reason=payout.reason,
                UniqueRequestToken=payout.operation_id,
            )
        except Refused as error:
            if _DONE.search(error.said):
                return [self._done_before(payout, error)]
            return [self._not_done(payout, error)]
        except NoAnswer as error:
            return [self._not_done(payout, error)]
        except NotSent as error:
            return [Answer(payout.operation_id, "failed", {"said": str(error)})]
        return [Answer(payout.operation_id, "paid", {"answer": 200})]

    def _done_before(self, payout: Payout, error: Refused) -> Answer:
        """The site says that this operation was done: paid if its list shows it, and in doubt until it does."""
        try:
            work = _assignment(payout)
            rows = self.api.rows("ListBonusPayments", "BonusPayments", AssignmentId=work)
            there = any(_bonus_seen(row).tag == payout.operation_id for row in rows)
        except PlatformError:
            there = False
        return Answer(payout.operation_id, "paid" if there else "unknown", {**_facts(error), "listed": there})

    def _not_done(self, payout: Payout, error: Refused | NoAnswer, **facts: object) -> Answer:
        """What is known of a payment that was not answered as hoped."""
        if isinstance(error, Refused) and error.told_to_wait:
            time.sleep(SLOWER)
            return Answer(payout.operation_id, "unknown", {**_facts(error), **facts})
        if isinstance(error, Refused) and error.not_let_in:
            return Answer(payout.operation_id, "absent", {**_facts(error), **facts})
        if error.may_be_done:
            return Answer(payout.operation_id, "unknown", {**_facts(error), **facts})
        state = "absent" if isinstance(error, NoAnswer) else "failed"
        return Answer(payout.operation_id, state, {**_facts(error), **facts})  # type: ignore[arg-type]  # one of them

    def list_payments(self, payouts: Sequence[Payout]) -> Sequence[Seen]:
        """What the site says that it paid for the work of these payouts."""
        wanted = {payout.assignment for payout in payouts}
        seen: list[Seen] = []
        for hit in find(self.api, self.folder).values():
            for row in listed(self.api, self.folder, {0: hit}):
                if row.status == "Approved" and row.key in wanted:
                    seen.append(Seen(row.key, "base", read_money(str(hit["Reward"]), CURRENCY), ""))
            for paid in self.api.rows("ListBonusPayments", "BonusPayments", HITId=hit["HITId"]):
                if key_of(paid["AssignmentId"], paid["WorkerId"]) in wanted:
                    seen.append(_bonus_seen(paid))
        return seen

    @cached_property
    def keeps_base(self) -> bool:
        """Whether the site holds back the rewards of all HITs, so that they are not in what can be spent."""
        return "OnHoldBalance" in self.api.read("GetAccountBalance")

    def balance(self) -> Money | None:
        """What can be spent."""
        return read_money(str(self.api.read("GetAccountBalance")["AvailableBalance"]), CURRENCY)


def _problem(
    payout: Payout, row: Assignment | None, owners: Mapping[str, str], rewards: Mapping[str, Money]
) -> Held | None:
    """Why this cannot be paid as things stand; None where it can."""
    assignment = _assignment(payout)
    if key_of(assignment, payout.platform_id) != payout.assignment:
        return Held("the assignment is another worker's", final=True)
    if row is None and assignment in owners:
        return Held("the assignment was given back, and another worker handed it in", final=True)
    if row is None:
        return Held("the site lists no such work as handed in", final=False)
    if payout.kind in ("base", "bonus", "partial") and not row.receipted:
        return Held("it was handed in without our receipt: pay it by a top-up if it is right", final=True)
    if payout.kind == "partial":
        return Held("a part of a reward cannot be paid there", final=True)
    if payout.kind == "base" and row.status == "Rejected":
        return Held("it was rejected there: approve it after all, and settle it by hand", final=True)
    if payout.kind == "base" and payout.amount != rewards[row.hit]:
        return Held(f"the HIT pays {rewards[row.hit]}: approve it there, and settle it by hand", final=True)
    return None


def _assignment(payout: Payout) -> str:
    """The site's id of the work."""
    return payout.assignment.partition(" ")[0]


def _bonus_seen(paid: Row) -> Seen:
    tag = _TAGGED.search(str(paid.get("Reason") or ""))
    amount = read_money(str(paid["BonusAmount"]), CURRENCY)
    return Seen(key_of(paid["AssignmentId"], paid["WorkerId"]), "bonus", amount, tag[1] if tag else "")


def _facts(error: Refused | NoAnswer) -> dict[str, object]:
    """What is noted of an answer that was not hoped for."""
    if isinstance(error, Refused):
        return {"answer": error.status, "code": error.turk_code or error.code, "said": words_of(error)}
    return {"error": "no whole answer came back" if error.connected else "there was no connection"}
