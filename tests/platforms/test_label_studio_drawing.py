"""What annotators see inside Label Studio: its own SDK accepts it, and no text of a corpus is more than text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from label_studio_sdk.label_interface.interface import LabelInterface
from sqlalchemy import select

from building import edit
from imitable.campaign import Folder, open_folder
from imitable.errors import PlatformError
from imitable.game.content import Content, read_content
from imitable.game.label_studio import names
from imitable.game.pages import num
from imitable.game.reserving import Reserved, reserve
from imitable.game.views import ExampleText, Piece, Stimulus
from imitable.platforms.label_studio.drawing import labelling_config, round_data, task_data
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from labelling import invent_readings

HOSTILE = '<img src=x onerror="alert(1)"><script>x</script>&lt;b&gt; ${intro} \u202eevil\u202c a\u200bb \'"'
SETTINGS = "[platform.label_studio]\n"


class Drawn:
    """A campaign with two annotators, and what is drawn of it."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.words = folder.texts()
        with closing(open_store(folder, url="sqlite")) as store:
            self.content = read_content(store, self.words)
            self.made = reserve(
                store,
                folder,
                self.content,
                platform=names.PLATFORM,
                names=["ann@example.org", "bob@example.org"],
                share_items=False,
                now=datetime(2026, 11, 1, tzinfo=UTC),
            )

    def config(self) -> str:
        return labelling_config(self.folder, self.words)

    def data(self, one: Reserved, content: Content | None = None) -> dict[str, str]:
        return task_data(self.folder, content or self.content, self.words, one)


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., Drawn]:
    return lambda **more: Drawn(invented_campaign(tmp_path / "campaign", **{"more": SETTINGS} | more))


