"""A simulated annotator reads from a Label Studio page what the web door would tell it."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from imitable.game.content import read_content
from imitable.game.reserving import reserve
from imitable.platforms.label_studio.drawing import task_data
from imitable.rehearsal.label_studio.reading import examples_of, round_of
from imitable.store import open_store
from imitable.testing import invented_campaign


def test_texts_marks_scale_and_examples_are_read_as_they_are(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", more="[platform.label_studio]\n", polarity="both")
    with closing(open_store(folder)) as store:
        content, words = read_content(store, folder.texts()), folder.texts()
        now = datetime(2026, 11, 1, tzinfo=UTC)
        (first, _second) = reserve(
            store, folder, content, platform="label-studio", names=["a@b.c"], share_items=False, now=now
        )
    data = task_data(folder, content, words, first)
    for asked in first.rounds:
        view, stimulus = round_of(data, asked.trial), content.stimulus(asked.item_id)
        assert view["stimulus"] == {"before": stimulus.before, "focus": stimulus.focus, "after": stimulus.after}
        assert (view["low"], view["high"]) == (-10.0, 10.0)
        assert view["first_of_target"] == (asked.trial == 1)
    shown = content.targets[first.target_id].examples
    read = examples_of(data)
    assert sorted("".join(piece["text"] for piece in one["pieces"]) for one in read) == sorted(
        "".join(piece.text for piece in one.pieces) for one in shown
    )
    marked = {(one["pieces"][one["focus"]]["text"].strip(), one["pieces"][one["focus"]]["value"]) for one in read}
    assert marked == {(one.pieces[one.focus].text.strip(), one.value) for one in shown}
