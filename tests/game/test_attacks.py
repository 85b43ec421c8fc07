"""Hostile annotators against the real server: they get no truth before its time, and nothing that is another's.

Two tabs, the back button and double clicks are tried in `end_to_end/test_browser.py`; whatever order people press
things in, in `test_any_order.py`; previews, in `commands/test_preview.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from imitable.game.finishing import receipt
from imitable.game.sessions import session_of
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from playing import Table
from wire import FORM, PATIENT, Reply, Wire, wired


class Door(NamedTuple):
    here: Table
    wire: Wire

    def unchanged(self, before: dict[str, Any]) -> bool:
        return self.here.dump() == before


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.delenv("IMITABLE_STORE_URL", raising=False)
    folder = invented_campaign(tmp_path / "campaign", targets=3, more=PATIENT)
    here = Table(folder, open_store(folder), 3)
    with wired(here) as wire:
        yield Door(here, wire)
    here.store.close()


def rounds_of(here: Table, episode_of: str) -> list[Any]:
    """The plan of the episode that a round belongs to: what only the store knows."""
    episode = select(tables.rounds.c.episode_id).where(tables.rounds.c.round_id == episode_of).scalar_subquery()
    return here.rows(select(tables.rounds).where(tables.rounds.c.episode_id == episode).order_by(tables.rounds.c.trial))


# Again, and out of order


def test_a_guess_that_is_sent_again_changes_nothing_however_often_and_with_whatever_number(door: Door) -> None:
    view = door.wire.begin(door.here)
    token, asked = view["token"], view["round_id"]
    first = door.wire.post("/guess", token=token, round_id=asked, guess="2")
    before = door.here.dump()
    for guess in ("9", "2", "0", "10", "11", "x", ""):
        again = door.wire.post("/guess", token=token, round_id=asked, guess=guess)
        assert {**again, "repeated": False} == first
    assert door.unchanged(before)


def test_a_recorded_request_played_back_after_the_sitting_is_over_changes_nothing(door: Door) -> None:
    view = door.wire.begin(door.here)
    fields = urlencode({"token": view["token"], "round_id": view["round_id"], "guess": "2"}).encode()
    door.wire.post("/stop", token=view["token"])
    before = door.here.dump()
    assert door.wire.ask("POST", "/guess", fields).view["kind"] == "done"
    start = door.wire.post("/start", code=door.here.links[0].code, agree="yes")
    assert start["kind"] == "done"
    assert door.unchanged(before)


def test_rounds_that_are_not_open_yet_take_no_guess_even_from_who_knows_their_names(door: Door) -> None:
    view = door.wire.begin(door.here)
    before = door.here.dump()
    for planned in rounds_of(door.here, view["round_id"])[1:]:
        reply = door.wire.post("/guess", token=view["token"], round_id=planned.round_id, guess="5")
        assert (reply["kind"], reply["round_id"]) == ("round", view["round_id"])
        assert "not open" in reply["error"]
    assert door.unchanged(before)


def test_an_answer_to_the_questions_before_the_episode_is_over_is_not_taken(door: Door) -> None:
    view = door.wire.begin(door.here)
    episode = rounds_of(door.here, view["round_id"])[0].episode_id
    before = door.here.dump()
    assert door.wire.post("/answers", token=view["token"], episode_id=episode, fun="5", interest="5")["kind"] == "round"
    assert door.unchanged(before)


# Forged and borrowed


def test_a_token_with_any_one_character_changed_opens_nothing(door: Door) -> None:
    token = door.wire.begin(door.here)["token"]
    before = door.here.dump()
    forged = [token[:at] + chr(ord(token[at]) ^ bit) + token[at + 1 :] for at in range(len(token)) for bit in (1, 4)]
    forged += [token[:-1], token + "0", token.upper(), token.replace(".", ""), token.replace(".", ".."), f" {token}x"]
    for each in forged:
        fields = urlencode({"token": each, "round_id": "r_0", "guess": "5"}).encode()
        reply = door.wire.ask("POST", "/play", fields)
        assert (reply.status, reply.view["kind"]) == (400, "problem"), each
        assert door.wire.ask("POST", "/stop", fields).status == 400
    assert door.unchanged(before)


def test_the_name_of_ones_sitting_does_not_open_anothers_with_ones_own_proof(door: Door) -> None:
    mine, other = (door.wire.begin(door.here, link)["token"] for link in (0, 1))
    before = door.here.dump()
    crossed = f"{other.partition('.')[0]}.{mine.partition('.')[2]}"
    assert door.wire.post("/play", token=crossed)["kind"] == "problem"
    assert door.wire.post("/stop", token=crossed)["kind"] == "problem"
    assert door.unchanged(before)


def test_a_secret_that_we_give_for_one_purpose_opens_nothing_for_another(door: Door) -> None:
    token = door.wire.begin(door.here)["token"]
    sitting, _ = session_of(door.here.folder, token)
    code = door.here.links[0].code
    before = door.here.dump()
    for each in (code, f"{sitting}.{code}", f"{sitting}.{receipt(door.here.folder, sitting)}", sitting):
        assert door.wire.post("/play", token=each)["kind"] == "problem"
    for each in (token, token.partition(".")[2], sitting):
        assert door.wire.post("/start", code=each, agree="yes")["kind"] == "problem"
    assert door.unchanged(before)


def test_tokens_and_links_of_another_campaign_open_nothing_here(door: Door, tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "other", key=bytes(range(1, 33)))
    other = Table(folder, open_store(folder), 1)
    token = other.sit()
    other.store.close()
    door.wire.begin(door.here)
    before = door.here.dump()
    assert door.wire.post("/play", token=token)["kind"] == "problem"
    assert door.wire.post("/start", code=other.links[0].code, agree="yes")["kind"] == "problem"
    assert door.unchanged(before)


def test_another_persons_rounds_and_episodes_do_not_exist_here(door: Door) -> None:
    other = door.wire.begin(door.here, 1)
    plan = rounds_of(door.here, other["round_id"])
    revealed = door.wire.post("/guess", token=other["token"], round_id=other["round_id"], guess="5")
    mine = door.wire.begin(door.here, 0)
    before = door.here.dump()
    for planned in plan:
        reply = door.wire.ask(
            "POST", "/guess", urlencode({"token": mine["token"], "round_id": planned.round_id, "guess": "5"}).encode()
        )
        assert (reply.status, reply.view["kind"]) == (400, "problem")
        assert "not yours" in reply.view["message"]
        assert repr(revealed["truth"]) not in reply.raw.decode()
    episode = plan[0].episode_id
    assert door.wire.post("/answers", token=mine["token"], episode_id=episode, fun="1", interest="1")["kind"] == "round"
    assert door.unchanged(before)


# What is seen before anything is agreed to


def test_the_first_page_shows_no_text_target_or_truth_of_the_campaign(door: Door) -> None:
    pages = [
        door.wire.ask(method, path, headers={"Accept": accept})
        for method in ("GET", "HEAD")
        for path in (f"/j/{door.here.links[0].code}", "/", "/j/unknown")
        for accept in ("text/html", "application/json")
    ]
    sent = b"".join(page.raw for page in pages).decode()
    secret = [row.text for row in door.here.rows(select(tables.items))]
    secret += [row.text for row in door.here.rows(select(tables.examples))]
    secret += [row.target_id for row in door.here.rows(select(tables.targets))]
    secret += [repr(row.truth) for row in door.here.rows(select(tables.truths)) if row.truth]
    assert not [each for each in secret if each in sent]


# Bodies that are no form


def multipart(**fields: str) -> bytes:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    return ("".join(parts) + "--b--\r\n").encode()


def test_bodies_that_are_not_our_form_are_refused_kindly_and_change_nothing(door: Door) -> None:
    view = door.wire.begin(door.here)
    good = {"token": view["token"], "round_id": view["round_id"], "guess": "5"}
    form = urlencode(good)
    before = door.here.dump()
    bodies: dict[str, tuple[bytes, str]] = {
        "multipart": (multipart(**good), "multipart/form-data; boundary=b"),
        "json": (json.dumps(good).encode(), "application/json"),
        "bad utf-8": (form.encode() + b"&x=\xff\xfe", FORM),
        "utf-16": (form.encode("utf-16"), FORM),
        "a million fields": (form.encode() + b"&a=1" * 1_000_000, FORM),
        "twenty fields and more": (form.encode() + b"&a=1" * 30, FORM),
        "one endless field": (form.encode() + b"&x=" + b"9" * 20_000, FORM),
        "gzip": (b"\x1f\x8b\x08\x00" + form.encode(), FORM),
        "nothing": (b"", FORM),
        "nul": (b"\0" * 1000, FORM),
    }
    for name, (body, kind) in bodies.items():
        reply = door.wire.ask("POST", "/guess", body, {"Content-Type": kind})
        assert reply.status in ((0, 400, 413) if name == "a million fields" else (400,)), name  # 0: hung up on
        assert b"Traceback" not in reply.raw
    assert door.unchanged(before)
    assert door.wire.post("/play", token=view["token"])["round_id"] == view["round_id"]


def test_a_field_that_is_given_twice_counts_once(door: Door) -> None:
    view = door.wire.begin(door.here)
    body = urlencode([("token", view["token"]), ("round_id", view["round_id"]), ("guess", "2"), ("guess", "9")])
    door.wire.ask("POST", "/guess", body.encode())
    assert len(door.here.rows(select(tables.guesses))) == 1


def test_requests_that_lie_about_their_length_or_hide_another_behind_them_are_one_request_or_none(door: Door) -> None:
    view = door.wire.begin(door.here)
    before = door.here.dump()
    form = urlencode({"token": view["token"], "round_id": view["round_id"], "guess": "5"})
    head = f"POST /guess HTTP/1.1\r\nHost: t\r\nContent-Type: {FORM}\r\n"
    chunked = "Transfer-Encoding: chunked\r\n"
    hidden = f"{head}Content-Length: {len(form)}\r\n\r\n{form}"
    lies = [
        f"{head}Content-Length: {len(form) + 50}\r\n\r\n{form}",  # never arrives in full
        f"{head}Content-Length: {len(form)}\r\nContent-Length: 5\r\n\r\n{form}",
        f"{head}Content-Length: -1\r\n\r\n{form}",
        f"{head}Content-Length: +{len(form)}\r\n\r\n{form}",
        f"{head}{chunked}Content-Length: 4\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        f"{head}{chunked}\r\nZZ\r\n{form}\r\n0\r\n\r\n",
        f"{head}Transfer-Encoding: chunked, identity\r\n\r\n{form}",
        f"GET /healthz HTTP/1.1\r\nHost: t\r\nContent-Length: {len(hidden)}\r\n\r\n{hidden}",
        f"GET /healthz HTTP/1.1\r\nHost: t\r\nX: a\n\n{hidden}",
        f"POST /guess HTTP/1.1\r\nHost: t\r\n Folded: {form}\r\n\r\n",
        f"POST /guess?{form} HTTP/1.0\r\n\r\n",
        f"POST /guess HTTP/9.9\r\n\r\n{form}",
    ]
    for raw in lies:
        reply = door.wire.send(raw.encode(), patience=0.5)
        assert b" 500 " not in reply.raw, raw
        assert b"truth" not in reply.raw, raw
    assert door.unchanged(before)


# Other sites


CROSS_SITE = {"Origin": "https://evil.example", "Referer": "https://evil.example/x", "Sec-Fetch-Site": "cross-site"}


def test_a_form_on_another_site_does_nothing_without_the_token_and_no_cookie_stands_in_for_it(door: Door) -> None:
    view = door.wire.begin(door.here)
    before = door.here.dump()
    for name in ("play", "guess", "tutorial", "answers", "stop", "start"):
        fields = {"round_id": view["round_id"], "guess": "5", "step": "1", "fun": "1", "interest": "1", "agree": "yes"}
        cookies = {"Cookie": f"token={view['token']}; session={view['token']}"}
        reply = door.wire.ask("POST", f"/{name}", urlencode(fields).encode(), CROSS_SITE | cookies)
        assert reply.status == 400
        assert "set-cookie" not in reply.headers
        assert "access-control-allow-origin" not in reply.headers
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    reply = door.wire.ask("OPTIONS", "/guess", headers=CROSS_SITE | preflight)
    assert not [name for name in reply.headers if name.startswith("access-control-")]
    assert door.unchanged(before)


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_a_get_cannot_be_made_a_post_by_a_header(door: Door, name: str) -> None:
    view = door.wire.begin(door.here)
    before = door.here.dump()
    query = urlencode({"token": view["token"], "round_id": view["round_id"], "guess": "5"})
    assert door.wire.ask("GET", f"/guess?{query}", headers={name: "POST"}).status == 404
    assert door.unchanged(before)


# Paths


PATHS = [
    "/static/../web.py",
    "/static/..%2fweb.py",
    "/static/%2e%2e/%2e%2e/game/web.py",
    "/static/..\\..\\game\\web.py",
    "/static/%5c..%5capp.css",
    "/static//etc/passwd",
    "/static/%2fetc%2fpasswd",
    "/static/app.css%00.py",
    "/static/app.css/",
    "/static/app.css/../__init__.py",
    "/static/__init__.py",
    "/static/__pycache__/__init__.cpython-311.pyc",
    "/static/./../round.html.j2",
    "/static",
    "/static/",
    "//evil.example/",
    "//evil.example/guess",
    "/\\evil.example/",
    "/%2f%2fevil.example",
    "/guess/",
    "/guess//",
    "//guess",
    "/guess/..",
    "/GUESS",
    "/guess;token=1",
    "/j/../guess",
    "/j/a/b",
    "/.git/config",
    "/campaign.db",
    "/secret.key",
    "/campaign.toml",
    "/%c0%ae%c0%ae/",
    "/" + "a" * 7000,
    "http://evil.example/guess",
    "*",
    "/j/%0d%0aSet-Cookie:%20a=b",
]


def harmless(reply: Reply) -> None:
    assert reply.status in (0, 200, 400, 404, 405, 414), reply.raw[:200]
    assert "location" not in reply.headers
    assert "set-cookie" not in reply.headers
    assert b"evil.example" not in reply.raw
    assert b"Traceback" not in reply.raw


@pytest.mark.parametrize("path", PATHS)
def test_no_trick_with_a_path_reads_a_file_moves_anyone_or_names_another_host(door: Door, path: str) -> None:
    token = door.wire.begin(door.here)["token"]
    before = door.here.dump()
    for method, body in (("GET", b""), ("POST", urlencode({"round_id": "r_0", "guess": "5"}).encode())):
        reply = door.wire.ask(method, path, body, {"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
        harmless(reply)
        assert token not in reply.raw.decode("latin-1")
        assert not [each for each in (b"__future__", b"{%", b"[campaign]", b"SQLite") if each in reply.body]
    assert door.unchanged(before)
