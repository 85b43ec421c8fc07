"""A campaign stays in the mode in which it was published: in another, rounds would be handed out twice, or told."""

from __future__ import annotations

from sqlalchemy import func, select

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.label_studio import names
from imitable.store import Store, tables


def refuse_other_mode(folder: Folder, store: Store, mode: str) -> None:
    """Raise PlatformError when the tasks in the project were made in another mode than that of campaign.toml."""
    before = published_mode(store)
    told_apart = folder.config.episode.rounds > 1 or "interactive" in (before, mode)
    if before not in (None, mode) and told_apart:
        raise PlatformError(
            f'{folder.path} was published with [platform.label_studio] mode = "{before}", and campaign.toml now says '
            f'"{mode}". Nothing was done. Set it back; for the other mode, make a campaign of its own: imitable new DIR'
        )


def published_mode(store: Store) -> str | None:
    """The mode in which the project's tasks were made, as their record tells; None where there are none.

    A whole episode is one task in mode `interactive`. In mode `plain` the rounds of one are written down at one moment,
    in mode `webhook` each after the guess before it; episodes of one round do not tell these two apart.
    """
    tasks = tables.tasks.c
    together = (
        select(func.min(tasks.trial).label("trial"), func.count().label("n"))
        .where(tasks.platform == names.PLATFORM)
        .group_by(tasks.episode_id, tasks.published_at)
        .subquery()
    )
    with store.read() as connection:
        first, most = connection.execute(select(func.min(together.c.trial), func.max(together.c.n))).one()
    if first is None:
        return None
    return "interactive" if first == 0 else "plain" if most > 1 else "webhook"
