"""Simulated annotators in a real Label Studio: they ask its server what their browsers would."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from imitable.errors import PlatformError
from imitable.game.label_studio import names
from imitable.game.simulated import Profile, SimulatedAnnotator
from imitable.platforms.label_studio.client import Server, as_account, only
from imitable.platforms.label_studio.refusals import NoAnswer, Refused
from imitable.rehearsal.label_studio.accounts import Account
from imitable.rehearsal.label_studio.reading import round_of

if TYPE_CHECKING:
    from imitable.game.label_studio.replies import Result

PATIENCE = 60.0
"""Seconds that a player types the same again where no answer comes, as people are told to."""

T = TypeVar("T")


def play_tasks(
    url: str,
    project: int,
    accounts: Sequence[Account],
    profiles: Sequence[Profile],
    *,
    seed: int,
    episodes: int | None = None,
    tick: Callable[[int], object] = lambda _guesses: None,
) -> int:
    """Let each account play its first `episodes` tasks of a project (None: all) to the end, all accounts at once.

    Returns the guesses that were answered; `tick` is told of each. Raises PlatformError when answers stay away.
    """
    streams = np.random.default_rng(seed).spawn(len(accounts))

    def play(account: Account, profile: Profile, stream: np.random.Generator) -> int:
        with as_account(url, account.token) as server:
            return _Player(server, project, account, SimulatedAnnotator(profile, stream), tick).play(episodes)

    with ThreadPoolExecutor(len(accounts)) as threads:
        return sum(threads.map(play, accounts, profiles, streams))


class _Player:
    def __init__(
        self,
        server: Server,
        project: int,
        account: Account,
        annotator: SimulatedAnnotator,
        tick: Callable[[int], object],
    ) -> None:
        self.server = server
        self.project = project
        self.account = account
        self.annotator = annotator
        self.tick = tick
        backends = _patiently(lambda: server.wire.get("/api/ml", params={"project": project}).json())
        self.backend = next(int(one["id"]) for one in backends if one["is_interactive"])

    def play(self, episodes: int | None) -> int:
        mine = [only(f"data.{names.ANNOTATOR}", "equal", "String", self.account.email)]
        played = 0
        every = _patiently(
            lambda: list(islice(self.server.tasks(self.project, include="id,data", filters=mine), episodes))
        )
        for number, row in enumerate(every):
            if number and self.annotator.leaves():
                break
            played += self._play_one(int(row["id"]), row["data"])
        return played

    def _play_one(self, task: int, data: dict[str, str]) -> int:
        """An episode to its end, and what a person would submit."""
        page: list[Result] = self._say(task, [], names.BEGIN, names.INTRO, "yes", names.BEGAN)
        trial = 1
        while names.text(trial) in data:
            view = round_of(data, trial)
            guess = f"{self.annotator.guess(view):g}"
            page = self._say(task, page, names.guess(trial), names.text(trial), guess, names.done(trial))
            truth = _value(page, names.truth(trial))
            if truth:
                self.annotator.learn({**view, "truth": truth["number"]})
            self.tick(1)
            trial += 1
        fun = {"choices": [str(int(self.annotator.rng.integers(1, 6)))]}
        asked = [
            {"from_name": name, "to_name": names.INTRO, "type": "choices", "value": fun}
            for name in (names.FUN, names.INTEREST)
        ]
        self._submit(task, [*page, *asked], lead_time=1.0 * trial)
        return trial - 1

    def _submit(self, task: int, page: list[Result], *, lead_time: float) -> None:
        """Press Submit, once: where no answer came, look whether it went through."""
        path, wire = f"/api/tasks/{task}/annotations", self.server.wire
        _patiently(lambda: wire.get(path).json() or wire.post(path, json={"result": page, "lead_time": lead_time}))

    def _say(self, task: int, page: list[Result], box: str, to: str, text: str, done: str) -> list[Result]:
        """Type into a box, Enter, and see what the page shows then."""
        typed = {"from_name": box, "to_name": to, "type": "textarea", "value": {"text": [text]}}
        until = time.monotonic() + PATIENCE
        while True:
            try:
                answer: dict[str, Any] = self.server.wire.post(
                    f"/api/ml/{self.backend}/interactive-annotating",
                    json={"task": task, "context": {"result": [*page, typed]}},
                ).json()
            except (NoAnswer, Refused) as error:
                if isinstance(error, Refused) and not error.unsure:
                    raise
                answer = {"errors": [str(error)]}
            shown: list[Result] = (answer.get("data") or {}).get("result") or []
            if _value(shown, done).get("choices") == [names.YES]:
                return shown
            if time.monotonic() > until:
                raise PlatformError(
                    f"Task {task} in Label Studio does not answer ({answer.get('errors') or shown[-2:]}). Is 'imitable "
                    "serve' running where [platform.label_studio] backend_url says?"
                )
            time.sleep(0.5)


def _patiently(ask: Callable[[], T]) -> T:
    """Ask again where the server does not answer, as whoever presses a button again."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except (NoAnswer, Refused) as error:
            if (isinstance(error, Refused) and not error.unsure) or time.monotonic() > until:
                raise
        time.sleep(0.5)


def _value(page: Sequence[Result], name: str) -> dict[str, Any]:
    return next((one["value"] for one in page if one["from_name"] == name), {})
