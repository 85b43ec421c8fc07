"""Clocks, lists and backups that lie about what was paid: what would pay twice is not sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from hostile_platform import HostilePlatform, mturk_like, owe
from imitable.campaign import Folder
from imitable.money.paying import Paymaster
from imitable.store import Store, open_store
from imitable.testing import invented_campaign


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[tuple[Folder, Store]]:
    folder = invented_campaign(tmp_path / "campaign", targets=1)
    with closing(open_store(folder)) as store:
        yield folder, store


def master_of(folder: Folder, store: Store, platform: HostilePlatform) -> Paymaster:
    return Paymaster(store, folder, platform, lambda: platform.now)


def test_a_payment_that_was_sent_again_a_minute_ago_is_not_taken_for_unpaid(campaign: tuple[Folder, Store]) -> None:
    folder, store = campaign
    platform = mturk_like(0, faults=0.0)
    owe(folder, store, "mturk", 2)
    master = master_of(folder, store, platform)
    platform.next_faults = ["", "", "before"]  # both are approved; the request for the bonus never comes
    master.pay(master.lines())
    platform.now += timedelta(hours=22.9)
    platform.next_faults = ["after"]  # asked once more: paid, and the answer is lost
    master.pay(master.lines())
    platform.now += timedelta(hours=0.3)  # the platform's list may still lag, and our operation id is too old
    platform.lags = 1.0
    for _ in range(3):
        master.pay(master.lines())
        platform.now += timedelta(hours=0.3)
    platform.now += timedelta(hours=2)
    master.pay(master.lines())
    assert len(platform.paid) == 1
    assert [line.stand for line in master.lines()] == ["paid", "nothing", "paid", "paid"]
