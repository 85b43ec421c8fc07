"""Who plays: the accounts of a campaign, from a CSV or from the server."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imitable.errors import PlatformError
from imitable.store.tables import SIMULATED_DOMAIN

_LONGEST = 200


@dataclass(frozen=True)
class Account:
    """Somebody who plays."""

    email: str
    """Lower case: it is the annotator's id on this platform."""
    token: str
    """A personal access token, with which drafts are made; empty where it is not known."""


def read_accounts(path: Path) -> list[Account]:
    """The accounts of a CSV with a column `email` and perhaps `token`. Raises PlatformError naming file and line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, restval="")
            if "email" not in (rows.fieldnames or []):
                raise PlatformError(f"{path} has no column 'email'. Its first line must be: email,token")
            made: list[Account] = []
            for row in rows:
                where, email = f"{path}, line {rows.line_num}", row["email"].strip().lower()
                if "@" not in email or len(email) > _LONGEST:
                    raise PlatformError(f"{where}: '{email}' is no e-mail address. Mend or remove the line.")
                if any(one.email == email for one in made):
                    raise PlatformError(f"{where}: {email} stands there twice. Remove one of the lines.")
                made.append(Account(email, (row.get("token") or "").strip()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PlatformError(
            f"The accounts {path}, named in campaign.toml, [platform.label_studio] accounts, cannot be read ({error}). "
            "Write them as a CSV with a column 'email'."
        ) from error
    if not made:
        raise PlatformError(f"{path} names nobody. Write a line for each account that is to play.")
    return made


def everybody_but(me: str, emails: Mapping[int, str], url: str) -> list[Account]:
    """Every account of the organization but the one that publishes and those of programs that play.

    Raises PlatformError when there is no other.
    """
    programs = f"@{SIMULATED_DOMAIN}"
    others = sorted(email for email in emails.values() if email != me and not email.endswith(programs))
    if not others:
        and_programs = f", and those of programs ({programs})" if len(emails) > 1 else ""
        raise PlatformError(
            f"Label Studio at {url} has no account but {me}, which publishes{and_programs}. Invite annotators there "
            "(Organization, Add People), and publish again."
        )
    return [Account(email, "") for email in others]


def refuse_strangers(accounts: list[Account], emails: Mapping[int, str], url: str) -> None:
    """Raise PlatformError when the server does not know an account."""
    unknown = [one.email for one in accounts if one.email not in emails.values()]
    if unknown:
        some = ", ".join(unknown[:5]) + (" and others" if len(unknown) > 5 else "")
        raise PlatformError(
            f"Label Studio at {url} has no account {some}. Invite them there (Organization, Add People), or "
            "correct the accounts' file."
        )
