"""`imitable rehearse`: the whole campaign, published, played, paid and ranked on a stand-in, before it costs a cent."""

from __future__ import annotations

import csv
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from decimal import Decimal
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import Connection, func, select

from imitable.campaign import Folder, open_folder
from imitable.commands.progress import Progress, silent
from imitable.commands.rank import rank
from imitable.commands.rehearsed import Rehearsal, before_publishing, filled, forecasts, take_stock
from imitable.errors import BuildError, CampaignError, ImitableError, MissingExtra
from imitable.money.amounts import total
from imitable.money.ledger import Line, statement
from imitable.store import Store, build_hash_of, money_tables, open_store, read_report

if TYPE_CHECKING:
    from imitable.rehearsal.clock import Clock
    from imitable.rehearsal.people import Person
    from imitable.rehearsal.stages import Stage

PILOT = 10
"""People who play first, where the rest waits for what an hour earns."""
ENOUGH = 20_000
"""Guesses that are played, at most, unless a number of players is given: a few minutes' worth."""
WITH_PEOPLE = ("returned", "not handed in", "timed-out", "wrong code", "unfinished", "not returned", "given back")
"""Differences that people make, and that a campaign is prepared for."""


def rehearse(
    directory: Path,
    *,
    platform: str = "web",
    players: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    keep: Path | None = None,
    progress: Progress = silent,
) -> Rehearsal:
    """Publish, play, collect, close, pay, reconcile, export and rank a copy of a built campaign, on a stand-in.

    The campaign itself is only read. `players` come at most: by default as many as the campaign is for, if that takes
    minutes. `minutes` are how long a usual person takes for a sitting: assumed, and by default what annotators are
    told. `keep` is a new folder for the copy, its export, ranking and commands. Raises ImitableError subclasses where
    there is nothing to rehearse; what goes wrong in it is in the result.
    """
    for module in ("starlette", "uvicorn", "httpx"):
        if find_spec(module) is None:
            raise MissingExtra("serve", wanted_for="A rehearsal")
    from imitable.rehearsal.loopback import only_here
    from imitable.rehearsal.people import Usual
    from imitable.rehearsal.stages import stage_of

    folder = _ready(directory)
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise CampaignError(f"{keep} is not empty. Give --keep a new folder.")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="imitable-rehearsal-") as held:
        work = Path(held)
        with only_here(work / "connections.txt"), stage_of(platform, folder.config, work / "connections.txt") as stage:
            usual, currency = Usual.of(folder.config, minutes), folder.config.pay.currency
            to_do = [*stage.notes, *before_publishing(folder)]
            found = Rehearsal(platform, currency, stage.title, usual, stage.per_hour, to_do=to_do)
            show = _Show(folder, work, stage, platform, found, seed, progress)
            try:
                show.run(players)
                show.results()
            except ImitableError as error:
                found.problems.append(str(error))
            found.problems += show.elsewhere()
            found.problems = [one.replace(str(show.copy), str(directory)) for one in found.problems]
        found.seconds = time.monotonic() - began
        if keep is not None:
            shutil.copytree(work, keep, dirs_exist_ok=True)
            found.kept = keep
    return found


def _ready(directory: Path) -> Folder:
    """The campaign's folder, once it is sure that its build is the one that would be played."""
    from imitable.commands.serve import refuse_what_changed

    folder = open_folder(directory)
    report = read_report(folder.build)
    if report is None:
        raise BuildError(f"{directory} has not been built yet. Run: imitable build {directory}")
    if report["build_hash"] != build_hash_of(folder):
        raise BuildError(
            f"{directory}/campaign.toml has changed since the campaign was built. Run: imitable build {directory}"
        )
    refuse_what_changed(folder)
    return folder


class _Refused(ImitableError):
    """A command of the rehearsal did not do what it should."""


