"""Payouts through platforms that drop, fail, stall, lag and kill: imitable beside the shapes of others, into money.md.

Each system pays the same people through a platform of its own with the same seeded faults, run after run, with up to 30
hours between two runs; then the faults end, and it has three more runs. `--quick` pays fewer, `--only NAME` (of a
system or a platform; may be repeated) some; the exit code is 1 unless imitable paid everybody once and booked what it
paid. What was measured on a platform is written to money.md when all of its systems paid a thousand.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from money_platform import FAULTS, Platform, platform
from money_shapes import SHAPES, open_books
from sqlalchemy import insert

from imitable.campaign import open_folder
from imitable.commands.accounts import settle
from imitable.game.finishing import receipt
from imitable.game.sessions import sitting_id_of
from imitable.money import Money, statement
from imitable.money.earned import Owed
from imitable.money.ledger import oblige
from imitable.platforms.mturk import MTurk
from imitable.platforms.mturk.assignments import key_of
from imitable.platforms.prolific import Prolific
from imitable.rehearsal import mturk, prolific
from imitable.rehearsal.faults import Fault
from imitable.rehearsal.prolific import TOKEN
from imitable.store import open_store, tables
from imitable.testing import invented_campaign

HERE = Path(__file__).parent
BETWEEN = (0.2, 25, 0.5, 30, 0.1, 26)
"""Hours between two runs."""
STALLED = 1.5
"""Seconds that a stand-in does not answer where it is told to; whoever pays waits shorter."""
NAMES = {
    "psiturk": "psiTurk: no token, booked after the call",
    "mephisto": "Mephisto: a fresh uuid for each call",
    "otree": "oTree: always the same token, and nothing else",
    "imitable": "**imitable**",
    "dallinger": "Dallinger: two calls, booked after them",
    "imitable-prolific": "**imitable**",
}
NAMES |= {f"{shape}-stand-in": NAMES[shape] for shape in ("psiturk", "mephisto", "imitable")}
PLATFORMS = {
    "like-mturk": "A platform with operation ids and a list that lags, like MTurk",
    "mturk": "The stand-in for MTurk, `python -m imitable.rehearsal.mturk`",
    "prolific": "The stand-in for Prolific, which pays again whenever it is asked again",
}
CALM = 3
"""Runs without faults, at the end."""


@dataclass
class Tally:
    """What a system's books say, beside what was paid, both as numbers of payouts."""

    once: int
    more: int
    most: int
    unpaid: int
    booked_unpaid: int
    """Paid by its books, and by nobody."""
    paid_unbooked: int
    """Paid, by its books not, and not listed as in doubt either."""
    doubtful: int
    """Listed as in doubt."""


@dataclass
class Outcome:
    """One system's way through it all."""

    after_faults: Tally
    by_itself: int
    """In doubt after the faults, and known after the quiet runs."""
    by_person: int
    at_the_end: Tally
    killed: int


class OwnPlatform:
    """The platform like MTurk's, as the benchmark sees it."""

    def __init__(self, here: Platform, address: str) -> None:
        self.here, self.address = here, address

    def works(self, count: int) -> list[tuple[str, str]]:
        return [(f"W{number}", f"A{number}") for number in range(count)]

    def worsen(self, _rng: random.Random, _run: int) -> str:
        return ""  # it kills by itself

    def quiet(self) -> None:
        self.here.hostile = False

    def move(self, hours: float) -> None:
        self.here.now += timedelta(hours=hours)

    def paid(self) -> Counter[str]:
        return self.here.paid()


class OnStandIn:
    """A stand-in, which goes wrong as it is told for each run; the process that pays kills itself."""

    there: mturk.StandIn | prolific.StandIn
    paying: str
    """Where it goes wrong: the requests that pay."""

    def hurt(self, rng: random.Random, *reading: Fault) -> None:
        """Faults like the other platform's, drawn for each run."""
        self.there.set(listing_lag=rng.choice([0.0, 30.0, 3600.0]))
        paying = [
            Fault(how, path=self.paying, when=when, share=FAULTS[f"{name} {when}"], seconds=STALLED)
            for how, name in (("drop", "drop"), ("status", "500"), ("slow", "time-out"))
            for when in ("before", "after")
        ]
        self.there.fail(*paying, *reading)

    def quiet(self) -> None:
        self.there.fail()
        self.there.set(listing_lag=0.0)

    def move(self, hours: float) -> None:
        """At once: what stalls there is carried out as many hours after it was asked for."""
        self.there.move(hours=hours)


