"""Which target an annotator plays next, and with what probability; and the plan of the episode, fixed there and then.

A sitting's first target is drawn uniformly from the targets with a place left. The others get what `imitable assign`
planned for them: a target and level named in that plan its probability, and all others together what is left, at random
among those with most places left; without a plan that is everything. A place is a finished episode of a (target,
level), counted for each platform; an unfinished one holds its place until it is abandoned, or for good where tasks are
made before anybody plays (`reserving.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Connection, bindparam, func, insert, or_, select, true

from imitable.campaign import Folder
from imitable.errors import StoreError
from imitable.game.checks import check_items, keep_check
from imitable.game.content import Content
from imitable.rounds import plan_rounds
from imitable.store import tables

Left = dict[str, dict[str, int]]
"""Places left by target and level."""

Pools = dict[str, Sequence[tuple[str, bool]]]
"""`practice` and `held_out`: (item_id, drawn from an active stratum)."""

_ROUNDING = 1e-6
"""What a plan's probabilities may fall short of 1 and still name everything."""


_USED = (
    select(tables.rounds.c.item_id, func.count(tables.rounds.c.episode_id.distinct()).label("n"))
    .join(tables.episodes, tables.episodes.c.episode_id == tables.rounds.c.episode_id)
    .where(tables.episodes.c.target_id == bindparam("target"))
    .group_by(tables.rounds.c.item_id)
)
"""In how many plans each item of a target stands."""


@dataclass(frozen=True)
class _Choice:
    target_id: str
    level: str
    assigned_by: str
    probability: float
    """Of exactly this choice, given the record, 0 to 1."""


def round_id_of(folder: Folder, episode_id: str, trial: int) -> str:
    """Id of a round of an episode."""
    return "r_" + folder.derive("round", episode_id, trial)


def assign_next(
    connection: Connection,
    folder: Folder,
    content: Content,
    *,
    sitting_id: str,
    annotator_id: str,
    platform: str,
    now: datetime,
    lasting: bool = False,
    given: set[str] | None = None,
) -> str | None:
    """Begin the sitting's next episode and return its id; None when nothing is left for this annotator.

    With `lasting`, an unfinished episode holds its place for good. `given` are questions (`Content.asked`) that may not
    be given again: the episode avoids them and adds its own, and a target has no place left without enough others.
    Runs in the caller's transaction, which holds the campaign's row, so that two sittings cannot take one place.
    Raises StoreError when `content` is of another build than the store: once an episode is there, no build replaces it.
    """
    build_hash = connection.execute(select(tables.campaigns.c.build_hash).with_for_update()).scalar()
    if build_hash != content.build_hash:
        raise StoreError("The campaign was built anew while it is being served. Start 'imitable serve' again.")
    place = connection.execute(
        select(func.count())
        .select_from(tables.sitting_episodes)
        .where(tables.sitting_episodes.c.sitting_id == sitting_id)
    ).scalar_one()
    if place >= folder.config.sitting.episodes:
        return None
    cutoff = None if lasting else now - timedelta(minutes=folder.config.episode.abandon_after_minutes)
    left = _places_left(connection, folder, content, annotator_id, platform, cutoff)
    if given is not None:
        left = {target: levels for target, levels in left.items() if _enough(folder, content, target, given)}
    open_targets = {target: levels for target, levels in left.items() if any(n > 0 for n in levels.values())}
    if not open_targets:
        return None
    rng = np.random.default_rng(int(folder.derive("assign", sitting_id, place), 16))
    chosen = _among(open_targets, "uniform", rng) if place == 0 else _later(connection, open_targets, rng)
    episode_id = "e_" + folder.derive("episode", annotator_id, chosen.target_id)
    connection.execute(
        insert(tables.episodes).values(
            episode_id=episode_id,
            annotator_id=annotator_id,
            target_id=chosen.target_id,
            level=chosen.level,
            assigned_by=chosen.assigned_by,
            assignment_probability=chosen.probability,
            started_at=now,
            last_seen_at=now,
        )
    )
    connection.execute(
        insert(tables.sitting_episodes).values(sitting_id=sitting_id, place=place, episode_id=episode_id)
    )
    _plan(connection, folder, content, episode_id, chosen.target_id, given)
    return episode_id


