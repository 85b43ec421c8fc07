"""A platform that somebody else wrote: its own distribution, found by its entry point, held by the same contract."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from imitable.campaign import Folder
from imitable.platforms import Platform
from imitable.store import Store, open_store
from imitable.testing import PlatformContract, invented_campaign
from playing import Table

PIGEON = '''
"""Carrier pigeons: personal links on paper, and coins in a bag."""

import json
import sys
from datetime import timedelta

from imitable.money import Answer, Batch, Money, Seen
from imitable.platforms import silent
from imitable.platforms.web import WebLinks


class Pigeons(WebLinks):
    def __init__(self):
        super().__init__("pigeons")

    def payer(self, folder):
        return Bag(folder.path / "bag.json")


class Bag:
    name, endpoint, stand_in = "pigeons", "pigeon://loft", False
    remembers, settling, tells_all, most_at_once = timedelta(hours=1), timedelta(0), True, 2
    reads_at_once = sys.maxsize

    def __init__(self, path):
        self.path = path

    def _paid(self):
        return json.loads(self.path.read_text()) if self.path.exists() else []

    def _pay(self, payout, kind):
        rows = self._paid()
        if payout.operation_id not in [row[3] for row in rows]:
            rows.append([payout.assignment, kind, payout.amount.minor, payout.operation_id])
            self.path.write_text(json.dumps(rows))
        return Answer(payout.operation_id, "paid")

    def approve(self, payout):
        return self._pay(payout, "base")

    def prepare(self, payouts):
        amount = Money(sum(one.amount.minor for one in payouts), "USD")
        return Batch(f"bag-{payouts[0].operation_id}", payouts, amount)

    def bonus(self, batch):
        return [self._pay(payout, "bonus") for payout in batch.payouts]

    def list_payments(self, payouts):
        return [Seen(row[0], row[1], Money(row[2], "USD"), row[3]) for row in self._paid()]

    def balance(self):
        return None

    def unpayable(self, payouts):
        return {}
'''


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Their distribution, as pip would leave it."""
    site = tmp_path / "site"
    info = site / "carrier_pigeons-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "carrier_pigeons.py").write_text(PIGEON, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: carrier-pigeons\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[imitable.platforms]\npigeons = carrier_pigeons:Pigeons\n", "utf-8")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "carrier_pigeons", raising=False)
    return site


@pytest.mark.usefixtures("site")
class TestPigeonsKeepTheContract(PlatformContract):
    def platform(self) -> Platform:
        made: Platform = importlib.import_module("carrier_pigeons").Pigeons()
        return made

    def campaign(self, path: Path) -> tuple[Folder, Store]:
        folder = invented_campaign(path)
        return folder, open_store(folder)


def test_a_campaign_is_offered_played_and_paid_by_their_platform(site: Path, tmp_path: Path) -> None:
    folder = invented_campaign(
        tmp_path / "campaign", more='[pay]\nbase = "2.00"\nbonus_per_point = "1.00"\ncap = "900.00"\n'
    )

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "imitable", *map(str, words)]
        environment = os.environ | {"PYTHONPATH": str(site)}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    unknown = subprocess.run(
        [sys.executable, "-m", "imitable", "publish", str(folder.path), "--platform", "pigeons"],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert unknown.returncode == 1
    assert "There is no platform 'pigeons' here" in unknown.stderr
    offered = run("publish", folder.path, "--platform", "pigeons", "--pilot", 3)
    assert offered.returncode == 0, offered.stderr
    with closing(open_store(folder)) as store:
        table = Table(folder, store, links=0)
        table.links = [_link(folder, number) for number in (1, 2)]
        for link in (0, 1):
            table.play(table.sit(link), guess="3")
    total = next(line.split()[1] for line in run("pay", folder.path).stdout.splitlines() if line.startswith("  due: "))
    done = run("pay", folder.path, "--execute", "--confirm", total)
    assert done.returncode == 0, done.stderr
    bag = json.loads((folder.path / "bag.json").read_text(encoding="utf-8"))
    assert sum(row[2] for row in bag) == round(float(total) * 100)
    assert sorted(row[1] for row in bag if row[1] == "base") == ["base", "base"]
    assert run("reconcile", folder.path).returncode == 0
    bag.append(["link-0001", "bonus", 500, "from somebody else"])
    (folder.path / "bag.json").write_text(json.dumps(bag), encoding="utf-8")
    differs = run("reconcile", folder.path)
    assert differs.returncode == 4
    assert "pigeons paid 5.00 USD (bonus)" in differs.stdout


def _link(folder: Folder, number: int):  # type: ignore[no-untyped-def]
    from imitable.game import Link

    name = f"link-{number:04d}"
    return Link("pigeons", name, folder.derive("link", "pigeons", name, size=32))
