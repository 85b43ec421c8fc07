"""What benchmarks/serve.py holds the game against: a Starlette route that reads a form and commits one row.

No more is in it than that asks for: the driver itself (no SQLAlchemy), one statement that is its own transaction, a
few bytes of reply. Uvicorn is configured as `imitable serve` configures it. `nothing` answers without looking.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

Commit = Callable[[str, str, float], object]


def in_sqlite(path: str) -> Commit:
    """WAL, every commit synced to disk, one writer at a time."""
    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE IF NOT EXISTS rows (token TEXT, round_id TEXT, guess REAL)")
    lock = threading.Lock()

    def commit(*row: str | float) -> None:
        with lock:
            database.execute("INSERT INTO rows VALUES (?, ?, ?)", row)

    return commit


def in_postgresql(url: str) -> Commit:
    """A pool of ten connections, each in autocommit."""
    import psycopg

    pool: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for _ in range(10):
        pool.put(psycopg.connect(url, autocommit=True))

    def commit(*row: str | float) -> None:
        connection = pool.get()
        try:
            connection.execute("INSERT INTO rows VALUES (%s, %s, %s)", row)
        finally:
            pool.put(connection)

    return commit


def bare(commit: Commit, listening: socket.socket) -> None:
    """Serve the bare route."""

    async def post(request: Request) -> JSONResponse:
        form = dict(parse_qsl((await request.body()).decode()))
        await run_in_threadpool(commit, form["token"], form["round_id"], float(form["guess"]))
        return JSONResponse({"ok": True})

    app = Starlette(routes=[Route("/guess", post, methods=["POST"])])
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listening])


class Nothing(asyncio.Protocol):
    """Answers every request with the same bytes: how fast the client can be."""

    reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n" + b"x" * 2000

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, _data: bytes) -> None:
        """A request comes whole, on loopback."""
        self.transport.write(self.reply)


def main(store: str, where: str, workers: int) -> None:
    """Serve from so many processes and print the address."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        print(json.dumps({"port": listening.getsockname()[1]}), flush=True)
        for _ in range(workers - 1):
            if os.fork() == 0:
                break
        if store == "nothing":

            async def serve() -> None:
                server = await asyncio.get_running_loop().create_server(Nothing, sock=listening)
                await server.serve_forever()

            uvloop.run(serve())
        else:
            bare(in_sqlite(where) if store == "sqlite" else in_postgresql(where), listening)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
