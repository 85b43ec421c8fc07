"""The practice target as a campaign of its own, for those who want to see the pages without touching a real one."""

from __future__ import annotations

import math
import secrets
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from imitable.campaign import Campaign, Folder, Platforms, Serve, Store, Web
from imitable.game import toy
from imitable.game.views import ExampleText
from imitable.rounds import AnswerKey, Example, Item, PlayedTarget, Split

_WORDS = [
    *("[pie=9.0]", "[bread=8.6]", "[soup=8.2]", "[milk=7.1]", "[lunch=6.3]", "[plate=4.1]", "[table=0.8]"),
    *("kite", "door", "river", "dog", "hat", "moon", "shoe", "song"),
]
_FRAMES = (
    "Mia went out in the morning and came back with a| {}| under her arm.",
    "Tom dreamt all night of one| {}| and of nothing else.",
    "There was a story about a| {}| that the old man told again and again.",
    "Anna drew a| {}| with her new pencils and gave it to her brother.",
    "Nobody knew where the| {}| had come from, and nobody asked.",
    "In the end they found the| {}| behind the blue curtain.",
    "He said that the best| {}| of all was the one at home.",
    "We looked at the| {}| for a long time and said nothing.",
)
_S, _M = 1.0, 2.0
"""Display scale: any will do, since the practice target is made on the display scale."""


def practice_folder(folder: Folder, home: Path) -> Folder:
    """A campaign in `home` with this campaign's settings and words, a key of its own, and only SQLite as a store."""
    most = len(_WORDS) * len(_FRAMES)
    episode = folder.config.episode
    if episode.practice + episode.held_out > most:
        episode = episode.model_copy(update={"practice": 15, "held_out": 5, "checks": [], "repeats": []})
    config: Campaign = folder.config.model_copy(
        update={
            "episode": episode,
            "serve": Serve(),
            "store": Store(),
            "platform": Platforms(web=Web(annotators_per_target=1_000_000)),
        }
    )
    for name in filter(None, (config.study.consent, config.study.texts)):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder.path / name, home / name)
    return Folder(home, config, secrets.token_bytes(32))


def practice_records(folder: Folder) -> dict[str, list[Any]]:
    """The records of a build whose targets are all the practice target, one for each episode of a sitting."""
    records: dict[str, list[Any]] = {"targets": [], "items": [], "truths": [], "examples": []}
    for number in range(folder.config.sitting.episodes):
        target = PlayedTarget(
            f"practice/words/{number}",
            "practice",
            "neuron",
            "words",
            number,
            "pos",
            "units",
            2.0,
            _S,
            _M,
            "0" * 64,
            None,
        )
        records["targets"].append(target)
        for place, example in enumerate(toy.warm_up(folder.texts()).examples):
            values = tuple(piece.value for piece in example.pieces)
            text = "".join(piece.text for piece in example.pieces)
            records["examples"].append(
                Example(target.target_id, place, "top", text, _offsets(example), example.focus, values)
            )
        _add_items(records, folder, target.target_id, np.random.default_rng(number))
    return records


def _add_items(records: dict[str, list[Any]], folder: Folder, target_id: str, rng: np.random.Generator) -> None:
    every = list(product(_FRAMES, _WORDS))
    chosen = [every[at] for at in rng.permutation(len(every))]
    splits: tuple[tuple[Split, int], ...] = (
        ("practice", folder.config.episode.practice),
        ("held_out", folder.config.episode.held_out),
    )
    for split, size in splits:
        for frame, word in [chosen.pop() for _ in range(size)]:
            shown = toy.shaded(frame.format(word))
            offsets = _offsets(shown)
            raw = tuple(_S * math.sinh(piece.value / 10 * math.asinh(_M / _S)) for piece in shown.pieces)
            item_id = "i_" + folder.derive("item", target_id, frame, word)
            stratum = "active-1" if shown.value else "inactive"
            text = "".join(piece.text for piece in shown.pieces)
            ids = tuple(range(len(offsets)))
            records["items"].append(
                Item(item_id, target_id, split, text, ids, offsets, shown.focus, len(records["items"]), stratum, 1.0)
            )
            records["truths"].append(AnswerKey(item_id, shown.value, raw[shown.focus], raw))


def _offsets(shown: ExampleText) -> tuple[tuple[int, int], ...]:
    ends = np.cumsum([len(piece.text) for piece in shown.pieces]).tolist()
    return tuple(zip([0, *ends[:-1]], ends, strict=True))
