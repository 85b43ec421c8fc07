"""Money through Prolific: base pay by approving submissions, all else as bonuses, which it may pay twice.

Approving may be done twice, as documented; the call that pays bonuses may not, so that it is made once for each set of
them that was set up, and what it did is read from the submissions themselves: its answer only says that it was heard.
"""

from __future__ import annotations

import time
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.errors import NoAnswer, PlatformError
from imitable.money import Answer, Batch, Held, Money, Payout, Seen
from imitable.money.payer import State
from imitable.platforms.prolific.account import account_of
from imitable.platforms.prolific.client import Api, opened
from imitable.platforms.prolific.payable import APPROVED, bonuses_in, cents, problem_of, shared, silence, words_of
from imitable.platforms.prolific.refusals import Refused, final
from imitable.platforms.prolific.study import find, settings_of
from imitable.platforms.reaching import is_stand_in

if TYPE_CHECKING:
    from imitable.platforms.prolific.client import Row

READ_BACK = 300.0
"""Seconds in which bonuses are expected to show after the call that pays them: "the following minutes"."""
_BETWEEN = 5.0
"""Seconds between two looks."""


class ProlificPayer:
    """How the participants of a campaign's study are paid. Raises PlatformError for what is not paid, and not sent."""

    name = "prolific"
    remembers = timedelta(0)
    settling = timedelta(hours=1)
    tells_all = False
    most_at_once = 200
    reads_at_once = 25
    keeps_base = True

    def __init__(self, folder: Folder, *, read_back: float = READ_BACK) -> None:
        self.folder = folder
        self.currency = folder.config.pay.currency
        self.endpoint = settings_of(folder).api_url
        self.stand_in = is_stand_in(self.endpoint)
        self.read_back = read_back
        self._api: Api | None = None
        self._study: Row | None = None
        self._before: dict[str, Mapping[str, Counter[int]]] = {}
        """The bonuses that the submissions of a batch had when it was set up."""

    @property
    def api(self) -> Api:
        """The account, opened when it is first needed and closed with this payer."""
        if self._api is None:
            self._api = opened(settings_of(self.folder))
            weakref.finalize(self, self._api.close)
        return self._api

    @property
    def study(self) -> Row:
        """The campaign's study. Raises PlatformError where there is none."""
        if self._study is None:
            self._study = find(self.api, self.folder, account_of(self.api, self.folder))
        if self._study is None:
            raise PlatformError("There is no study of this campaign on Prolific, so that nobody can be paid there.")
        return self._study

    def check(self, payouts: Sequence[Payout]) -> Mapping[str, Held]:
        """What cannot be paid: work that is not this participant's or not of this study, and what was not handed in."""
        held: dict[str, Held] = {}
        rows: dict[str, Row | None] = {}
        for payout in payouts:
            if payout.assignment not in rows:
                rows[payout.assignment] = self._submission(payout)
            problem = problem_of(payout, rows[payout.assignment], self.study)
            if problem is not None:
                held[payout.operation_id] = problem
        return held

    def approve(self, payout: Payout) -> Answer:
        """Approve a submission, unless it is already; what Prolific then says of it counts.

        In doubt it is asked again by the next run: approving twice is documented to pay once.
        """
        if self._status(payout) == APPROVED:
            return Answer(payout.operation_id, "paid", {"status": APPROVED})
        facts: dict[str, object] = {}
        refused = False
        try:
            code, said = self.api.once(f"/submissions/{payout.assignment}/transition/", {"action": "APPROVE"})
            facts["answer"] = code
            refused = final(code)
            if refused:
                facts["said"] = words_of(said, payout)
        except NoAnswer as error:
            facts["error"] = silence(error)
        status = self._status(payout)
        if status == APPROVED:
            return Answer(payout.operation_id, "paid", {**facts, "status": status})
        return Answer(payout.operation_id, "failed" if refused else "unknown", {**facts, "status": status})

    def _status(self, payout: Payout) -> str:
        """What is said of a submission now; `unread` where nothing can be had."""
        try:
            row = self._submission(payout)
        except PlatformError:
            return "unread"
        return "not there" if row is None else str(row["status"])

    def prepare(self, payouts: Sequence[Payout]) -> Batch:
        """Set bonuses up, and read what they will cost. Nothing is paid yet."""
        before = {payout.assignment: bonuses_in(self._submission(payout) or {}) for payout in payouts}
        lines = "".join(f"{payout.assignment},{payout.amount.decimal}\n" for payout in payouts)
        said = self.api.post(
            "/submissions/bonus-payments/",
            {"study_id": str(self.study["id"]), "csv_bonuses": lines},
            patience="again",
        )
        if not said.get("id") or said.get("total_amount") is None:
            raise PlatformError(f"Prolific does not say what bonuses would cost ({said}). Nothing was paid.")
        fee = cents(said.get("fees") or 0) + cents(said.get("vat") or 0)
        together = cents(said["total_amount"])
        amount = together - fee if said.get("amount") is None else cents(said["amount"])
        if amount + fee != together:
            raise PlatformError(
                f"Prolific says that it takes {together} cents for bonuses of {amount} and fees of {fee}, which is not "
                f"their sum. Nothing was paid. Ask Prolific's support about {said['id']}."
            )
        self._before[str(said["id"])] = before
        return Batch(str(said["id"]), payouts, Money(amount, self.currency), Money(fee, self.currency))

    def bonus(self, batch: Batch) -> Sequence[Answer]:
        """Have a set of bonuses paid: one call. Only what then shows in a submission is `paid`."""
        facts: dict[str, object] = {"batch": batch.batch_id}
        try:
            code, said = self.api.once(f"/bulk-bonus-payments/{batch.batch_id}/pay/", {})
        except NoAnswer as error:
            facts["error"] = silence(error)
            state: State = "unknown" if error.connected else "absent"
            return [Answer(payout.operation_id, state, facts) for payout in batch.payouts]
        facts["answer"] = code
        if final(code):
            facts["said"] = words_of(said, *batch.payouts)
            return [Answer(payout.operation_id, "failed", facts) for payout in batch.payouts]
        arrived = self._arrived(batch) if code < 300 else set()
        return [
            Answer(payout.operation_id, "paid", {**facts, "seen": "in the submission"}, fee)
            if payout.operation_id in arrived
            else Answer(payout.operation_id, "unknown", {**facts, "seen": "not in the submission yet"})
            for payout, fee in zip(batch.payouts, shared(batch), strict=True)
        ]

    def _arrived(self, batch: Batch) -> set[str]:
        """The operations of a batch that show in their submissions: looked for until all do, or for long enough."""
        before, waiting, arrived = self._before.get(batch.batch_id, {}), list(batch.payouts), set[str]()
        until = time.monotonic() + self.read_back
        try:
            while waiting:
                payout = waiting[0]
                row = self._submission(payout) or {}
                new = bonuses_in(row) - before.get(payout.assignment, Counter())
                if payout.assignment in before and new[payout.amount.minor]:
                    arrived.add(payout.operation_id)
                    waiting.pop(0)
                elif time.monotonic() < until:
                    time.sleep(_BETWEEN)
                else:
                    waiting.pop(0)  # the others may be there all the same
        except PlatformError:
            pass  # what was not seen is in doubt
        return arrived

    def list_payments(self, payouts: Sequence[Payout]) -> Sequence[Seen]:
        """What the submissions of these payouts say that they were paid."""
        return list(self._listed({payout.assignment: payout for payout in payouts}))

    def _listed(self, payouts: Mapping[str, Payout]) -> Iterator[Seen]:
        for assignment, payout in payouts.items():
            row = self._submission(payout)
            if row is None:
                continue
            if row["status"] == APPROVED:
                yield Seen(assignment, "base", Money(int(self.study["reward"]), self.currency), "")
            for minor in bonuses_in(row).elements():
                yield Seen(assignment, "bonus", Money(minor, self.currency), "")

    def balance(self) -> Money | None:
        """What bonuses are paid from; rewards are paid from what Prolific keeps for the study."""
        return account_of(self.api, self.folder).available

    def _submission(self, payout: Payout) -> Row | None:
        """What Prolific says of a payout's work; None where it knows none."""
        try:
            row: Row = self.api.get(f"/submissions/{payout.assignment}/")
        except Refused as error:
            if error.status == 404:
                return None
            raise
        return row
