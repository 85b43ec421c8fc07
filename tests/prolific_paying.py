"""One run of paying in a process of its own, by the clock of the stand-in: python tests/prolific_paying.py DIR [WHEN N]

With WHEN, `before` or `after`, it kills itself (SIGKILL) around its Nth request that pays.
"""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
from killing import dying

from imitable.campaign import open_folder
from imitable.errors import ImitableError
from imitable.money.paying import Paymaster, one_at_a_time
from imitable.platforms.prolific import client
from imitable.platforms.prolific.payer import ProlificPayer
from imitable.store import open_store

BATCH = 25
"""Bonuses at once: fewer than Prolific takes, so that more of them meet a fault."""


def main(directory: str, when: str = "", number: str = "0") -> None:
    client.WAITS = (0.001,) * 5
    folder = open_folder(Path(directory))
    payer = ProlificPayer(folder, read_back=0.0)
    payer.most_at_once = BATCH
    if when:
        payer.api.once = dying(payer.api.once, when, int(number))  # type: ignore[method-assign]
    there = httpx.get(f"{payer.endpoint}/stand-in/clock", trust_env=False).json()["now"]
    ahead = datetime.fromisoformat(there) - datetime.now(UTC)
    with closing(open_store(folder)) as store, one_at_a_time(store, folder):
        master = Paymaster(store, folder, payer, lambda: datetime.now(UTC) + ahead)
        try:
            said: object = master.pay(master.lines())
        except ImitableError as error:
            said = error
        sys.stdout.write(f"{said}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
