"""`imitable export`: the record as CSV and Parquet, pseudonymous and complete."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, and_, case, func, select

from imitable.commands.beside import beside
from imitable.commands.buckets import Bucket, is_bucket
from imitable.commands.folders import built
from imitable.commands.progress import Progress, silent
from imitable.errors import TablesError
from imitable.rehearsal.copying import is_rehearsal
from imitable.store import EXPOSURES, tables

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Exported:
    """What `imitable export` wrote."""

    out: Path | str
    """The folder, or its address on S3."""
    guesses: int
    episodes: int
    annotators: int


def export(directory: Path, *, out: Path | str, with_text: bool = False, progress: Progress = silent) -> Exported:
    """Write guesses, targets, episodes and who was shown what to `out`, all at once or not at all.

    Where levels show more than examples, also what stood beside each text, and what was looked up there. `out` is a
    folder or an address s3://BUCKET/PREFIX; there datapackage.json comes last, and stands for the whole. Platforms' own
    ids are in none of it. Free text only goes along `with_text`, since people may write who they are. In a rehearsal's
    copy of a campaign every guess is named a simulated player's. Raises TablesError when `out` cannot be written.
    """
    from imitable_aggregation.errors import TableError
    from imitable_aggregation.export import write_export

    bucket = Bucket(str(out)) if is_bucket(out) else None
    with built(directory) as (folder, store), store.read() as connection:
        guesses = _guesses(connection).assign(campaign_id=store.campaign_id)
        if is_rehearsal(folder):
            guesses = guesses.assign(platform="simulated")
        targets = _targets(connection)
        episodes = _episodes(connection, with_text=with_text)
        seen = {"exposures": _exposures(connection), **beside(store, connection)}
    with tempfile.TemporaryDirectory(prefix="imitable-") as held:
        where = Path(out) if bucket is None else Path(held) / "export"
        try:
            write_export(where, guesses=guesses, targets=targets, episodes_played=episodes, **seen)
        except TableError as error:
            raise TablesError(str(error)) from error
        if bucket is not None:
            bucket.write(where, progress=progress)
    return Exported(out, len(guesses), len(episodes), guesses["annotator_id"].nunique())


def _guesses(connection: Connection) -> pd.DataFrame:
    """One row a committed guess, in the order of episodes and trials."""
    import pandas as pd

    guesses, rounds, episodes = tables.guesses.c, tables.rounds.c, tables.episodes.c
    items, targets, sittings = tables.items.c, tables.targets.c, tables.sittings.c
    practice = tables.rounds.alias("practice")
    open_until = (
        select(func.coalesce(func.max(practice.c.trial), 0))
        .where(practice.c.episode_id == rounds.episode_id, practice.c.phase == "practice")
        .scalar_subquery()
    )
    query = (
        select(
            episodes.annotator_id,
            episodes.target_id,
            guesses.trial,
            rounds.phase,
            guesses.guess,
            tables.truths.c.truth,
            episodes.episode_id,
            sittings.sitting_id,
            rounds.round_id,
            rounds.item_id,
            episodes.level,
            targets.l_ref,
            tables.truths.c.activation,
            items.weight,
            guesses.seconds,
            guesses.answered_at,
            case(
                (tables.identities.c.platform_id.endswith(f"@{tables.SIMULATED_DOMAIN}"), "simulated"),
                else_=sittings.platform,
            ).label("platform"),
            targets.model_id,
            targets.kind,
            targets.site,
            targets.unit,
            targets.selected_by,
            and_(rounds.trial <= open_until, rounds.shown_at.is_not(None)).label("feedback"),
            guesses.pasted,
            guesses.copied,
            guesses.blurs,
            guesses.away_seconds,
        )
        .select_from(tables.guesses)
        .join(tables.rounds, tables.OF_ROUND)
        .join(tables.episodes, episodes.episode_id == guesses.episode_id)
        .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == episodes.episode_id)
        .join(tables.sittings, sittings.sitting_id == tables.sitting_episodes.c.sitting_id)
        .join(tables.identities, tables.identities.c.annotator_id == episodes.annotator_id)
        .join(tables.items, items.item_id == rounds.item_id)
        .join(tables.truths, tables.truths.c.item_id == rounds.item_id)
        .join(tables.targets, targets.target_id == episodes.target_id)
        .order_by(episodes.episode_id, guesses.trial)
    )
    rows = connection.execute(query)
    frame = pd.DataFrame(rows.all(), columns=list(rows.keys()))
    told = {"pasted": "boolean", "copied": "boolean", "blurs": "Int64", "away_seconds": "float64"}
    frame = frame.astype({"feedback": "bool", **told})
    frame["answered_at"] = _iso(frame["answered_at"])
    return frame


def _exposures(connection: Connection) -> pd.DataFrame:
    """One row an item that an annotator was shown."""
    import pandas as pd

    rows = connection.execute(EXPOSURES)
    frame = pd.DataFrame(rows.all(), columns=list(rows.keys()), dtype=object)
    for name in ("shown_at", "revealed_at"):
        frame[name] = _iso(frame[name])
    return frame


def _iso(moments: Iterable[datetime | None]) -> list[str | None]:
    return [None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}" for moment in moments]


def _targets(connection: Connection) -> pd.DataFrame:
    """One row a target; the selection method's score stands in a column of its own, `score_<method>`, and the skills
    of automatic players in `baseline_<player>`."""
    import pandas as pd

    rows = connection.execute(select(tables.targets).order_by(tables.targets.c.target_id))
    frame = pd.DataFrame(rows.all(), columns=list(rows.keys()))
    first = frame["selected_by"].str.split(";").str[0]  # of several methods, the one that gave the score stands first
    for method in sorted(set(first[frame["score"].notna()])):
        frame[f"score_{method}"] = frame["score"].where(first == method)
    frame = frame.drop(columns="score")
    skills = tables.baselines.c
    found = connection.execute(select(skills.target_id, skills.player, skills.skill).order_by(skills.player)).all()
    for player in dict.fromkeys(row.player for row in found):
        mine = {row.target_id: row.skill for row in found if row.player == player}
        frame[f"baseline_{player}"] = frame["target_id"].map(mine)
    return frame


def _episodes(connection: Connection, *, with_text: bool) -> pd.DataFrame:
    """One row an episode that has begun: one that is reserved for an annotator who never came is in no file."""
    import pandas as pd

    episodes, answers = tables.episodes.c, tables.answers.c
    query = (
        select(
            episodes.episode_id,
            tables.sitting_episodes.c.sitting_id,
            episodes.level,
            episodes.assigned_by,
            episodes.assignment_probability,
            episodes.completed_at.is_not(None).label("completed"),
            answers.fun,
            answers.interest,
            *([answers.explanation] if with_text else []),
        )
        .select_from(tables.episodes)
        .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == episodes.episode_id)
        .outerjoin(tables.answers, answers.episode_id == episodes.episode_id)
        .where(tables.BEGUN)
        .order_by(episodes.episode_id)
    )
    rows = connection.execute(query)
    frame = pd.DataFrame(rows.all(), columns=list(rows.keys()))
    return frame.astype({"completed": bool, "fun": "Int64", "interest": "Int64"})
