"""People whom a platform sends: Prolific's addresses, signed and unsigned, and MTurk-style frames."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import func, select
from starlette.testclient import TestClient

from imitable.campaign.mturk import MTurk
from imitable.game.finishing import receipt
from imitable.game.signed_links import ISSUER
from imitable.game.web import web_app
from imitable.money.earned import earned
from imitable.store import tables
from playing import Table

Set = Callable[..., Table]

PERSON, STUDY, SESSION = "6".ljust(24, "a"), "5".ljust(24, "b"), "4".ljust(24, "c")
IDS = {"PROLIFIC_PID": PERSON, "STUDY_ID": STUDY, "SESSION_ID": SESSION}
SITE = "https://worker.example"
HIT = {"assignmentId": "ASSIGN1", "hitId": "HIT1", "workerId": "AWORKER1", "turkSubmitTo": f"{SITE}/"}
PROLIFIC = "[platform.prolific]\n"
MTURK = f'[platform.mturk]\nworker_sites = ["{SITE}/tasks"]\n'


class Caller:
    """A client that reads JSON."""

    def __init__(self, here: Table) -> None:
        self.here = here
        self.http = TestClient(web_app(here.game), headers={"Accept": "application/json"})

    def get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get(f"{path}?{urlencode(query)}").json()
        return answer

    def post(self, path: str, **fields: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.post(path, data=fields).json()
        return answer

    def enter(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        """Come by an address and press the button."""
        landing = self.get(path, query)
        assert landing["kind"] == "landing", landing
        return self.post("/start", code=landing["code"], agree="yes")

    def play(self, view: dict[str, Any], *, rounds: int = 1000) -> dict[str, Any]:
        """Play on, so many rounds of the real game at most."""
        token = view["token"]
        while view["kind"] != "done" and rounds:
            match view["kind"]:
                case "round" if view["tutorial"]:
                    view = self.post("/tutorial", token=token, step=view["round_id"], guess="5")
                case "round":
                    rounds -= 1
                    view = self.post("/guess", token=token, round_id=view["round_id"], guess="5")
                case "reveal":
                    view = self.post("/play", token=token)
                case "questions":
                    view = self.post("/answers", token=token, episode_id=view["episode_id"], fun="3", interest="3")
        return view

    def count(self, table: Any) -> int:
        return int(self.here.rows(select(func.count()).select_from(table))[0][0])


@pytest.fixture
def call(table: Set) -> Iterator[Callable[..., Caller]]:
    opened: list[Caller] = []

    def build(more: str, **settings: Any) -> Caller:
        opened.append(Caller(table(more=more, **settings)))
        return opened[-1]

    yield build
    for caller in opened:
        caller.http.close()


Call = Callable[..., Caller]


class Signer:
    """A platform's key and the address where it publishes it."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        body = json.dumps({"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]}).encode()
        self.asked = 0
        self.answers = threading.Event()
        self.answers.set()
        signer = self

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                signer.asked += 1
                signer.answers.wait(5)
                self.send_response(200)
                self.end_headers()
                with suppress(BrokenPipeError):  # who asked did not wait
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/.well-known/study/jwks.json"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def sign(self, ids: dict[str, str] = IDS, *, key: Any = None, algorithm: str = "RS256", **claims: Any) -> str:
        said = {
            "iss": ISSUER,
            "aud": "https://play.example/prolific",
            "sub": ids["SESSION_ID"],
            "exp": time.time() + 300,
            "prolific": {**ids, "workspace_id": "w"},
            **claims,
        }
        return jwt.encode(said, self.key if key is None else key, algorithm=algorithm, headers={"kid": "one"})


