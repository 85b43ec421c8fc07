"""The account of a stand-in: rewards, bonuses, fees, and what is on hold.

Fees as the price list had them before the end: 20 % of rewards and bonuses, 20 % more of the reward where a HIT was
created with ten assignments or more, 5 % more where it wants Masters, each rounded half up to the cent and a cent at
least. Premium qualifications are not here.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from imitable.rehearsal.faults import Fields
from imitable.rehearsal.mturk.paging import page
from imitable.rehearsal.mturk.world import (
    Assignment,
    Hit,
    HitType,
    Payment,
    WireError,
    World,
    bad_value,
    dollars,
    refused,
)

MASTERS = ("2F1QJWKUDD8XADTFD2Q0G6UTO95ALH", "2ARFPLSP75KLA8M8DH1HTEQVJT3SY6")
"""Ids of the qualification, live and in the sandbox."""

LARGEST_BONUS = 1_000_000
"""Cents."""


def fee(amount: int, *, large: bool = False, masters: bool = False) -> int:
    """On one payment of so many cents."""
    percent = 20 + 20 * large + 5 * masters
    return max(1, int((Decimal(amount) * percent / 100).quantize(Decimal(1), rounding=ROUND_HALF_UP)))


def price(kind: HitType, *, large: bool) -> int:
    """One assignment's reward and its fee, in cents."""
    masters = any(one["QualificationTypeId"] in MASTERS and one["Comparator"] == "Exists" for one in kind.requirements)
    return kind.reward + fee(kind.reward, large=large, masters=masters)


def available(world: World) -> int:
    """Cents that can be spent."""
    return world.deposited - sum(one.amount + one.fee for one in world.payments) - on_hold(world)


def on_hold(world: World) -> int:
    """Cents that open HITs keep."""
    return sum(_kept(world, hit) for hit in world.hits.values()) if world.settings.holds else 0


def _kept(world: World, hit: Hit) -> int:
    """Price of the assignments of a HIT that may still be paid: those under way, and, before the end, those to come."""
    under_way = hit.count("Accepted", "Submitted")
    open_places = (
        0 if hit.deleted or hit.expires <= world.now() else hit.places - hit.count("Approved", "Rejected") - under_way
    )
    return (under_way + open_places) * price(hit.type, large=hit.large)


def need(world: World, cents: int) -> None:
    """Raises WireError where there is less."""
    if available(world) < cents:
        raise refused(
            "InsufficientFunds",
            "This Requester has insufficient funds in their account to complete this transaction. Please visit "
            "https://requester.mturk.com/prepayments/new to purchase Prepaid HITs.",
        )


def pay_reward(world: World, assignment: Assignment) -> None:
    """Pay what the HIT promised, and the fee."""
    reward = assignment.hit.type.reward
    charged = price(assignment.hit.type, large=assignment.hit.large) - reward
    world.payments.append(Payment(world.now(), "reward", assignment, reward, charged))


def balance(world: World, _fields: Fields) -> Fields:
    """GetAccountBalance."""
    said = {"AvailableBalance": dollars(available(world))}
    return {**said, "OnHoldBalance": dollars(on_hold(world))} if world.settings.holds else said


def send_bonus(world: World, fields: Fields) -> Fields:
    """SendBonus: paid at once, once for each token as long as that is remembered."""
    assignment = world.assignment(fields["AssignmentId"])
    cents, token = to_cents(fields["BonusAmount"]), fields.get("UniqueRequestToken")
    if not 1 <= cents <= LARGEST_BONUS:
        raise bad_value("BonusAmount", fields["BonusAmount"])
    if not fields["Reason"].strip():
        raise bad_value("Reason", fields["Reason"])
    if world.once("SendBonus", token) is not None:
        raise repeated(str(token))
    if assignment.worker.id != fields["WorkerId"]:
        raise bad_value("WorkerId", fields["WorkerId"])
    if assignment.status not in ("Submitted", "Approved", "Rejected"):
        raise refused("InvalidAssignmentState", f"Assignment {assignment.id} was not submitted.")
    charged = fee(cents)
    need(world, cents + charged)
    world.payments.append(Payment(world.now(), "bonus", assignment, cents, charged, fields["Reason"]))
    world.used("SendBonus", token, assignment.id)
    world.emails.append({"to": assignment.worker.id, "about": "bonus", "text": fields["Reason"]})
    return {}


def list_bonuses(world: World, fields: Fields) -> Fields:
    """ListBonusPayments, of a HIT or of an assignment."""
    if ("HITId" in fields) == ("AssignmentId" in fields):
        raise refused("ParameterValidationError", "Give either a HITId or an AssignmentId.")
    mine = world.hit(fields["HITId"]).assignments if "HITId" in fields else [world.assignment(fields["AssignmentId"])]
    ids = {id(one) for one in mine}
    rows = [
        {
            "WorkerId": one.assignment.worker.id,
            "BonusAmount": dollars(one.amount),
            "AssignmentId": one.assignment.id,
            "Reason": one.reason,
            "GrantTime": one.at.timestamp(),
        }
        for one in world.payments
        if one.kind == "bonus" and id(one.assignment) in ids and one.at <= world.readable
    ]
    return page(world, "BonusPayments", rows, fields)


def repeated(token: str) -> WireError:
    """What is answered to a token that was used before. The words are real; the code was never published."""
    return refused("DuplicateRequest", f'The idempotency token "{token}" has already been processed.')


def to_cents(amount: str) -> int:
    """Of an amount in the wire's form, which the model has checked."""
    return int(Decimal(amount) * 100)
