"""What publishing to Label Studio and collecting from it cost, beside calls of its SDK alone, into label_studio.md.

Twenty annotators, fifty episodes each of ten rounds: 10,000 rounds in 1,000 tasks, on a server that this starts for
itself (SQLite). Both sides make and ask the same, in alternating rounds of one run, each on a project of its own; the
SDK's side looks at nothing and keeps no record. `--quick` is a tenth of it; it prints the table, and writes
it to label_studio.md when all of it ran.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from label_studio_sdk import LabelStudio as Sdk
from sqlalchemy import select

from imitable.campaign import Folder
from imitable.game import Game
from imitable.game.content import read_content
from imitable.game.label_studio import names
from imitable.game.label_studio.calls import Call
from imitable.game.label_studio.replies import Replies
from imitable.game.reserving import reserve
from imitable.platforms.label_studio import LabelStudio, collecting
from imitable.platforms.label_studio.client import PAGE, as_account, only
from imitable.platforms.label_studio.drawing import labelling_config, task_data
from imitable.platforms.label_studio.project import SWITCHES
from imitable.platforms.label_studio.refusals import KEY
from imitable.rehearsal.label_studio import Account, down, up
from imitable.rehearsal.label_studio.accounts import write_accounts
from imitable.store import Store, open_store, tables
from imitable.testing import invented_campaign

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))  # the backend that tests tell Label Studio of

ROUNDS = 10
Seconds = dict[str, dict[str, list[float]]]
"""By what was done, and by whom, round by round."""


class Bench:
    """A server, and what was measured on it."""

    def __init__(self, scratch: Path, url: str, admin: Account, people: Sequence[Account], door: str) -> None:
        self.scratch, self.url, self.people, self.door = scratch, url, people, door
        self.sdk: Any = Sdk(base_url=url, api_key=admin.token, timeout=600)
        self.seconds: Seconds = {}

    def timed(self, what: str, who: str, work: Callable[[], Any]) -> Any:
        """Do it, and keep how long it took."""
        begin = time.perf_counter()
        done = work()
        took = time.perf_counter() - begin
        self.seconds.setdefault(what, {}).setdefault(who, []).append(took)
        print(f"  {what}, {who}: {took:.2f} s", flush=True)
        return done

    def both(self, what: str, sides: dict[str, Callable[[], Any]], turn: int) -> None:
        """Both sides, each of them first in every other round."""
        for who in list(sides)[:: -1 if turn % 2 else 1]:
            self.timed(what, who, sides[who])

    def one_round(self, turn: int, *, episodes: int, played: int) -> None:
        """Publish; let people play; collect all of it, and then what was played since."""
        folder, twin = (self._campaign(f"{turn}-{side}", episodes) for side in ("imitable", "SDK"))
        with closing(open_store(folder)) as store, closing(open_store(twin)) as record:
            ours = lambda: LabelStudio().publish(folder, store, places=None, dry_run=False)  # noqa: E731
            self.both("publish", {"imitable": ours, "SDK": lambda: self._publish(twin, record)}, turn)
            self.timed("publish again", "imitable", ours)
            for what, few in (("collect all", played), ("collect what is new", played // 10)):
                self._play(folder, store, few)
                since = _asked_until(store)
                project = self._project(store)
                bare = partial(self._read, project, since)
                self.both(what, {"imitable": lambda: self._collect(folder, store), "SDK": bare}, turn)
                time.sleep(1.1)  # the server's clock, as it tells it, counts seconds

    def _campaign(self, name: str, episodes: int) -> Folder:
        settings = (
            f'[platform.label_studio]\nurl = "{self.url}"\nbackend_url = "{self.door}"\naccounts = "accounts.csv"\n'
            f"annotators_per_target = {len(self.people)}\nproxied = true\n"
        )
        path = self.scratch / f"campaign-{name}"
        folder = invented_campaign(
            path,
            targets=episodes,
            episodes=episodes,
            practice=ROUNDS - 3,
            held_out=3,
            key=secrets.token_bytes(32),
            more=settings,
        )
        write_accounts(path / "accounts.csv", [Account(one.email, "") for one in self.people])
        return folder

    def _drawn(self, folder: Folder, store: Store) -> list[dict[str, Any]]:
        content, words = read_content(store, folder.texts()), folder.texts()
        would = reserve(
            store,
            folder,
            content,
            platform=names.PLATFORM,
            names=[one.email for one in self.people],
            share_items=True,
            now=datetime.now(UTC),
            dry_run=True,
        )
        return [{"data": task_data(folder, content, words, one)} for one in would]

    def _publish(self, folder: Folder, store: Store) -> None:
        """Plan and draw the same; project, backend, all tasks and a tab for each annotator by the SDK alone."""
        data = self.timed("planning and drawing, on both sides of it", "SDK", lambda: self._drawn(folder, store))
        config = labelling_config(folder, folder.texts())
        project = self.sdk.projects.create(title="bare", label_config=config, **SWITCHES).id
        self.sdk.ml.create(url=f"{self.door}/label-studio", project=project, is_interactive=True, title="bare")
        self.sdk.projects.import_tasks(project, request=data, return_task_ids=True)
        for one in self.people:
            mine = {"conjunction": "and", "items": [only(f"data.{names.ANNOTATOR}", "equal", "String", one.email)]}
            self.sdk.views.create(project=project, data={"title": one.email, "filters": mine})

    def _read(self, project: int, since: datetime | None) -> None:
        """Every annotation, or those of tasks that changed, by the SDK's own calls."""
        changed = [] if since is None else [only("updated_at", "greater", "Datetime", f"{since:%Y-%m-%dT%H:%M:%S.%fZ}")]
        query = {"filters": {"conjunction": "and", "items": changed}, "ordering": ["tasks:id"]}
        found = self.sdk.tasks.list(
            project=project, page_size=PAGE, fields="all", include=collecting.FIELDS, query=json.dumps(query)
        )
        assert sum(len(task.annotations) for task in found)

    def _collect(self, folder: Folder, store: Store) -> None:
        assert LabelStudio().collect(folder, store).findings == ()

    def _play(self, folder: Folder, store: Store, few: int) -> None:
        """Play tasks to their end and submit them, as annotators do: not measured."""
        print(f"  {few} tasks are played ...", flush=True)
        door = Replies(Game(folder, store))
        with store.read() as connection:
            waiting = connection.execute(_WAITING.limit(few)).all()
        with ExitStack() as stack:
            own = {one.email: stack.enter_context(as_account(self.url, one.token)) for one in self.people}
            for task in waiting:
                who, page = task.platform_id, []
                for box in (names.BEGIN, *(names.guess(trial) for trial in range(1, ROUNDS + 1))):
                    typed = {box: "yes" if box == names.BEGIN else "5"}
                    page = door.reply(Call(task.task_key, who, frozenset({who}), typed))
                own[who].wire.post(f"/api/tasks/{task.external_id}/annotations", json={"result": [*page, *_ANSWERS]})

    def _project(self, store: Store) -> int:
        with store.read() as connection:
            return int(connection.execute(select(tables.tasks.c.project)).scalars().first() or 0)


