"""The wallet of a stand-in: rewards, bonuses, fees, and what is locked for studies that recruit.

Bonuses take two steps, as documented: set up, from a CSV of decimals, answered in cents; then paid, by a call that is
not idempotent: each call pays everything again. Three things are stricter here than they may be there: more than 200
rows (a recommendation of the documents), an id that comes twice in one CSV, and amounts of more than two decimals are
refused. How fees are rounded is not documented.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from imitable.rehearsal.faults import Fields
from imitable.rehearsal.prolific.world import Bulk, Payment, Study, Submission, World, bad_request, not_found

MOST_ROWS = 200
UNDER_WAY = ("RESERVED", "ACTIVE", "AWAITING REVIEW")
"""Statuses of submissions whose reward is not decided yet."""


def charge(world: World, amount: int) -> tuple[int, int]:
    """Fee and tax on one payment of so many cents, each rounded half up."""
    fee = _rounded(Decimal(amount) * Decimal(world.settings.fee))
    return fee, _rounded(fee * Decimal(world.settings.tax))


def cost(world: World, reward: int, places: int) -> int:
    """What so many places cost in cents, fees and tax included."""
    return places * (reward + sum(charge(world, reward)))


def locked(world: World) -> int:
    """Cents that are kept for the rewards of published studies."""
    kept = 0
    for study in world.studies.values():
        ours = world.of_study(study)
        if study.status in ("ACTIVE", "PAUSED"):
            kept += cost(world, study.reward, study.places - sum(one.status == "APPROVED" for one in ours))
        elif study.status == "COMPLETED":
            kept += cost(world, study.reward, sum(one.status in UNDER_WAY for one in ours))
    return kept


def balance(world: World) -> Fields:
    """As `GET /workspaces/{id}/balance/` has it."""
    spent = sum(payment.total for payment in world.payments)
    there = world.deposited - spent
    return {
        "currency_code": world.settings.currency,
        "total_balance": there,
        "available_balance": there - locked(world),
    }


def total_cost(world: World, study: Study) -> Fields:
    """As `GET /studies/{id}/cost/` has it: what was paid up to now."""
    mine = {one.id for one in world.of_study(study)}

    def told(kind: str) -> Fields:
        paid = [payment for payment in world.payments if payment.kind == kind and payment.submission in mine]
        sums = {
            "rewards": sum(one.amount for one in paid),
            "fees": sum(one.fee for one in paid),
            "tax": sum(one.tax for one in paid),
        }
        return {name: {"amount": cents, "currency": world.settings.currency} for name, cents in sums.items()}

    return {"rewards": told("reward"), "bonuses": told("bonus")}


def pay_reward(world: World, submission: Submission) -> None:
    """Pay what the study promised for a submission."""
    amount = submission.study.reward
    world.payments.append(Payment(world.now(), "reward", submission.id, amount, *charge(world, amount)))


def set_up(world: World, study_id: str, rows: str) -> Fields:
    """`POST /submissions/bonus-payments/`: nothing is paid yet."""
    study = world.study(study_id)
    found: list[tuple[str, int]] = []
    wrong: list[str] = []
    for line in rows.strip().splitlines():
        name, _, amount = line.partition(",")
        submission = _of(world, study, name.strip())
        if submission is None:
            wrong.append(name.strip())
        else:
            found.append((submission.id, _cents(amount)))
    if wrong:
        raise bad_request(f"These ids did not take part in the study: {', '.join(wrong)}")
    if not found or len(found) > MOST_ROWS:
        raise bad_request(f"Give between 1 and {MOST_ROWS} rows.")
    if len({name for name, _ in found}) < len(found):
        raise bad_request("An id comes twice.")
    bulk = Bulk(world.fresh("bulk"), study.id, found)
    world.bulks[bulk.id] = bulk
    return told(world, bulk)


def told(world: World, bulk: Bulk) -> Fields:
    """What was set up, in cents."""
    charges = [charge(world, amount) for _, amount in bulk.rows]
    amount, fees, tax = sum(a for _, a in bulk.rows), sum(fee for fee, _ in charges), sum(tax for _, tax in charges)
    return {
        "id": bulk.id,
        "study": bulk.study,
        "amount": amount,
        "fees": fees,
        "vat": tax,
        "total_amount": amount + fees + tax,
    }


def pay(world: World, bulk_id: str) -> None:
    """`POST /bulk-bonus-payments/{id}/pay/`: every call pays, some time later."""
    bulk = world.bulks.get(bulk_id)
    if bulk is None:
        raise not_found("bulk bonus payment")
    if balance(world)["available_balance"] < told(world, bulk)["total_amount"]:
        raise bad_request("There is not enough money in the workspace.")
    bulk.calls += 1
    world.due.append((world.now() + timedelta(seconds=world.settings.bonus_delay), bulk))


def pay_what_is_due(world: World) -> None:
    """Carry out the bonuses whose time has come."""
    now = world.now()
    for at, bulk in [one for one in world.due if one[0] <= now]:
        for submission, amount in bulk.rows:
            world.payments.append(Payment(at, "bonus", submission, amount, *charge(world, amount)))
    world.due = [one for one in world.due if one[0] > now]


def bonuses_of(world: World, submission: Submission) -> list[int]:
    """The bonuses of a submission that can be read by now, in cents."""
    until = world.readable
    mine = [one for one in world.payments if one.kind == "bonus" and one.submission == submission.id]
    return [payment.amount for payment in mine if payment.at <= until]


def _of(world: World, study: Study, name: str) -> Submission | None:
    """The submission that a row of a CSV means: by its own id, or by its participant's."""
    return next((one for one in world.of_study(study) if name in (one.id, one.participant)), None)


def _cents(text: str) -> int:
    try:
        amount = Decimal(text.strip()) * 100
    except InvalidOperation as error:
        raise bad_request(f"'{text}' is not an amount.") from error
    if amount <= 0 or amount != amount.to_integral_value():
        raise bad_request(f"'{text}' is not an amount above zero with at most two decimals.")
    return int(amount)


def _rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))
