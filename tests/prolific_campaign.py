"""An invented campaign whose study is on a stand-in for Prolific, and the participants who play it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from imitable.campaign import Folder, open_folder
from imitable.game.views import Done
from imitable.platforms.prolific import Prolific
from imitable.platforms.prolific.client import Api
from imitable.rehearsal.prolific import TOKEN, StandIn, standing_in
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from platform_campaign import PAY, PUBLIC, OnPlatform


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


class OnProlific(OnPlatform[StandIn]):
    """A campaign, its store, and the stand-in that it is published on."""

    name = "prolific"
    platform: Prolific = Prolific()

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

    def play(self, query: Any, **options: Any) -> Done | None:
        """Also by a submission's id: then its participant is sent as Prolific sends them."""
        sent = parse_qsl(urlsplit(self.there.start(query)).query) if isinstance(query, str) else query
        return super().play(dict(sent), **options)

    def finish(self, submission: str, **options: Any) -> str:
        """Play, hand in with the code that the last page shows, and return the code."""
        done = self.play(submission, **options)
        assert done is not None
        assert done.finish is not None
        code = parse_qs(urlsplit(done.finish.url).query)["cc"][0]
        self.there.complete(submission, code)
        return code


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