@pytest.fixture(scope="module")
def signer() -> Iterator[Signer]:
    made = Signer()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_prolific_participant_plays_to_the_end_and_is_sent_back_with_the_code(call: Call) -> None:
    here = call(PROLIFIC)
    end = here.play(here.enter("/prolific", IDS))
    code = end["finish"]["code"]
    assert end["kind"] == "done"
    assert end["finish"]["url"] == f"https://app.prolific.com/submissions/complete?cc={code}"
    assert len(code) == 8
    row = here.here.rows(select(tables.sittings))[0]
    assert (row.platform, row.submission, row.study, row.proven) == ("prolific", SESSION, STUDY, False)
    assert here.get("/prolific", IDS)["finish"] == end["finish"], "the last page is there again for who lost it"
    page = here.http.get(f"/prolific?{urlencode(IDS)}", headers={"Accept": "text/html"}).text
    assert f'href="{end["finish"]["url"]}"' in page


def test_who_stops_early_is_sent_back_with_a_code_of_its_own(call: Call) -> None:
    here = call(PROLIFIC + 'completion_code = "DONE1234"\nstopped_code = "PART1234"\n')
    view = here.enter("/prolific", IDS)
    assert here.post("/stop", token=view["token"])["finish"]["code"] == "PART1234"
    other = here.enter("/prolific", {**IDS, "PROLIFIC_PID": "7" * 24, "SESSION_ID": "8" * 24})
    assert here.play(other)["finish"]["code"] == "DONE1234"


def test_unsigned_ids_resume_and_show_nothing_that_was_answered_before(call: Call) -> None:
    here = call(PROLIFIC, practice=3)
    view = here.enter("/prolific", IDS)
    answered = here.play(view, rounds=2)
    assert answered["kind"] == "reveal"
    here.here.clock.move(minutes=1)
    assert here.get("/prolific", IDS)["resumed"] is True
    back = here.enter("/prolific", IDS)
    assert back["kind"] == "round"
    assert back["tutorial"] is False
    assert back["token"] != view["token"]
    assert back["history"] == []
    first = here.here.rows(select(tables.rounds.c.round_id).where(tables.rounds.c.trial == 1))[0][0]
    again = here.post("/guess", token=back["token"], round_id=first, guess="5")
    assert again["kind"] == "round"
    assert again["history"] == []
    assert "truth" not in again
    assert here.count(tables.sittings) == 1


def test_unsigned_ids_are_let_in_again_only_so_often(call: Call) -> None:
    here = call(PROLIFIC)
    replies = [here.enter("/prolific", IDS)["kind"] for _ in range(30)]
    assert replies[:21] == ["round"] * 21
    assert "problem" in replies[21:]
    other = {**IDS, "PROLIFIC_PID": "7" * 24, "SESSION_ID": "8" * 24}
    assert here.enter("/prolific", other)["kind"] == "round", "somebody else is not made to wait"


def test_nobody_takes_over_a_session_with_another_participants_id(call: Call) -> None:
    here = call(PROLIFIC)
    theirs = {**IDS, "PROLIFIC_PID": "7" * 24}
    landing = here.get("/prolific", theirs)
    view = here.enter("/prolific", IDS)
    replies = [here.post("/start", code=landing["code"], agree="yes"), here.get("/prolific", theirs)]
    end = here.play(view)
    replies += [here.post("/start", code=landing["code"], agree="yes"), here.get("/prolific", theirs)]
    for reply in replies:
        assert reply["kind"] == "problem"
        assert "somebody else" in reply["message"]
        assert end["finish"]["code"] not in str(reply)
    assert here.count(tables.identities) == 1


@pytest.mark.parametrize("name", list(IDS))
@pytest.mark.parametrize("value", ["", "{{%PROLIFIC_PID%}}", "a b", "<script>", "x" * 65, "é"])
def test_an_address_without_usable_ids_says_so_and_records_nothing(call: Call, name: str, value: str) -> None:
    here = call(PROLIFIC)
    reply = here.get("/prolific", {**IDS, name: value})
    assert reply["kind"] == "problem"
    assert name in reply["message"]
    assert here.count(tables.sittings) == 0


