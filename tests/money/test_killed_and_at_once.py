"""`imitable pay --execute` as a runner types it: killed at every step, twice at once, with an old total."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from imitable.campaign import Folder
from imitable.commands.accounts import reconcile, settle, top_up
from imitable.commands.pay import show
from imitable.game import make_links
from imitable.money import paying
from imitable.money.ledger import Line
from imitable.store import open_store
from imitable.testing import invented_campaign
from playing import Table

FERRY = '''
"""A platform that pays into a file, and a process that is killed where FERRY_DIES says."""

import os
import signal
import sys
import time
from datetime import timedelta
from json import dumps, loads

from imitable.money import Answer, Batch, Money, Seen, paying
from imitable.platforms.web import WebLinks


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def at(step):
    if os.environ.get("FERRY_DIES") == step:
        die()


def dies_in(name, step):
    """After these lines were written, before they are committed; or before anything is noted."""
    honest = getattr(paying, name)

    def deadly(*given, **named):
        done = None if name == "note" and os.environ.get("FERRY_DIES") == step else honest(*given, **named)
        at(step)
        return done

    setattr(paying, name, deadly)


dies_in("begin", "before sending is committed")
dies_in("note", "after sending is committed")
dies_in("learn", "before the outcome is committed")


class Ferry(WebLinks):
    def __init__(self):
        super().__init__("ferry")

    def payer(self, folder):
        return Till(folder.path / "till.jsonl")


class Till:
    name, endpoint, stand_in, settling, most_at_once = "ferry", "ferry://pier", False, timedelta(0), 1
    reads_at_once = sys.maxsize

    def __init__(self, path):
        self.path = path
        self.tells_all = os.environ["FERRY_KNOWS"] == "yes"
        self.remembers = timedelta(hours=1 if self.tells_all else 0)

    def rows(self):
        return [loads(row) for row in self.path.read_text().splitlines()] if self.path.exists() else []

    def pay(self, payout, kind):
        at("before the call")
        time.sleep(float(os.environ.get("FERRY_TAKES", "0")))
        known = [row[3] for row in self.rows()] if self.tells_all or kind == "base" else []
        if payout.operation_id not in known:
            with self.path.open("a") as till:
                till.write(dumps([payout.assignment, kind, payout.amount.minor, payout.operation_id]) + "\\n")
        at("after the call")
        return Answer(payout.operation_id, "paid")

    def approve(self, payout):
        return self.pay(payout, "base")

    def prepare(self, payouts):
        return Batch(payouts[0].operation_id, payouts, payouts[0].amount)

    def bonus(self, batch):
        return [self.pay(payout, "bonus") for payout in batch.payouts]

    def list_payments(self, payouts):
        tag = 3 if self.tells_all else slice(0)
        return [Seen(row[0], row[1], Money(row[2], "USD"), row[tag] or "") for row in self.rows()]

    def balance(self):
        return None
'''

STEPS = [
    "before sending is committed",
    "after sending is committed",
    "before the call",
    "after the call",
    "before the outcome is committed",
]

PAY = '[pay]\nbase = "2.00"\nbonus_per_point = "0.50"\n'


class Pier:
    """A campaign of this platform, and the commands a runner types."""

    def __init__(self, path: Path, site: Path, *, knows: bool) -> None:
        self.folder: Folder = invented_campaign(path, more=PAY)
        self.environment = os.environ | {"PYTHONPATH": str(site), "FERRY_KNOWS": "yes" if knows else "no"}

    def play(self, *links: int) -> None:
        with closing(open_store(self.folder)) as store:
            table = Table(self.folder, store, links=0)
            names = [f"link-{number}" for number in range(3)]
            table.links = make_links(store, self.folder, platform="ferry", names=names, now=table.clock())
            for link in links:
                table.play(table.sit(link), guess="4")

    def owe_more(self, amount: str) -> None:
        [sitting, *_] = {line.sitting_id for line in self.due()}
        top_up(self.folder.path, sitting, amount, why="our server was down")

    def begin(self, total: str, **more: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "imitable", "pay", str(self.folder.path), "--execute", "--confirm", total]
        return subprocess.Popen(
            words, env=self.environment | more, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def pay(self, **more: str) -> tuple[int, str]:
        """Confirm the total as it is, and pay."""
        process = self.begin(self.total(), **more)
        _, said = process.communicate()
        return process.returncode, said

    def due(self) -> tuple[Line, ...]:
        return tuple(line for part in show(self.folder.path).parts for line in (*part.due, *part.doubtful))

    def total(self) -> str:
        return next(iter(show(self.folder.path).parts)).total.decimal

    def till(self) -> Counter[tuple[str, str, int]]:
        path = self.folder.path / "till.jsonl"
        rows = [json.loads(row) for row in path.read_text().splitlines()] if path.exists() else []
        return Counter((work, kind, cents) for work, kind, cents, _ in rows)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The platform's distribution, as pip would leave it; here it never kills anybody."""
    site = tmp_path / "site"
    info = site / "ferry-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "ferry_platform.py").write_text(FERRY, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ferry\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[imitable.platforms]\nferry = ferry_platform:Ferry\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    for name in ("begin", "note", "learn"):  # which it replaces
        monkeypatch.setattr(paying, name, getattr(paying, name))
    monkeypatch.delitem(sys.modules, "ferry_platform", raising=False)
    return site


