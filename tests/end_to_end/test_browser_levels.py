"""A sitting at every level in a real Chromium: what stands beside the text fits a phone, is read out, and adds up."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from end_to_end.test_browser_access import FITS, findings
from end_to_end.visiting import Visitor

from building import campaign, edit
from imitable.campaign import open_folder
from imitable.commands.build import build
from imitable.commands.export import export
from imitable.commands.publish import publish
from imitable.targets import write_vectors

if TYPE_CHECKING:
    from conftest import Server

Seat = Callable[..., Visitor]

pytestmark = pytest.mark.browser

SOME = ["consult", "neighbours", "weights"]
EVERY = ["consult", "downstream", "neighbours", "probes", "upstream", "weights"]
MORE = """
[readings]
looks = 3
probes = ["topics.safetensors"]
[sitting]
episodes = 1
[platform.web]
annotators_per_target = 1
"""
FAR = os.environ.get("IMITABLE_TESTS") == "long"
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
TITLES = {
    "Press a letter": "consult",
    "What you looked up": "consult",
    "They get signals from yours": "downstream",
    "They sit next to yours": "neighbours",
    "Each bar tells of one thing": "probes",
    "Yours gets its signals from them": "upstream",
    "What your neuron adds up": "weights",
}
"""How the one line of explanation begins, at each level."""
CUT = """() => [...document.querySelectorAll(".readings .n, .readings td, .readings button")]
  .filter((one) => one.scrollWidth > one.clientWidth + 1 || one.getClientRects().length > 1 || one.offsetHeight > 48)
  .map((one) => one.textContent)"""
"""Numbers and buttons that do not fit in one line of their own."""


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path, serving: Callable[[Path], Server]) -> Server:
    """One real neuron, with a place for one person at each level: as many people meet as many levels."""
    more = f"levels = {request.param}\n{MORE}"
    directory = campaign(tmp_path / "campaign", sites='["mlp.2"]', chosen="units = [3]", more=more)
    edit(directory, "practice = 3\nheld_out = 2", "practice = 1\nheld_out = 1")
    weight = np.random.default_rng(1).normal(size=(3, 64)).astype(np.float32)
    write_vectors(directory / "topics.safetensors", weight=weight, metadata={"layer": "3"})
    build(directory)
    publish(directory)
    return serving(directory)


def level_of(visitor: Visitor) -> str:
    """Which level this is, by its one line of explanation."""
    said = visitor.page.locator(".readings .about").inner_text()
    [level] = [level for begins, level in TITLES.items() if begins in said]
    return level


def gauges(visitor: Visitor) -> list[tuple[str, float]]:
    """The bars of the page: letter and number."""
    rows = [row.inner_text().split() for row in visitor.page.locator(".readings .gauge").all()]
    return [(letter, read(number)) for letter, number in rows]


def read(number: str) -> float:
    return float(number.replace("−", "-").removeprefix("×"))


def look_up(visitor: Visitor) -> None:
    """Use all looks: by keyboard, as far as scripts go, each reading is read out and the next key begins there."""
    for left in ("2 looks left", "1 look left", "0 looks left"):
        button = visitor.page.locator(".unasked button").last
        place, said = button.get_attribute("value"), button.inner_text()
        visitor.page.locator("#guess").fill("3.5")
        button.focus()
        visitor.moving_on(lambda: visitor.page.keyboard.press("Enter"))
        assert visitor.page.locator(".readings h2 span").inner_text().endswith(left)
        opened = visitor.page.locator(f"#unit-{place}")
        assert opened.inner_text().split()[0] == said[-1]
        if visitor.javascript:
            assert opened.evaluate("one => document.activeElement === one")
            assert visitor.page.locator("#live").inner_text().endswith(left)
            assert visitor.page.locator("#guess").input_value() == "3.5"  # a look takes no number away
    assert visitor.page.locator(".readings button").count() == 0
    assert "Not looked up: A, B" in visitor.text


def add_up(visitor: Visitor) -> None:
    """Check a table of weights by hand, as a careful player would: products to a unit, and the sum to the letter."""
    for table in visitor.page.locator("table.weights").all():
        cells = [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]
        adds = [read(row[-1]) for row in cells]
        for row in (row for row in cells if len(row) == 4):
            assert read(row[1]) * read(row[2]) == pytest.approx(read(row[3]), abs=0.0051)
        assert sum(adds) == pytest.approx(read(table.locator("tfoot td").inner_text()), abs=1e-9)


@pytest.mark.parametrize(
    ("server", "means", "scheme"),
    [
        (SOME, "mouse", "light"),
        pytest.param(EVERY, "mouse", "light", marks=pytest.mark.long),
        pytest.param(EVERY, "mouse", "dark", marks=pytest.mark.long),
        pytest.param(SOME, "plain", "light", marks=pytest.mark.long),
    ],
    indirect=["server"],
    ids=["some", "every", "every-dark", "without-scripts"],
)
def test_a_sitting_at_each_level_can_be_read_on_a_phone_and_is_in_the_record(
    seat: Seat, server: Server, screenshots: Path | None, tmp_path: Path, means: str, scheme: str
) -> None:
    seen: dict[str, list[list[tuple[str, float]]]] = {}
    levels = sorted(open_folder(server.campaign).config.episode.levels)
    for _ in levels:
        visitor = seat(means, viewport=PHONE, is_mobile=True, color_scheme=scheme)
        visitor.until("round")
        level = level_of(visitor)
        shown = seen.setdefault(level, [])
        while visitor.kind != "done":
            if visitor.kind == "round":
                if level == "consult" and not shown:
                    look_up(visitor)
                shown.append(gauges(visitor))
                add_up(visitor)
            if visitor.kind in ("round", "reveal") and len(shown) == 1:
                looked_at(visitor, level, scheme, screenshots)
            visitor.step()
        assert visitor.complaints == []
        assert max(map(len, shown)) <= 8
    assert sorted(seen) == levels

    export(server.campaign, out=tmp_path / "out")
    played = pd.read_csv(tmp_path / "out" / "episodes_played.csv").set_index("episode_id")["level"]
    readings = pd.read_csv(tmp_path / "out" / "readings.csv")
    for episode_id, level in played.items():
        mine = readings[readings["episode_id"] == episode_id]
        for trial, rows in enumerate(seen[level], start=1):
            units = mine[(mine["trial"] == trial) & mine["letter"].notna()]
            if level == "weights":
                assert len(units) == 6
            else:
                assert list(zip(units["letter"], units["reading"], strict=True)) == rows
    assert len(pd.read_csv(tmp_path / "out" / "looks.csv")) == 3


def looked_at(visitor: Visitor, level: str, scheme: str, screenshots: Path | None) -> None:
    """No barrier that axe finds, and nothing that is cut off or scrolls sideways, on a phone and on a desk."""
    for width, size in (("390", PHONE), ("1280", DESKTOP)):
        visitor.page.set_viewport_size(size)  # type: ignore[arg-type]
        assert visitor.page.evaluate(FITS), f"{level}, {visitor.kind}: scrolls sideways at {width}"
        assert visitor.page.evaluate(CUT) == [], f"{level}, {visitor.kind}: at {width}"
        if visitor.javascript and (FAR or (width == "390" and visitor.kind == "round")):
            assert findings(visitor) == [], f"{level}, {visitor.kind}"
        visitor.picture(f"level-{level}-{visitor.kind}-{scheme}-{width}", screenshots)
    visitor.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
