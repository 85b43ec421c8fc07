"""Non-interference: what is not yet committed cannot influence one byte of what is sent.

The same campaign is served twice by a real server, with ids and clock fixed. In the second serving every truth that
is not committed by then is replaced. All bytes up to each commit must be equal: status lines, headers, bodies, logs.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import uvicorn
from sqlalchemy import insert, select, update
from starlette.routing import Route

from imitable.campaign import open_folder
from imitable.game import Game
from imitable.game.label_studio import names
from imitable.game.web import web_app
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from labelling import ANN, BOB, Page, published
from playing import Table

PRACTICE, HELD_OUT, EPISODES = 3, 2, 2
ROUNDS = PRACTICE + HELD_OUT + 2
"""Of an episode, with an attention check and a practice item that comes again."""


PLATFORMS = '[platform.prolific]\n[platform.mturk]\nworker_sites = ["https://worker.example"]\n'
PLATFORMS += "[platform.label_studio]\n"
IDS = {"PROLIFIC_PID": "a" * 24, "STUDY_ID": "b" * 24, "SESSION_ID": "c" * 24}


class Wire:
    """A campaign served by uvicorn on a real port, spoken to byte by byte."""

    def __init__(self, port: int, code: str, *, accept: str, paths: list[str]) -> None:
        self.port, self.code, self.accept = port, code, accept
        self.paths = paths
        """Every address that the door has."""
        self.sent: list[bytes] = []
        """Every reply, raw, in order."""
        self.commits: list[int] = []
        """Number of replies that were sent before each commit's reply."""
        self.token = ""

    def ask(self, method: str, path: str, body: bytes = b"", more: str = "") -> str:
        request = (
            f"{method} {path} HTTP/1.1\r\nHost: test\r\nAccept: {self.accept}\r\nConnection: close\r\n{more}"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(request)
            reply = b""
            while part := connection.recv(65536):
                reply += part
        self.sent.append(reply)
        return reply.partition(b"\r\n\r\n")[2].decode()

    def post(self, path: str, **fields: str) -> str:
        return self.ask("POST", path, urlencode(fields).encode())

    def find(self, body: str, name: str) -> str:
        """A field of the reply, in either form."""
        if self.accept == "application/json":
            return str(json.loads(body).get(name, ""))
        found = re.search(rf'name="{name}"[^>]*value="([^"]*)"', body)
        return found[1] if found else ""

    def play(self) -> None:
        """A whole sitting, with everything that a curious or hostile client tries on the way."""
        self.ask("GET", f"/j/{self.code}")
        body = self.post("/start", code=self.code, agree="yes")
        self.token = self.find(body, "token")
        for step in "123":
            self.post("/tutorial", token=self.token, step=step, guess="5")
        old: list[str] = []
        for number in range(EPISODES * ROUNDS):
            body = self.post("/play", token=self.token)
            asked = self.find(body, "round_id")
            self.probe(asked, old)
            self.commits.append(len(self.sent))
            self.post("/guess", token=self.token, round_id=asked, guess=str(number % 10))
            old.append(asked)
            if (number + 1) % ROUNDS == 0:
                body = self.post("/play", token=self.token)
                self.post("/answers", token=self.token, episode_id=self.find(body, "episode_id"), fun="3", interest="3")
        self.post("/play", token=self.token)

    def probe(self, asked: str, old: list[str]) -> None:
        self.post("/play", token=self.token)
        self.post("/guess", token=self.token, round_id=asked, guess="11")
        self.post("/guess", token=self.token, round_id=asked, guess="none")
        self.post("/guess", token=self.token, round_id=asked[::-1], guess="5")
        self.post("/guess", token="", round_id=asked, guess="5")
        self.post("/answers", token=self.token, episode_id="e_0", fun="1", interest="1")
        self.ask("GET", f"/j/{self.code}")
        self.ask("GET", f"/truths/{asked}")
        self.ask("POST", "/guess", b"\xff\xfe=&&&")
        given = {"round_id": asked, "step": "2", "guess": "5", "episode_id": "e_0", "fun": "1", "interest": "1", **IDS}
        for path in self.paths:
            if names.DOOR in path:  # asked below, in the midst of an episode played there
                continue
            moves = path.endswith(("/guess", "/stop"))  # with the token these would go on, or end
            for token in (f"{self.token}0",) if moves else (f"{self.token}0", self.token):
                fields = urlencode({"token": token, "code": "t.x.y", **given})
                for method in ("GET", "HEAD", "OPTIONS", "POST"):
                    self.ask(method, f"{path}?{fields}", b"" if method == "HEAD" else fields.encode())
        for round_id in old[-2:]:
            self.post("/guess", token=self.token, round_id=round_id, guess="9")


class LabelStudio(Wire):
    """The same campaign's other door: what a stock Label Studio sends us, for two annotators of whom one plays."""

    pages: list[Page]
    other: Page

    def play(self) -> None:
        old: list[str] = []
        for page in self.pages:
            self.probe_page(page, old)
            self.call(page, begin="yes")
            for trial in range(1, ROUNDS + 1):
                self.probe_page(page, old)
                self.commits.append(len(self.sent))
                self.call(page, **{names.guess(trial): str(trial % 10)})
            old.append(page.task["data"][names.KEY])
        self.call(page)

    def call(self, page: Page, *, wrong: str = "", **typed: str) -> None:
        head = f"Authorization: {page.headers['Authorization'][: -4 if wrong else None]}\r\n"
        self.ask("POST", names.PREDICT, page.body(**typed), head)

    def probe_page(self, page: Page, old: list[str]) -> None:
        """Everything that a curious annotator, or Label Studio by itself, sends on the way."""
        task = page.task
        self.call(page)
        self.call(page, wrong="password", guess1="5")
        for trial in range(1, ROUNDS + 1):
            self.call(page, **{names.guess(trial): "no number"})
        for drafts in ([], [{"user": BOB}], [{"user": ANN}, {"user": BOB}]):
            page.task = task | {"drafts": drafts}
            self.call(page, **{names.guess(trial): "5" for trial in range(1, ROUNDS + 1)})
        for key in (*old[-1:], "t_0123456789abcdef", self.other.task["data"][names.KEY]):
            page.task = task | {"data": {names.KEY: key, names.ANNOTATOR: ANN}}
            self.call(page, guess1="x")
        page.task = task
        self.call(self.other, begin="yes")
        self.call(self.other, guess3="5")
        empty: tuple[Any, ...] = (None, {"result": []})
        for context in empty:
            asked = {"tasks": [task, self.other.task], "params": {"context": context}}
            head = f"Authorization: {page.headers['Authorization']}\r\n"
            self.ask("POST", names.PREDICT, json.dumps(asked).encode(), head)
        for path in self.paths:
            if names.DOOR in path:
                for method in ("GET", "HEAD", "OPTIONS", "POST"):
                    self.ask(method, path, b"" if method == "HEAD" else page.body(guess1="x"))


@contextmanager
def served(path: Path, port: int, accept: str, door: str) -> Iterator[Wire]:
    folder = open_folder(path)
    store = open_store(folder)
    here = Table(folder, store, 1)
    [link] = here.links
    nonces = count()  # of pages, otherwise drawn at random
    app = web_app(Game(folder, store, clock=here.clock, fresh_name=lambda: f"{next(nonces):032x}"))
    with socket.create_server(("127.0.0.1", port)) as listening:
        config = uvicorn.Config(app, log_level="debug", log_config=None, date_header=False, lifespan="off")
        server = uvicorn.Server(config)
        running = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        running.start()
        while not server.started:
            time.sleep(0.01)
        try:
            paths = [one.path.replace("{code}", link.code) for one in app.routes if isinstance(one, Route)]
            kind = Wire if door == "web" else LabelStudio
            wire = kind(listening.getsockname()[1], link.code, accept=accept, paths=[*paths, "/static/app.js"])
            if isinstance(wire, LabelStudio):
                tasks = published(here)
                wire.pages = [Page(wire, here, one) for one in tasks[ANN]]
                wire.other = Page(wire, here, tasks[BOB][0])
            yield wire
        finally:
            server.should_exit = True
            running.join()
            store.close()


def replace_truths(path: Path, keep: set[str]) -> None:
    """Give every item not in `keep` another truth, and other activations everywhere in its text.

    What automatic players make of the truths is another then, too.
    """
    store = open_store(open_folder(path))
    with store.write() as connection:
        for target in connection.execute(select(tables.targets.c.target_id)).scalars().all():
            skill = {"target_id": target, "player": "bigram", "skill": len(keep) / 77, "standard_error": 0.5}
            connection.execute(insert(tables.baselines).values(skill))
        for at, row in enumerate(connection.execute(select(tables.truths)).all()):
            if row.item_id not in keep:
                other = (row.truth + 1 + at % 7) % 10
                connection.execute(
                    update(tables.truths)
                    .where(tables.truths.c.item_id == row.item_id)
                    .values(truth=other, activation=other / 3)
                )
        for row in connection.execute(select(tables.shades)).all():
            if row.item_id not in keep:
                values = [(value + 1 + at % 7) % 10 for at, value in enumerate(row.values)]
                connection.execute(
                    update(tables.shades).where(tables.shades.c.item_id == row.item_id).values(values=values)
                )
    store.close()


def committed_items(path: Path) -> list[str]:
    """Items in the order in which they were committed."""
    store = open_store(open_folder(path))
    with store.read() as connection:
        rows = connection.execute(
            select(tables.rounds.c.item_id)
            .join(
                tables.guesses,
                (tables.guesses.c.episode_id == tables.rounds.c.episode_id)
                & (tables.guesses.c.trial == tables.rounds.c.trial),
            )
            .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == tables.rounds.c.episode_id)
            .order_by(tables.sitting_episodes.c.place, tables.rounds.c.trial)
        ).all()
    store.close()
    return [row.item_id for row in rows]


