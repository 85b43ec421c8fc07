"""A batch for people who upload by hand: a template and a CSV, whose page holds every text of a sitting and no answer.

Nothing of ours runs behind such a page, so it can show no truth after a guess: an HTMLQuestion would have to hold it
from the beginning. Held-out skill is all that it measures.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.content import Content, read_content
from imitable.game.pages import environment
from imitable.game.paying import pay_said
from imitable.game.reserving import Reserved, reserve
from imitable.game.sessions import sitting_id_of
from imitable.game.views import ExampleText, Stimulus
from imitable.platforms import Published
from imitable.platforms.by_hand import note_tasks, refuse_present, write_parts
from imitable.platforms.mturk import has_endpoint
from imitable.platforms.mturk.checking import LIMITS
from imitable.store import Store, tables
from imitable_aggregation import scoring
from imitable_templates.texts import Texts

if TYPE_CHECKING:
    from jinja2 import Environment

PLACEHOLDER = "hit-"
"""What those are called whom a row of the batch waits for, before its worker is known; a number follows."""

SITTING = "sitting"
"""Column, and field of the page, that says which row it is."""
TASK = "task"

_LONGEST = LIMITS["Question"][1]


@dataclass(frozen=True)
class _Asked:
    trial: int
    field: str
    stimulus: Stimulus


@dataclass(frozen=True)
class _Episode:
    examples: tuple[ExampleText, ...]
    rounds: list[_Asked]


def field_of(at: int) -> str:
    """The page's field of a sitting's round, counted from 1 over all its targets."""
    return f"guess_{at}"


def write_files(folder: Folder, store: Store, out: Path, *, places: int | None, dry_run: bool = False) -> Published:
    """Write batch.csv, template.html and how-to-upload.md into the new folder `out`; the same call writes the same.

    With `dry_run` nothing is written, kept or noted. Raises PlatformError, also where a page would be longer than the
    protocol lets it be.
    """
    refuse_present(out)
    settings = folder.config.platform.mturk
    count = places or (settings.places if settings else 0)
    if not count:
        raise PlatformError("Say with --links how many HITs there are to be, or in campaign.toml, [platform.mturk].")
    if beyond := folder.config.episode.beyond:
        raise PlatformError(
            f"Level '{beyond[0]}' is not shown on pages that are uploaded by hand. Set [episode] levels to text or "
            f"examples, or let workers come to our page: imitable publish {folder.path} --platform mturk"
        )
    if has_endpoint(folder):
        raise PlatformError(
            "What is uploaded by hand is paid by hand. Take endpoint_url out of [platform.mturk] and of boto3's own "
            f"settings, or let workers come to our page: imitable publish {folder.path} --platform mturk"
        )
    words, now = folder.texts(), datetime.now(UTC)
    content = read_content(store, words)
    who = [f"{PLACEHOLDER}{number:04d}" for number in range(1, count + 1)]
    read_back = _read_back(folder, store, who)
    who = [name for name in who if name not in read_back]
    if not who:
        raise PlatformError(
            f"The results of all {count} HITs are in, so there is none to upload. Say with --links how many there are "
            "to be in all."
        )
    template = _template(folder, words)
    made = reserve(store, folder, content, platform="mturk", names=who, share_items=True, now=now, dry_run=True)
    rows = [(key, _task(content, words, list(one))) for key, one in groupby(made, key=lambda one: one.sitting_id)]
    longest = max((len(template) + len(task) for _, task in rows), default=0)
    if longest > _LONGEST:
        raise PlatformError(
            f"The page of a HIT comes to {longest} bytes, and {_LONGEST} are the most. Nothing was written. Set "
            "[sitting] episodes in campaign.toml to fewer targets, or [episode] practice to fewer rounds."
        )
    offer = Published(
        what=f"a batch of {len(rows)} HITs, one worker each, without answers",
        files=(),
        next_step=f"upload them as {out / 'how-to-upload.md'} says, and later: imitable collect {folder.path} "
        "--from-file RESULTS.csv",
        sittings=len(rows) + len(read_back),  # in all
    )
    if dry_run:
        return offer
    made = reserve(store, folder, content, platform="mturk", names=who, share_items=True, now=now)
    note_tasks(store, folder, made)
    how = files("imitable_templates.mturk").joinpath("how-to-upload.md").read_text(encoding="utf-8")
    written = write_parts(
        out,
        {
            "batch.csv": _csv(rows),
            "template.html": template,
            "how-to-upload.md": how.replace("CAMPAIGN", str(folder.path)),
        },
    )
    return replace(offer, files=written)


def _read_back(folder: Folder, store: Store, names: list[str]) -> set[str]:
    """Those of the placeholders whose sitting is a worker's by now: it was played, and is in no batch again."""
    sittings = tables.sittings.c
    with store.read() as connection:
        query = select(sittings.sitting_id, sittings.annotator_id).where(sittings.platform == "mturk")
        owners = {row.sitting_id: row.annotator_id for row in connection.execute(query)}
    ours = {name: (sitting_id_of(folder, "mturk", name), folder.annotator_id("mturk", name)) for name in names}
    return {name for name, (sitting_id, me) in ours.items() if owners.get(sitting_id, me) != me}


