"""Fifty annotators of Label Studio who press Enter at the same moment, before a real `imitable serve`."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from imitable.game.label_studio import names
from imitable.platforms.label_studio.drawing import labelling_config, task_data
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from labelling import SETTINGS, Page, published
from playing import Table
from wire import Wire

if TYPE_CHECKING:
    from conftest import Server

PEOPLE, ROUNDS = 50, 6


def test_fifty_annotators_at_once_are_each_answered_and_counted_once(
    tmp_path: Path, either_store: str, serving: Callable[..., Server]
) -> None:
    assert either_store
    folder = invented_campaign(tmp_path / "campaign", targets=13, practice=4, held_out=2, episodes=1, more=SETTINGS)
    with closing(open_store(folder)) as store:
        here = Table(folder, store, 1)
        words, drawn = folder.texts(), labelling_config(folder, folder.texts())
        tasks = published(here, [f"player-{number}@example.org" for number in range(PEOPLE)])
        wire = Wire(serving(folder.path).port)
        pages = []
        for [one] in tasks.values():
            pages.append(Page(wire, here, one))
            pages[-1].task["data"] = task_data(folder, here.game.content, words, one)  # as long as they really are
            pages[-1].config = drawn
        with ThreadPoolExecutor(PEOPLE) as people:
            waited: list[float] = []
            for box in (names.BEGIN, *(names.guess(trial) for trial in range(1, ROUNDS + 1))):

                def press(page: Page, box: str = box) -> float:
                    began = time.perf_counter()
                    page.type(**{box: "yes" if box == names.BEGIN else "5"})
                    return time.perf_counter() - began

                waited += people.map(press, pages)
        counted = here.rows(select(func.count()).select_from(tables.guesses))
    assert counted == [(PEOPLE * ROUNDS,)]
    waited.sort()
    print(f"\nseconds to the answer: median {waited[len(waited) // 2]:.2f}, 99 % {waited[int(0.99 * len(waited))]:.2f}")  # noqa: T201