@pytest.mark.parametrize(
    ("door", "accept"), [("web", "application/json"), ("web", "text/html"), ("label-studio", "*/*")]
)
def test_no_byte_before_a_commit_depends_on_a_truth_not_yet_committed(
    tmp_path: Path, door: str, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fresh = tmp_path / "fresh"
    invented_campaign(
        fresh,
        targets=3,
        practice=PRACTICE,
        held_out=HELD_OUT,
        episodes=EPISODES,
        levels=("text", "examples"),
        episode="checks = [2]\nrepeats = [4]",
        more=PLATFORMS,
    )

    def serve_with(keep: set[str] | None, name: str) -> tuple[Wire, list[str], list[str]]:
        """Serve a copy with all truths but those of `keep` replaced; the wire, the items committed, and the log."""
        path = Path(shutil.copytree(fresh, tmp_path / name))
        if keep is not None:
            replace_truths(path, keep)
        caplog.clear()
        with served(path, 0 if not ports else ports[0], accept, door) as wire:
            ports[:] = [wire.port]
            wire.play()
        # Client ports differ from run to run; nothing else in the log may.
        logs = sorted(re.sub(r"127\.0\.0\.1:\d+|\('127\.0\.0\.1', \d+\)", "client", text) for text in caplog.messages)
        return wire, committed_items(path), logs

    ports: list[int] = []
    first, items, log = serve_with(None, "first")
    assert log
    assert len(first.commits) == len(items) == EPISODES * ROUNDS
    differing = 0
    for number, before in enumerate(first.commits):
        other, _, other_log = serve_with(set(items[:number]), f"other{number}")
        assert other.commits[number] == before
        assert other.sent[:before] == first.sent[:before], f"a byte sent before commit {number + 1} differs"
        assert other_log == log
        differing += other.sent[before] != first.sent[before]
    # The test can fail: where the truth is revealed, the replies do differ.
    assert differing == EPISODES * PRACTICE