def _csv(rows: list[tuple[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow((SITTING, TASK))
    writer.writerows(rows)
    return text.getvalue()


def _template(folder: Folder, words: Texts) -> str:
    """The page of every HIT, with the site's own marks for the two columns."""
    config = folder.config
    low = min(scoring.lowest("both" if one.played == "both" else "pos") for one in config.targets)
    page = (
        _pages(words)
        .get_template("page.html.j2")
        .render(
            style=_style(),
            low=low,
            episodes=config.sitting.episodes,
            rounds=config.episode.rounds,
            minutes=config.sitting.minutes,
            pay=pay_said(config.pay, words, platform="mturk"),
            consent=folder.consent_text(),
            contact=config.study.contact,
        )
    )
    marked = {"SITTING": f"${{{SITTING}}}", "TASK": f"${{{TASK}}}"}
    return re.sub(r'(?<=value=")SITTING(?=")|(?<=\n)TASK(?=\n)', lambda found: marked[found[0]], _ascii(page))


def _task(content: Content, words: Texts, sitting: list[Reserved]) -> str:
    """What a row fills in."""
    at, played = 0, []
    for one in sitting:
        asked = []
        for each in one.rounds:
            at += 1
            asked.append(_Asked(each.trial, field_of(at), content.stimulus(each.item_id)))
        examples = () if one.level == "text" else content.targets[one.target_id].examples
        played.append(_Episode(tuple(examples), asked))
    scale = {"low": min(content.targets[one.target_id].low for one in sitting), "high": scoring.TOP}
    return _ascii(_pages(words).get_template("task.html.j2").render(played=played, **scale))


def _ascii(html: str) -> str:
    """HTML that no site can spoil: plain ASCII, and no mark of a column but our own."""
    return html.replace("$", "&#36;").encode("ascii", "xmlcharrefreplace").decode()


def _style() -> str:
    """The page's style, in plain ASCII; its colours and shades are those of the web pages."""
    room = files("imitable_templates")
    web = room.joinpath("web", "static", "app.css").read_text(encoding="utf-8")
    light = re.findall(r":root \{(.*?)\}", web, re.DOTALL)[0]
    shades = re.findall(r"^\.(?:heat|cool)-.*$", web, re.MULTILINE)
    own = room.joinpath("mturk", "style.css").read_text(encoding="utf-8")
    style = "\n".join([f".imitable {{{light}}}", *shades, own])
    return re.sub(r"[^\x00-\x7f]", lambda found: f"\\{ord(found[0]):x} ", style)  # CSS knows no entities


@lru_cache(maxsize=4)
def _pages(words: Texts) -> Environment:
    room = files("imitable_templates")
    return environment(str(room.joinpath("mturk")), str(room.joinpath("web")), words=words)
