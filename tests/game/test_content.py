"""Examples as heat maps: whatever the tokenizer's offsets are like, the pieces joined are the text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imitable.game.content import heat_map, reminder
from imitable.game.views import Stimulus


def test_a_first_letter_that_two_tokens_share_is_shown_once() -> None:
    shown = heat_map("After all", [(0, 0), (0, 1), (0, 1), (1, 5), (5, 9)], [9, 1, 2, 3, 4.44], 4)
    assert [(piece.text, piece.value) for piece in shown.pieces] == [("A", 2), ("fter", 3), (" all", 4.4)]
    assert (shown.focus, shown.value) == (2, 4.4)


def test_characters_between_tokens_are_kept_and_have_no_value() -> None:
    shown = heat_map("a  b", [(0, 1), (3, 4)], [5, -7.25], 1)
    assert [(piece.text, piece.value, piece.heat) for piece in shown.pieces] == [
        ("a", 5, 5),
        ("  ", 0, 0),
        ("b", -7.2, -7),
    ]


@given(st.text(min_size=1, max_size=30), st.data())
def test_the_pieces_joined_are_the_text_and_the_marked_piece_is_the_focus(text: str, data: st.DataObject) -> None:
    ends = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(sorted)
    offsets = data.draw(st.lists(ends, min_size=1, max_size=12).filter(lambda all_: any(a < b for a, b in all_)))
    position = data.draw(st.sampled_from([at for at, (start, stop) in enumerate(offsets) if start < stop]))
    shown = heat_map(text, offsets, [float(at) for at in range(len(offsets))], position)
    assert "".join(piece.text for piece in shown.pieces) == text
    start, stop = offsets[position]
    assert shown.pieces[shown.focus].text == text[start:stop]


def test_a_reminder_keeps_the_marked_piece_and_whole_words_around_it() -> None:
    text = Stimulus(
        "Once upon a time there was a little girl who had a big", " red", " ball, and she went to the park."
    )
    short = reminder(text)
    assert short == Stimulus("…a little girl who had a big", " red", " ball, and she went…")
    assert reminder(Stimulus("a", " b", " c")) == Stimulus("a", " b", " c")
    assert reminder(Stimulus("字" * 100, "x", "字" * 100)) == Stimulus("…" + "字" * 28, "x", "字" * 20 + "…")