class OnMTurk(OnStandIn):
    """The stand-in for Mechanical Turk: a campaign's HITs, whose workers have handed in."""

    paying = "^SendBonus$"

    def __init__(self, there: mturk.StandIn, home: Path) -> None:
        self.there, self.address, self.home = there, there.address, home

    def works(self, count: int) -> list[tuple[str, str]]:
        folder = open_folder(self.home / "campaign")
        with closing(open_store(folder)) as store:
            MTurk().publish(folder, store, places=count, dry_run=False)
        hits = [hit["HITId"] for hit in self.there.state()["hits"] for _ in range(hit["MaxAssignments"])]
        made = []
        for worker, hit in zip(self.there.workers(count), hits, strict=True):
            work, _address = self.there.accept(worker, hit)
            sitting = sitting_id_of(folder, "mturk", key_of(work, worker))
            self.there.submit(work, {"receipt": receipt(folder, sitting)})
            made.append((work, worker))
        return made

    def worsen(self, rng: random.Random, _run: int) -> str:
        """Faults, and a death at as many requests as on the other platform."""
        self.hurt(rng, Fault("status", path="^(Get|List)", status=503, share=0.01))
        deaths = FAULTS["kill before"] + FAULTS["kill after"]
        return f"{rng.choice(['before', 'after'])} {1 + int(rng.expovariate(deaths))}"

    def paid(self) -> Counter[str]:
        return Counter(one["assignment"] for one in self.there.state()["payments"] if one["kind"] == "bonus")


