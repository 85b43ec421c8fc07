"""Who asks too fast is told to wait and loses nothing; nobody who plays is ever told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from imitable.campaign.limits import Limits
from imitable.errors import CampaignError
from imitable.game.limits import ADDRESS_AT_ONCE, ARRIVALS_AT_ONCE, SESSION_AT_ONCE, Buckets, Pace, TooFast
from imitable.game.web import web_app
from imitable.store import tables
from imitable.testing import invented_campaign
from playing import Table

if TYPE_CHECKING:
    from conftest import Server

Set = Callable[..., Table]

STRICT = """
[serve.limits]
session_per_second = 0.001
address_per_second = 0.001
arrivals_per_second = 0.001
"""

JSON = {"Accept": "application/json"}


class Hours:
    """A clock in seconds that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def refusals(pace: Pace, host: str, *, requests: int, arriving: bool = False) -> int:
    count = 0
    for _ in range(requests):
        try:
            pace.request(host, arriving=arriving)
        except TooFast:
            count += 1
    return count


# The buckets


def test_a_rested_key_may_hurry_and_then_goes_at_the_pace_it_is_told() -> None:
    clock = Hours()
    buckets = Buckets(2, 10, clock=clock)
    assert [buckets.take("a") for _ in range(10)] == [0] * 10
    assert buckets.take("a") == pytest.approx(0.5)
    assert buckets.take("b") == 0
    clock.now += 0.5
    assert buckets.take("a") == 0
    assert buckets.take("a") == pytest.approx(0.5)
    clock.now += 3600
    assert sum(buckets.take("a") == 0 for _ in range(50)) == 10


def test_who_waits_as_long_as_told_is_let_in_and_asking_meanwhile_costs_nothing() -> None:
    clock = Hours()
    buckets = Buckets(0.1, 1, clock=clock)
    assert buckets.take("a") == 0
    for _ in range(100):
        wait = buckets.take("a")
    clock.now += wait
    assert buckets.take("a") == 0


def test_buckets_do_not_grow_with_strangers() -> None:
    clock = Hours()
    buckets = Buckets(1, 10, most=1000, clock=clock)
    for number in range(50_000):
        buckets.take(str(number))
    assert len(buckets) <= 1000
    clock.now += 100  # all are full again by now
    for number in range(1000):
        buckets.take(f"later {number % 3}")
    assert len(buckets) <= 3


# People


def test_fifty_annotators_behind_one_address_play_as_fast_as_people_can_and_are_never_refused() -> None:
    clock = Hours()
    pace = Pace(Limits(), clock=clock)
    for annotator in range(50):  # all of them in the same minute, and each reloads the first page
        for _ in range(5):
            pace.request("192.0.2.7", arriving=True)
        pace.session(f"s_{annotator}.x")
    for _ in range(600):  # a round takes a second and a half, and two requests
        clock.now += 1.5
        for annotator in range(50):
            for _ in range(2):
                pace.request("192.0.2.7", arriving=False)
                pace.session(f"s_{annotator}.x")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "testclient", None])
def test_whoever_is_on_this_machine_is_not_counted(host: str | None) -> None:
    pace = Pace(Limits(), clock=Hours())
    for _ in range(2 * ADDRESS_AT_ONCE):
        pace.request(host, arriving=True)


def test_an_address_that_floods_is_refused_and_others_are_not() -> None:
    pace = Pace(Limits(), clock=Hours())
    assert refusals(pace, "192.0.2.7", requests=ADDRESS_AT_ONCE + 500) == 500
    assert refusals(pace, "192.0.2.8", requests=10) == 0
    assert refusals(pace, "192.0.2.9", requests=ARRIVALS_AT_ONCE + 20, arriving=True) == 20


def test_all_addresses_of_one_ipv6_host_are_one() -> None:
    pace = Pace(Limits(), clock=Hours())
    assert refusals(pace, "2001:db8::1", requests=ADDRESS_AT_ONCE) == 0
    assert refusals(pace, "2001:db8::2", requests=1) == 1
    assert refusals(pace, "2001:db8:0:1::2", requests=1) == 0


def test_a_network_can_be_left_uncounted() -> None:
    pace = Pace(Limits(unlimited=["198.51.100.0/24"]), clock=Hours())
    assert refusals(pace, "198.51.100.99", requests=2 * ADDRESS_AT_ONCE) == 0
    assert refusals(pace, "127.0.0.1", requests=ADDRESS_AT_ONCE + 1) == 1


