"""The account of the stand-in for Mechanical Turk: to the cent, once for each token, and twice where that was so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import given
from hypothesis import strategies as st
from rehearsal.mturk_requester import api, client, handed_in, hit, hit_type, there

from imitable.errors import PlatformError
from imitable.rehearsal.mturk import Fault, StandIn, standing_in
from imitable.rehearsal.mturk.wallet import MASTERS, fee

__all__ = ["api", "there"]


@pytest.fixture(scope="module")
def process() -> Iterator[StandIn]:
    with standing_in("--cents", "10000") as one:
        yield one


def balance(api: Any) -> str:
    return str(api.get_account_balance()["AvailableBalance"])


def code(call: Callable[..., Any], **fields: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**fields)
    return str(caught.value.response["TurkErrorCode"]).removeprefix("AWS.MechanicalTurk.")


def bonus(worker: str, assignment: str, **other: str) -> dict[str, str]:
    return {"WorkerId": worker, "AssignmentId": assignment, "BonusAmount": "1.00", "Reason": "r", **other}


@pytest.mark.parametrize(
    ("places", "reward", "masters", "taken"),
    [
        (9, "0.50", False, "0.60"),
        (10, "0.50", False, "0.70"),
        (9, "0.50", True, "0.63"),  # 12.5 cents are 13
        (10, "0.50", True, "0.73"),  # 22.5 cents are 23
        (9, "0.01", False, "0.02"),  # a cent at least
        (9, "0.12", False, "0.14"),  # 2.4 cents are 2
        (9, "0.13", False, "0.16"),  # 2.6 cents are 3
    ],
)
def test_approving_takes_the_reward_and_the_fee_to_the_cent(
    there: StandIn, api: Any, places: int, reward: str, masters: bool, taken: str
) -> None:
    wanted = [{"QualificationTypeId": MASTERS[0], "Comparator": "Exists"}] if masters else []
    kind = hit_type(api, Reward=reward, QualificationRequirements=wanted)
    task = hit(api, kind, MaxAssignments=places)
    [worker] = there.workers(1, masters=masters)
    _, assignment = handed_in(there, task, worker=worker)
    api.approve_assignment(AssignmentId=assignment)
    assert Decimal("100.00") - Decimal(balance(api)) == Decimal(taken)


@given(cents=st.integers(0, 1_000_000), large=st.booleans(), masters=st.booleans())
def test_a_fee_is_its_share_rounded_half_up_and_a_cent_at_least(cents: int, large: bool, masters: bool) -> None:
    share = Decimal("0.20") + (Decimal("0.20") if large else 0) + (Decimal("0.05") if masters else 0)
    exact = (Decimal(cents) / 100 * share).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
    assert Decimal(fee(cents, large=large, masters=masters)) / 100 == max(exact, Decimal("0.01"))


def test_a_bonus_costs_a_fifth_more_and_is_listed(there: StandIn, api: Any) -> None:
    task = hit(api, MaxAssignments=10)
    worker, assignment = handed_in(there, task)
    api.send_bonus(**bonus(worker, assignment, BonusAmount="0.02", Reason="well seen"))
    assert balance(api) == "99.97", "2 cents and the smallest fee; the size of the HIT is nothing to a bonus"
    for asked in ({"HITId": task}, {"AssignmentId": assignment}):
        [row] = api.list_bonus_payments(**asked)["BonusPayments"]
        assert (row["BonusAmount"], row["WorkerId"], row["Reason"]) == ("0.02", worker, "well seen")
    assert code(api.list_bonus_payments) == "ParameterValidationError"
    assert code(api.list_bonus_payments, HITId=task, AssignmentId=assignment) == "ParameterValidationError"


def test_a_bonus_needs_work_that_was_handed_in_by_the_same_worker(there: StandIn, api: Any) -> None:
    task = hit(api)
    worker, assignment = handed_in(there, task)
    other = there.workers(1)[0]
    accepted, _ = there.accept(other, task)
    assert code(api.send_bonus, **bonus(other, accepted)) == "InvalidAssignmentState"
    assert code(api.send_bonus, **bonus(other, assignment)) == "InvalidParameterValue"
    assert code(api.send_bonus, **bonus(worker, "NOSUCH")) == "AssignmentDoesNotExist"
    for amount in ("0", "10000.01"):
        assert code(api.send_bonus, **bonus(worker, assignment, BonusAmount=amount)) == "InvalidParameterValue"
    assert code(api.send_bonus, **bonus(worker, assignment, Reason=" ")) == "InvalidParameterValue"
    assert balance(api) == "100.00"


@pytest.mark.parametrize(
    ("fault", "attempts", "paid"),
    [
        (Fault("drop", path="SendBonus", when="after", times=1), 3, 2),
        (Fault("drop", path="SendBonus", when="after", times=3), 3, 3),
        (Fault("status", path="SendBonus", when="after", times=1), 3, 2),
        (Fault("status", path="SendBonus", when="before", times=1), 3, 1),
        (Fault("drop", path="SendBonus", when="before", times=1), 3, 1),
        (Fault("throttle", path="SendBonus", times=1), 3, 1),
        (Fault("slow", path="SendBonus", when="after", seconds=6, times=1), 2, 2),
        (Fault("accept", path="SendBonus", times=1), 3, 0),
        (Fault("drop", path="SendBonus", when="after", times=1), 1, 1),
    ],
    ids=lambda one: f"{one.how}-{one.when}-{one.times}" if isinstance(one, Fault) else str(one),
)
def test_without_a_token_botos_own_retries_pay_again_for_every_lost_answer(
    there: StandIn, api: Any, fault: Fault, attempts: int, paid: int
) -> None:
    task = hit(api)
    worker, assignment = handed_in(there, task)
    there.fail(fault)
    try:
        client(there, attempts=attempts).send_bonus(**bonus(worker, assignment))
    except (BotoCoreError, ClientError):
        assert attempts == 1 or fault.times == 3
    there.fail()
    assert api.list_bonus_payments(HITId=task)["NumResults"] == paid
    assert balance(api) == f"{100 - 1.2 * paid:.2f}"


def test_with_a_token_a_lost_answer_pays_once_and_the_retry_is_told_so(there: StandIn, api: Any) -> None:
    task = hit(api)
    worker, assignment = handed_in(there, task)
    there.fail(Fault("drop", path="SendBonus", when="after", times=1))
    with pytest.raises(ClientError, match='idempotency token "po-1" has already been processed'):
        client(there, attempts=3).send_bonus(**bonus(worker, assignment, UniqueRequestToken="po-1"))
    assert api.list_bonus_payments(HITId=task)["NumResults"] == 1


def test_a_token_is_forgotten_after_a_day(there: StandIn, api: Any) -> None:
    task = hit(api, LifetimeInSeconds=500_000, UniqueRequestToken="hit-1")
    worker, assignment = handed_in(there, task)
    kind = api.get_hit(HITId=task)["HIT"]["HITTypeId"]
    more = {"HITId": task, "NumberOfAdditionalAssignments": 1, "UniqueRequestToken": "more-1"}

    def again() -> list[str]:
        found = []
        for call in (
            lambda: api.send_bonus(**bonus(worker, assignment, UniqueRequestToken="po-1")),
            lambda: hit(api, kind, UniqueRequestToken="hit-1"),
            lambda: api.create_additional_assignments_for_hit(**more),
        ):
            try:
                call()
                found.append("done")
            except ClientError as error:
                found.append(error.response["Error"]["Message"])
        return found

    first = again()
    assert first[0] == first[2] == "done"
    assert task in first[1], "the message names the HIT that there is"
    there.move(hours=23.9)
    assert "done" not in again()
    there.move(hours=0.2)
    assert again() == ["done"] * 3
    assert api.list_bonus_payments(HITId=task)["NumResults"] == 2
    assert len(there.state()["hits"]) == 2
    assert api.get_hit(HITId=task)["HIT"]["MaxAssignments"] == 5


def test_what_failed_leaves_its_token_unused(there: StandIn, api: Any) -> None:
    task = hit(api)
    worker, assignment = handed_in(there, task)
    dear = bonus(worker, assignment, BonusAmount="99.00", UniqueRequestToken="po-1")
    assert code(api.send_bonus, **dear) == "InsufficientFunds"
    api.send_bonus(**{**dear, "BonusAmount": "9.00"})
    assert balance(api) == "89.20"


def test_the_same_expiration_twice_within_a_day_is_a_repeated_token(there: StandIn, api: Any) -> None:
    task, at = hit(api), there.now().timestamp() + 7200
    api.update_expiration_for_hit(HITId=task, ExpireAt=at)
    with pytest.raises(ClientError, match=f'idempotency token "{task}.* UTC .*" has already been processed'):
        api.update_expiration_for_hit(HITId=task, ExpireAt=at)
    api.update_expiration_for_hit(HITId=task, ExpireAt=at + 1)
    there.move(hours=24)
    api.update_expiration_for_hit(HITId=task, ExpireAt=at)


def test_small_hits_stay_small_and_large_ones_grow(there: StandIn, api: Any) -> None:
    small, large = hit(api, MaxAssignments=8), hit(api, MaxAssignments=10)
    add = api.create_additional_assignments_for_hit
    add(HITId=small, NumberOfAdditionalAssignments=1)
    assert code(add, HITId=small, NumberOfAdditionalAssignments=1) == "InvalidMaximumAssignmentsIncrease"
    add(HITId=large, NumberOfAdditionalAssignments=5)
    assert [api.get_hit(HITId=one)["HIT"]["MaxAssignments"] for one in (small, large)] == [9, 15]


def test_what_the_account_cannot_pay_is_refused(there: StandIn, api: Any) -> None:
    kind = hit_type(api, Reward="30.00")
    with pytest.raises(ClientError, match="insufficient funds in their account"):
        hit(api, kind, MaxAssignments=3)
    task = hit(api, kind, MaxAssignments=2)
    more = {"HITId": task, "NumberOfAdditionalAssignments": 3}
    assert code(api.create_additional_assignments_for_hit, **more) == "InsufficientFunds"
    worker, first = handed_in(there, task)
    _, second = handed_in(there, task)
    api.send_bonus(**bonus(worker, first, BonusAmount="50.00"))
    api.approve_assignment(AssignmentId=first)
    assert code(api.approve_assignment, AssignmentId=second) == "InsufficientFunds"
    assert api.get_assignment(AssignmentId=second)["Assignment"]["AssignmentStatus"] == "Submitted"
    there.ask("POST", "/deposit", cents=10_000)
    api.approve_assignment(AssignmentId=second)
    assert balance(api) == "68.00"


def test_a_prepaid_account_keeps_the_price_of_open_hits_on_hold(there: StandIn, api: Any) -> None:
    there.set(holds=True)

    def account() -> tuple[str, str]:
        told = api.get_account_balance()
        return told["AvailableBalance"], told["OnHoldBalance"]

    task = hit(api)
    assert account() == ("98.20", "1.80")
    _, assignment = handed_in(there, task)
    api.approve_assignment(AssignmentId=assignment)
    assert account() == ("98.20", "1.20")
    there.accept(there.workers(1)[0], task)
    api.update_expiration_for_hit(HITId=task, ExpireAt=there.now())
    assert account() == ("98.80", "0.60"), "only who works on it may still be paid"
    there.move(seconds=601)
    assert account() == ("99.40", "0.00")


def test_work_is_approved_and_paid_by_itself_once_its_time_has_come(there: StandIn, api: Any) -> None:
    task = hit(api, hit_type(api, AutoApprovalDelayInSeconds=3600))
    _, assignment = handed_in(there, task)
    rejected = handed_in(there, task)[1]
    api.reject_assignment(AssignmentId=rejected, RequesterFeedback="not what was asked for")
    there.move(seconds=3590)
    assert api.get_assignment(AssignmentId=assignment)["Assignment"]["AssignmentStatus"] == "Submitted"
    there.move(hours=20)
    told = api.get_assignment(AssignmentId=assignment)["Assignment"]
    assert told["AssignmentStatus"] == "Approved"
    assert told["ApprovalTime"] == told["AutoApprovalTime"], "when it was due, not when somebody looked"
    assert api.get_assignment(AssignmentId=rejected)["Assignment"]["AssignmentStatus"] == "Rejected"
    assert balance(api) == "99.40"
    with pytest.raises(ClientError, match="can be called with a status of: Submitted"):
        api.approve_assignment(AssignmentId=assignment)
    assert balance(api) == "99.40", "approving twice pays once"


def test_a_rejection_can_be_taken_back_for_thirty_days(there: StandIn, api: Any) -> None:
    task = hit(api)
    first, second = (handed_in(there, task)[1] for _ in range(2))
    for one in (first, second):
        api.reject_assignment(AssignmentId=one, RequesterFeedback="no")
    assert code(api.approve_assignment, AssignmentId=first) == "InvalidAssignmentState"
    assert code(api.reject_assignment, AssignmentId=first, RequesterFeedback="no") == "InvalidAssignmentState"
    api.approve_assignment(AssignmentId=first, OverrideRejection=True)
    assert balance(api) == "99.40"
    there.move(hours=31 * 24)
    late = {"AssignmentId": second, "OverrideRejection": True}
    assert code(api.approve_assignment, **late) == "InvalidAssignmentState"
    assert balance(api) == "99.40"


def test_a_hit_that_was_deleted_cannot_have_its_rejections_taken_back(there: StandIn, api: Any) -> None:
    task = hit(api, MaxAssignments=1)
    _, assignment = handed_in(there, task)
    api.reject_assignment(AssignmentId=assignment, RequesterFeedback="no")
    api.delete_hit(HITId=task)
    late = {"AssignmentId": assignment, "OverrideRejection": True}
    assert code(api.approve_assignment, **late) == "InvalidAssignmentState"


def test_a_worker_takes_one_hit_once_and_may_come_back_after_giving_it_back(there: StandIn, api: Any) -> None:
    task, another = hit(api), hit(api)
    [worker] = there.workers(1)
    there.give_back(there.accept(worker, task)[0])
    handed_in(there, task, worker=worker)
    with pytest.raises(PlatformError, match="accepted this task before"):
        there.accept(worker, task)
    there.accept(worker, another)
