"""What annotators see inside Label Studio: the page of a project, and what its tasks fill in. No truth is in here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.content import Content
from imitable.game.label_studio import names
from imitable.game.pages import environment
from imitable.game.paying import bonus_said, pay_said
from imitable.game.reserving import Reserved, ReservedRound
from imitable.game.views import Past, Readings
from imitable.rounds import CONSULT
from imitable_aggregation import scoring
from imitable_templates.texts import Texts

if TYPE_CHECKING:
    from jinja2 import Environment

_MARKS = 10
"""Parts into which the marks above a slider divide it."""


def labelling_config(folder: Folder, words: Texts) -> str:
    """The labelling configuration of a project, as Label Studio's XML: one page for every episode, or every round.

    Raises PlatformError where players would choose what they see, and nobody answers them.
    """
    config, settings = folder.config, folder.config.platform.label_studio
    answers = settings is None or settings.mode == "interactive"
    if CONSULT in config.episode.levels and not answers:
        raise PlatformError(
            f"Level '{CONSULT}' needs a game that answers while people play: Label Studio asks it in mode "
            '"interactive" alone, and files ask nobody. Nothing was made. Set [platform.label_studio] mode to that and '
            f"publish without --files, or take '{CONSULT}' out of [episode] levels."
        )
    page = "config.xml.j2" if answers else "round_config.xml.j2"
    low, high = _range(folder)
    return (
        _pages(words)
        .get_template(page)
        .render(
            names=names,
            style=_style(),
            rounds=config.episode.rounds,
            open_until=config.episode.open_until,
            low=f"{low:g}",
            high=f"{high:g}",
            slider=settings is not None and settings.slider,
            looks=_looks(folder),
        )
    )


def task_data(folder: Folder, content: Content, words: Texts, one: Reserved) -> dict[str, str]:
    """The data of the task of one reserved episode: every text in it is escaped HTML.

    Raises PlatformError when the episode has other rounds than the page.
    """
    config, pages = folder.config, _pages(words)
    total, open_until = _rounds(folder, one)
    scale = {"low": content.targets[one.target_id].low, "high": scoring.TOP}
    data = {names.KEY: names.task_key(folder, one.episode_id), **_around(folder, content, words, one)}
    template, bonus = pages.get_template("round.html.j2"), bonus_said(config.pay, words)
    question = pages.get_template("question.html.j2") if _looks(folder) else None
    for asked in one.rounds:
        stimulus = content.stimulus(asked.item_id)
        data[names.text(asked.trial)] = template.render(
            **scale,
            trial=asked.trial,
            total=total,
            open_until=open_until,
            never_told=False,
            stimulus=stimulus,
            bonus=bonus,
            marks=(),
            readings=_readings(folder, content, one, asked),
            apart=question is not None,
        )
        if question is not None:
            data[names.question(asked.trial)] = question.render(**scale, stimulus=stimulus, marks=())
    return data


def round_data(
    folder: Folder, content: Content, words: Texts, one: Reserved, asked: ReservedRound, *, history: Sequence[Past] = ()
) -> dict[str, str]:
    """The data of a task that is one round, under the rounds that were played before it, where answers are shown.

    Raises PlatformError as `task_data` does.
    """
    total, open_until = _rounds(folder, one)
    pages, bonus = _pages(words), bonus_said(folder.config.pay, words)
    settings = folder.config.platform.label_studio
    never_told = settings is not None and settings.mode == "plain"
    low, high = _range(folder)
    scale = {"low": content.targets[one.target_id].low, "high": scoring.TOP}
    shown = pages.get_template("round.html.j2").render(
        **scale,
        trial=asked.trial,
        total=total,
        open_until=open_until,
        never_told=never_told,
        stimulus=content.stimulus(asked.item_id),
        bonus=bonus,
        marks=[low + at * (high - low) / _MARKS for at in range(_MARKS + 1)] if settings and settings.slider else [],
        readings=_readings(folder, content, one, asked),
        apart=False,
    )
    before = pages.get_template("last.html.j2").render(last=history[-1], rounds=history) if history else ""
    return {
        names.KEY: names.task_key(folder, one.episode_id, asked.trial),
        **_around(folder, content, words, one, trial=asked.trial),
        names.TEXT: before + shown,
    }


def _readings(folder: Folder, content: Content, one: Reserved, asked: ReservedRound) -> Readings | None:
    """What the level shows beside a text; at level `consult` which units there are, and no more."""
    panel = content.panels.get((one.target_id, one.level))
    return None if panel is None else panel.at(asked.item_id, looked=(), looks=_looks(folder))


def _looks(folder: Folder) -> int:
    """Units that may be looked up in a round; 0 where there are none to choose from."""
    return min(folder.config.readings.looks, names.MOST_LOOKS) if CONSULT in folder.config.episode.levels else 0


def _range(folder: Folder) -> tuple[float, float]:
    """Of the numbers that the one page of a project takes: that of its widest target."""
    low = min(scoring.lowest("both" if one.played == "both" else "pos") for one in folder.config.targets)
    return low, scoring.TOP


def _rounds(folder: Folder, one: Reserved) -> tuple[int, int]:
    """Rounds of an episode, and how many of them show answers. Raises PlatformError when the page has others."""
    episode = folder.config.episode
    open_until = max((asked.trial for asked in one.rounds if asked.phase == "practice"), default=0)
    if (len(one.rounds), open_until) != (episode.rounds, episode.open_until):
        raise PlatformError(
            f"An episode of {one.target_id} has {len(one.rounds)} rounds, {open_until} of them with answers, and "
            f"campaign.toml says {episode.rounds} and {episode.open_until}. Put [episode] back as it was when this was "
            "published."
        )
    return episode.rounds, open_until


def _around(folder: Folder, content: Content, words: Texts, one: Reserved, *, trial: int = 0) -> dict[str, str]:
    """What every task of an episode has: whose it is, the introduction, the examples. `trial` 0: all rounds in one."""
    config, pages, target = folder.config, _pages(words), content.targets[one.target_id]
    scale = {"low": target.low, "high": scoring.TOP}
    settings = config.platform.label_studio
    intro = pages.get_template("intro.html.j2").render(
        **scale,
        mode=settings.mode if settings and trial else "interactive",
        episode=one.place + 1,
        episodes=config.sitting.episodes,
        trial=trial,
        rounds=config.episode.rounds,
        held_out=config.episode.rounds - config.episode.open_until,
        minutes=config.sitting.minutes,
        pay=pay_said(config.pay, words, platform=names.PLATFORM),
        consent=folder.consent_text(),
        contact=config.study.contact,
        looks=_looks(folder),
    )
    shown = pages.get_template("examples.html.j2").render(**scale, examples=target.examples)
    return {
        names.ANNOTATOR: one.name,
        names.INTRO: intro,
        names.EXAMPLES: "" if one.level == "text" else shown,
    }


def _style() -> str:
    """The page's style. Its colours, light and dark, and the shades are those of the web pages."""
    room = files("imitable_templates")
    web = room.joinpath("web", "static", "app.css").read_text(encoding="utf-8").partition("/* Frame */")[0]
    light, dark = re.findall(r":root \{(.*?)\}", web, re.DOTALL)
    shades = re.findall(r"^\.(?:heat|cool)-.*$", web, re.MULTILINE)
    own = room.joinpath("label_studio", "style.css").read_text(encoding="utf-8")
    bar = ".imitable .seen input"
    wholes = [f'{bar}:is([value^="{digit}"], [value^="-{digit}"]) {{ --w: {digit}; }}' for digit in range(1, 11)]
    tenths = [f'{bar}[value$=".{digit}"] {{ --t: .{digit}; }}' for digit in range(1, 10)]
    themes = [f".imitable {{{light}}}", f"[data-color-scheme=dark] .imitable {{{dark}}}"]
    return "\n".join([*themes, *shades, own, *wholes, *tenths])


@lru_cache(maxsize=4)
def _pages(words: Texts) -> Environment:
    room = files("imitable_templates")
    return environment(str(room.joinpath("label_studio")), str(room.joinpath("web")), words=words)