@pytest.fixture
def pier(tmp_path: Path, site: Path, either_store: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pier]:
    def made(*, knows: bool) -> Pier:
        monkeypatch.setenv("FERRY_KNOWS", "yes" if knows else "no")
        return Pier(tmp_path / "campaign", site, knows=knows)

    return made


@pytest.mark.parametrize("turned", [False, pytest.param(True, marks=pytest.mark.long)], ids=["", "turned"])
def test_a_process_that_is_killed_at_every_step_pays_everything_once(
    pier: Callable[..., Pier], either_store: str, turned: bool
) -> None:
    """On SQLite a platform that pays whenever it is asked, on PostgreSQL one that knows operation ids; or turned."""
    here = pier(knows=(either_store == "postgresql") != turned)
    here.play(0, 1)
    for cents in (11, 12, 13, 14):
        here.owe_more(f"0.{cents}")
    owed = Counter(
        (line.assignment, "base" if line.kind == "base" else "bonus", line.amount.minor) for line in here.due()
    )
    for step in STEPS:
        code, said = here.pay(FERRY_DIES=step)
        assert code == -9, said
        assert max(here.till().values(), default=1) == 1
    for _ in range(6):
        here.pay()
        for line in here.due():  # a person looks at the till
            if line.doubtful:
                there = here.till()[line.assignment, "base" if line.kind == "base" else "bonus", line.amount.minor]
                settle(here.folder.path, str(line.operation_id), paid=there > 0, why="looked into the till")
        if not here.due():
            break
    assert here.till() == owed
    assert reconcile(here.folder.path)["ferry"].differences == []
    assert "Nothing is due" in here.pay()[1]


def test_two_processes_at_once_pay_everything_once(pier: Callable[..., Pier]) -> None:
    here = pier(knows=False)
    here.play(0, 1)
    owed, total = len(here.due()), here.total()
    both = [here.begin(total, FERRY_TAKES="0.7") for _ in range(2)]
    said = sorted((process.communicate()[1], process.returncode) for process in both)
    assert [code for _, code in said] == [0, 1]
    assert "Another 'imitable pay' of this campaign is running" in said[1][0]
    assert sum(here.till().values()) == owed
    assert max(here.till().values()) == 1
    assert not here.due()


def test_a_total_that_changed_since_it_was_read_pays_nothing(pier: Callable[..., Pier]) -> None:
    here = pier(knows=True)
    here.play(0)
    read = here.total()
    here.play(1)  # while the runner reads
    process = here.begin(read)
    _, said = process.communicate()
    assert process.returncode == 1
    assert f"The total is {here.total()} USD, and '{read}' was confirmed. Nothing was sent." in said
    assert not here.till()
    assert here.pay()[0] == 0
    assert not here.due()
