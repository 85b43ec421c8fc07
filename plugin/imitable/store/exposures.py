"""Who was shown which item, when, and when its truth was revealed to them. Nothing is stored for this: rounds and
guesses already say it, and one annotator plays one target once ever.
"""

from __future__ import annotations

from sqlalchemy import and_, case, or_, select

from imitable.store import tables

EXPOSURES = (
    select(
        tables.episodes.c.annotator_id,
        tables.episodes.c.target_id,
        tables.rounds.c.item_id,
        tables.rounds.c.trial,
        tables.rounds.c.phase,
        tables.rounds.c.shown_at,
        case(
            (
                and_(tables.rounds.c.phase == "practice", tables.rounds.c.shown_at.is_not(None)),
                tables.guesses.c.answered_at,
            )
        ).label("revealed_at"),
    )
    .select_from(tables.rounds)
    .join(tables.episodes, tables.episodes.c.episode_id == tables.rounds.c.episode_id)
    .outerjoin(tables.guesses, tables.OF_ROUND)
    .where(
        or_(tables.rounds.c.shown_at.is_not(None), tables.guesses.c.answered_at.is_not(None)),
        tables.rounds.c.phase != "check",
    )
    .order_by(tables.episodes.c.annotator_id, tables.episodes.c.target_id, tables.rounds.c.trial)
)
"""One row an item shown: `revealed_at` is empty where its truth was not, as in every held-out round, and `shown_at`
where a platform showed it and gives no answers."""
