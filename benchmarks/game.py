"""Guesses a minute through the web door, beside a bare Starlette route that commits one row a request.

Both are served by uvicorn in a process of its own on SQLite with the same durability, and played by the same number of
threads with the same HTTP client. A guess of the game takes about 1.75 requests (guess, next) and a page each.
"""

from __future__ import annotations

import csv
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from imitable.commands.folders import built
from imitable.game.simulated import draw_profiles
from imitable.platforms.web import WebLinks
from imitable.rehearsal import play_links
from imitable.testing import invented_campaign

PLAYERS = 40


@contextmanager
def server(*words: str) -> Iterator[str]:
    """A server process; yields the address that it prints."""
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        yield next(word.rstrip(".") for word in line.split() if word.startswith("http://"))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def bare(path: str) -> None:
    """Serve the bare route."""
    import socket

    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE rows (value TEXT)")
    lock = threading.Lock()

    def insert(value: str) -> None:
        with lock:
            database.execute("INSERT INTO rows VALUES (?)", (value,))

    async def post(request: Request) -> JSONResponse:
        await run_in_threadpool(insert, (await request.body()).decode())
        return JSONResponse({"ok": True})

    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"bare http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        app = Starlette(routes=[Route("/", post, methods=["POST"])])
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


def main() -> None:
    """Play both and print the table."""
    home = Path(tempfile.mkdtemp())
    with server(__file__, "bare", str(home / "bare.db")) as address:
        began = time.perf_counter()

        def post_many(_: int) -> None:
            with httpx.Client(trust_env=False) as client:
                for number in range(150):
                    client.post(address, data={"guess": str(number)}).raise_for_status()

        with ThreadPoolExecutor(PLAYERS) as crowd:
            list(crowd.map(post_many, range(PLAYERS)))
        bare_rate = PLAYERS * 150 / (time.perf_counter() - began)

    campaign = home / "campaign"
    invented_campaign(campaign, targets=24, practice=15, held_out=5, episodes=5, annotators_per_target=1000)
    with built(campaign) as (folder, store):
        WebLinks("simulated").publish(folder, store, places=PLAYERS, dry_run=False)
    with (campaign / "links.csv").open(encoding="utf-8", newline="") as file:
        paths = ["/j/" + row["url"].rpartition("/")[2] for row in csv.DictReader(file)]
    with server("-m", "imitable", "serve", str(campaign), "--port", "0") as address:
        profiles = draw_profiles(PLAYERS, np.random.default_rng(0), bad=0.0)
        crowd_played = play_links([address + path for path in paths], profiles, seed=0)
    shutil.rmtree(home)
    rate = crowd_played.guesses / crowd_played.seconds
    print(f"{os.cpu_count()} cores, {PLAYERS} players at once, server and players on one machine\n")
    print("| | a second | a minute |\n| --- | ---: | ---: |")
    print(f"| bare route: rows committed | {bare_rate:.0f} | {60 * bare_rate:,.0f} |")
    print(f"| the game: guesses played | {rate:.0f} | {60 * rate:,.0f} |")
    print(f"\nGuesses for each row of the bare route: {rate / bare_rate:.2f}")


if sys.argv[1:2] == ["bare"]:
    bare(sys.argv[2])
else:
    main()
