"""Hostile texts and hostile sites in a real Chromium: no script runs, every text is shown to the letter, nobody moves
somebody else's game. And what a page tells of itself beside a guess.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from end_to_end.other_site import OtherSite
from end_to_end.visiting import Visitor
from playwright.sync_api import Browser
from sqlalchemy import select

from building import campaign, stories
from imitable.commands.build import build
from imitable.commands.folders import built
from imitable.commands.publish import publish
from imitable.store import tables

if TYPE_CHECKING:
    from conftest import Server

Seat = Callable[..., Visitor]

pytestmark = pytest.mark.browser

HOSTILE = (
    "<script>{}()</script> {}",
    "<img src={} onerror={}()>",
    '"><svg onload={}()> {}',
    "' onfocus={}() x='{}",
    "]]></p>{}<script>{}()//",
    "</main><iframe src=javascript:{}> {}",
    "{{{{ {} }}}}{{% {} %}}",
    "&lt;{}&gt;&amp;amp; &#60;{}",
    "</title><base href=//{}> {}",
    "<!-- {} --> <{}>",
)
"""Filled with a story's own words: a build drops texts that have twelve tokens in common with another split."""

CONTACT = "javascript:pwned=1 <img src=x onerror=pwned=1> \"'"
CONSENT = 'We study <b>this</b>.\n\n<script>pwned=1</script> ]]> "quotes" {{ 7*7 }}'

FOREIGN = "main :is(script, img, iframe, base, style, object, embed, link, meta, title, [onerror], [onload], [onfocus])"
READ = """text => {
  const copy = text.cloneNode(true);
  copy.querySelectorAll(".unseen, .ws").forEach(part => part.remove());
  return copy.textContent;
}"""


