"""An invented campaign whose study is on a stand-in for Prolific, and the participants who play it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from sqlalchemy import select

from imitable.campaign import Folder, open_folder
from imitable.game import Game
from imitable.game.views import Done, Questions, Reveal, Round
from imitable.platforms import Collected, Published
from imitable.platforms.prolific import Prolific
from imitable.platforms.prolific.client import Api
from imitable.rehearsal.prolific import TOKEN, StandIn, standing_in
from imitable.store import Store, open_store, tables
from imitable.testing import invented_campaign

PUBLIC = "http://127.0.0.1:9"
"""Where the game would be: nobody listens there."""

PAY = '[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\ncap = "4000.00"\n'


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account's token, and little patience."""
    monkeypatch.setenv("PROLIFIC_TOKEN", TOKEN)
    monkeypatch.setattr("imitable.platforms.prolific.client.WAITS", (0.01, 0.01, 0.01))


@pytest.fixture
def there(token: None) -> Iterator[StandIn]:
    """A stand-in of its own."""
    with standing_in() as one:
        yield one


def settings(there: StandIn, more: str = "", *, public: str = PUBLIC) -> str:
    """What campaign.toml needs besides."""
    return (
        f'[serve]\npublic_url = "{public}"\n[platform.prolific]\napi_url = "{there.address}"\n'
        f'completion_url = "{there.address}/submissions/complete"\n{more}\n'
    )


class OnProlific:
    """A campaign, its store, and the stand-in that it is published on."""

    def __init__(self, there: StandIn, folder: Folder, store: Store) -> None:
        self.there = there
        self.folder = folder
        self.store = store
        self.platform = Prolific()

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
    def study(self) -> dict[str, Any]:
        """The one study that the stand-in has."""
        [only] = self.there.state()["studies"]
        found: dict[str, Any] = only
        return found

    def arrive(self, count: int = 1) -> list[tuple[str, str]]:
        """Participants who have taken a place: they and their submissions."""
        study = self.study["id"]
        return [(person, self.there.reserve(person, study)) for person in self.there.participants(count)]

    def play(self, submission: str, *, rounds: int | None = None, stop: bool = False, query: Any = None) -> Done | None:
        """Play a submission's sitting to its end, or so many rounds; with `stop`, stop there."""
        query = query or dict(parse_qsl(urlsplit(self.there.start(submission)).query))
        game = Game(self.folder, self.store)
        landing = game.arrival(game.entry("prolific", query))
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

    def finish(self, submission: str, **options: Any) -> str:
        """Play, hand in with the code that the last page shows, and return the code."""
        done = self.play(submission, **options)
        assert done is not None
        assert done.finish is not None
        code = parse_qs(urlsplit(done.finish.url).query)["cc"][0]
        self.there.complete(submission, code)
        return code

    def pseudonym(self, participant: str) -> str:
        return self.folder.annotator_id("prolific", participant)

    def rows(self, table: Any) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(select(table)).all())


@contextmanager
def campaign_on(
    there: StandIn, path: Path, more: str = "", *, pay: str = PAY, public: str = PUBLIC, **options: Any
) -> Iterator[OnProlific]:
    """A campaign for this stand-in; `more` stands in [platform.prolific]."""
    folder = invented_campaign(path, more=settings(there, more, public=public) + pay, **options)
    with closing(open_store(folder)) as store:
        yield OnProlific(there, folder, store)


def rewritten(here: OnProlific, old: str, new: str) -> Folder:
    """The folder, after a change of campaign.toml."""
    path = here.folder.path / "campaign.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return open_folder(here.folder.path)


def decide(there: StandIn, submission: str, **fields: str) -> None:
    """What a researcher does with a submission in Prolific's own pages."""
    api = Api(there.address, TOKEN)
    api.post(f"/submissions/{submission}/transition/", dict(fields))
    api.close()


def of_sittings(here: OnProlific) -> dict[str, Any]:
    """Sittings by submission."""
    return {row.submission: row for row in here.rows(tables.sittings)}
