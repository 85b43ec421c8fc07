"""An invented campaign whose HITs are on a stand-in for Mechanical Turk, and the workers who play them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import insert

from imitable.game.finishing import receipt
from imitable.game.sessions import sitting_id_of
from imitable.money.amounts import Money
from imitable.money.earned import Owed
from imitable.money.ledger import oblige
from imitable.platforms.mturk import MTurk
from imitable.rehearsal.mturk import KEY, SECRET, StandIn, standing_in
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from platform_campaign import PAY, PUBLIC, OnPlatform

START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account's keys, as boto3 finds them, nothing else of this machine's, and little patience."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_MTURK", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setattr("imitable.platforms.mturk.client.WAITS", (0.01, 0.01, 0.01))
    monkeypatch.setattr("imitable.platforms.mturk.client.READS", 3)
    monkeypatch.setattr("imitable.platforms.mturk.payer.SLOWER", 0.0)


@pytest.fixture
def there(credentials: None) -> Iterator[StandIn]:
    """A stand-in of its own."""
    with standing_in() as one:
        yield one


def settings(there: StandIn, more: str = "", *, public: str = PUBLIC) -> str:
    """What campaign.toml needs besides."""
    return f'[serve]\npublic_url = "{public}"\n[platform.mturk]\nendpoint_url = "{there.address}"\n{more}\n'


class OnMTurk(OnPlatform[StandIn]):
    """A campaign, its store, and the stand-in that it is published on."""

    name = "mturk"
    platform: MTurk = MTurk()

    @property
    def hits(self) -> list[dict[str, Any]]:
        """Those that the stand-in has, in the order in which they were made."""
        found: list[dict[str, Any]] = self.there.state()["hits"]
        return found

    def sizes(self) -> list[int]:
        return [int(hit["MaxAssignments"]) for hit in self.hits]

    def accept(self, worker: str = "", *, hit: int = 0) -> tuple[str, str, dict[str, str]]:
        """A worker, the assignment that they took, and the query with which our page is framed."""
        worker = worker or self.there.workers(1)[0]
        assignment, url = self.there.accept(worker, self.hits[hit]["HITId"])
        return worker, assignment, dict(parse_qsl(urlsplit(url).query))

    def finish(self, worker: str = "", *, hit: int = 0, **options: Any) -> tuple[str, str]:
        """Accept, play, and hand in with the form of the last page: the worker and the assignment."""
        worker, assignment, query = self.accept(worker, hit=hit)
        done = self.play(query, **options)
        assert done is not None
        assert done.finish is not None
        fields = dict(done.finish.fields)
        assert fields.pop("assignmentId") == assignment
        self.there.submit(assignment, fields)
        return worker, assignment


@contextmanager
def campaign_on(
    there: StandIn, path: Path, more: str = "", *, pay: str = PAY, public: str = PUBLIC, **options: Any
) -> Iterator[OnMTurk]:
    """A campaign for this stand-in; `more` stands in [platform.mturk]."""
    folder = invented_campaign(path, more=settings(there, more, public=public) + pay, **options)
    with closing(open_store(folder)) as store:
        yield OnMTurk(there, folder, store)


def owe(here: OnMTurk, people: int) -> dict[str, int]:
    """Let so many workers hand in, and owe them base and bonus; what they are owed as a bonus, by assignment."""
    made: dict[str, int] = {}
    hit = here.hits[0]["HITId"]
    for number, worker in enumerate(here.there.workers(people)):
        assignment, _url = here.there.accept(worker, hit)
        key = f"{assignment} {worker}"
        sitting = sitting_id_of(here.folder, "mturk", key)
        here.there.submit(assignment, {"receipt": receipt(here.folder, sitting)})
        who, made[assignment] = here.pseudonym(worker), 1 + number % 90
        with here.store.write() as connection:
            row = {"annotator_id": who, "platform": "mturk", "platform_id": worker, "created_at": START}
            connection.execute(insert(tables.identities).values(row))
            for kind, minor in (("base", 300), ("bonus", made[assignment])):
                assert oblige(
                    connection,
                    here.folder,
                    Owed(sitting, who, "mturk", key, kind, Money(minor, "USD"), {}),
                    now=START,
                )
    return made