@pytest.fixture
def hostile(tmp_path: Path, serving: Callable[[Path], Server]) -> Server:
    """A campaign built for real from hostile texts, by a hostile runner. (Its name may hold no such characters.)"""
    path = campaign(
        tmp_path / "campaign",
        texts=None,
        corpus='path = "corpus.jsonl"',
        chosen="units = [0, 1]",
        more=f"[sitting]\nepisodes = 2\n[study]\nconsent = 'consent.md'\ncontact = {json.dumps(CONTACT)}\n",
    )
    told = [words for story in stories(240) if len(words := story.split()[9:]) > 5]
    texts = [f"{HOSTILE[at % len(HOSTILE)].format(*words[:2])} {' '.join(words)}" for at, words in enumerate(told)]
    (path / "corpus.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    (path / "consent.md").write_text(CONSENT, encoding="utf-8")
    build(path)
    publish(path)
    return serving(path)


def store_of(server: Server) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in a served campaign's store."""
    with built(server.campaign) as (_, store), store.read() as connection:
        every = tables.metadata.sorted_tables
        return {one.name: [tuple(row) for row in connection.execute(select(one))] for one in every}


def link_of(server: Server) -> str:
    with (server.campaign / "links.csv").open(encoding="utf-8") as file:
        return next(row["url"] for row in csv.DictReader(file)).replace("http://127.0.0.1:8000", server.address)


@pytest.mark.parametrize("javascript", [True, False])
def test_hostile_texts_contact_and_consent_are_shown_to_the_letter_and_run_nothing(
    hostile: Server, chromium: Browser, javascript: bool
) -> None:
    with built(hostile.campaign) as (_, store), store.read() as connection:
        texts = set(connection.execute(select(tables.items.c.text)).scalars())
    assert sum(any(sign in text for sign in "<&{]") for text in texts) > len(texts) / 3
    context = chromium.new_context(java_script_enabled=javascript)
    visitor = Visitor(context, link_of(hostile), javascript=javascript)
    visitor.page.on("dialog", lambda said: pytest.fail(said.message))
    visitor.open()
    assert CONTACT in visitor.text
    assert [one.inner_text() for one in visitor.page.locator("section.consent p").all()] == CONSENT.split("\n\n")
    shown: list[str] = []

    def seen() -> None:
        assert visitor.page.locator(FOREIGN).count() == 0
        if visitor.kind == "round" and not visitor.warming_up:
            shown.append(visitor.page.locator(".stimulus").evaluate(READ))

    visitor.play(seen)
    assert len(shown) == 2 * (3 + 2)
    assert set(shown) <= texts
    assert [one for one in shown if any(sign in one for sign in "<&{]")]
    assert visitor.complaints == []
    assert [url for url in visitor.addresses if not url.startswith(hostile.address) and url != "about:blank"] == []
    context.close()


class EvilSite(OtherSite):
    """A page of another origin that sends forms to the game as soon as it is opened, and frames it."""

    def __init__(self, game: str) -> None:
        super().__init__()
        forms = "".join(
            f'<iframe name="f{at}"></iframe><form id="p{at}" method="post" target="f{at}" action="{game}/{name}">'
            f'<input name="round_id" value="1"><input name="guess" value="5"><input name="step" value="1">'
            f'<input name="fun" value="1"><input name="interest" value="1"><input name="agree" value="yes"></form>'
            for at, name in enumerate(("play", "guess", "tutorial", "answers", "stop", "start"))
        )
        self.page = f"""<!doctype html><title>Evil</title><iframe id="framed" src="{game}/"></iframe>{forms}
<script>
for (const form of document.querySelectorAll("form")) form.submit();
window.read = fetch("{game}/play", {{ method: "POST", credentials: "include", body: new URLSearchParams({{ a: 1 }}) }})
  .then(reply => reply.text()).catch(() => "refused");
</script>"""


@pytest.fixture
def evil(server: Server) -> Iterator[EvilSite]:
    made = EvilSite(server.address)
    yield made
    made.close()


def test_another_site_cannot_move_read_or_frame_a_game_that_is_open_in_the_next_tab(
    seat: Seat, server: Server, evil: EvilSite
) -> None:
    visitor = seat("mouse")
    visitor.until("round")
    asked = visitor.round_id
    before = store_of(server)
    page = visitor.context.new_page()
    answered: list[tuple[str, int]] = []
    page.on("response", lambda reply: answered.append((reply.url.removeprefix(server.address), reply.status)))
    page.goto(evil.origin)
    assert page.evaluate("read") == "refused"
    for name in ("play", "guess", "tutorial", "answers", "stop", "start"):
        for _ in range(100):
            if (f"/{name}", 400) in answered:
                break
            page.wait_for_timeout(50)
        assert (f"/{name}", 400) in answered, name
    assert page.locator("#framed").element_handle().content_frame().url.startswith("chrome-error://")  # type: ignore[union-attr]
    assert store_of(server) == before
    assert visitor.context.cookies() == []
    visitor.page.bring_to_front()
    assert visitor.round_id == asked
    visitor.guess(6.5)
    assert visitor.kind == "reveal"


def test_a_page_tells_that_text_was_copied_and_pasted_and_that_it_was_left(seat: Seat, server: Server) -> None:
    visitor = seat("mouse")
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.until("round")
    visitor.guess(6.5)
    visitor.step()
    page = visitor.page
    page.locator(".stimulus").click(click_count=3)
    page.keyboard.press("Control+C")
    page.evaluate("() => { dispatchEvent(new Event('blur')); }")  # playwright keeps every page focused
    page.wait_for_timeout(300)
    page.evaluate("() => { dispatchEvent(new Event('focus')); }")
    page.locator("#guess").focus()
    page.keyboard.press("Control+V")
    visitor.guess(2)
    visitor.step()
    visitor.guess(3)
    told = ("pasted", "copied", "blurs", "away_seconds")
    with built(server.campaign) as (_, store), store.read() as connection:
        order = select(*(tables.guesses.c[name] for name in told)).order_by(tables.guesses.c.trial)
        first, second, third = connection.execute(order).all()
    assert tuple(first) == tuple(third) == (False, False, 0, 0.0)
    assert tuple(second[:3]) == (True, True, 1)
    assert 0.25 < second.away_seconds < 30


def test_without_javascript_a_page_tells_nothing(seat: Seat, server: Server) -> None:
    visitor = seat("plain")
    visitor.until("round")
    visitor.guess(6.5)
    with built(server.campaign) as (_, store), store.read() as connection:
        [row] = connection.execute(select(tables.guesses)).all()
    assert (row.pasted, row.copied, row.blurs, row.away_seconds) == (None,) * 4
