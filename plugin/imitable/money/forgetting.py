"""Erasing a person: who they are and what they wrote go; the play and the money stay, under the pseudonym."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, update

from imitable.errors import MoneyError
from imitable.money.ledger import counting, decided
from imitable.store import Store, tables
from imitable.store import money_tables as money


def forget(store: Store, annotator_id: str, *, now: datetime) -> None:
    """Delete identity, platform ids and free text of an annotator, and record that it was done.

    What they were paid, and their guesses, stay under the pseudonym, which can no longer be traced to anybody. Raises
    MoneyError where something is or may yet be owed, or is in doubt, for afterwards nobody could be paid.
    """
    with store.write() as connection:
        identities, sittings = tables.identities.c, tables.sittings.c
        who = connection.execute(select(tables.identities).where(identities.annotator_id == annotator_id)).first()
        if who is None:
            raise MoneyError(f"There is no annotator {annotator_id} here. 'imitable export' lists them in guesses.csv.")
        begun = select(sittings.sitting_id).where(sittings.annotator_id == annotator_id, sittings.ended_at.is_(None))
        if connection.execute(begun).first() is not None:
            raise MoneyError(
                f"{annotator_id} has a sitting that has not ended, and may be owed something for it. End it first: "
                "imitable close --now"
            )
        mine = [line for line in counting(connection) if line.annotator_id == annotator_id]
        unsettled = [line for line in mine if line.payable or line.doubtful or line.stand == "failed"]
        if unsettled:
            raise MoneyError(
                f"{annotator_id} is still owed {unsettled[0].amount} ({unsettled[0].kind}). Pay and settle that first: "
                "afterwards nobody knows whom to pay."
            )
        gone = f"{tables.FORGOTTEN}{annotator_id}"
        connection.execute(
            update(tables.identities).where(identities.annotator_id == annotator_id).values(platform_id=gone)
        )
        links = tables.links.c
        connection.execute(
            delete(tables.links).where(links.platform == who.platform, links.platform_id == who.platform_id)
        )
        for row in connection.execute(select(tables.sittings).where(sittings.annotator_id == annotator_id)).all():
            fresh = {"assignment": f"{tables.FORGOTTEN}{row.sitting_id}", "submission": "", "return_to": ""}
            connection.execute(update(tables.sittings).where(sittings.sitting_id == row.sitting_id).values(fresh))
            connection.execute(
                update(money.obligations)
                .where(money.obligations.c.sitting_id == row.sitting_id)
                .values(assignment=fresh["assignment"])
            )
        episodes = select(tables.episodes.c.episode_id).where(tables.episodes.c.annotator_id == annotator_id)
        connection.execute(
            update(tables.answers).where(tables.answers.c.episode_id.in_(episodes)).values(explanation=None)
        )
        tasks = select(tables.tasks.c.task_key).where(tables.tasks.c.episode_id.in_(episodes))
        connection.execute(
            update(tables.heard)
            .where(tables.heard.c.task_key.in_(tasks))
            .values(completed_by=gone, updated_by=None, result=[], first_result=[])
        )
        decided(connection, "forget", annotator_id, "asked to be forgotten", now=now)
