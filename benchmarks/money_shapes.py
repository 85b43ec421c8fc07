"""One run of paying in a process of its own, in the shape of one system: python money_shapes.py SHAPE HOME ADDRESS

psiturk, mephisto, otree and dallinger have the shape in which these pay, as read in their source: when a request has a
token, and when the payment is booked. `imitable` and what begins so are imitable's own code. The client is the real
boto3 (or, for Prolific, HTTP), retrying as each of them lets it. It prints the seconds that paying took.
"""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from imitable.campaign import open_folder
from imitable.errors import ImitableError
from imitable.money import Held, Money, Payout, Seen
from imitable.money.paying import Paymaster, one_at_a_time
from imitable.rehearsal.mturk import KEY, SECRET
from imitable.store import open_store

PATIENCE = 1.0
"""Seconds to wait for an answer."""


def mturk(address: str, attempts: int) -> Any:
    """boto3's own client, which tries so often by itself; its pauses in between are left out."""
    import boto3
    from botocore.config import Config
    from botocore.retries import standard

    standard.ExponentialBackoff.delay_amount = lambda *_words: 0.0
    config = Config(retries={"mode": "standard", "total_max_attempts": attempts}, read_timeout=PATIENCE)
    session = boto3.Session(KEY, SECRET, region_name="us-east-1")
    return session.client("mturk", endpoint_url=address, config=config)


