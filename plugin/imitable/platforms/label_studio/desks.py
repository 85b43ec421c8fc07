"""What each annotator finds in the project: a tab with his tasks in their order, and a draft that tells who types."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.label_studio import names
from imitable.platforms import Progress
from imitable.platforms.label_studio.accounts import Account
from imitable.platforms.label_studio.client import Row, Server, as_account, only
from imitable.platforms.label_studio.refusals import Refused
from imitable.platforms.listing import write_list

FILE = "label-studio.csv"


def make_tabs(server: Server, project: int, emails: Sequence[str], *, columns: Sequence[str]) -> dict[str, int]:
    """A tab of the Data Manager for each annotator, found by its title, made or mended. Returns their ids.

    `columns` of the tasks' data are hidden in it: they are pages long.
    """
    hidden = [f"tasks:data.{name}" for name in columns]
    there: dict[str, Row] = {}
    for view in sorted(server.wire.get("/api/dm/views", params={"project": project}).json(), key=lambda one: one["id"]):
        there.setdefault(str(view["data"].get("title", "")), view)
    tabs = {}
    for email in emails:
        wanted: dict[str, Any] = {
            "title": email,
            "filters": {"conjunction": "and", "items": [_of(email)]},
            "ordering": ["tasks:id"],
            "hiddenColumns": {"explore": hidden, "labeling": hidden},
        }
        view = there.get(email)
        if view is None:
            view = server.wire.post("/api/dm/views", json={"project": project, "data": wanted}).json()
        elif not _same(view["data"], wanted):
            server.wire.patch(f"/api/dm/views/{view['id']}", json={"project": project, "data": wanted})
        tabs[email] = int(view["id"])
    return tabs


def _of(email: str) -> Row:
    return only(f"data.{names.ANNOTATOR}", "equal", "String", email)


def _same(now: Row, wanted: Row) -> bool:
    filters = [
        {name: one.get(name) for name in ("filter", "operator", "type", "value")}
        for one in now.get("filters", {}).get("items", [])
    ]
    return bool(filters == wanted["filters"]["items"] and now.get("ordering") == wanted["ordering"])


def make_drafts(
    server: Server, project: int, accounts: Sequence[Account], tasks: dict[str, set[int]], progress: Progress
) -> None:
    """An empty draft in every task that nobody answered, for annotators whose token is known; those there are kept.

    `tasks` are ids on the server by e-mail. Raises PlatformError for a token that is not the account's.
    """
    known = [account for account in accounts if account.token and tasks.get(account.email)]
    with progress("Making drafts", sum(len(tasks[account.email]) for account in known)) as advance:
        for account in known:
            try:
                with as_account(server.url, account.token) as own:
                    _drafts_of(own, project, account, tasks[account.email])
            except Refused as error:
                if error.status != 401:
                    raise
                raise PlatformError(
                    f"Label Studio does not accept the token of {account.email}. Correct it in the accounts' file, or "
                    "leave it empty: then the page makes its draft itself, some seconds after it was opened."
                ) from error
            advance(len(tasks[account.email]))


def _drafts_of(own: Server, project: int, account: Account, mine: set[int]) -> None:
    if own.me() != account.email:
        raise PlatformError(f"The token of {account.email} in the accounts' file is another account's. Correct it.")
    include = "id,drafts,user,total_annotations"
    for row in list(own.tasks(project, include=include, whole=True, filters=[_of(account.email)])):
        if row["id"] in mine and not row.get("drafts") and not row.get("total_annotations"):
            own.wire.post(
                f"/api/tasks/{row['id']}/drafts", params={"project": project}, json={"result": [], "lead_time": 0}
            )


def write_addresses(folder: Folder, url: str, project: int, tabs: dict[str, int]) -> Path:
    """Write DIR/label-studio.csv: where each annotator finds his tasks."""
    rows = [(email, f"{url}/projects/{project}/data?tab={tab}&labeling=1") for email, tab in sorted(tabs.items())]
    return write_list(folder.path / FILE, ("email", "url"), rows)
