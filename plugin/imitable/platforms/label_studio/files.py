"""Tasks as files, for people who import and export by hand: one round a task, no answers, nothing of ours runs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from sqlalchemy import func, select

from imitable.campaign import Folder, LabelStudio
from imitable.errors import PlatformError
from imitable.game.content import read_content
from imitable.game.label_studio import names
from imitable.game.reserving import reserve
from imitable.platforms import Published
from imitable.platforms.by_hand import BY_HAND, note_tasks, refuse_present, uploaded, write_parts
from imitable.platforms.label_studio.accounts import read_accounts
from imitable.platforms.label_studio.drawing import labelling_config, round_data
from imitable.store import Store, tables


def write_files(folder: Folder, store: Store, out: Path, *, places: int | None, dry_run: bool = False) -> Published:
    """Write tasks.json, config.xml and how-to-import.md into the new folder `out`; the same call writes the same files.

    They are for the accounts of campaign.toml, or for `places` annotators without names. With `dry_run` nothing is
    written, kept or noted. Raises PlatformError, also when the campaign stands in a project already.
    """
    refuse_twice(folder, store, by_hand=True)
    folder = as_plain(folder)
    refuse_present(out)
    who = _who(folder, places)
    words, now = folder.texts(), datetime.now(UTC)
    config = labelling_config(folder, words)
    content = read_content(store, words)
    made = reserve(
        store, folder, content, platform=names.PLATFORM, names=who, share_items=True, now=now, dry_run=dry_run
    )
    rounds = [round_data(folder, content, words, one, asked) for one in made for asked in one.rounds]
    offer = Published(
        what=f"{len(rounds)} tasks for {len(who)} annotators, one round each, without answers",
        files=(),
        next_step=f"import them as {out / 'how-to-import.md'} says, and later: imitable collect {folder.path} "
        "--from-file EXPORT.json",
        sittings=len(uploaded(store, names.PLATFORM).union(one.sitting_id for one in made)),
    )
    if dry_run:
        return offer
    note_tasks(store, folder, made)
    how = files("imitable_templates.label_studio").joinpath("how-to-import.md").read_text(encoding="utf-8")
    parts = {
        "tasks.json": json.dumps([{"data": data} for data in rounds], ensure_ascii=False, indent=1) + "\n",
        "config.xml": config,
        "how-to-import.md": how.replace("CAMPAIGN", str(folder.path)),
    }
    return replace(offer, files=write_parts(out, parts))


def refuse_twice(folder: Folder, store: Store, *, by_hand: bool) -> None:
    """Raise PlatformError when the other way to Label Studio was taken: the same rounds would be handed out twice.

    `by_hand`: the way that is asked for is that of files.
    """
    episodes, identities = tables.episodes.c, tables.identities.c
    query = (
        select(func.count())
        .select_from(tables.tasks)
        .join(tables.episodes, episodes.episode_id == tables.tasks.c.episode_id)
        .join(tables.identities, identities.annotator_id == episodes.annotator_id)
        .where(identities.platform == names.PLATFORM)
        .where(tables.tasks.c.platform == (names.PLATFORM if by_hand else BY_HAND))
    )
    with store.read() as connection:
        tasks = connection.execute(query).scalar_one()
    if not tasks:
        return
    where = "stand in a project of Label Studio" if by_hand else "were written to files that are imported by hand"
    instead = f"imitable publish {folder.path} --platform {names.PLATFORM}{'' if by_hand else ' --files OUT'}"
    raise PlatformError(
        f"{tasks} tasks of {folder.path} {where}, and would be handed out a second time. Nothing was made. For more "
        f"annotators go on as you began: {instead}; for the other way, make a campaign of its own: imitable new DIR"
    )


def as_plain(folder: Folder) -> Folder:
    """The campaign in the mode that gives no answers."""
    platform = folder.config.platform
    settings = (platform.label_studio or LabelStudio()).model_copy(update={"mode": "plain"})
    config = folder.config.model_copy(update={"platform": platform.model_copy(update={"label_studio": settings})})
    return replace(folder, config=config)


def _who(folder: Folder, places: int | None) -> list[str]:
    settings = folder.config.platform.label_studio
    if settings and settings.accounts:
        return [one.email for one in read_accounts(folder.path / settings.accounts)]
    if not places:
        raise PlatformError(
            "Nobody is named. Say with --links how many annotators there are, or name their accounts in campaign.toml, "
            "[platform.label_studio] accounts."
        )
    return [f"annotator-{number:02d}" for number in range(1, places + 1)]
