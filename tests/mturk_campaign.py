"""An invented campaign whose HITs are on a stand-in for Mechanical Turk, and the workers who play them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import select

from imitable.campaign import Folder
from imitable.game import Game
from imitable.game.views import Done, Questions, Reveal, Round
from imitable.platforms import Collected, Published
from imitable.platforms.mturk import MTurk
from imitable.rehearsal.mturk import KEY, SECRET, StandIn, standing_in
from imitable.store import Store, open_store
from imitable.testing import invented_campaign

PUBLIC = "http://127.0.0.1:9"
"""Where the game would be: nobody listens there."""

PAY = '[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\ncap = "4000.00"\n'


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
    """What campaign.toml needs besides. The frames are on another name of this machine than the API."""
    here = there.address
    sites = f'["{here}", "{here.replace("127.0.0.1", "localhost")}"]'
    return (
        f'[serve]\npublic_url = "{public}"\n[platform.mturk]\nendpoint_url = "{here}"\nworker_sites = {sites}\n{more}\n'
    )


class OnMTurk:
    """A campaign, its store, and the stand-in that it is published on."""

    def __init__(self, there: StandIn, folder: Folder, store: Store) -> None:
        self.there = there
        self.folder = folder
        self.store = store
        self.platform = MTurk()

    def publish(self, places: int | None = 3, *, dry_run: bool = False) -> Published:
        return self.platform.publish(self.folder, self.store, places=places, dry_run=dry_run)

    def collect(self) -> Collected:
        return self.platform.collect(self.folder, self.store)

    def found(self) -> list[tuple[str, str]]:
        """Kind and pseudonym of everything that differs."""
        return [(one.kind, one.annotator_id) for one in self.collect().findings]

    def close(self, *, now: bool = False) -> str:
        return self.platform.close(self.folder, self.store, now=now)

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

    def play(self, query: Mapping[str, str], *, rounds: int | None = None, stop: bool = False) -> Done | None:
        """Play a framed page's sitting to its end, or so many rounds; with `stop`, stop there."""
        game = Game(self.folder, self.store)
        landing = game.arrival(game.entry("mturk", query))
        assert landing.kind == "landing"
        token = game.start(landing.code, agreed=True)  # type: ignore[union-attr]
        view = game.view(token)
        while not isinstance(view, Done):
            match view:
                case Round() if view.tutorial:
                    view = game.tutorial(token, view.round_id, "5")
                case Round():
                    if rounds == 0:
                        view = game.stop(token) if stop else view
                        return view if isinstance(view, Done) else None
                    rounds = None if rounds is None else rounds - 1
                    view = game.guess(token, view.round_id, "5")
                case Reveal():
                    view = game.view(token)
                case Questions():
                    view = game.answer(token, view.episode_id, fun="4", interest="2", explanation="")
        return view

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

    def pseudonym(self, worker: str) -> str:
        return self.folder.annotator_id("mturk", worker)

    def rows(self, table: Any) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(select(table)).all())


@contextmanager
def campaign_on(
    there: StandIn, path: Path, more: str = "", *, pay: str = PAY, public: str = PUBLIC, **options: Any
) -> Iterator[OnMTurk]:
    """A campaign for this stand-in; `more` stands in [platform.mturk]."""
    folder = invented_campaign(path, more=settings(there, more, public=public) + pay, **options)
    with closing(open_store(folder)) as store:
        yield OnMTurk(there, folder, store)