def _later(connection: Connection, left: Left, rng: np.random.Generator) -> _Choice:
    """A target of the plan with its probability, or one of the others with what is left."""
    rows = connection.execute(select(tables.planned).order_by(tables.planned.c.target_id, tables.planned.c.level)).all()
    named = {(row.target_id, row.level): row.probability for row in rows}
    now = {key: chance for key, chance in named.items() if left.get(key[0], {}).get(key[1], 0) > 0}
    others = {
        target: {level: n for level, n in levels.items() if n > 0 and (target, level) not in named}
        for target, levels in left.items()
    }
    others = {target: levels for target, levels in others.items() if levels}
    if not now:
        return _among(others, "most_places", rng)
    rest = 1 - sum(named.values()) if others else 0.0
    rest = rest if rest > _ROUNDING else 0.0
    whole = sum(now.values()) + rest
    at = rng.random() * whole
    if at < rest:
        return _among(others, "most_places", rng, share=rest / whole)
    keys, ends = list(now), rest + np.cumsum(list(now.values()))
    target, level = keys[min(int(np.searchsorted(ends, at, side="right")), len(keys) - 1)]
    return _Choice(target, level, "plan", now[target, level] / whole)


def _among(left: Left, assigned_by: str, rng: np.random.Generator, share: float = 1.0) -> _Choice:
    """`uniform`: any target with a place left; `most_places`: one of those with most. Then a level of it."""
    totals = {target: sum(max(0, n) for n in levels.values()) for target, levels in left.items()}
    most = max(totals.values())
    among = sorted(target for target, n in totals.items() if assigned_by == "uniform" or n == most)
    target_id = among[int(rng.integers(len(among)))]
    level, level_chance = _level(left[target_id], rng)
    return _Choice(target_id, level, assigned_by, share * level_chance / len(among))


def _places_left(
    connection: Connection,
    folder: Folder,
    content: Content,
    annotator_id: str,
    platform: str,
    cutoff: datetime | None,
) -> Left:
    """Places left on this platform by target and level, over the targets of units that this annotator has not played.

    An unfinished episode that was not seen since `cutoff` holds none.
    """
    episode = folder.config.episode
    wanted = folder.config.platform.annotators_per_target(platform)
    episodes = tables.episodes.c
    holds = true() if cutoff is None else or_(episodes.completed_at.is_not(None), episodes.last_seen_at > cutoff)
    held = connection.execute(
        select(episodes.target_id, episodes.level, func.count().label("n"))
        .join(tables.identities, tables.identities.c.annotator_id == episodes.annotator_id)
        .where(tables.identities.c.platform == platform)
        .where(holds)
        .group_by(episodes.target_id, episodes.level)
    )
    taken = {(row.target_id, row.level): row.n for row in held}
    mine = connection.execute(select(episodes.target_id).where(episodes.annotator_id == annotator_id)).scalars()
    played = {content.targets[target].unit for target in mine}
    return {
        name: {level: wanted - taken.get((name, level), 0) for level in episode.levels}
        for name, target in content.targets.items()
        if target.unit not in played
    }


def _level(left: dict[str, int], rng: np.random.Generator) -> tuple[str, float]:
    """A level, at random among those with most places left, and its probability."""
    among = [level for level, places in left.items() if places == max(left.values())]
    return among[int(rng.integers(len(among)))], 1 / len(among)


def _enough(folder: Folder, content: Content, target_id: str, given: set[str]) -> bool:
    """Whether an episode of a target can be had from items that nobody was given."""
    pools, episode = _without(content, target_id, given), folder.config.episode
    return len(pools["practice"]) >= episode.practice and len(pools["held_out"]) >= episode.held_out


def _without(content: Content, target_id: str, given: set[str]) -> Pools:
    pools = content.targets[target_id].pools
    return {split: [item for item in pool if content.asked(item[0]) not in given] for split, pool in pools.items()}


def _plan(
    connection: Connection,
    folder: Folder,
    content: Content,
    episode_id: str,
    target_id: str,
    given: set[str] | None,
) -> None:
    episode, pools = folder.config.episode, content.targets[target_id].pools
    used = connection.execute(_USED, {"target": target_id})
    plan = plan_rounds(
        pools if given is None else _without(content, target_id, given),
        practice=episode.practice,
        held_out=episode.held_out,
        rng=np.random.default_rng(int(folder.derive("plan", episode_id), 16)),
        checks=episode.checks,
        check_items=check_items(target_id),
        repeats=episode.repeats,
        used={row.item_id: row.n for row in used},
    )
    for one in plan:
        if one.phase == "check":
            keep_check(connection, target_id, one.item_id, content.checks)
        elif given is not None:
            given.add(content.asked(one.item_id))
    connection.execute(
        insert(tables.rounds),
        [
            {
                "round_id": round_id_of(folder, episode_id, one.trial),
                "episode_id": episode_id,
                "trial": one.trial,
                "phase": one.phase,
                "item_id": one.item_id,
            }
            for one in plan
        ],
    )
