"""The one way to a Label Studio server: its SDK, over a wire of our own."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from imitable.errors import MissingExtra, PlatformError
from imitable.platforms.label_studio.refusals import GET_A_TOKEN, KEY, Refused

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

    from imitable.platforms.label_studio.wire import Wire

PAGE = 500
"""Tasks that are asked for at a time."""

_RUNS = 8
"""Counts that are asked for instead of a list."""

Row = dict[str, Any]
"""A task as Label Studio lists it."""


class Server:
    """A Label Studio server, as one of its accounts. Everything raises PlatformError."""

    def __init__(self, url: str, key: str) -> None:
        """Does not connect yet. `key` is a personal access token, or a legacy one. Raises MissingExtra."""
        try:
            from label_studio_sdk import LabelStudio

            from imitable.platforms.label_studio.wire import Wire
        except ImportError as error:
            raise MissingExtra("label-studio", wanted_for="Label Studio") from error
        self.url = url
        self.wire: Wire = Wire(url, key)
        # The SDK judges tokens by our clock and repeats requests that may have been carried out: the wire does neither.
        self.sdk: LabelStudio = LabelStudio(  # type: ignore[no-untyped-call]
            base_url=url, api_key="the wire has it", httpx_client=self.wire, max_retries=0
        )

    def tasks(
        self, project: int, *, include: str, whole: bool = False, filters: Sequence[Row] = (), page: int = PAGE
    ) -> Iterator[Row]:
        """Every task of a project in the order of ids, as in `pages`."""
        return chain.from_iterable(self.pages(project, include=include, whole=whole, filters=filters, page=page))

    def pages(
        self, project: int, *, include: str, whole: bool = False, filters: Sequence[Row] = (), page: int = PAGE
    ) -> Iterator[list[Row]]:
        """The tasks of a project with the fields `include`, some at a time; `whole` brings annotations and drafts.

        Each page is asked for by the last id of the one before, so that none is left out whatever changes meanwhile.
        Any annotator can bring about an annotation that the server stores and cannot write down: the task that holds
        it comes with the others, and with the ids of such ones under `unreadable`.
        """
        after, size = 0, page
        while True:
            items = [*filters, only("id", "greater", "Number", after)]
            try:
                answer = self._ask(project, items, size, include, whole=whole, patient=size == page)
            except Refused as error:
                if not (error.unsure and whole):
                    raise
                if size > 1:
                    size //= 2
                    continue
                answer = self._ask(project, items, 1, "id,updated_at,annotations", whole=True)
                for row in answer["tasks"]:
                    self._read_singly(row)
            rows: list[Row] = answer["tasks"]
            if rows:
                yield rows
            if not rows or len(rows) >= answer["total"]:  # of those after `after`: pages may be smaller
                return
            after, size = rows[-1]["id"], min(page, size * 2)

    def holds_all(self, project: int, ids: Collection[int]) -> bool:
        """Whether all these tasks are in the project, where that can be told by counting: it spares a list of them.

        Numbers that follow each other without a gap are all there if as many are between the first and the last.
        """
        runs: list[list[int]] = []
        for number in sorted(ids):
            if runs and runs[-1][1] == number - 1:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        return len(runs) <= _RUNS and all(
            self._ask(project, [only("id", "in", "Number", {"min": first, "max": last})], 1, "id")["total"]
            == last - first + 1
            for first, last in runs
        )

    def _ask(
        self, project: int, items: Sequence[Row], size: int, include: str, *, whole: bool = False, patient: bool = True
    ) -> Row:
        """The first `size` tasks that all these filters let through, and how many these are in `total`."""
        answer: Row = self.wire.get(
            "/api/tasks/",
            params={
                "project": project,
                "page_size": size,
                "include": include,
                "fields": "all" if whole else "task_only",
                "resolve_uri": "false",
                "query": json.dumps({"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"]}),
            },
            extensions={"patient": patient},
        ).json()
        return answer

    def _read_singly(self, row: Row) -> None:
        """Put a task's annotations, of which only the ids are there, in their place one by one."""
        ids = [int(one["id"]) for one in row["annotations"]]
        row["annotations"], row["unreadable"] = [], []
        for number in ids:
            try:
                row["annotations"].append(self.wire.get(f"/api/annotations/{number}/").json())
            except Refused as error:
                if not error.unsure:
                    raise
                row["unreadable"].append(number)

    def remove_tasks(self, project: int, ids: list[int]) -> None:
        """Remove tasks and everything in them. Those that are gone already do not matter."""
        if ids:
            chosen = {"all": False, "included": ids}
            self.wire.post(
                "/api/dm/actions", params={"id": "delete_tasks", "project": project}, json={"selectedItems": chosen}
            )

    def emails(self) -> dict[int, str]:
        """Everybody in the organization: e-mails in lower case, by id."""
        return {int(user.id): str(user.email).lower() for user in self.sdk.users.list()}

    def me(self) -> str:
        """The e-mail, in lower case, of the account whose token this is."""
        return str(self.sdk.users.whoami().email).lower()


def only(column: str, operator: str, kind: str, value: object) -> Row:
    """One filter of a list or tab of tasks."""
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


@contextmanager
def connected(url: str) -> Iterator[Server]:
    """The server as the account whose token stands in LABEL_STUDIO_API_KEY. Raises PlatformError and MissingExtra."""
    key = os.environ.get(KEY, "").strip()
    if not key:
        raise PlatformError(f"{KEY} is not set, and Label Studio at {url} asks who we are. {GET_A_TOKEN}")
    with as_account(url, key) as server:
        yield server


@contextmanager
def as_account(url: str, key: str) -> Iterator[Server]:
    """The server as another account, by its token."""
    server = Server(url.rstrip("/"), key)
    with server.wire:
        yield server
