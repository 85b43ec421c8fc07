"""What a guess costs: the game served beside a bare Starlette route that commits one row, into benchmarks/serve.md.

A guess is POST /guess: the commit, and the page that shows what it was (practice) or goes on (held-out rounds), of
real texts of 48 tokens at level `examples`. Both are served by uvicorn with the same settings, on the same kind of
database with the same durability, in alternating rounds of one run. `--quick` is a short one, `--only sqlite` or
`--only postgresql` a part; it prints the tables, and writes them to serve.md when all of it ran.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
from sqlalchemy import delete, func, select, update

from imitable.commands.build import build
from imitable.commands.folders import built
from imitable.commands.new import new
from imitable.game import Game, make_links
from imitable.store import Store, tables

HERE = Path(__file__).parent
CONNECTIONS = 32
JSON, HTML = "application/json", "text/html"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Measured:
    """One row of the table, round by round."""

    rates: list[float] = field(default_factory=list)
    """Requests answered in a second."""
    cpu: list[float] = field(default_factory=list)
    """Milliseconds of processor of the server's processes for each request."""
    database: list[float] = field(default_factory=list)
    """The same, of the database's own processes; SQLite has none."""
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    def processor(self) -> float:
        """Milliseconds of processor for each request, all processes together."""
        return statistics.median(self.cpu) + statistics.median(self.database)

    def cells(self) -> list[str]:
        """The medians."""
        middle = statistics.median
        cells = [f"{middle(self.rates):,.0f}", f"{middle(self.p50):.1f}", f"{middle(self.p99):.1f}"]
        return [*cells, f"{middle(self.cpu):.2f}", f"{middle(self.database):.2f}" if any(self.database) else ""]


def processor_seconds(root: int) -> float:
    """User and system time of a process, of those it began, and of those of them that are gone."""
    total, parents = 0.0, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = (int(words[1]), [int(word) for word in words[11:15]])
    for pid, (parent, times) in parents.items():
        while pid != root and parent in parents:
            pid, parent = parent, parents[parent][0]  # noqa: PLW2901
        if pid == root:
            total += sum(times) / TICKS
    return total


def resident(root: int) -> int:
    """Bytes of memory of a process and its children."""
    pids = [root, *(int(pid) for pid in Path(f"/proc/{root}/task/{root}/children").read_text().split())]
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(*words: str, url: str = "") -> Iterator[tuple[int, int]]:
    """A server in processes of its own: its process id and port."""
    environment = {**os.environ, "IMITABLE_STORE_URL": url} if url else None
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        port = json.loads(line)["port"] if line.startswith("{") else int(line.split("127.0.0.1:")[1].split(".")[0])
        yield process.pid, port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        process.stdout.close()