def test_an_address_that_is_none_is_named_with_what_to_write(tmp_path: Path) -> None:
    for wrong in ('trusted_proxies = ["localhost"]', 'limits = { unlimited = ["10.0.0.1/8"] }'):
        with pytest.raises(CampaignError, match=r"\[serve\].*must be an address or a network, such as '10\.0\.0\.5'"):
            invented_campaign(tmp_path / "campaign", more=f"[serve]\n{wrong}\n")


# The door


class Client:
    """A client of the web door from somewhere else, that may read JSON."""

    def __init__(self, here: Table, address: str = "192.0.2.7") -> None:
        self.here = here
        self.http = TestClient(web_app(here.game), client=(address, 50000))

    def post(self, path: str, **fields: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.post(path, data=fields, headers=JSON).json()
        return answer


@pytest.fixture
def client(table: Set) -> Iterator[Callable[..., Client]]:
    opened: list[Client] = []

    def build(**settings: Any) -> Client:
        opened.append(Client(table(**settings)))
        return opened[-1]

    yield build
    for one in opened:
        one.http.close()


def test_a_session_that_hammers_is_told_to_wait_and_its_guess_is_taken_later(client: Callable[..., Client]) -> None:
    one = client(more=STRICT.replace("address_per_second = 0.001", "address_per_second = 1e6"))
    token = one.here.sit()
    view = one.post("/play", token=token)
    guess = {"token": token, "round_id": view["round_id"], "guess": "6.5"}
    for _ in range(SESSION_AT_ONCE - 1):
        one.http.post("/guess", data={"token": token})
    for headers, kind in ((JSON, "application/json"), ({}, "text/html; charset=utf-8")):
        refused = one.http.post("/guess", data=guess, headers=headers)
        assert refused.status_code == 429
        assert refused.headers["content-type"] == kind
        assert int(refused.headers["retry-after"]) > 0
        assert "Nothing is lost" in refused.text
        assert refused.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in refused.headers["content-security-policy"]
    assert one.here.rows(select(tables.guesses.c.guess)) == []
    assert one.post("/play", token=one.here.sit(1))["kind"] == "round"  # somebody else behind the same address
    later = Client(one.here)
    assert later.post("/guess", **guess)["guess"] == 6.5
    assert one.here.rows(select(tables.guesses.c.guess)) == [(6.5,)]
    later.http.close()


def test_an_address_that_tries_links_is_slowed_and_who_plays_there_is_not(
    client: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    one = client(more=STRICT.replace("address_per_second = 0.001", "address_per_second = 1e6"))
    token = one.here.sit()
    for number in range(ARRIVALS_AT_ONCE):
        assert one.http.get(f"/j/{number:032x}").status_code == 400
    assert one.http.get(f"/j/{one.here.links[0].code}").status_code == 429
    assert one.http.post("/start", data={"code": one.here.links[1].code, "agree": "yes"}).status_code == 429
    for path in ("/nowhere", "/j/healthz", "/j/livez", "/j/static", "/nowhere/static/app.css"):
        assert one.http.get(path).status_code == 429, path
    assert one.post("/play", token=token)["kind"] == "round"
    assert one.http.get("/static/app.css").status_code == 200
    assert one.http.get("/healthz").status_code == 200
    assert "If it is a proxy of yours, list it in [serve] trusted_proxies" in caplog.messages[0]
    assert "192.0.2.7" not in caplog.text


# Behind a proxy, over a real socket


@pytest.mark.parametrize("trusted", [True, False])
def test_the_word_of_a_proxy_on_the_address_is_taken_only_where_it_is_trusted(
    tmp_path: Path, serving: Callable[..., Server], trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # uvicorn's own; ours is campaign.toml
    proxies = 'trusted_proxies = ["127.0.0.1"]' if trusted else ""
    folder = invented_campaign(tmp_path / "campaign", more=f"[serve]\n{proxies}\n{STRICT}")
    address = serving(folder.path).address
    with httpx.Client(base_url=address) as http:

        def came(forwarded: str) -> int:
            return http.get("/nowhere", headers={"X-Forwarded-For": forwarded}).status_code

        answers = [came("192.0.2.7") for _ in range(ARRIVALS_AT_ONCE + 1)]
        assert answers[-1] == (429 if trusted else 404)
        assert set(answers[:-1]) == {404}
        assert came("127.0.0.1, 192.0.2.7") == (429 if trusted else 404)  # what a client says of itself is before it
        assert came("192.0.2.8") == 404
        assert http.get("/nowhere").status_code == 404