class _Show:
    """One rehearsal, step by step."""

    def __init__(
        self,
        folder: Folder,
        work: Path,
        stage: Stage,
        platform: str,
        found: Rehearsal,
        seed: int,
        progress: Progress,
    ) -> None:
        self.folder = folder
        self.work = work
        self.stage = stage
        self.platform = platform
        self.found = found
        self.seed = seed
        self.rng = np.random.default_rng(seed)
        self.progress = progress
        self.copy = work / "campaign"
        self.log = work / "connections.txt"

    def run(self, players: int | None) -> None:
        """Everything that a runner does, and that annotators do, up to the books."""
        from imitable.rehearsal.clock import Clock
        from imitable.rehearsal.copying import copy_campaign
        from imitable.rehearsal.playing import door

        port = _free_port()
        public = f"http://127.0.0.1:{port}"
        copy_campaign(self.folder, self.copy, public_url=public, platform=self.stage.tables, seed=self.seed)
        clock = Clock(self.work / "clock")
        said = self.work / "server.txt"
        with door(self.copy, self.work / "clock", port=port, log=self.log, said=said):
            if self._pays and Decimal(self.folder.config.pay.floor_per_hour):
                self._publish("--pilot", str(PILOT))
                self._play(None if players is None else min(PILOT, players), clock)
                self._command("collect")
                self._pay()
            try:
                self._publish()
            except _Refused as error:
                if "--although" not in str(error):
                    raise
                self.found.problems.append(str(error))
                self._publish("--although", "a rehearsal goes on to see the rest")
            self._play(self._most(players), clock)
        self._command("collect")
        self._look_at_differences()
        self._command("close")
        self._pay()
        self._command("close")
        if self._pays:
            self._reconcile()
        if said.read_text(encoding="utf-8").strip():
            first = said.read_text(encoding="utf-8").strip().splitlines()[0]
            self.found.problems.append(f"The game's server complained: {first}")

    @property
    def _pays(self) -> bool:
        """Whether money goes through the platform."""
        return self.stage.sent() is not None

    def _most(self, players: int | None) -> int | None:
        """How many people may come yet; None where as many come as the campaign needs."""
        rounds = self.folder.config.episode.rounds * self.folder.config.sitting.episodes
        if players is None and self.found.places * rounds <= ENOUGH:
            return None
        return max(0, (max(PILOT, ENOUGH // rounds) if players is None else players) - len(self.found.took))

    def _publish(self, *options: str) -> None:
        self._command("publish", "--platform", self.platform, *options)
        self.stage.opened(self.copy)
        with self._store() as (_, connection):
            places = func.sum(money_tables.reservations.c.places)
            self.found.places = int(connection.execute(select(places)).scalar_one() or 0)

    def _play(self, most: int | None, clock: Clock) -> None:
        """Let people come until every target has its annotators or no place is left, and not more than `most`."""
        import httpx

        from imitable.rehearsal.playing import play

        config, open_places = self.folder.config, max(1, self.found.places - len(self.found.took))
        first = open_places if most is None else min(most, open_places)
        copy = open_folder(self.copy)
        try:
            with (
                self.progress(
                    "Playing by simulated people", first * config.episode.rounds * config.sitting.episodes
                ) as advance,
                closing(open_store(copy, url="sqlite")) as store,
            ):
                took = play(
                    self.stage,
                    clock,
                    islice(self._people(first), most),
                    self.found.usual,
                    needed=lambda: self._needed(copy, store),
                    patience=timedelta(minutes=2 * config.episode.abandon_after_minutes),
                    rng=self.rng,
                    tick=advance,
                )
        except httpx.HTTPError as error:
            raise _Refused(
                f"The game's server stopped answering ({str(error) or type(error).__name__}). Keep the rehearsal, and "
                "report it."
            ) from error
        self.found.took += took
        self.found.whole = most is None or len(took) < most

    def _people(self, first: int) -> Iterator[Person]:
        """Whoever may come, drawn so many together and then a few at a time."""
        from imitable.rehearsal.people import draw_people

        came = len(self.found.took)
        while True:
            yield from draw_people(first, self.folder.config, self.rng, before=came)
            came, first = came + first, PILOT

    def _needed(self, copy: Folder, store: Store) -> bool:
        """Whether an episode is left to be played."""
        with store.read() as connection:
            done, wanted = filled(connection, copy, self.platform)
        return done < wanted

    def _command(self, name: str, *options: str, code: int = 0) -> str:
        """Run a command as it is typed, with nothing of our environment. Raises _Refused with what it says."""
        from imitable.rehearsal.loopback import command, environment

        words = [name, str(self.copy), *options]
        done = subprocess.run(
            command(self.log, "imitable", *words),
            env=environment({**self.stage.environment, "COLUMNS": "200"}),
            capture_output=True,
            text=True,
            check=False,
        )
        with (self.work / "commands.txt").open("a", encoding="utf-8") as file:
            file.write(f"$ imitable {' '.join(words)}\n{done.stdout}{done.stderr}\n")
        if done.returncode not in (0, code):
            said = " ".join(done.stderr.split()).removeprefix("imitable: ") or f"exit code {done.returncode}"
            if "Traceback" in done.stderr:  # a fault of ours, whose whole story is in commands.txt
                said = f"{done.stderr.strip().splitlines()[-1]}. Keep the rehearsal, and report it."
            raise _Refused(f"imitable {name}: {said}")
        return done.stdout

    def _pay(self) -> None:
        self._command("pay")  # which writes down what is owed by now
        lines = self._lines()
        if any(line.payable or line.doubtful for line in lines):
            due = total([line.amount for line in lines if line.payable], self.folder.config.pay.currency)
            self._command("pay", "--execute", "--confirm", due.decimal)

    def _reconcile(self) -> None:
        said = self._command("reconcile", code=4)
        different = [line.strip() for line in said.splitlines() if line.startswith("  ")]
        self.found.problems += [f"The books differ from what was paid: {one}" for one in different[:3]]

    def _look_at_differences(self) -> None:
        """What `collect` found: what people do is told, anything else is to be mended."""
        with (self.copy / "collected.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            if row["kind"] not in WITH_PEOPLE:
                self.found.problems.append(f"The platform and the record differ ({row['kind']}): {row['sentence']}")

    @contextmanager
    def _store(self) -> Iterator[tuple[Folder, Connection]]:
        folder = open_folder(self.copy)
        with closing(open_store(folder, url="sqlite")) as store, store.read() as connection:
            yield folder, connection

    def _lines(self) -> list[Line]:
        with self._store() as (_, connection):
            return statement(connection)

    def results(self) -> None:
        """The export, compared with what players were told; the ranking; and what all of it comes to."""
        from imitable_aggregation.settings import Settings

        self._command("export", "--out", str(self.work / "guesses"))
        self._compare()
        with self._store() as (folder, connection):
            take_stock(self.found, folder, connection, self.stage.sent())
        settings = Settings(seed=self.seed)
        found = rank(self.work / "guesses", out=self.work / "results", settings=settings, progress=self.progress)
        self.found.summary = found
        honest = 1 - float(found.annotators["excluded"].mean())
        self.found.forecasts = forecasts(self.found, self.folder, honest)

    def _compare(self) -> None:
        """Every guess that a player was told is committed is in the export, and no other."""
        with (self.work / "guesses" / "guesses.csv").open(encoding="utf-8", newline="") as file:
            kept = {row["round_id"]: float(row["guess"]) for row in csv.DictReader(file)}
        told = {name: guess for one in self.found.took if one.played for name, guess in one.played.guesses}
        self.found.guesses = len(kept)
        if kept != told:
            self.found.problems.append(
                f"Players were told that {len(told)} guesses are committed, and the record has {len(kept)}. Keep the "
                "rehearsal, and report it."
            )

    def elsewhere(self) -> list[str]:
        """Other machines that something asked for: refused, and to be mended all the same."""
        from imitable.rehearsal.loopback import refused

        return [f"Something asked for {host}, which a rehearsal refuses. Report it." for host in refused(self.log)]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