_ANSWERS = [
    {"from_name": name, "to_name": names.INTRO, "type": "choices", "value": {"choices": ["4"]}}
    for name in (names.FUN, names.INTEREST)
]
_WAITING = (
    select(tables.tasks.c.task_key, tables.tasks.c.external_id, tables.identities.c.platform_id)
    .join(tables.episodes, tables.episodes.c.episode_id == tables.tasks.c.episode_id)
    .join(tables.identities, tables.identities.c.annotator_id == tables.episodes.c.annotator_id)
    .where(~tables.BEGUN)
    .order_by(tables.tasks.c.task_key)
)


def _asked_until(store: Store) -> datetime | None:
    with store.read() as connection:
        return connection.execute(select(tables.pulls.c.up_to)).scalar()


def table(seconds: Seconds, amounts: dict[str, tuple[int, str]]) -> str:
    """Markdown: medians of seconds, rates, and the median of the rounds' ratios."""
    lines = ["| | imitable, s | SDK, s | imitable, a second | rate of the SDK |", "| --- | ---: | ---: | ---: | ---: |"]
    middle = statistics.median
    for what, (count, unit) in amounts.items():
        ours, theirs = (seconds[what].get(who, []) for who in ("imitable", "SDK"))
        cells = [f"{middle(side):.2f}" if side else "" for side in (ours, theirs)]
        cells.append(f"{count / middle(ours):,.0f} {unit}" if ours else "")
        cells.append(f"{middle(b / a for a, b in zip(ours, theirs, strict=True)):.2f}" if ours and theirs else "")
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def main() -> None:
    """Measure, print, and write the page."""
    from label_studio_campaign import any_door

    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--quick", action="store_true")
    asked.add_argument("--rounds", type=int, default=3)
    options = asked.parse_args()
    episodes, played, rounds = (5, 20, 2) if options.quick else (50, 900, options.rounds)
    load = os.getloadavg()[0]
    collecting.OVERLAP = timedelta(0)  # else all that a short run does is new
    with tempfile.TemporaryDirectory() as scratch, any_door() as door:
        server = up(Path(scratch) / "server", annotators=20, port=_free_port())
        os.environ[KEY] = server.admin.token
        try:
            bench = Bench(Path(scratch), server.url, server.admin, server.annotators, door)
            for turn in range(rounds):
                print(f"round {turn + 1} of {rounds}", flush=True)
                bench.one_round(turn, episodes=episodes, played=played)
        finally:
            down(Path(scratch) / "server")
    tasks = episodes * len(server.annotators)
    amounts = {
        "planning and drawing, on both sides of it": (tasks * ROUNDS, "rounds"),
        "publish": (tasks * ROUNDS, "rounds"),
        "publish again": (tasks * ROUNDS, "rounds"),
        "collect all": (played, "annotations"),
        "collect what is new": (played // 10, "annotations"),
    }
    said = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores that others used too (load {load:.1f} "
        f"before, {os.getloadavg()[0]:.1f} after), Label Studio {server.version} on SQLite: {tasks:,} tasks of "
        f"{ROUNDS} rounds for {len(server.annotators)} annotators, {played} of them played; {rounds} runs.\n\n"
        f"{table(bench.seconds, amounts)}\n"
    )
    print(said)
    if not options.quick:
        page = HERE / "label_studio.md"
        head = page.read_text(encoding="utf-8").partition("<!-- measured -->")[0] if page.exists() else ""
        page.write_text(f"{head}<!-- measured -->\n{said}", encoding="utf-8")


if __name__ == "__main__":
    main()
