"""Whatever people do to a CSV: no crash, no good row lost, every bad row put aside at its line with a reason."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imitable_aggregation.csv_writing import to_csv
from imitable_aggregation.errors import TableError
from imitable_aggregation.reading import read_guesses
from lengths import examples

HEADER = b"annotator_id,target_id,trial,phase,guess,truth,l_ref,note\n"
NAMES = HEADER.decode().strip().split(",")
quick = settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

words = st.text(st.sampled_from("aé,\"'\n\r=+-@\t 0"), max_size=6)
good_rows = st.tuples(
    st.floats(0, 10), st.floats(0, 10), words.map(lambda w: "p" + w) | words.map(lambda w: "=" + w), words
)
not_rows = st.one_of(
    st.binary(min_size=1, max_size=30).map(lambda b: b.replace(b"\n", b"")),
    st.sampled_from(
        [
            b"a,b,c",
            b'"',
            b'a,t,1,practice,3,4,3.0,x,"too many',
            b"a,t,1,practice,3,4,3.0,\x00",
            b"a,t,1,practice,3,4,3.0,\xff\xfe",
            b"a,t,1,practice,3,4,3.0",
            b"a,t,1,practice,3,4,3.0,x,y",
            b"a,t,1,practise,3,4,3.0,x",
            b"a,t,1,practice,30,4,3.0,x",
            b"a,t,one,practice,3,4,3.0,x",
            b'a,t,1,"practice,3,4,3.0,x',
            b'a,t,1,practice,3,4,3.0,"x"y',
            b",,,,,,,",
            b'"a,t,1,practice,3,4,3.0,x"',
        ]
    ),
)


def row_bytes(number: int, row: tuple[float, float, str, str]) -> bytes:
    guess, truth, who, note = row
    cells = [[who, "toy/mlp.0/1", number + 1, "practice", guess, truth, 3.0, note]]
    return to_csv(pd.DataFrame(cells, columns=pd.Index(NAMES))).split(b"\n", 1)[1]


@quick
@given(data=st.data(), start=st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_no_good_row_is_lost_and_every_bad_one_is_put_aside(tmp_path: Path, data: st.DataObject, start: bytes) -> None:
    pieces = data.draw(st.lists(good_rows | not_rows, max_size=12))
    pieces.append((1.0, 2.0, "p", ""))
    text, line, kept, bad_lines = start + HEADER, 2, [], []
    for number, piece in enumerate(pieces):
        if isinstance(piece, tuple):
            body = row_bytes(number, piece)
            kept.append((number + 1, *piece))
        else:
            body = piece + b"\n"
            if piece.strip():
                bad_lines.append(line)
        text += body
        line += body.count(b"\n")
    path = tmp_path / "guesses.csv"
    path.write_bytes(text)
    found = read_guesses(path)
    rows = found.guesses.sort_values("trial")
    got = [
        (t, g, y, who, note)
        for t, g, y, who, note in zip(
            rows["trial"], rows["guess"], rows["truth"], rows["annotator_id"], rows["note"].fillna(""), strict=True
        )
    ]
    assert got == kept
    assert found.quarantine["line"].tolist() == bad_lines
    assert (found.quarantine["reason"].str.len() > 0).all()


@quick
@given(body=st.binary(max_size=200), header=st.booleans())
def test_arbitrary_bytes_are_read_or_refused_in_words(tmp_path: Path, body: bytes, header: bool) -> None:
    path = tmp_path / "guesses.csv"
    path.write_bytes((HEADER if header else b"") + body)
    with pytest.raises(TableError, match=r"; .+\.$"):
        read_guesses(path)


@quick
@given(frame=st.lists(st.tuples(words, st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=8))
def test_text_and_numbers_survive_writing_and_reading(tmp_path: Path, frame: list[tuple[str, float]]) -> None:
    rows = [
        {
            "annotator_id": "a",
            "target_id": "t",
            "trial": n + 1,
            "phase": "practice",
            "guess": 1,
            "truth": n % 7,
            "l_ref": 3.0,
            "level": "l" + text,
            "sitting_id": text,
            "activation": number,
        }
        for n, (text, number) in enumerate(frame)
    ]
    path = tmp_path / "guesses.csv"
    path.write_bytes(to_csv(pd.DataFrame(rows)))
    found = read_guesses(path)
    assert found.quarantine.empty
    assert found.guesses["sitting_id"].fillna("").tolist() == [row["sitting_id"] for row in rows]
    assert found.guesses["level"].tolist() == [row["level"] for row in rows]
    assert found.guesses["activation"].tolist() == [row["activation"] for row in rows]
