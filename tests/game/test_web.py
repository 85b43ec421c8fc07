"""The web door against curious, clumsy and hostile clients, over real HTTP semantics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.testclient import TestClient

from imitable.errors import StoreError
from imitable.game.web import LARGEST_BODY, web_app
from imitable.store import tables
from playing import Table

Set = Callable[..., Table]


class Browser:
    """A client of the web door that reads JSON."""

    def __init__(self, here: Table) -> None:
        self.here = here
        self.http = TestClient(web_app(here.game), base_url="http://testserver", raise_server_exceptions=True)

    def post(self, path: str, **fields: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.post(path, data=fields, headers={"Accept": "application/json"}).json()
        return answer

    def begin(self, link: int = 0) -> dict[str, Any]:
        """Start a sitting and finish the warm-up."""
        view = self.post("/start", code=self.here.links[link].code, agree="yes")
        for step in "123":
            self.post("/tutorial", token=view["token"], step=step, guess="5")
        return self.post("/play", token=view["token"])


@pytest.fixture
def browse(table: Set) -> Iterator[Callable[..., Browser]]:
    opened: list[Browser] = []

    def build(**settings: Any) -> Browser:
        opened.append(Browser(table(**settings)))
        return opened[-1]

    yield build
    for browser in opened:
        browser.http.close()


Open = Callable[..., Browser]


def test_every_page_forbids_storing_framing_foreign_content_and_referrers(browse: Open) -> None:
    browser = browse()
    token = browser.begin()["token"]
    pages = [
        browser.http.get("/"),
        browser.http.get(f"/j/{browser.here.links[0].code}"),
        browser.http.get("/nowhere"),
        browser.http.post("/play", data={"token": token}),
        browser.http.post("/play", data={"token": "forged"}),
    ]
    for page in pages:
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "set-cookie" not in page.headers
        assert "<main" in page.text


def test_the_token_stands_in_hidden_fields_only_and_works_as_a_bearer_token(browse: Open) -> None:
    browser = browse()
    view = browser.begin()
    page = browser.http.post("/play", data={"token": view["token"]})
    without_fields = page.text.replace(f'name="token" value="{view["token"]}"', "")
    assert page.text != without_fields
    assert view["token"] not in without_fields
    headers = {"Authorization": f"Bearer {view['token']}", "Accept": "application/json"}
    assert browser.http.post("/play", headers=headers).json()["round_id"] == view["round_id"]


@pytest.mark.parametrize("path", ["/play", "/guess", "/tutorial", "/answers", "/stop", "/start"])
def test_nothing_happens_by_get_and_a_token_in_a_url_is_ignored(browse: Open, path: str) -> None:
    browser = browse()
    view = browser.begin()
    query = {"token": view["token"], "round_id": view["round_id"], "guess": "5", "code": browser.here.links[1].code}
    assert browser.http.get(path, params=query).status_code == 404
    if path != "/start":
        assert browser.http.post(path, params=query).status_code == 400
    assert browser.here.rows(select(func.count()).select_from(tables.guesses)) == [(0,)]
    assert browser.here.rows(select(func.count()).select_from(tables.sittings)) == [(1,)]


def test_the_landing_page_records_nothing(browse: Open) -> None:
    browser = browse()
    page = browser.http.get(f"/j/{browser.here.links[0].code}")
    assert page.status_code == 200
    for table in (tables.identities, tables.sittings, tables.episodes):
        assert browser.here.rows(select(func.count()).select_from(table)) == [(0,)]


def test_an_unknown_link_is_refused_kindly(browse: Open) -> None:
    browser = browse()
    for code in ("0" * 32, "x", "%00", "é", "a" * 3000):
        page = browser.http.get(f"/j/{code}")
        assert page.status_code == 400
        assert "not known here" in page.text
    assert browser.post("/start", code="0" * 32, agree="yes")["kind"] == "problem"


def test_without_open_the_bare_address_invites_nobody(browse: Open) -> None:
    browser = browse()
    assert "invitation" in browser.http.get("/").text
    assert browser.post("/start", code="", agree="yes")["kind"] == "problem"
    assert browser.here.rows(select(func.count()).select_from(tables.sittings)) == [(0,)]


def test_an_open_campaign_lets_anyone_play_each_as_somebody_else(browse: Open) -> None:
    browser = browse(web="open = true")
    first, second = (browser.post("/start", code="", agree="yes") for _ in range(2))
    assert first["token"] != second["token"]
    assert browser.here.rows(select(func.count()).select_from(tables.identities)) == [(2,)]


def test_consent_is_asked_before_anything_is_recorded_and_its_version_is_kept(browse: Open) -> None:
    browser = browse(consent="We study how people guess.\n")
    code = browser.here.links[0].code
    assert "We study how people guess." in browser.http.get(f"/j/{code}").text
    refused = browser.post("/start", code=code)
    assert "tick the box" in refused["message"]
    assert browser.here.rows(select(func.count()).select_from(tables.sittings)) == [(0,)]
    browser.post("/start", code=code, agree="yes")
    [(version,)] = browser.here.rows(select(tables.sittings.c.consent_version))
    assert len(version) == 16


def test_hostile_text_in_the_corpus_stays_text(browse: Open) -> None:
    browser = browse(targets=1)
    hostile = "</p><script>alert(1)</script><img src=x onerror=alert(2)> \" ' {{ 7*7 }}"
    with browser.here.store.write() as connection:
        connection.execute(update(tables.items).values(text=hostile, focus_start=4, focus_end=12))
    again = Browser(Table(browser.here.folder, browser.here.store, 3))
    view = again.begin()
    page = again.http.post("/play", data={"token": view["token"]}).text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "{{ 7*7 }}" in page
    assert "&lt;" in page
    again.http.close()


def test_oversize_and_malformed_bodies_are_refused_and_change_nothing(browse: Open) -> None:
    browser = browse()
    view = browser.begin()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    bodies = [
        b"token=" + b"x" * LARGEST_BODY,
        b"\xff\xfe\xfd",
        b"&".join(b"a=%d" % n for n in range(50)),
        b"%00=%00&token=%00",
        b"{}",
        b"",
    ]
    for body in bodies:
        assert browser.http.post("/guess", content=body, headers=form).status_code == 400
    now = browser.post("/play", token=view["token"])
    assert now["round_id"] == view["round_id"]
    assert browser.here.rows(select(func.count()).select_from(tables.guesses)) == [(0,)]


@pytest.mark.parametrize(
    "path", ["/static/../web.py", "/static/%2e%2e/base.html.j2", "/static/__init__.py/..", "/static//etc/passwd"]
)
def test_static_files_are_only_those_of_the_page(browse: Open, path: str) -> None:
    assert browse().http.get(path).status_code == 404


def test_the_page_lives_under_the_path_of_its_public_url_too(browse: Open) -> None:
    browser = browse(more='[serve]\npublic_url = "https://example.org/play"\n')
    code = browser.here.links[0].code
    page = browser.http.get(f"/play/j/{code}")
    assert page.status_code == 200
    assert 'action="/play/start"' in page.text
    assert browser.http.get("/play/static/app.css").status_code == 200
    assert browser.http.post("/play/start", data={"code": code, "agree": "yes"}).status_code == 200


def test_a_database_that_is_gone_gets_a_kind_page_and_no_traceback(
    browse: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = browse()
    view = browser.begin()

    def gone() -> None:
        raise StoreError("The database postgresql://user:***@host did not answer.")

    monkeypatch.setattr(browser.here.store, "write", gone)
    reply = browser.http.post("/guess", data={"token": view["token"], "round_id": view["round_id"], "guess": "5"})
    assert reply.status_code == 503
    assert "Your answers are safe" in reply.text
    assert "postgresql" not in reply.text
    monkeypatch.undo()
    assert browser.post("/play", token=view["token"])["round_id"] == view["round_id"]


def test_what_an_annotator_writes_is_kept_to_the_letter_and_never_shown_to_others(browse: Open) -> None:
    browser = browse(practice=1, held_out=0, episodes=1)
    view = browser.begin()
    browser.post("/guess", token=view["token"], round_id=view["round_id"], guess="5")
    asked = browser.post("/play", token=view["token"])
    text = '<b>names</b> & "quotes"\r\nتجربة 漢字 =1+1'
    done = browser.post(
        "/answers", token=view["token"], episode_id=asked["episode_id"], fun="5", interest="5", explanation=text
    )
    assert done["kind"] == "done"
    assert browser.here.rows(select(tables.answers.c.explanation)) == [(text,)]
    other = browser.begin(1)
    assert "names" not in browser.http.post("/play", data={"token": other["token"]}).text


@pytest.mark.parametrize("step", ["²", "①", "9" * 5000, "0", "4", "-1", "1.0", ""])
def test_a_warm_up_step_that_is_no_step_goes_on_from_the_current_one(browse: Open, step: str) -> None:
    browser = browse()
    token = browser.post("/start", code=browser.here.links[0].code, agree="yes")["token"]
    view = browser.post("/tutorial", token=token, step=step, guess="5")
    assert (view["kind"], view["round_id"]) == ("round", "1")


def test_a_nul_in_any_field_is_as_if_it_were_not_there(browse: Open) -> None:
    browser = browse()
    view = browser.begin()
    assert "not yours" in browser.post("/guess", token=view["token"], round_id="r_\0", guess="5")["message"]
    assert browser.post("/guess", token=view["token"] + "\0", round_id=view["round_id"], guess="\x005")["guess"] == 5


def test_a_client_that_leaves_in_the_middle_of_a_form_is_no_error_of_ours(browse: Open) -> None:
    browser = browse()
    said: list[str] = []

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        said.append(str(message.get("status", "")))

    scope = {"type": "http", "method": "POST", "path": "/guess", "root_path": "", "query_string": b"", "headers": []}
    asyncio.run(web_app(browser.here.game)(scope, receive, send))
    assert said[0] == "400"


@pytest.mark.parametrize("root", ["", "/play", "/game"])
def test_no_address_redirects_since_that_would_name_a_host_and_a_scheme_that_clients_choose(
    browse: Open, root: str
) -> None:
    browser = browse(web="open = true", more=f'[serve]\npublic_url = "https://example.org{root}"\n')
    http, code = browser.http, browser.here.links[0].code
    for path in (f"{root}/", root or "/", f"{root}/j/{code}", f"{root}/j/{code}/", "/", f"/j/{code}/"):
        assert http.get(path, follow_redirects=False).status_code == 200, path
    for path in (f"{root}/static", f"{root}/healthz/", f"{root}/guess/", "/static", "/healthz/", f"/j/{code}//"):
        assert http.get(path, follow_redirects=False).status_code == 404, path
        assert http.post(path, follow_redirects=False).status_code == 404, path


def test_the_package_files_beside_the_static_ones_are_not_served(browse: Open) -> None:
    http = browse().http
    assert {http.get(f"/static/{name}").status_code for name in ("app.css", "app.js", "icon.svg")} == {200}
    assert http.get("/static/__init__.py").status_code == 404


def test_what_goes_wrong_on_our_side_is_told_to_the_runner_and_not_to_the_annotator(
    browse: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    browser = browse()
    token = browser.begin()["token"]

    def full() -> None:
        raise StoreError("The database sqlite:///campaign.db did not answer: disk is full.")

    monkeypatch.setattr(browser.here.store, "write", full)
    assert "disk" not in browser.http.post("/play", data={"token": token}).text
    assert caplog.messages == ["The database sqlite:///campaign.db did not answer: disk is full."]


def test_a_bug_of_ours_gets_a_kind_page_too(browse: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = browse()
    http = TestClient(web_app(browser.here.game), raise_server_exceptions=False)
    monkeypatch.setattr(browser.here.game, "landing", lambda _code: 1 / 0)
    page = http.get("/j/x")
    assert page.status_code == 503
    assert "try again in a minute" in page.text
    assert page.headers["cache-control"] == "no-store"
    http.close()


def test_a_campaign_that_is_built_anew_under_a_running_server_is_not_played_with_old_questions(
    browse: Open, caplog: pytest.LogCaptureFixture
) -> None:
    browser = browse()
    with browser.here.store.write() as connection:
        connection.execute(update(tables.campaigns).values(build_hash="another"))
    assert browser.begin()["kind"] == "problem"
    assert "imitable serve" in caplog.messages[-1]
    assert browser.here.rows(select(tables.episodes)) == []
    again = Browser(Table(browser.here.folder, browser.here.store, 3))
    assert again.begin()["kind"] == "round"
    again.http.close()


def test_more_people_than_connections_to_a_stuck_database_get_a_kind_page(
    browse: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = browse()
    engine = browser.here.store.engine
    monkeypatch.setattr(engine.pool, "_timeout", 0.01)
    with ExitStack() as stuck:

        def hold_all() -> None:
            for _ in range(100):
                stuck.enter_context(engine.connect())

        with pytest.raises(PoolTimeout):
            hold_all()
        assert browser.http.get(f"/j/{browser.here.links[0].code}").status_code == 503
    assert browser.http.get(f"/j/{browser.here.links[0].code}").status_code == 200


def test_an_error_of_the_database_does_not_name_the_people_in_it(browse: Open) -> None:
    store = browse().here.store
    person = {"annotator_id": "a_1", "platform": "prolific", "platform_id": "5f0c9a", "created_at": datetime.now(UTC)}
    with store.write() as connection:
        connection.execute(insert(tables.identities), person)
    with pytest.raises(IntegrityError) as caught, store.write() as connection:
        connection.execute(insert(tables.identities), person)
    assert "5f0c9a" not in str(caught.value)