def test_a_platform_that_the_campaign_does_not_name_has_no_door(call: Call) -> None:
    here = call("")
    assert "not offered" in here.get("/prolific", IDS)["message"]
    assert "not offered" in here.get("/mturk", HIT)["message"]


def test_another_study_is_refused(call: Call) -> None:
    here = call(PROLIFIC + f'study_id = "{STUDY}"\n')
    assert here.enter("/prolific", IDS)["kind"] == "round"
    assert "another study" in here.get("/prolific", {**IDS, "STUDY_ID": "9" * 24})["message"]


def test_a_ticket_is_not_forged_nor_used_the_next_day(call: Call) -> None:
    here = call(PROLIFIC)
    ticket = here.get("/prolific", IDS)["code"]
    said, _, proof = ticket.rpartition(".")
    for forged in (f"{said}.{proof[:-1]}0", f"{said[:-1]}A.{proof}", "t..", "t.", f"t.{proof}"):
        assert here.post("/start", code=forged, agree="yes")["kind"] == "problem", forged
    here.here.clock.move(hours=13)
    assert "too long" in here.post("/start", code=ticket, agree="yes")["message"]
    assert here.count(tables.sittings) == 0


def secure(signer: Signer) -> str:
    return f'[serve]\npublic_url = "https://play.example"\n{PROLIFIC}secure = true\nkeys_url = "{signer.url}"\n'


def test_a_signed_address_is_let_in_and_looks_back_as_far_as_it_likes(call: Call, signer: Signer) -> None:
    here, before = call(secure(signer), practice=3), signer.asked
    signed = {**IDS, "prolific_token": signer.sign()}
    view = here.enter("/prolific", signed)
    here.play(view, rounds=2)
    here.here.clock.move(minutes=1)
    back = here.enter("/prolific", signed)
    assert len(back["history"]) == 2
    assert here.here.rows(select(tables.sittings.c.proven)) == [(True,)]
    assert signer.asked == before + 1, "the keys are kept"


def test_an_address_that_prolific_did_not_sign_for_this_person_is_refused(call: Call, signer: Signer) -> None:
    here = call(secure(signer))
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    theirs = {**IDS, "PROLIFIC_PID": "7" * 24}
    bad = {
        "absent": "",
        "no token": "x.y.z",
        "another key": signer.sign(key=other),
        "no signature": signer.sign(key="", algorithm="none"),
        "the public key as a secret": signer.sign(key="secret" * 8, algorithm="HS256"),
        "too old": signer.sign(exp=time.time() - 60),
        "without end": signer.sign(exp=None),
        "another issuer": signer.sign(iss="https://www.prolific.example"),
        "another site": signer.sign(aud="https://other.example/prolific"),
        "another person": signer.sign(theirs),
        "another session": signer.sign(sub="1" * 24),
        "no ids": signer.sign(prolific="none"),
    }
    for what, token in bad.items():
        reply = here.get("/prolific", {**IDS, "prolific_token": token})
        assert reply["kind"] == "problem", what
        assert "Prolific" in reply["message"], what
    assert here.count(tables.sittings) == 0


def test_when_the_keys_cannot_be_had_the_participant_is_asked_to_try_again(call: Call, signer: Signer) -> None:
    here = call(secure(signer).replace(signer.url, "http://127.0.0.1:9/jwks.json"))
    reply = here.http.get(f"/prolific?{urlencode({**IDS, 'prolific_token': signer.sign()})}")
    assert reply.status_code == 503
    assert "try again" in reply.json()["message"]


