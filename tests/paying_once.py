"""One run of paying in a process of its own, by the clock of a stand-in, and what must hold after every run.

python tests/paying_once.py PLATFORM DIR [WHEN N]: with WHEN, `before` or `after`, it kills itself (SIGKILL) around its
Nth request that pays.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imitable.campaign import Folder, open_folder
from imitable.errors import ImitableError
from imitable.money.ledger import Line, statement
from imitable.money.paying import Paymaster, one_at_a_time
from imitable.store import open_store

if TYPE_CHECKING:
    from platform_campaign import OnPlatform

BATCH = 25
"""Bonuses at once: fewer than Prolific takes, so that more of them meet a fault."""


def on_mturk(folder: Folder) -> tuple[Any, Callable[[], datetime]]:
    """Its payer, without patience, and the site's clock."""
    from imitable.platforms.mturk import client, payer

    client.WAITS = (0.001,) * 5
    payer.SLOWER = 0.0
    made = payer.MTurkPayer(folder)
    made.balance()  # tells what time it is there
    return made, made.api.now


def on_prolific(folder: Folder) -> tuple[Any, Callable[[], datetime]]:
    """Its payer, without patience, and the site's clock."""
    import httpx

    from imitable.platforms.prolific import client, payer

    client.WAITS = (0.001,) * 5
    made = payer.ProlificPayer(folder, read_back=0.0)
    made.most_at_once = BATCH
    there = httpx.get(f"{made.endpoint}/stand-in/clock", trust_env=False).json()["now"]
    ahead = datetime.fromisoformat(there) - datetime.now(UTC)
    return made, lambda: datetime.now(UTC) + ahead


def main(platform: str, directory: str, when: str = "", number: str = "0") -> None:
    """Pay what is owed, and say how it went."""
    folder = open_folder(Path(directory))
    try:
        payer, now = {"mturk": on_mturk, "prolific": on_prolific}[platform](folder)
        if when:
            payer.api.once = dying(payer.api.once, when, int(number))
        with closing(open_store(folder)) as store, one_at_a_time(store, folder):
            master = Paymaster(store, folder, payer, now)
            said: object = master.pay(master.lines())
    except ImitableError as error:
        said = error
    sys.stdout.write(f"{said}\n")


def dying(once: Callable[..., Any], when: str, number: int) -> Callable[..., Any]:
    """The request that pays, at which the process dies when its turn comes: `before` it is sent, or `after`."""
    turn = 0

    def counted(*asked: Any, **fields: Any) -> Any:
        nonlocal turn
        turn += 1
        if turn == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return once(*asked, **fields)
        finally:
            if turn == number:
                os.kill(os.getpid(), signal.SIGKILL)

    return counted


def paying(here: OnPlatform[Any], *dying: str) -> subprocess.Popen[bytes]:
    """One run of the paying process, on its way."""
    command = [sys.executable, __file__, here.name, str(here.folder.path), *dying]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def pay(here: OnPlatform[Any], *dying: str) -> int:
    """One run of the paying process; its exit code."""
    with paying(here, *dying) as process:
        process.communicate()
    return process.returncode


def lines(here: OnPlatform[Any]) -> list[Line]:
    """What is owed, and how each stands."""
    with here.store.read() as connection:
        return statement(connection, platform=here.name)


def reached(here: OnPlatform[Any]) -> Counter[tuple[str, str]]:
    """How often somebody was paid, by their work and kind: the site's own books."""
    work = {"mturk": "assignment", "prolific": "submission"}[here.name]
    return Counter((one[work], one["kind"]) for one in here.there.state()["payments"])


def nobody_twice_and_nothing_booked_that_was_not_paid(here: OnPlatform[Any]) -> None:
    """At any moment: paid twice 0, booked and unpaid 0, paid and neither booked nor listed as in doubt 0."""
    paid = reached(here)
    assert [one for one, times in paid.items() if times > 1] == []
    names = {"base": "reward", "bonus": "bonus"}
    booked = {(line.assignment.partition(" ")[0], names[line.kind]) for line in lines(here) if line.stand == "paid"}
    doubtful = {(line.assignment.partition(" ")[0], names[line.kind]) for line in lines(here) if line.doubtful}
    assert booked - set(paid) == set()
    assert set(paid) - booked - doubtful == set()


if __name__ == "__main__":
    main(*sys.argv[1:])