class Tags(HTMLParser):
    """The elements of a page, their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"polarity": "both"},
        {"levels": ("text", "examples")},
        {"levels": ("examples", "consult")},
        {"practice": 1, "held_out": 0},
        {"practice": 0, "held_out": 2},
        {"episode": "checks = [2]\nrepeats = [4]"},
        {"consent": 'I <agree> & "sign" ]]>'},
        {"more": SETTINGS + '[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\n'},
    ],
    ids=str,
)
def test_the_sdk_accepts_the_page_and_every_task(draw: Callable[..., Drawn], settings: dict[str, Any]) -> None:
    drawn = draw(**settings)
    page: Any = LabelInterface(drawn.config())
    page.validate()
    assert drawn.made
    for one in drawn.made:
        data = drawn.data(one)
        assert all(isinstance(value, str) for value in data.values())
        page.validate_task({"data": data})
        assert data[names.ANNOTATOR] == one.name
        assert data[names.KEY] == names.task_key(drawn.folder, one.episode_id)
        assert {f"r{asked.trial}" for asked in one.rounds} == {name for name in data if re.fullmatch(r"r\d+", name)}


def test_an_answer_has_its_place_in_rounds_that_show_one_and_in_no_other(draw: Callable[..., Drawn]) -> None:
    drawn = draw(episode="checks = [2]\nrepeats = [4]", polarity="both")
    page = ElementTree.fromstring(drawn.config())  # noqa: S314  # our own
    boxes = [one.attrib["name"] for one in page.iter() if names.trial_of(one.attrib.get("name", ""))]
    bars = {one.attrib["name"]: (one.attrib["min"], one.attrib["max"]) for one in page.iter("Number")}
    assert boxes == [names.guess(trial) for trial in range(1, 8)]
    [shown] = {max(asked.trial for asked in one.rounds if asked.phase == "practice") for one in drawn.made}
    assert [name for name in bars if name.startswith("truth")] == [names.truth(trial) for trial in range(1, shown + 1)]
    for one in drawn.made:
        assert "answers are not shown" in unescape(drawn.data(one)[names.text(shown + 1)])
        assert "answers are not shown" not in unescape(drawn.data(one)[names.text(shown)])


def test_no_digit_on_the_keyboard_is_a_key_of_a_control(draw: Callable[..., Drawn]) -> None:
    page = ElementTree.fromstring(draw().config())  # noqa: S314
    keyed = [*page.iter("Choice"), *page.iter("Number")]
    assert keyed
    assert {one.attrib.get("hotkey") for one in keyed} == {"f19"}


def test_the_style_has_nothing_that_label_studio_would_escape(draw: Callable[..., Drawn]) -> None:
    page = ElementTree.fromstring(draw().config())  # noqa: S314
    [style] = page.iter("Style")
    assert style.text is not None
    assert not set("<>&") & set(style.text)
    assert style.text.count("{") == style.text.count("}") > 50


def _with_text(content: Content, text: str) -> Content:
    """The same questions, with this text in all of them."""
    stimulus = Stimulus(text, text, text)
    shown = ExampleText((Piece(text, 9.0, 9), Piece(text, 0.0, 0)), 0, 9.0)
    targets = {name: replace(target, examples=(shown,)) for name, target in content.targets.items()}
    return replace(content, targets=targets, stimuli=dict.fromkeys(content.stimuli, stimulus))


def test_no_text_of_a_corpus_is_more_than_text_and_nothing_in_it_is_hidden(draw: Callable[..., Drawn]) -> None:
    drawn = draw()
    content = _with_text(drawn.content, HOSTILE)
    for one in drawn.made:
        plain, hostile = drawn.data(one, _with_text(drawn.content, "text")), drawn.data(one, content)
        for name in (names.EXAMPLES, *(names.text(asked.trial) for asked in one.rounds)):
            page, ours = Tags(hostile[name]), Tags(plain[name])
            assert page.tags - ours.tags <= {"bdi"}  # around the names of hidden characters
            assert page.attributes <= ours.attributes | {"dir", "class"}
            assert "<script>x</script>&lt;b&gt;" in page.text
            assert "RLOevilPDF" in page.text
            assert "aZWSPb" in page.text
            assert not re.search("[\u200b\u202a-\u202e]", hostile[name])


def test_the_words_of_whoever_runs_the_campaign_are_text_too(draw: Callable[..., Drawn], tmp_path: Path) -> None:
    drawn = draw(consent="<b>you</b> agree", more="[platform.label_studio]\n")
    edit(tmp_path / "campaign", "[study]", '[study]\ncontact = "<i>lab</i>"')
    again = Drawn(open_folder(tmp_path / "campaign"))
    first = next(one for one in again.made if one.place == 0)
    page = Tags(again.data(first)[names.INTRO])
    assert "<b>you</b> agree" in page.text
    assert "<i>lab</i>" in page.text
    assert "i" not in page.tags
    assert drawn.made == again.made


def test_only_the_first_page_has_all_of_the_introduction_and_every_page_can_show_it_again(
    draw: Callable[..., Drawn],
) -> None:
    drawn = draw(consent="CONSENT", more='[platform.label_studio]\n[pay]\nbase = "3.00"\n')
    for one in drawn.made:
        page = Tags(drawn.data(one)[names.INTRO])
        assert ("Can you guess what a neuron reacts to?" in page.text) == (one.place == 0)
        for said in ("CONSENT", "USD 3.00", "press Enter", "bin beside it", "Your right to stop", "from 0"):
            assert said in page.text
        assert ("agree to take part" in page.text) == (one.place == 0)


def test_an_episode_of_other_rounds_than_the_page_is_refused(draw: Callable[..., Drawn], tmp_path: Path) -> None:
    drawn = draw()
    edit(tmp_path / "campaign", "practice = 3\n", "practice = 4\n")
    changed = open_folder(tmp_path / "campaign")
    with pytest.raises(PlatformError, match=r"has 5 rounds, 3 of them with answers, and campaign\.toml says 6 and 4"):
        task_data(changed, drawn.content, drawn.words, drawn.made[0])


def test_no_truth_is_in_what_is_published(draw: Callable[..., Drawn]) -> None:
    """The truths are drawn at random, so that one that stands in a task by chance would be a wonder."""
    drawn = draw()
    with closing(open_store(drawn.folder, url="sqlite")) as store, store.read() as connection:
        answers = [row.truth for row in connection.execute(select(tables.truths)) if row.truth]
    said = drawn.config() + json.dumps([drawn.data(one) for one in drawn.made])
    assert answers
    assert not [truth for truth in answers if repr(truth)[:6] in said]


ALL = ("text", "neighbours", "upstream", "weights", "consult")


def _levelled(drawn: Drawn, level: str) -> list[Reserved]:
    """Every episode as if it had been drawn at a level; its readings are invented."""
    with closing(open_store(drawn.folder, url="sqlite")) as store:
        invent_readings(store, level)
        drawn.content = read_content(store, drawn.words)
    return [replace(one, level=level) for one in drawn.made]


@pytest.mark.parametrize(("level", "meters"), [("neighbours", 8), ("upstream", 8), ("weights", 6), ("consult", 0)])
def test_a_round_has_the_readings_of_its_own_item_and_the_sdk_accepts_them(
    draw: Callable[..., Drawn], level: str, meters: int
) -> None:
    drawn = draw(levels=ALL)
    page: Any = LabelInterface(drawn.config())
    page.validate()
    for one in _levelled(drawn, level):
        data = drawn.data(one)
        page.validate_task({"data": data})
        for asked in one.rounds:
            readings = drawn.content.panels[one.target_id, level].at(asked.item_id, looked=(), looks=3)
            shown = Tags(data[names.text(asked.trial)]).text
            values = [num(one.value) for one in readings.meters if one.letter and one.value is not None]
            assert len(values) == meters
            assert [value for value in values if value not in shown] == []
            assert "How strongly does the neuron react" in data[names.question(asked.trial)]
            assert "How strongly does the neuron react" not in shown


def test_no_reading_is_in_a_task_whose_player_asks_for_them(draw: Callable[..., Drawn]) -> None:
    drawn = draw(levels=ALL)
    for one in _levelled(drawn, "consult"):
        shown = Tags(drawn.data(one)[names.text(1)])
        assert "Next to itA B C D Before itE F G H" in shown.text
        assert "up 3 neurons in each round" in shown.text
        assert not re.search(r"\d\.\d", shown.text)
        assert "svg" not in shown.tags


def test_a_page_without_choices_has_no_place_for_looks_and_its_question_under_the_text(
    draw: Callable[..., Drawn],
) -> None:
    drawn = draw(levels=("examples", "upstream"))
    assert "look" not in {one.attrib.get("name", "")[:4] for one in ElementTree.fromstring(drawn.config()).iter()}  # noqa: S314
    for one in drawn.made:
        assert names.question(1) not in drawn.data(one)
        assert "How strongly does the neuron react" in drawn.data(one)[names.text(1)]


@pytest.mark.parametrize("mode", ["webhook", "plain"])
def test_a_task_of_one_round_shows_readings_and_lets_nobody_look_anything_up(
    draw: Callable[..., Drawn], mode: str
) -> None:
    drawn = draw(levels=("text", "upstream"), more=f'{SETTINGS}mode = "{mode}"\n')
    page: Any = LabelInterface(drawn.config())
    one = _levelled(drawn, "upstream")[0]
    data = round_data(drawn.folder, drawn.content, drawn.words, one, one.rounds[0])
    page.validate_task({"data": data})
    assert data[names.TEXT].count('class="gauge"') == 8
    edit(drawn.folder.path, '"upstream"', '"consult"')
    drawn.folder = open_folder(drawn.folder.path)
    with pytest.raises(PlatformError, match=r"Level 'consult' needs a game that answers .* take 'consult' out of \[ep"):
        drawn.config()
