"""Whose studies these are: a workspace of Prolific with its wallet, and a project in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.money import Money

if TYPE_CHECKING:
    from imitable.platforms.prolific.client import Api, Row


@dataclass(frozen=True)
class Account:
    """Where a campaign's study is, and what there is to pay it with."""

    workspace: str
    project: str
    total: Money
    """What is in the wallet, what is kept for studies that recruit among it."""
    available: Money
    """What is left of it."""


def account_of(api: Api, folder: Folder) -> Account:
    """The workspace and project of [platform.prolific] project, or the only ones that there are.

    Raises PlatformError where there are several to choose from, and when the wallet is in another currency than [pay].
    """
    settings, currency = folder.config.platform.prolific, folder.config.pay.currency
    if settings is not None and settings.project is not None:
        project, workspace = settings.project, str(api.get(f"/projects/{settings.project}/")["workspace"])
    else:
        workspaces = api.get("/workspaces/")["results"]
        projects = {
            str(project["id"]): (str(workspace["id"]), project["title"])
            for workspace in workspaces
            for project in api.get(f"/workspaces/{workspace['id']}/projects/")["results"]
        }
        if len(projects) != 1:
            names = ", ".join(f'"{key}" ({title})' for key, (_, title) in projects.items()) or "none"
            raise PlatformError(
                f"The study needs one project on Prolific, and there are {len(projects)}: {names}. Set "
                "[platform.prolific] project to the id of one."
            )
        project, (workspace, _) = next(iter(projects.items()))
    wallet: Row = api.get(f"/workspaces/{workspace}/balance/")
    if wallet["currency_code"] != currency:
        raise PlatformError(
            f"The wallet on Prolific is in {wallet['currency_code']}, and [pay] currency is {currency}. Set [pay] to "
            "amounts in the wallet's currency, or choose a project of another workspace."
        )
    total, available = (Money(int(wallet[name]), currency) for name in ("total_balance", "available_balance"))
    return Account(workspace, project, total, available)