def open_books(home: Path) -> sqlite3.Connection:
    """Books as durable as ours: every commit is on the disk."""
    books = sqlite3.connect(home / "books.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        books.execute(f"PRAGMA {pragma}")
    books.execute("CREATE TABLE IF NOT EXISTS bonuses (work TEXT PRIMARY KEY, who TEXT, cents INTEGER, paid INTEGER)")
    return books


@contextmanager
def timed() -> Iterator[None]:
    """Print the seconds that this takes."""
    began = time.perf_counter()
    yield
    print(time.perf_counter() - began)


def each_unpaid(home: Path, send: Callable[[str, str, int], object]) -> None:
    """Pay whom the books have as unpaid; whatever is raised counts as not paid, and the next one follows."""
    with closing(open_books(home)) as books, timed():
        for work, who, cents in books.execute("SELECT work, who, cents FROM bonuses WHERE NOT paid").fetchall():
            try:
                send(work, who, cents)
            except Exception:  # noqa: S112  # as they do
                continue
            books.execute("UPDATE bonuses SET paid = 1 WHERE work = ?", (work,))


def bonuses(client: Any, token: Callable[[str, int], str] | None = None) -> Callable[[str, str, int], object]:
    """SendBonus for a participant's work, with the token of this work and amount."""

    def send(work: str, who: str, cents: int) -> object:
        more = {} if token is None else {"UniqueRequestToken": token(work, cents)}
        asked = {"WorkerId": who, "AssignmentId": work, "BonusAmount": f"{cents / 100:.2f}", "Reason": "Thank you"}
        return dying(lambda: client.send_bonus(**asked, **more))

    return send


def psiturk(home: Path, address: str) -> None:
    """No token, boto3's three attempts; the status is set after the call."""
    each_unpaid(home, bonuses(mturk(address, 3)))


def mephisto(home: Path, address: str) -> None:
    """A fresh uuid4 for each call, ten attempts of boto3."""
    each_unpaid(home, bonuses(mturk(address, 10), lambda _work, _cents: str(uuid.uuid4())))


def otree(home: Path, address: str) -> None:
    """A token that is always the same for one participant; "already processed" is an error like any other."""
    each_unpaid(home, bonuses(mturk(address, 3), lambda work, cents: f"{work}_{cents}"))


def dallinger(home: Path, address: str) -> None:
    """Prolific's two calls for one participant; the second's answer is asked only for "error"; booked after it."""
    http = httpx.Client(base_url=f"{address}/api/v1", headers=_token(), timeout=PATIENCE, trust_env=False)
    study = (home / "study").read_text()

    def send(work: str, _who: str, cents: int) -> None:
        row = {"study_id": study, "csv_bonuses": f"{work},{cents / 100:.2f}"}
        batch = http.post("/submissions/bonus-payments/", json=row).json()["id"]
        answer = dying(lambda: http.post(f"/bulk-bonus-payments/{batch}/pay/", json={}))
        if "error" in answer.json():
            raise RuntimeError(answer.text)

    each_unpaid(home, send)


def imitable(home: Path, address: str) -> None:
    """imitable's own ledger, paymaster and payer for such sites; only, the list is asked for by assignment.

    There are no HITs here, by which that payer asks.
    """
    from imitable.platforms.mturk import client
    from imitable.platforms.mturk.payer import MTurkPayer, _assignment, _bonus_seen

    class WithoutHITs(MTurkPayer):
        def check(self, payouts: Sequence[Payout]) -> Mapping[str, Held]:
            return {}

        def list_payments(self, payouts: Sequence[Payout]) -> Sequence[Seen]:
            works = {_assignment(payout) for payout in payouts}
            listed = (self.api.rows("ListBonusPayments", "BonusPayments", AssignmentId=work) for work in works)
            return [_bonus_seen(row) for rows in listed for row in rows]

        def balance(self) -> Money | None:
            return None

    client._READ = PATIENCE  # type: ignore[assignment]
    payer = WithoutHITs(open_folder(home / "campaign"))
    _pay(home, payer, datetime.fromisoformat(httpx.get(address, trust_env=False).json()["now"]))


def imitable_stand_in(home: Path, address: str) -> None:
    """imitable's own ledger, paymaster and payer for MTurk-style sites, with nothing left out."""
    from imitable.platforms.mturk import client
    from imitable.platforms.mturk.payer import MTurkPayer

    client.WAITS, client._READ = (0.001,) * 5, PATIENCE  # type: ignore[assignment]
    payer = MTurkPayer(open_folder(home / "campaign"))
    once = payer.api.once
    payer.api.once = lambda *asked, **fields: dying(lambda: once(*asked, **fields))  # type: ignore[method-assign]
    _pay(home, payer, _clock(address))


def imitable_prolific(home: Path, address: str) -> None:
    """imitable's own ledger and paymaster, through its payer for Prolific."""
    from imitable.platforms.prolific import client
    from imitable.platforms.prolific.payer import ProlificPayer

    client.WAITS, client._READ = (0.001,) * 5, PATIENCE
    payer = ProlificPayer(open_folder(home / "campaign"), read_back=0.0)
    payer.most_at_once = 25  # of 200, so that more of them meet a fault
    once = payer.api.once
    payer.api.once = lambda path, fields: dying(lambda: once(path, fields))
    _pay(home, payer, _clock(address))


def _clock(address: str) -> datetime:
    return datetime.fromisoformat(httpx.get(f"{address}/stand-in/clock", trust_env=False).json()["now"])


def _pay(home: Path, payer: Any, there: datetime) -> None:
    ahead = there - datetime.now(UTC)
    folder = open_folder(home / "campaign")
    with closing(open_store(folder)) as store, one_at_a_time(store, folder):
        master = Paymaster(store, folder, payer, lambda: datetime.now(UTC) + ahead)
        try:
            with timed():
                master.pay([line for line in master.lines() if line.kind == "bonus"])
        except ImitableError as error:  # the run ends, and says why; what was sent is written down
            print(error, file=sys.stderr)


turns = itertools.count(1)


def dying(send: Callable[[], Any]) -> Any:
    """A request that pays. KILL="before 7" kills this process, with SIGKILL, as it comes to the seventh of them."""
    turn = next(turns)
    when, _, number = os.environ.get("KILL", "").partition(" ")
    if number == str(turn) and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    answer = send()
    if number == str(turn):
        os.kill(os.getpid(), signal.SIGKILL)
    return answer


def _token() -> dict[str, str]:
    return {"Authorization": f"Token {os.environ['PROLIFIC_TOKEN']}"}


SHAPES = {
    "psiturk": psiturk,
    "mephisto": mephisto,
    "otree": otree,
    "imitable": imitable,
    "psiturk-stand-in": psiturk,
    "mephisto-stand-in": mephisto,
    "imitable-stand-in": imitable_stand_in,
    "dallinger": dallinger,
    "imitable-prolific": imitable_prolific,
}

if __name__ == "__main__":
    os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    os.environ["AWS_SDK_UA_APP_ID"] = f"pid-{os.getpid()}"  # whom the platform kills
    SHAPES[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