@contextmanager
def postgresql(home: Path) -> Iterator[tuple[str, int]]:
    """A PostgreSQL server as it comes, which syncs every commit: its URL without the database, and its process id."""
    home.mkdir()
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(home, user)
        home.parent.chmod(0o755)
    port = free_port()
    quiet: dict[str, Any] = {"cwd": home, "user": user, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([binaries / "initdb", "-D", home / "data", "-U", "imitable", "--auth=trust"], check=True, **quiet)
    words = ["-k", str(home), "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
    running = subprocess.Popen([binaries / "postgres", "-D", home / "data", *words], **quiet)
    url = f"postgresql://imitable@127.0.0.1:{port}/"
    import psycopg

    for _ in range(400):
        try:
            psycopg.connect(url + "postgres").close()
            break
        except psycopg.OperationalError:
            time.sleep(0.05)
    with psycopg.connect(url + "postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE game")
        connection.execute("CREATE DATABASE bare")
    with psycopg.connect(url + "bare") as connection:
        connection.execute("CREATE TABLE rows (token TEXT, round_id TEXT, guess DOUBLE PRECISION)")
    try:
        yield url, running.pid
    finally:
        running.send_signal(signal.SIGINT)
        running.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def open_episodes(campaign: Path, people: int) -> list[list[str]]:
    """So many people on the first round of an episode each; the forms that each will post, in order."""
    guess = np.random.default_rng(0)
    with built(campaign) as (folder, store):
        game = Game(folder, store)
        names = [f"link-{number}" for number in range(people)]
        forms = []
        for link in make_links(store, folder, platform="simulated", names=names, now=game.clock()):
            token = game.start(link.code, agreed=True)
            for step in "123":
                game.tutorial(token, step, "5")
            game.view(token)
            forms.append((token, token.partition(".")[0]))
        with store.read() as connection:
            rounds: dict[str, list[str]] = {}
            for row in connection.execute(
                select(tables.sitting_episodes.c.sitting_id, tables.rounds.c.round_id)
                .join(tables.rounds, tables.rounds.c.episode_id == tables.sitting_episodes.c.episode_id)
                .order_by(tables.rounds.c.trial)
            ):
                rounds.setdefault(row.sitting_id, []).append(row.round_id)
        start_again(store)
    return [
        [
            urlencode({"token": token, "round_id": one, "guess": f"{guess.uniform(0, 10):.1f}"})
            for one in rounds[sitting]
        ]
        for token, sitting in forms
    ]


def start_again(store: Store) -> int:
    """Every episode at its first round, all rounds shown; returns the guesses there were."""
    with store.write() as connection:
        there = int(connection.execute(select(func.count()).select_from(tables.guesses)).scalar_one())
        connection.execute(delete(tables.guesses))
        connection.execute(update(tables.episodes).values(completed_at=None))
        shown = connection.execute(select(func.max(tables.episodes.c.started_at))).scalar_one()
        connection.execute(update(tables.rounds).values(shown_at=shown))
    return there


def load(row: Measured, people: list[list[str]], *, server: int, port: int, accept: str, database: int = 0) -> float:
    """Post all of it once; what the client used of one processor, 0 to 1."""
    plan = {"path": "/guess", "accept": accept, "people": people, "connections": CONNECTIONS, "port": port}
    before, before_database = processor_seconds(server), processor_seconds(database) if database else 0.0
    done = subprocess.run(
        [sys.executable, HERE / "serve_load.py"], input=json.dumps(plan), capture_output=True, text=True, check=True
    )
    seen = json.loads(done.stdout)
    count, wanted = len(seen["seconds"]), sum(map(len, people))
    assert not seen["failures"], seen["failures"][:3]
    assert count == wanted, (count, wanted)
    row.rates.append(count / seen["took"])
    row.cpu.append(1000 * (processor_seconds(server) - before) / count)
    row.database.append(1000 * (processor_seconds(database) - before_database) / count if database else 0.0)
    row.p50.append(1000 * float(np.quantile(seen["seconds"], 0.5)))
    row.p99.append(1000 * float(np.quantile(seen["seconds"], 0.99)))
    return float(seen["client"] / seen["took"])


def side_by_side(name: str, campaign: Path, bare: tuple[str, str], *, workers: int, options: Any) -> list[str]:
    """The lines of one database and one number of processes."""
    people = open_episodes(campaign, 16 if options.quick else 128)
    rows = {"bare route": Measured(), "guess, JSON": Measured(), "guess, HTML": Measured()}
    busiest = 0.0
    with ExitStack() as running:
        game = ["-m", "imitable", "serve", str(campaign), "--port", "0"]
        ours, port = running.enter_context(serving(*game, *(["--workers", str(workers)] if workers > 1 else [])))
        bare_server, bare_port = running.enter_context(serving(str(HERE / "serve_bare.py"), *bare, str(workers)))
        _, store = running.enter_context(built(campaign))
        for number in range(1 + (2 if options.quick else options.rounds)):
            for what, row in rows.items():
                into = row if number else Measured()  # the first round warms up
                if what == "bare route":
                    busy = load(
                        into, people, server=bare_server, port=bare_port, accept=JSON, database=options.postgres
                    )
                else:
                    accept = JSON if what.endswith("JSON") else HTML
                    busy = load(into, people, server=ours, port=port, accept=accept, database=options.postgres)
                    assert start_again(store) == sum(map(len, people)), "guesses were lost"
                busiest = max(busiest, busy)
    said = f"{name}, {workers} process{'es' if workers > 1 else ''}"
    lines = []
    for what, row in rows.items():
        bare_row = rows["bare route"]
        ratios = [ours / bare for ours, bare in zip(row.rates, bare_row.rates, strict=True)]
        ratio = f"{statistics.median(ratios):.2f} | {bare_row.processor() / row.processor():.2f}"
        lines.append(f"| {said} | {what} | {' | '.join(row.cells())} | {ratio} |")
        print(lines[-1], flush=True)
    print(f"the client used {busiest:.2f} of a processor at most", file=sys.stderr)
    return lines


def ceiling(options: Any) -> str:
    """What the client can send, to a server that does nothing."""
    row = Measured()
    body = urlencode({"token": "s_" + "0" * 49, "round_id": "r_" + "0" * 16, "guess": "6.5"})
    with serving(str(HERE / "serve_bare.py"), "nothing", "", "1") as (pid, port):
        for _ in range(3):
            load(row, [[body] * 20] * (20 if options.quick else 500), server=pid, port=port, accept=JSON)
    return f"{statistics.median(row.rates):,.0f}"


def memory(campaign: Path, options: Any) -> str:
    """What a thousand open episodes take of the server's memory, over HTTP from the link to the first round."""
    wanted = 50 if options.quick else 1000
    with built(campaign) as (folder, store):
        names = [f"memory-{number}" for number in range(2 * wanted)]
        links = make_links(store, folder, platform="simulated", names=names, now=Game(folder, store).clock())
    with (
        serving("-m", "imitable", "serve", str(campaign), "--port", "0") as (pid, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Accept": JSON}, trust_env=False) as client,
    ):

        def enter(codes: list[str]) -> int:
            for code in codes:
                token = client.post("/start", data={"code": code, "agree": "yes"}).json()["token"]
                for step in "123":
                    client.post("/tutorial", data={"token": token, "step": step, "guess": "5"})
                assert client.post("/play", data={"token": token}).json()["kind"] == "round"
            return resident(pid)

        codes = [link.code for link in links]
        warm = enter(codes[:wanted])
        return f"{(enter(codes[wanted:]) - warm) / 1e6 * 1000 / wanted:.1f} MB (the server has {warm / 1e6:.0f} MB)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    options = parser.parse_args()
    options.postgres = 0
    before = os.getloadavg()[0]
    head = [
        "| | | a second | p50, ms | p99, ms | server, CPU ms | database, CPU ms | rate of bare | by CPU |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines: list[str] = []
    used = "(not measured)"
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        home = Path(temporary)
        new(home / "campaign")
        toml = home / "campaign" / "campaign.toml"
        toml.write_text(toml.read_text().replace("annotators_per_target = 10", "annotators_per_target = 1000"))
        build(home / "campaign")
        most = ceiling(options)
        print("\n".join(head))
        if options.only != "postgresql":
            bare = ("sqlite", str(home / "bare.db"))
            lines += side_by_side("SQLite", home / "campaign", bare, workers=1, options=options)
            used = memory(home / "campaign", options)
        if options.only != "sqlite":
            url, options.postgres = stack.enter_context(postgresql(home / "pg"))
            os.environ["IMITABLE_STORE_URL"] = url + "game"
            build(home / "campaign")
            for workers in options.workers:
                bare = ("postgresql", url + "bare")
                lines += side_by_side("PostgreSQL", home / "campaign", bare, workers=workers, options=options)
    text = (
        f"Measured on {date.today()}, {os.cpu_count()} cores that others used too (load {before:.1f} before, "  # noqa: DTZ011
        f"{os.getloadavg()[0]:.1f} after), {CONNECTIONS} annotators at once; medians of {options.rounds} rounds. "
        f"The client can post {most} a second to a server that does nothing.\n\n"
        + "\n".join([*head, *lines])
        + f"\n\nA thousand open episodes take {used} of the server's memory: nothing is held of them.\n"
    )
    print("\n" + text)
    if not options.only and not options.quick:
        page = HERE / "serve.md"
        kept = page.read_text(encoding="utf-8").partition("<!-- measured -->")[0] if page.exists() else ""
        page.write_text(kept + "<!-- measured -->\n" + text, encoding="utf-8")


if __name__ == "__main__":
    main()
