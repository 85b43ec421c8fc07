"""Accounts of a Label Studio that `up` started: made over HTTP as a person would make them, kept in a CSV."""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from imitable.errors import PlatformError

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True)
class Account:
    """Somebody who may log in."""

    email: str
    password: str = field(repr=False)
    token: str = field(default="", repr=False)
    """Personal access token: what a program shows instead of the password."""


def read_accounts(path: Path) -> list[Account]:
    """The accounts in a CSV that `write_accounts` wrote; none where there is no file. Raises PlatformError."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        return [Account(row["email"], row["password"], row["token"] or "") for row in rows]
    except KeyError as error:
        raise PlatformError(f"{path} has no column {error}. Its columns are email, password and token.") from error


def write_accounts(path: Path, accounts: Sequence[Account]) -> None:
    """Write accounts, readable by their owner only; the file is whole at every moment."""
    partly = path.with_suffix(".part")
    partly.unlink(missing_ok=True)
    with os.fdopen(os.open(partly, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column.name for column in fields(Account)])
        writer.writerows(astuple(one) for one in accounts)
    partly.replace(path)


def drawn(email: str) -> Account:
    """An account with a password of its own, which does not exist on any server yet."""
    return Account(email, secrets.token_urlsafe(12))


@contextmanager
def logged_in(url: str, account: Account, *, invitation: str = "") -> Iterator[httpx.Client]:
    """A browser in which an account is logged in; with the path of an invitation, it is made if it is not there.

    Raises PlatformError when the server lets nobody in with this password.
    """
    import httpx

    with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client:
        for path in ("/user/login/", *([invitation] if invitation else [])):
            client.get(path).raise_for_status()
            form = {"email": account.email, "password": account.password, "allow_newsletters": "false"}
            form["csrfmiddlewaretoken"] = client.cookies["csrftoken"]
            if client.post(path, data=form, headers={"Referer": f"{url}{path}"}).is_redirect:
                break
        else:
            raise PlatformError(
                f"{account.email} cannot log in to Label Studio at {url} with the password that is written down. Was "
                "it changed there? Correct the file, or begin with a new --data folder."
            )
        yield client


def with_token(client: httpx.Client, account: Account) -> Account:
    """The account with a personal access token that works; those it had before are withdrawn.

    Label Studio shows a token once, when it is made, and makes no second one.
    """
    if account.token and client.post("/api/token/refresh", json={"refresh": account.token}).status_code == 200:
        return account
    headers = {"X-CSRFToken": client.cookies["csrftoken"], "Referer": str(client.base_url)}
    for old in client.get("/api/token").raise_for_status().json():
        client.post("/api/token/blacklist", json={"refresh": old["token"]}, headers=headers)
    made = client.post("/api/token", headers=headers).raise_for_status()
    return replace(account, token=made.json()["token"])


def make_accounts(url: str, path: Path, *, admin: Account, emails: Sequence[str]) -> list[Account]:
    """These annotators' accounts, made where they are missing, with tokens; all accounts of the file are returned.

    What is made is written down first, so that a password is never lost. Raises PlatformError.
    """
    known = {one.email: one for one in read_accounts(path)}
    known |= {email: drawn(email) for email in emails if email not in known}
    write_accounts(path, list(known.values()))
    if all(one.token for one in known.values()):
        return list(known.values())
    with logged_in(url, admin) as client:
        invitation = str(client.get("/api/invite").raise_for_status().json()["invite_url"])
    for one in list(known.values()):
        if not one.token:
            with logged_in(url, one, invitation=invitation) as client:
                known[one.email] = with_token(client, one)
            write_accounts(path, list(known.values()))
    return list(known.values())
