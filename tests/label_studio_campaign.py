"""An invented campaign on a real Label Studio: published, played as its door is, and submitted by its annotators."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from imitable.campaign import Folder, open_folder
from imitable.game import Game
from imitable.game.label_studio import names
from imitable.game.label_studio.calls import Call
from imitable.game.label_studio.replies import Replies, Result
from imitable.platforms import Collected, Published
from imitable.platforms.label_studio import LabelStudio
from imitable.platforms.label_studio.refusals import KEY
from imitable.rehearsal.label_studio.accounts import Account, write_accounts
from imitable.store import Store, open_store, tables
from imitable.testing import invented_campaign
from label_studio_server import LabelStudio as Real

ROUNDS = 5
"""Of an episode: three with answers and two without."""

TRUTHS = re.compile(r"(?<![\d.])\d\.\d{6}")
"""As much of a truth as no other number has by chance: Label Studio tells of sizes, too, and of times, whose
microseconds follow two digits.
"""


class _Door(BaseHTTPRequestHandler):
    """What Label Studio asks of a backend when it is told of one."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b'{"status": "UP", "model_class": "imitable", "model_version": "imitable"}'
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def any_door() -> Iterator[str]:
    """A backend that is up, for tests in which nobody plays through it: its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Door)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


_KNOWN: dict[str, list[Account]] = {}


def people(real: Real, number: int) -> list[Account]:
    """So many annotators, the same for every campaign on a server: to make one takes seconds."""
    known = _KNOWN.setdefault(real.url, [])
    known += real.accounts(max(0, number - len(known)))
    return known[:number]


class OnLabelStudio:
    """A campaign, its accounts, and the server that it is published on."""

    def __init__(
        self,
        path: Path,
        real: Real,
        door: str,
        *,
        annotators: int = 2,
        url: str = "",
        accounts: bool = True,
        toml: str = "",
        built: Path | None = None,
        **more: Any,
    ) -> None:
        """`built`: a campaign that was built for real, of which this is a copy; else one is invented."""
        settings = f'[platform.label_studio]\nurl = "{url or real.url}"\nbackend_url = "{door}"\n'
        if accounts:
            settings += 'accounts = "accounts.csv"\n'
        if built is None:
            options = {"targets": 2, "episodes": 2, "practice": 3, "held_out": 2, "key": os.urandom(32), **more}
            self.folder: Folder = invented_campaign(path, more=settings + toml, **options)
        else:
            with (shutil.copytree(built, path) / "campaign.toml").open("a", encoding="utf-8") as file:
                file.write(settings + toml)
            self.folder = open_folder(path)
        self.real = real
        self.people = people(real, annotators)
        write_accounts(path / "accounts.csv", self.people)
        self.platform = LabelStudio()
        self.skew = timedelta(0)
        """How far the game's clock is ahead of the server's."""

    def through(self, url: str) -> None:
        """From now on the server is reached at another address."""
        self.edit(self.real.url, url)

    def edit(self, old: str, new: str) -> None:
        """Change campaign.toml."""
        toml = self.folder.path / "campaign.toml"
        toml.write_text(toml.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        self.folder = open_folder(self.folder.path)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The campaign's record."""
        with closing(open_store(self.folder)) as store:
            yield store

    def publish(self, *, places: int | None = None, dry_run: bool = False) -> Published:
        """As `imitable publish` does it."""
        self.folder = open_folder(self.folder.path)
        with self.store() as store:
            return self.platform.publish(self.folder, store, places=places, dry_run=dry_run)

    def collect(self) -> Collected:
        """As `imitable collect` does it."""
        with self.store() as store:
            return self.platform.collect(self.folder, store)

    def close(self, *, now: bool = False) -> str:
        """As `imitable close` does it."""
        with self.store() as store:
            return self.platform.close(self.folder, store, now=now)

    def tasks(self) -> list[Any]:
        """The published tasks in our record: whose, and where."""
        query = (
            select(tables.tasks, tables.identities.c.platform_id)
            .join(tables.episodes, tables.episodes.c.episode_id == tables.tasks.c.episode_id)
            .join(tables.identities, tables.identities.c.annotator_id == tables.episodes.c.annotator_id)
            .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == tables.episodes.c.episode_id)
            .order_by(tables.identities.c.platform_id, tables.sitting_episodes.c.place)
        )
        with self.store() as store, store.read() as connection:
            return list(connection.execute(query).all())

    def of(self, person: Account, place: int = 0) -> Any:
        """A person's task."""
        return [task for task in self.tasks() if task.platform_id == person.email][place]

    @property
    def project(self) -> int:
        """The project on the server."""
        return int(self.tasks()[0].project)

    def there(self, admin: httpx.Client | None = None) -> list[dict[str, Any]]:
        """The tasks in the project, as the server has them."""
        asked: dict[str, str | int] = {"project": self.project, "page_size": 10000, "fields": "all"}
        answer = (admin or self.real.client()).get("/api/tasks/", params=asked)
        found: list[dict[str, Any]] = answer.json()["tasks"]
        return found

    def everything_is_there_once(self) -> bool:
        """Whether the server has exactly the tasks of our record, under the numbers that we know."""
        ours = sorted((task.task_key, int(task.external_id)) for task in self.tasks())
        return ours == sorted((row["data"][names.KEY], row["id"]) for row in self.there())

    def say(self, person: Account, box: str, text: str, place: int = 0) -> list[Result]:
        """Type something into a box of a task, as the door gets it; returns the page's results."""
        return self.ask(person, self.of(person, place).task_key, box, text)

    def ask(self, person: Account, key: str, box: str, text: str) -> list[Result]:
        """The same, for a task by our own key of it."""
        with self.store() as store:
            door = Replies(Game(self.folder, store, clock=lambda: datetime.now(UTC) + self.skew))
            return door.reply(Call(key, person.email, frozenset({person.email}), {box: text}))

    def play(self, person: Account, guesses: Sequence[str], place: int = 0) -> list[Result]:
        """Begin a task and type these guesses; returns the page's results."""
        page = self.say(person, names.BEGIN, "yes", place)
        for at, text in enumerate(guesses):
            page = self.say(person, names.guess(at + 1), text, place)
        return page

    def answer(self, fun: str = "4", interest: str = "2", explanation: str = "trees") -> list[Result]:
        """The three questions answered on the page."""
        return [
            {"from_name": names.FUN, "to_name": names.INTRO, "type": "choices", "value": {"choices": [fun]}},
            {"from_name": names.INTEREST, "to_name": names.INTRO, "type": "choices", "value": {"choices": [interest]}},
            {
                "from_name": names.EXPLANATION,
                "to_name": names.INTRO,
                "type": "textarea",
                "value": {"text": [explanation]},
            },
        ]

    def submit(self, person: Account, page: Sequence[Result], place: int = 0, **more: Any) -> int:
        """Submit a page as a person's browser does; returns the annotation's number."""
        number = self.of(person, place).external_id
        made = self.real.client(person).post(f"/api/tasks/{number}/annotations", json={"result": list(page), **more})
        assert made.status_code == 201, made.text
        return int(made.json()["id"])

    def sealed(self) -> set[str]:
        """The first digits of every truth whose guess is not committed, and of those that are never shown."""
        query = (
            select(tables.truths.c.truth, tables.truths.c.activation)
            .join(tables.rounds, tables.rounds.c.item_id == tables.truths.c.item_id)
            .outerjoin(tables.guesses, tables.OF_ROUND)
            .where(tables.guesses.c.trial.is_(None) | (tables.rounds.c.phase == "held_out"))
        )
        with self.store() as store, store.read() as connection:
            rows = connection.execute(query).all()
        written = [TRUTHS.match(repr(abs(value))) for row in rows for value in row]
        return {found[0] for found in written if found}

    def guesses(self) -> list[tuple[Any, ...]]:
        """Every committed guess."""
        query = select(tables.guesses.c.episode_id, tables.guesses.c.trial, tables.guesses.c.guess)
        with self.store() as store, store.read() as connection:
            return sorted(tuple(row) for row in connection.execute(query))


def with_key(monkeypatch: Any, real: Real) -> None:
    """From now on the commands act as the server's admin."""
    monkeypatch.setenv(KEY, real.admin.token)