@pytest.mark.parametrize("silent", [True, False])
def test_addresses_with_made_up_keys_ask_prolific_once_for_all(call: Call, signer: Signer, silent: bool) -> None:
    here = call(secure(signer))
    honest = {**IDS, "prolific_token": signer.sign()}
    assert here.get("/prolific", honest)["kind"] == "landing"
    before = signer.asked
    forged = {**IDS, "prolific_token": jwt.encode({}, signer.key, algorithm="RS256", headers={"kid": "made-up"})}
    links = here.here.game.signed_links
    assert links is not None
    keys = links._keys
    keys.again_at, keys.timeout, keys.cooldown_duration = 0, 0.5, 0  # a while later
    if silent:
        signer.answers.clear()
    try:
        with ThreadPoolExecutor(8) as hostile:
            asked = [hostile.submit(here.http.get, f"/prolific?{urlencode(forged)}") for _ in range(8)]
            assert here.get("/prolific", honest)["kind"] == "landing"
            assert {one.result().status_code for one in asked} == {503 if silent else 400}
        assert signer.asked == before + 1
    finally:
        signer.answers.set()


def test_nobody_waits_for_the_keys_that_somebody_elses_address_needs(call: Call, signer: Signer) -> None:
    here, before = call(secure(signer)), signer.asked
    signer.answers.clear()
    signed = {**IDS, "prolific_token": signer.sign()}
    waiting = threading.Thread(target=here.get, args=("/prolific", signed))
    waiting.start()
    try:
        while signer.asked == before:
            time.sleep(0.01)
        assert here.post("/start", code=here.here.links[0].code, agree="yes")["kind"] == "round"
        assert waiting.is_alive()
    finally:
        signer.answers.set()
        waiting.join()


def test_a_worker_plays_a_hit_and_submits_it_where_it_came_from(call: Call) -> None:
    here = call(MTURK)
    end = here.play(here.enter("/mturk", HIT))
    row = here.here.rows(select(tables.sittings))[0]
    assert (row.platform, row.submission, row.study, row.return_to) == ("mturk", "ASSIGN1", "HIT1", SITE)
    assert end["finish"]["url"] == f"{SITE}/mturk/externalSubmit"
    proof = receipt(here.here.folder, row.sitting_id)
    assert end["finish"]["fields"] == [["assignmentId", "ASSIGN1"], ["receipt", proof]]


def test_who_has_not_accepted_sees_a_preview_and_nothing_is_recorded(call: Call) -> None:
    here = call(MTURK)
    for ids in ({"assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE", "hitId": "HIT1"}, {}):
        landing = here.get("/mturk", ids)
        assert (landing["kind"], landing["preview"], landing["code"]) == ("landing", True, "")
        page = here.http.get(f"/mturk?{urlencode(ids)}", headers={"Accept": "text/html"}).text
        assert "preview" in page
        assert "/start" not in page
        assert "your id on the site" in page
    assert here.post("/start", code="", agree="yes")["kind"] == "problem"
    assert here.count(tables.sittings) == 0


@pytest.mark.parametrize(
    "site",
    [
        "",
        "https://evil.example",
        "https://worker.example.evil.example",
        "https://worker.example@evil.example/",
        "http://worker.example",
        "https://worker.example:444",
        "javascript:alert(1)",
        "//worker.example",
        "https://[",
    ],
)
def test_a_site_that_is_not_named_gets_no_submission(call: Call, site: str) -> None:
    here = call(MTURK)
    reply = here.get("/mturk", {**HIT, "turkSubmitTo": site})
    assert reply["kind"] == "problem"
    assert "own site" in reply["message"]


def test_a_hit_that_is_returned_and_taken_by_another_is_another_sitting(call: Call) -> None:
    here = call(MTURK)
    first = here.enter("/mturk", HIT)
    second = here.enter("/mturk", {**HIT, "workerId": "AWORKER2"})
    assert (first["history"], second["history"]) == ([], [])
    rows = here.here.rows(select(tables.sittings.c.annotator_id, tables.sittings.c.submission))
    assert len({row.annotator_id for row in rows}) == 2
    assert {row.submission for row in rows} == {"ASSIGN1"}


