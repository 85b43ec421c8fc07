"""A Label Studio for trying out: up, and up again with the same data; down."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from imitable.errors import MissingExtra, PlatformError
from imitable.rehearsal.label_studio.accounts import (
    Account,
    drawn,
    logged_in,
    make_accounts,
    read_accounts,
    with_token,
    write_accounts,
)
from imitable.rehearsal.label_studio.installing import Installation, Say, home
from imitable.rehearsal.label_studio.process import HOST, Running, answers, begin_database, find, is_free, start, stop

ADMIN = "admin@example.com"
PORT = 8080
LETTING_GO = 3.0
"""Seconds in which a server that was killed gives back its port."""


@dataclass(frozen=True)
class Server:
    """A server that is up."""

    url: str
    version: str
    data: Path
    """Where its data, the accounts and its log are."""
    started: bool
    """False: it was running already."""
    admin: Account
    annotators: tuple[Account, ...]

    @property
    def accounts(self) -> Path:
        """The annotators' accounts: email, password, token."""
        return self.data / "accounts.csv"


def data_folder() -> Path:
    """Where a server's data are unless it is said."""
    return home() / "data"


def up(
    data: Path | None = None,
    *,
    annotators: int = 4,
    port: int | None = None,
    postgres: str | None = None,
    installation: Installation | None = None,
    say: Say = lambda _: None,
) -> Server:
    """Install Label Studio if need be, start it, and make its accounts; safe to repeat after any failure.

    Port and database stay what they were for the same data, unless the port is named. Raises PlatformError, and
    MissingExtra.
    """
    try:
        import httpx
    except ImportError as error:
        raise MissingExtra("label-studio", wanted_for="Setting up Label Studio") from error
    data = (data or data_folder()).absolute()
    installed = installation or Installation()
    installed.prepare(say)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    admin = _admin(data)
    kept = _keep(data, port=port, postgres=postgres)
    running, started = find(data), False
    if running is not None and not answers(running.port):
        stop(data)  # it hangs, or has not begun
        running = None
    if running is None:
        say(f"Starting Label Studio on port {kept.port} ...")
        running, started = _start(installed, data, kept, admin), True
    url = f"http://{HOST}:{running.port}"
    try:
        with logged_in(url, admin) as client:
            version = str(client.get("/api/version").raise_for_status().json()["release"])
            admin = with_token(client, admin)
        write_accounts(data / "admin.csv", [admin])
        emails = [f"annotator-{number}@example.com" for number in range(1, annotators + 1)]
        if annotators > len(read_accounts(data / "accounts.csv")):
            say("Making accounts for annotators ...")
        everybody = make_accounts(url, data / "accounts.csv", admin=admin, emails=emails)
    except httpx.HTTPError as error:
        raise PlatformError(f"Label Studio at {url} failed ({error}). See {data / 'server.log'}.") from error
    return Server(url, version, data, started, admin, tuple(everybody))


def down(data: Path | None = None) -> bool:
    """Stop the server that runs with this data, if one does; says whether one did. Nothing else is ever stopped."""
    return stop((data or data_folder()).absolute())


def _admin(data: Path) -> Account:
    path = data / "admin.csv"
    if not (known := read_accounts(path)):
        if any(data.glob("*.sqlite3")):
            raise PlatformError(
                f"{data} holds a Label Studio that 'imitable label-studio up' did not make, or its admin.csv is gone. "
                "Choose another folder with --data."
            )
        write_accounts(path, known := [drawn(ADMIN)])
    return known[0]


@dataclass(frozen=True)
class _Kept:
    """What is asked for once, and stays."""

    port: int
    postgres: str
    """URL of the database; empty: SQLite, in the folder."""
    secret: str
    """With which the server signs sessions and tokens. It does not always find the one again that it draws itself."""


def _keep(data: Path, *, port: int | None, postgres: str | None) -> _Kept:
    path = data / "server.json"
    before = _Kept(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
    if before is not None and postgres not in (None, before.postgres):
        raise PlatformError(
            f"The server in {data} has its tables in another database. Leave out --postgres, or choose another folder "
            "with --data."
        )
    first = before or _Kept(PORT, postgres or "", secrets.token_hex(32))
    kept = replace(first, port=port or first.port)
    if kept != before:
        partly = path.with_suffix(".part")
        partly.touch(mode=0o600)
        partly.write_text(json.dumps(asdict(kept)) + "\n", encoding="utf-8")
        partly.replace(path)
    return kept


def _start(installed: Installation, data: Path, kept: _Kept, admin: Account) -> Running:
    until = time.monotonic() + LETTING_GO
    while not is_free(kept.port):
        if time.monotonic() > until:
            raise PlatformError(
                f"Port {kept.port} is taken, and not by the Label Studio in {data}. Choose another with --port."
            )
        time.sleep(0.05)
    settings = {"LABEL_STUDIO_USERNAME": admin.email, "LABEL_STUDIO_PASSWORD": admin.password}
    settings["SECRET_KEY"] = kept.secret
    if kept.postgres:
        settings |= database_settings(kept.postgres)
    else:
        begin_database(installed, data)
    return start(installed, data, port=kept.port, settings=settings)


def database_settings(url: str) -> dict[str, str]:
    """What tells Label Studio of a PostgreSQL database, postgresql://user:password@host:port/name."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        where = make_url(url)
        if where.get_backend_name() != "postgresql" or not where.database:
            raise ArgumentError("not the address of a PostgreSQL database")
    except (ArgumentError, ValueError) as error:
        raise PlatformError(
            f"--postgres: {error}. Write postgresql://user:password@host:port/name, of an empty database."
        ) from error
    return {
        "DJANGO_DB": "default",
        "POSTGRE_HOST": where.host or "localhost",
        "POSTGRE_PORT": str(where.port or 5432),
        "POSTGRE_NAME": where.database,
        "POSTGRE_USER": where.username or "",
        "POSTGRE_PASSWORD": str(where.password or ""),
    }