class OnProlific(OnStandIn):
    """The stand-in for Prolific."""

    paying = "/pay/"

    def __init__(self, there: prolific.StandIn, home: Path) -> None:
        self.there, self.address, self.home = there, there.address, home

    def works(self, count: int) -> list[tuple[str, str]]:
        self.deepest = max(1, count // 300)  # requests that pay before one at which the process is killed, at most
        folder = open_folder(self.home / "campaign")
        with closing(open_store(folder)) as store:
            Prolific().publish(folder, store, places=count, dry_run=False)
        [study] = self.there.state()["studies"]
        (self.home / "study").write_text(study["id"])
        made = []
        for person in self.there.participants(count):
            work = self.there.reserve(person, study["id"])
            self.there.start(work)
            self.there.complete(work, "CODE")
            made.append((work, person))
        return made

    def worsen(self, rng: random.Random, run: int) -> str:
        """Faults; every other run is killed at a request that pays."""
        self.there.set(bonus_delay=rng.choice([0.0, 0.0, 60.0, 600.0]))
        self.hurt(rng, Fault("status", path="/submissions/", method="GET", status=503, share=0.01))
        return f"{rng.choice(['before', 'after'])} {rng.randint(1, self.deepest)}" if run % 2 == 0 else ""

    def quiet(self) -> None:
        super().quiet()
        self.there.set(bonus_delay=0.0)

    def paid(self) -> Counter[str]:
        return Counter(one["submission"] for one in self.there.state()["payments"] if one["kind"] == "bonus")


@contextmanager
def one_platform(shape: str, seed: int, home: Path) -> Iterator[OwnPlatform | OnMTurk | OnProlific]:
    """The platform that a shape pays through, and a campaign where it needs one."""
    more, options = '[serve]\npublic_url = "http://127.0.0.1:9"\n', ("--cents", "100000000", "--seed", str(seed))
    more += '[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\n'
    match platform_of(shape):
        case "prolific":
            with prolific.standing_in(*options) as there:
                more += f'[platform.prolific]\napi_url = "{there.address}"\n'
                more += f'completion_url = "{there.address}/submissions/complete"\n'
                invented_campaign(home / "campaign", targets=1, more=more)
                yield OnProlific(there, home)
        case "mturk":
            with mturk.standing_in(*options) as there:
                more += f'[platform.mturk]\nendpoint_url = "{there.address}"\napprove_after_days = 30\n'
                invented_campaign(home / "campaign", targets=1, more=more)
                yield OnMTurk(there, home)
        case _:
            with platform(seed) as (here, address):
                more += f'[platform.mturk]\nendpoint_url = "{address}"\n'
                invented_campaign(home / "campaign", targets=1, more=more)
                yield OwnPlatform(here, address)


def platform_of(shape: str) -> str:
    """The name of the platform that a shape pays through."""
    if shape in ("dallinger", "imitable-prolific"):
        return "prolific"
    return "mturk" if shape.endswith("-stand-in") else "like-mturk"


def owe(shape: str, home: Path, works: list[tuple[str, str]]) -> None:
    """Write into a system's books what each is owed: from 1 to 90 cents."""
    if not shape.startswith("imitable"):
        with closing(open_books(home)) as books:
            rows = [(work, who, 1 + number % 90) for number, (work, who) in enumerate(works)]
            books.executemany("INSERT INTO bonuses VALUES (?, ?, ?, 0)", rows)
        return
    folder, name = open_folder(home / "campaign"), "prolific" if shape.endswith("prolific") else "mturk"
    now = datetime(2026, 11, 1, tzinfo=UTC)
    with closing(open_store(folder)) as store, store.write() as connection:
        for number, (work, who) in enumerate(works):
            annotator = folder.annotator_id(name, who)
            row = {"annotator_id": annotator, "platform": name, "platform_id": who, "created_at": now}
            connection.execute(insert(tables.identities).values(row))
            key = key_of(work, who) if name == "mturk" else work
            owed = Owed(f"s_{number}", annotator, name, key, "bonus", Money(1 + number % 90, "USD"), {})
            assert oblige(connection, folder, owed, now=now)


def books(shape: str, home: Path) -> tuple[set[str], dict[str, str]]:
    """Whom a system's books have as paid, and what it lists as in doubt, with the operation."""
    if not shape.startswith("imitable"):
        with closing(open_books(home)) as there:
            return {work for (work,) in there.execute("SELECT work FROM bonuses WHERE paid")}, {}
    with closing(open_store(open_folder(home / "campaign"))) as store, store.read() as connection:
        lines = statement(connection)
    doubtful = {line.assignment.partition(" ")[0]: str(line.operation_id) for line in lines if line.doubtful}
    return {line.assignment.partition(" ")[0] for line in lines if line.stand == "paid"}, doubtful


def tally(shape: str, home: Path, paid: Counter[str], works: list[tuple[str, str]]) -> Tally:
    """Both beside each other."""
    booked, doubtful = books(shape, home)
    times = [paid[work] for work, _ in works]
    return Tally(
        once=times.count(1),
        more=sum(one > 1 for one in times),
        most=max(times),
        unpaid=times.count(0),
        booked_unpaid=len(booked - set(paid)),
        paid_unbooked=len(set(paid) - booked - set(doubtful)),
        doubtful=len(doubtful),
    )


def run(shape: str, home: Path, address: str, kill: str = "") -> subprocess.CompletedProcess[str]:
    """One run of a system's paying process."""
    command = [sys.executable, str(HERE / "money_shapes.py"), shape, str(home), address]
    environment = os.environ | {"KILL": kill, "PROLIFIC_TOKEN": TOKEN}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode not in (0, -9):
        raise RuntimeError(f"{shape}: {done.stderr}")
    return done


def play(shape: str, *, seed: int, payouts: int, runs: int) -> Outcome:
    """A system's way through the faults, and out of them."""
    rng = random.Random(seed)
    home = Path(tempfile.mkdtemp(prefix=f"money-{shape}-"))
    with one_platform(shape, seed, home) as there:
        works = there.works(payouts)
        owe(shape, home, works)
        killed = 0
        for number in range(runs):
            killed += run(shape, home, there.address, there.worsen(rng, number)).returncode == -9
            there.move(BETWEEN[number % len(BETWEEN)])
        after = tally(shape, home, there.paid(), works)
        there.quiet()
        for _ in range(CALM - 1):
            run(shape, home, there.address)
            there.move(2)
        left = books(shape, home)[1]
        for work, operation in left.items():  # a person looks at the platform's own page
            settle(home / "campaign", operation, paid=there.paid()[work] > 0, why="looked")
        run(shape, home, there.address)
        end = tally(shape, home, there.paid(), works)
    shutil.rmtree(home)
    return Outcome(after, after.doubtful - len(left), len(left), end, killed)


def rate(shape: str, payouts: int) -> float:
    """Payouts a second of a system where nothing goes wrong."""
    home = Path(tempfile.mkdtemp(prefix=f"money-{shape}-"))
    with one_platform(shape, 0, home) as there:
        there.quiet()
        owe(shape, home, there.works(payouts))
        done = run(shape, home, there.address)
    shutil.rmtree(home)
    return payouts / float(done.stdout)


def rows(shapes: list[str], outcomes: dict[str, Outcome]) -> Iterator[str]:
    """The table of one platform."""
    yield (
        "| | paid once | paid twice or more (most) | unpaid | booked, not paid | paid, not booked | listed as in doubt "
        "| resolved by itself | by a person | at the end: once | more than once | unpaid | books wrong |"
    )
    yield "| --- |" + " ---: |" * 12
    for shape in shapes:
        one = outcomes[shape]
        bad, end = one.after_faults, one.at_the_end
        doubt = (bad.doubtful, one.by_itself, one.by_person) if shape.startswith("imitable") else ("", "", "")
        more = f"{bad.more} ({bad.most})"
        cells = [bad.once, more, bad.unpaid, bad.booked_unpaid, bad.paid_unbooked, *doubt]
        cells += [end.once, end.more, end.unpaid, end.booked_unpaid + end.paid_unbooked]
        yield f"| {NAMES[shape]} | " + " | ".join(str(cell) for cell in cells) + " |"


def right(outcome: Outcome, payouts: int) -> bool:
    """Whether everybody was paid once, and whether the books never said otherwise."""
    bad, end = outcome.after_faults, outcome.at_the_end
    never = bad.more + bad.booked_unpaid + bad.paid_unbooked + end.more + end.booked_unpaid + end.paid_unbooked
    return never == 0 and end.once == payouts and end.doubtful == 0


def main() -> None:
    """Run it, print it, write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", choices=[*PLATFORMS, *SHAPES], default=[])
    parser.add_argument("--seed", type=int, default=22)
    chosen = parser.parse_args()
    os.environ |= {"PROLIFIC_TOKEN": TOKEN, "AWS_ACCESS_KEY_ID": mturk.KEY, "AWS_SECRET_ACCESS_KEY": mturk.SECRET}
    for name in ("IMITABLE_STORE_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)
    payouts, runs = (60, 6) if chosen.quick else (1000, 24)
    named = chosen.only or list(SHAPES)
    shapes = [shape for shape in SHAPES if shape in named or platform_of(shape) in named]
    with ProcessPoolExecutor(2) as pool:
        played = pool.map(partial(play, seed=chosen.seed, payouts=payouts, runs=runs), shapes)
        outcomes = dict(zip(shapes, played, strict=True))
    how = f"{payouts:,} payouts each, {runs} runs with faults (seed {chosen.seed}), {CALM} without."
    for name, title in PLATFORMS.items():
        mine = [shape for shape in shapes if platform_of(shape) == name]
        if mine:
            killed = ", ".join(str(outcomes[shape].killed) for shape in mine)
            said = [f"**{title}.** {how} Processes killed: {killed}.", "", *rows(mine, outcomes)]
            whole = not chosen.quick and mine == [shape for shape in SHAPES if platform_of(shape) == name]
            tell(said, name if whole else "")
    timed = [shape for shape in shapes if platform_of(shape) != "mturk"]  # which takes longer than any books
    if timed and not chosen.quick:
        tell(throughput(timed), "" if chosen.only else "throughput")
    if not all(right(outcomes[shape], payouts) for shape in shapes if shape.startswith("imitable")):
        sys.exit(f"imitable did not pay everybody once: {outcomes}")


def tell(said: list[str], section: str) -> None:
    """Print it, and write it in place of a section of money.md, unless that is empty."""
    print("\n".join([*said, ""]))
    if section:
        path, mark = HERE / "money.md", f"<!-- measured: {section} -->\n"
        above, _, rest = path.read_text(encoding="utf-8").partition(mark)
        below = "".join(rest.partition("<!-- measured:")[1:])
        when = f"Measured on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores that others used too."
        path.write_text("\n".join([above + mark + when, "", *said, "", below]).rstrip() + "\n", encoding="utf-8")


def throughput(shapes: list[str], payouts: int = 400, rounds: int = 3) -> list[str]:
    """What the ledger costs: in alternating rounds, medians."""
    rates: dict[str, list[float]] = {shape: [] for shape in shapes}
    for _ in range(rounds):
        for shape in shapes:
            rates[shape].append(rate(shape, payouts))
    middle = {shape: sorted(found)[rounds // 2] for shape, found in rates.items()}
    said = [f"Without faults, {payouts} payouts, medians of {rounds} alternating rounds:", ""]
    said += ["| | payouts a second | of the plain shape |", "| --- | ---: | ---: |"]
    for shape, found in middle.items():
        where = platform_of(shape)
        plain = next((rate for one, rate in middle.items() if platform_of(one) == where), found)
        said.append(f"| {NAMES[shape]}, {where} | {found:,.0f} | {found / plain:.2f} |")
    return said


if __name__ == "__main__":
    main()