def test_only_the_sites_named_may_frame_the_pages_and_be_sent_a_form(call: Call) -> None:
    here = call(MTURK)
    view = here.enter("/mturk", HIT)
    replies = [here.http.get(f"/mturk?{urlencode(HIT)}"), here.http.post("/play", data={"token": view["token"]})]
    nonces = set()
    for reply in replies:
        policy = dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))
        assert policy["frame-ancestors"] == SITE
        assert policy["form-action"] == f"'self' {SITE}"
        nonces.add(policy["script-src"])
        assert "x-frame-options" not in reply.headers
        assert reply.headers["referrer-policy"] == "strict-origin"
        assert "set-cookie" not in reply.headers
    assert len(nonces) == 2


def test_who_was_given_nothing_to_play_has_finished_nothing_and_gets_no_code(call: Call) -> None:
    pay = '[pay]\nbase = "3.00"\n'
    here = call(pay + PROLIFIC, targets=1, episodes=1)
    assert here.play(here.enter("/prolific", IDS))["finish"]
    for number in range(3):  # the same person with more submissions has played everything
        end = here.play(here.enter("/prolific", {**IDS, "SESSION_ID": f"more{number}"}))
        assert (end["kind"], end["nothing_left"], end["finish"], end["pay"]) == ("done", True, None, "")
        assert here.get("/prolific", {**IDS, "SESSION_ID": f"more{number}"})["kind"] == "landing", (
            "a place may be free later"
        )
    with here.here.store.read() as connection:
        owed = [(one.kind, str(one.amount)) for one in earned(connection, here.here.folder)]
    assert owed == [("base", "3.00 USD"), ("bonus", "0.00 USD")]
    page = here.http.post("/play", data={"token": end["token"]}, headers={"Accept": "text/html"}).text
    assert "Nothing is left to play" in page
    assert "All done" not in page


def test_a_worker_who_played_one_hit_is_turned_away_from_the_next(call: Call) -> None:
    here = call(MTURK)
    begun = here.enter("/mturk", HIT)
    other = {**HIT, "assignmentId": "ASSIGN2", "hitId": "HIT2"}
    ticket = here.get("/mturk", other)["code"]
    here.play(begun)
    assert "can take part once" in here.get("/mturk", other)["message"]
    assert "can take part once" in here.post("/start", code=ticket, agree="yes")["message"], "it was opened before"
    assert here.get("/mturk", HIT)["kind"] == "done", "the last page can still be handed in"
    assert here.get("/mturk", {**other, "workerId": "AWORKER2"})["kind"] == "landing"
    assert here.count(tables.sittings) == 1


def test_who_gives_a_hit_back_unfinished_may_take_another(call: Call) -> None:
    here = call(MTURK)
    here.enter("/mturk", HIT)
    assert here.play(here.enter("/mturk", {**HIT, "assignmentId": "ASSIGN2"}))["finish"]


def test_places_are_counted_for_each_platform(call: Call) -> None:
    here = call(PROLIFIC + "annotators_per_target = 1\n", targets=1, episodes=1, annotators_per_target=1)
    here.play(here.enter("/prolific", IDS))
    other = here.enter("/prolific", {**IDS, "PROLIFIC_PID": "7" * 24, "SESSION_ID": "8" * 24})
    assert here.play(other)["nothing_left"], "Prolific's only place is taken"
    link = here.post("/start", code=here.here.links[0].code, agree="yes")
    assert here.play(link)["guesses"] == 5


def test_a_worker_site_on_this_machine_may_frame_under_both_of_its_names() -> None:
    assert MTurk(endpoint_url="http://127.0.0.1:5997").sites == ["http://127.0.0.1:5997", "http://localhost:5997"]
    assert MTurk(endpoint_url="https://mturk.example").sites == ["https://mturk.example"]
    assert MTurk(endpoint_url="https://mturk.example", worker_sites=["https://w.example/x"]).sites == [
        "https://w.example"
    ]
