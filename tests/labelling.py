"""Pages of Label Studio as our door sees them: reserved tasks, who sits before them, and what stands in their boxes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import insert, select, update

from imitable.game.label_studio import names
from imitable.game.reserving import Reserved, reserve
from imitable.rounds import REST, TOKEN
from imitable.store import Store, tables
from playing import Table
from wire import PATIENT, Reply, Wire

SETTINGS = "[platform.label_studio]\n" + PATIENT
"""For campaign.toml."""

ANN, BOB = "ann@example.org", "bob@example.org"


def published(here: Table, people: Sequence[str] = (ANN, BOB)) -> dict[str, list[Reserved]]:
    """Reserve everybody's episodes and record their tasks, as publishing does; by e-mail, in the order of places."""
    made = reserve(
        here.store,
        here.folder,
        here.game.content,
        platform=names.PLATFORM,
        names=people,
        share_items=False,
        now=here.clock(),
    )
    with here.store.write() as connection:
        for at, one in enumerate(made):
            connection.execute(
                insert(tables.tasks).values(
                    task_key=names.task_key(here.folder, one.episode_id),
                    episode_id=one.episode_id,
                    trial=0,
                    platform=names.PLATFORM,
                    project="1",
                    external_id=str(at + 1),
                    published_at=here.clock(),
                )
            )
    return {email: [one for one in made if one.name == email] for email in people}


def at_level(here: Table, one: Reserved, level: str) -> Reserved:
    """Let a reserved episode be of another level, as if it had been drawn so."""
    with here.store.write() as connection:
        mine = tables.episodes.c.episode_id == one.episode_id
        connection.execute(update(tables.episodes).where(mine).values(level=level))
    return replace(one, level=level)


CHOSEN_BY = {
    "neighbours": ["direction", "co-activation"],
    "upstream": ["weight", "correlation"],
    "weights": ["weight"],
    "consult": ["neighbours", "upstream"],
}
"""Of invented units, in equal shares."""


def invent_readings(store: Store, *levels: str) -> None:
    """Give every target of an invented campaign eight other units, with invented activations at its items."""
    rng = np.random.default_rng(0)
    with store.write() as connection:
        items = connection.execute(select(tables.items.c.target_id, tables.items.c.item_id)).all()
        for level in levels:
            why, weights = [one for one in CHOSEN_BY[level] for _ in range(8 // len(CHOSEN_BY[level]))], list[float]()
            if level == "weights":
                why, weights = [TOKEN, *why[2:], REST], [0.5]
            for target in sorted({item.target_id for item in items}):
                of_target = {"target_id": target, "level": level, "unit": "mlp.0/0", "strength": 0.0}
                gauges = [of_target | {"place": at, "chosen_by": one, "weights": weights} for at, one in enumerate(why)]
                connection.execute(insert(tables.gauges), gauges)
            for item in items:
                values = [[float(value), *(value * one for one in weights)] for value in _invented(rng, len(why))]
                reading = {"item_id": item.item_id, "level": level, "values": values}
                connection.execute(insert(tables.readings).values(reading))


def _invented(rng: np.random.Generator, count: int) -> list[float]:
    return [round(float(value), 1) for value in rng.uniform(-10, 10, count)]


def authorization(here: Table) -> dict[str, str]:
    """The header with which Label Studio is let in."""
    said = f"{names.USER}:{names.password(here.folder)}"
    return {"Authorization": "Basic " + base64.b64encode(said.encode()).decode(), "Content-Type": "application/json"}


class Page:
    """One annotator before one task. What was typed stays on the page, as it does in Label Studio."""

    def __init__(self, wire: Any, here: Table, one: Reserved, *, caller: str | None = None) -> None:
        self.wire: Wire = wire
        self.headers = authorization(here)
        self.task: dict[str, Any] = {
            "id": 1,
            "data": {names.KEY: names.task_key(here.folder, one.episode_id), names.ANNOTATOR: one.name},
            "annotations": [],
            "drafts": [{"user": caller or one.name, "result": []}],
            "project": 1,
        }
        self.config = "<View/>"
        """The page's drawing, which comes along."""
        self.typed: dict[str, str] = {}

    def body(self, **typed: str) -> bytes:
        """The body of the call that Label Studio makes when these boxes were filled."""
        boxes = self.typed | typed
        results = [
            {"id": name, "from_name": name, "to_name": "x", "type": "textarea", "value": {"text": [text]}}
            for name, text in boxes.items()
        ]
        return json.dumps(
            {
                "tasks": [self.task],
                "project": "1.1",
                "label_config": self.config,
                "params": {"login": None, "password": None, "context": {"result": results}},
            }
        ).encode()

    def ask(self, **typed: str) -> Reply:
        """The raw reply to a call."""
        return self.wire.ask("POST", names.PREDICT, self.body(**typed), self.headers)

    def type(self, **typed: str) -> dict[str, Any]:
        """Fill boxes and press Enter: what the reply puts into the controls of the page, by their names."""
        reply = self.ask(**typed)
        assert reply.status == 200, reply.raw
        [prediction] = reply.view["results"]
        filled = {one["from_name"]: _value(one["value"]) for one in prediction["result"]}
        self.typed |= typed
        self.typed |= {name: text for name, text in filled.items() if name in (names.BEGIN, *self.typed)}
        self.typed = {name: text for name, text in self.typed.items() if text is not None}
        return filled

    def play(self, *guesses: float, begin: bool = True) -> dict[str, Any]:
        """Begin, and guess these numbers one after the other: the last reply."""
        filled = self.type(begin="yes") if begin else {}
        for number in guesses:
            trial = 1 + sum(name.startswith("done") for name in filled)
            filled = self.type(**{names.guess(trial): str(number)})
        return filled


def _value(value: Mapping[str, Any]) -> Any:
    """What a control holds; None for a box that was emptied."""
    [held] = value.values()
    return next(iter(held), None) if isinstance(held, list) else held
