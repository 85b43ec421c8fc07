"""What becomes of rows, good and bad, between a file and the ranking."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from imitable_aggregation.errors import TableError
from imitable_aggregation.reading import read_guesses

Guess = Callable[..., dict[str, object]]
Write = Callable[..., Path]

GOOD = "a_1,toy/mlp.0/1,{trial},held_out,3,{truth},3.0"
HEADER = "annotator_id,target_id,trial,phase,guess,truth,l_ref"


def lines(tmp_path: Path, *rows: str | bytes, end: bytes = b"\n") -> Path:
    path = tmp_path / "guesses.csv"
    path.write_bytes(end.join(row.encode() if isinstance(row, str) else row for row in rows) + end)
    return path


def good(trial: int) -> str:
    return GOOD.format(trial=trial, truth=trial % 7)


def test_defaults_are_filled_as_the_contract_says(guess: Guess, write: Write) -> None:
    rows = [guess(trial=1, phase="practice"), guess(trial=2)]
    found = read_guesses(
        write(
            [
                {k: v for k, v in row.items() if k != "l_ref"} | {"truth": t}
                for row, t in zip(rows, (1.0, 5.0), strict=True)
            ]
        )
    )
    assert found.guesses["feedback"].tolist() == [True, False]
    assert found.guesses["level"].tolist() == ["text", "text"]
    assert found.guesses["episode_id"].nunique() == 1
    assert found.guesses["l_ref"].tolist() == [2.0, 2.0]
    assert found.guesses[["model_id", "kind", "site", "unit"]].iloc[0].tolist() == ["toy", "neuron", "mlp.0", "1"]
    assert any("every row of the target" in note for note in found.notes)


def test_l_ref_is_derived_from_one_truth_for_each_item(guess: Guess, write: Write) -> None:
    truths = [("i1", 0.0), ("i1", 0.0), ("i1", 0.0), ("i2", 4.0), ("i3", 8.0)]
    rows = [guess(trial=n, item_id=item, truth=t, l_ref="") for n, (item, t) in enumerate(truths, start=1)]
    found = read_guesses(write(rows))
    assert found.guesses["l_ref"].unique().tolist() == [pytest.approx(8 / 3)]
    assert any("one truth for each item" in note for note in found.notes)


def test_a_missing_column_is_named_with_those_found(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"lacks the column truth \(found: annotator_id.*; add or rename it\.$"):
        read_guesses(lines(tmp_path, HEADER.replace("truth", "thruth"), good(1)))


def test_a_file_split_by_semicolons_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="separated by commas, not semicolons"):
        read_guesses(lines(tmp_path, HEADER.replace(",", ";"), good(1).replace(",", ";")))


def test_a_file_that_is_not_utf_8_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="save it as CSV with UTF-8"):
        read_guesses(lines(tmp_path, HEADER.encode("utf-16"), good(1).encode("utf-16")))


@pytest.mark.parametrize("rows", [[], ["a,b"], ["a_1,toy/mlp.0/1,0,held_out,3,4,3"]])
def test_no_usable_row_is_an_error_that_points_at_the_first_trouble(tmp_path: Path, rows: list[str]) -> None:
    with pytest.raises(TableError, match=r"no usable row|header and no rows"):
        read_guesses(lines(tmp_path, HEADER, *rows))


def test_two_reference_losses_of_one_target_are_an_error(guess: Guess, write: Write) -> None:
    with pytest.raises(TableError, match=r"toy/mlp\.0/1 has two l_ref, 2 and 3; keep the one"):
        read_guesses(write([guess(trial=1), guess(trial=2, l_ref=2.0)]))


def test_raw_activations_are_recognised(guess: Guess, write: Write) -> None:
    with pytest.raises(TableError, match="look like raw activations; put guess and truth on the display scale"):
        read_guesses(write([guess(trial=n, truth=31.5 * n) for n in range(1, 5)]))


def test_raw_activations_are_recognised_among_zeros_which_are_zero_on_every_scale(guess: Guess, write: Write) -> None:
    with pytest.raises(TableError, match="look like raw activations"):
        read_guesses(write([guess(trial=n, truth=0.0 if n > 4 else 31.5 * n) for n in range(1, 10)]))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"phase": "training"}, "phase 'training' is none of practice, held_out, check"),
        ({"trial": 0}, "trial '0' is below 1"),
        ({"trial": 2.5}, "trial '2.5' is not a whole number"),
        ({"guess": "3,5"}, "guess '3,5' is not a number"),
        ({"guess": ""}, "guess is empty"),
        ({"guess": "NaN"}, "guess is not finite"),
        ({"truth": "inf"}, "truth is not finite"),
        ({"truth": "1e999"}, "truth is not finite"),
        ({"guess": 10.5}, "guess '10.5' is outside 0 to 10"),
        ({"truth": -0.5}, "truth '-0.5' is outside 0 to 10"),
        ({"annotator_id": " "}, "annotator_id is empty"),
        ({"l_ref": -1}, "l_ref '-1.0' is not a number above 0"),
    ],
)
def test_a_bad_cell_puts_its_row_aside_with_line_and_reason(
    guess: Guess, write: Write, change: dict[str, object], reason: str
) -> None:
    found = read_guesses(write([guess(trial=7), guess(trial=8) | change, guess(trial=9)]))
    assert found.guesses["trial"].tolist() == [7, 9]
    assert found.quarantine["line"].tolist() == [3]
    assert reason in found.quarantine["reason"][0]


def test_the_range_follows_polarity(tmp_path: Path, guess: Guess) -> None:
    rows = [guess(trial=1, target_id=t, truth=-4.0) for t in ("m/mlp.0/1:both", "m/mlp.0/2", "m/probe.1.fr/0", "own")]
    pd.DataFrame([*rows, *(guess(trial=n) for n in range(2, 9))]).to_csv(tmp_path / "guesses.csv", index=False)
    found = read_guesses(tmp_path)
    assert set(found.guesses["target_id"]) == {"m/mlp.0/1:both", "m/probe.1.fr/0", "toy/mlp.0/1"}
    pd.DataFrame({"target_id": ["own", "m/probe.1.fr/0"], "polarity": ["both", "pos"]}).to_csv(
        tmp_path / "targets.csv", index=False
    )
    found = read_guesses(tmp_path)
    assert set(found.guesses["target_id"]) == {"m/mlp.0/1:both", "own", "toy/mlp.0/1"}


def test_the_first_answer_to_a_trial_stands(guess: Guess, write: Write) -> None:
    times = ["2026-01-01T00:00:03Z", "2026-01-01T00:00:01Z", ""]
    found = read_guesses(write([guess(guess=n, answered_at=t) for n, t in enumerate(times)]))
    assert found.guesses["guess"].tolist() == [1.0]
    assert found.quarantine["line"].tolist() == [2, 4]
    assert found.quarantine["reason"].str.contains("already holds this episode_id and trial").all()


def test_without_times_the_first_line_stands(guess: Guess, write: Write) -> None:
    found = read_guesses(write([guess(guess=n) for n in range(3)]))
    assert found.guesses["guess"].tolist() == [0.0]


def test_an_episode_of_two_annotators_keeps_the_first(guess: Guess, write: Write) -> None:
    rows = [guess(trial=1), guess(trial=2), guess(trial=3, annotator_id="a_2")]
    found = read_guesses(write([row | {"episode_id": "e"} for row in rows]))
    assert found.quarantine["reason"].tolist() == ["its episode_id belongs to another annotator or target"]


def test_episode_numbers_that_repeat_between_annotators_are_explained(guess: Guess, write: Write) -> None:
    rows = [guess(annotator_id=f"a_{n}", episode_id=1) for n in range(5)]
    with pytest.raises(TableError, match="make them unique, or leave the column out"):
        read_guesses(write(rows))


def test_byte_order_mark_crlf_and_blank_lines_are_nothing_special(tmp_path: Path) -> None:
    found = read_guesses(lines(tmp_path, b"\xef\xbb\xbf" + HEADER.encode(), good(1), "", good(2), "  ", end=b"\r\n"))
    assert found.guesses["trial"].tolist() == [1, 2]
    assert found.quarantine.empty


def test_lines_are_physical_lines_even_after_a_cell_with_line_breaks(tmp_path: Path) -> None:
    header = HEADER + ",note"
    rows = [good(1) + ',"one\ntwo\nthree"', "broken", good(2) + ",x"]
    found = read_guesses(lines(tmp_path, header, *rows))
    assert found.guesses["trial"].tolist() == [1, 2]
    assert found.guesses["note"].tolist() == ["one\ntwo\nthree", "x"]
    assert found.quarantine[["line", "row"]].to_numpy().tolist() == [[5, "broken"]]


def test_an_open_quote_costs_its_own_line_only(tmp_path: Path) -> None:
    rows = [good(1) + ',"never closed', good(2) + ",x", good(3) + ',"fine"', good(4) + ',"']
    found = read_guesses(lines(tmp_path, HEADER + ",note", *rows))
    assert found.guesses["trial"].tolist() == [2, 3]
    assert found.quarantine["line"].tolist() == [2, 5]
    assert set(found.quarantine["reason"]) == {"its quote is never closed"}


def test_a_quote_that_would_swallow_a_good_row_does_not(tmp_path: Path) -> None:
    rows = [good(1) + ',"open', good(2) + ",x", 'closed here"']
    found = read_guesses(lines(tmp_path, HEADER + ",note", *rows))
    assert found.guesses["trial"].tolist() == [2]
    assert found.quarantine["line"].tolist() == [2, 4]


def test_huge_fields_are_read_or_put_aside(tmp_path: Path) -> None:
    huge = "x" * 300_000
    found = read_guesses(lines(tmp_path, HEADER + ",note", f"{good(1)},{huge}", f'{good(2)},"{huge}"', good(3) + ",y"))
    assert found.guesses["trial"].tolist() == [1, 3]
    assert found.quarantine["line"].tolist() == [3]
    assert len(found.quarantine["row"][0]) <= 2001


def test_gzip_and_parquet_read_as_csv_does(tmp_path: Path, guess: Guess, write: Write) -> None:
    rows = [guess(trial=n, guess=n / 3, feedback=bool(n % 2), answered_at="2026-01-01T00:00:01Z") for n in range(1, 9)]
    path = write([*rows, guess(guess=11.0)])
    plain = read_guesses(path)
    (tmp_path / "g.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    pd.DataFrame([*rows, guess(guess=11.0)]).to_parquet(tmp_path / "g.parquet")
    zipped, parquet = read_guesses(tmp_path / "g.csv.gz"), read_guesses(tmp_path / "g.parquet")
    pd.testing.assert_frame_equal(plain.guesses, zipped.guesses)
    pd.testing.assert_frame_equal(plain.guesses, parquet.guesses)
    assert plain.quarantine["line"].tolist() == [10]
    assert parquet.quarantine["line"].tolist() == [9]


@pytest.mark.parametrize("name", ["g.parquet", "g.csv.gz"])
def test_a_damaged_file_is_an_error_without_a_foreign_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x1f\x8b\x08garbage")
    with pytest.raises(TableError, match=r"cannot be read.*; (check|write)"):
        read_guesses(tmp_path / name)


def test_a_folder_without_guesses_says_what_it_looked_for(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"holds none of guesses.csv.*imitable export"):
        read_guesses(tmp_path)
    with pytest.raises(TableError, match="no such file or folder; check the path"):
        read_guesses(tmp_path / "nowhere")


def test_simulated_players_beside_people_need_permission(guess: Guess, write: Write) -> None:
    path = write([guess(), guess(annotator_id="bot", platform="simulated")])
    with pytest.raises(TableError, match="pass --allow-simulated"):
        read_guesses(path)
    assert read_guesses(path, allow_simulated=True).simulated


def test_unreadable_optional_cells_are_left_empty_and_counted(guess: Guess, write: Write) -> None:
    found = read_guesses(write([guess(trial=1, seconds="soon", feedback="perhaps"), guess(trial=2, seconds=-3)]))
    assert len(found.guesses) == 2
    assert found.guesses["seconds"].isna().all()
    assert "2 cells of seconds could not be read and were left empty." in found.notes


def test_extra_columns_are_kept(guess: Guess, write: Write) -> None:
    assert read_guesses(write([guess(mood="good")])).guesses["mood"].tolist() == ["good"]


@pytest.mark.parametrize("name", ["guesses.csv", "guesses.parquet"])
def test_what_pages_told_beside_some_guesses_stops_no_ranking(
    tmp_path: Path, guess: Guess, write: Write, name: str
) -> None:
    told = {"pasted": True, "copied": False, "blurs": 2, "away_seconds": 1.5}
    rows = pd.DataFrame([guess(trial=1) | told, guess(trial=2)])
    rows = rows.astype({"pasted": "boolean", "copied": "boolean", "blurs": "Int64"})
    path = tmp_path / name
    if path.suffix == ".csv":
        rows.to_csv(path, index=False)
    else:
        rows.to_parquet(path)
    with read_guesses(path) as found:
        assert found.rows == 2
        assert found.quarantine.empty


def test_a_row_that_contradicts_another_is_kept_as_the_file_has_it(tmp_path: Path) -> None:
    header = "truth,guess,phase,trial,target_id,annotator_id"
    rows = [f"{n},3.5,held_out,{n},toy/mlp.0/1,a_1" for n in range(1, 5)]
    rows += [rows[0], "3.0,2.5,held_out,1,toy/mlp.0/2,a_1"]
    with read_guesses(lines(tmp_path, header, *rows)) as found:
        assert found.quarantine["line"].tolist() == [6, 7]
        assert found.quarantine["row"].tolist() == [
            "1.0,3.5,held_out,1,toy/mlp.0/1,a_1",
            "3.0,2.5,held_out,1,toy/mlp.0/2,a_1",
        ]
        assert "l_ref was derived from every row of the target, for 1 of 1 targets." in found.notes


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("campaign.toml", r"is a campaign's folder; write its guesses with 'imitable export .* --out guesses'"),
        ("ranking.csv", r"holds a ranking, not guesses; give the guesses"),
    ],
)
def test_a_folder_of_another_kind_says_where_its_guesses_are(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).touch()
    (tmp_path / "draws.parquet").touch()
    with pytest.raises(TableError, match=message):
        read_guesses(tmp_path)
