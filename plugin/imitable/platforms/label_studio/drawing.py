"""What annotators see inside Label Studio: the page of a project, and what its tasks fill in. No truth is in here."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.content import Content
from imitable.game.label_studio import names
from imitable.game.pages import environment
from imitable.game.paying import bonus_said, pay_said
from imitable.game.reserving import Reserved
from imitable_aggregation import scoring
from imitable_templates.texts import Texts

if TYPE_CHECKING:
    from jinja2 import Environment


def labelling_config(folder: Folder, words: Texts) -> str:
    """The labelling configuration of a project, as Label Studio's XML: one page for every episode of the campaign."""
    config = folder.config
    low = min(scoring.lowest("both" if one.played == "both" else "pos") for one in config.targets)
    return (
        _pages(words)
        .get_template("config.xml.j2")
        .render(
            names=names,
            style=files("imitable_templates.label_studio").joinpath("style.css").read_text(encoding="utf-8"),
            rounds=config.episode.rounds,
            open_until=config.episode.open_until,
            low=f"{low:g}",
            high=f"{scoring.TOP:g}",
        )
    )


def task_data(folder: Folder, content: Content, words: Texts, one: Reserved) -> dict[str, str]:
    """The data of the task of one reserved episode: every text in it is escaped HTML.

    Raises PlatformError when the episode has other rounds than the page.
    """
    config, pages = folder.config, _pages(words)
    target, total = content.targets[one.target_id], config.episode.rounds
    open_until = max((asked.trial for asked in one.rounds if asked.phase == "practice"), default=0)
    if (len(one.rounds), open_until) != (total, config.episode.open_until):
        raise PlatformError(
            f"An episode of {one.target_id} has {len(one.rounds)} rounds, {open_until} of them with answers; campaign"
            f".toml says {total} and {config.episode.open_until}. Restore [episode] as it was when this was published."
        )
    scale = {"low": target.low, "high": scoring.TOP}
    intro = pages.get_template("intro.html.j2").render(
        **scale,
        episode=one.place + 1,
        episodes=config.sitting.episodes,
        rounds=total,
        held_out=total - open_until,
        minutes=config.sitting.minutes,
        pay=pay_said(config.pay, words, platform=names.PLATFORM),
        consent=folder.consent_text(),
        contact=config.study.contact,
    )
    shown = (
        "" if one.level == "text" else pages.get_template("examples.html.j2").render(**scale, examples=target.examples)
    )
    data = {
        names.KEY: names.task_key(folder, one.episode_id),
        names.ANNOTATOR: one.name,
        names.INTRO: intro,
        names.EXAMPLES: shown,
    }
    template, bonus = pages.get_template("round.html.j2"), bonus_said(config.pay, words)
    for asked in one.rounds:
        data[names.text(asked.trial)] = template.render(
            **scale,
            trial=asked.trial,
            total=total,
            open_until=open_until,
            stimulus=content.stimulus(asked.item_id),
            bonus=bonus,
        )
    return data


@lru_cache(maxsize=4)
def _pages(words: Texts) -> Environment:
    room = files("imitable_templates")
    return environment(str(room.joinpath("label_studio")), str(room.joinpath("web")), words=words)
