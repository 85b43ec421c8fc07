"""Places of a campaign: the finished episodes that each platform is to bring for a target and level."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from imitable.campaign import Folder
from imitable.store import tables

_NAMED = ("label-studio", "prolific", "mturk")
"""Platforms that a table of campaign.toml offers the campaign on; links are offered by making them."""


@dataclass(frozen=True)
class Places:
    """The places of one platform."""

    platform: str
    wanted: int
    """Of each target and level."""
    finished: dict[tuple[str, str], int]
    """Finished episodes by target and level, of those that have any."""

    def filled(self) -> int:
        """Places filled, over all targets and levels; more than `wanted` of one of them fill no other's."""
        return sum(min(self.wanted, n) for n in self.finished.values())

    def left(self, target_id: str, level: str) -> bool:
        """Whether a target and level has a place left."""
        return self.finished.get((target_id, level), 0) < self.wanted


def places(connection: Connection, folder: Folder) -> list[Places]:
    """The places of every platform that the campaign is offered on, those of links first; none before the first."""
    platforms = folder.config.platform
    links = tables.links.c.platform
    offered = list(connection.execute(select(links).distinct().order_by(links.desc())).scalars())
    if platforms.web.open and "web" not in offered:
        offered.insert(0, "web")
    offered += [name for name in _NAMED if getattr(platforms, name.replace("-", "_")) is not None]
    episodes, identities = tables.episodes.c, tables.identities.c
    done = connection.execute(
        select(identities.platform, episodes.target_id, episodes.level, func.count().label("n"))
        .join(tables.identities, identities.annotator_id == episodes.annotator_id)
        .where(episodes.completed_at.is_not(None))
        .group_by(identities.platform, episodes.target_id, episodes.level)
    ).all()
    return [
        Places(
            platform,
            platforms.annotators_per_target(platform),
            {(row.target_id, row.level): row.n for row in done if row.platform == platform},
        )
        for platform in offered
    ]
