"""From a folder of guesses to a folder of results: what is found, and what is promised of the files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from imitable_aggregation import export
from imitable_aggregation.errors import TableError
from imitable_aggregation.export import write_export, write_folder
from imitable_aggregation.rank import RankSummary, rank
from imitable_aggregation.result_tables import ANNOTATORS, CROWD, EPISODES, RANKING
from imitable_aggregation.settings import Settings

Guess = Callable[..., dict[str, object]]
Builder = Callable[..., pd.DataFrame]


def ranked(
    rows: pd.DataFrame | list[dict[str, object]], tmp_path: Path, name: str = "out", **more: object
) -> RankSummary:
    source = tmp_path / f"{name}.csv"
    pd.DataFrame(rows).to_csv(source, index=False)
    return rank(source, tmp_path / name, Settings(**more))  # type: ignore[arg-type]


def by_hand(guess: Guess) -> list[dict[str, object]]:
    """Two targets, five items each with truths 0 2 4 6 8 (l_ref 2.4), and four annotators.

    exact is always exact; off_by_one errs by 1; the fraudster always says 5; the careless worker says the last truth.
    """
    rows = []
    truths = [4.0, 0.0, 6.0, 2.0, 8.0]
    for target in ("toy/mlp.0/1", "toy/mlp.0/2"):
        shift = 1.0 if target.endswith("2") else 0.0
        answers = {
            "exact": [t + shift for t in truths],
            "off_by_one": [t + 1 + shift for t in truths],
            "fraudster": [5.0] * 5,
            "careless": [5.0, 4.0, 0.0, 6.0, 2.0],
        }
        for who, said in answers.items():
            for trial, (g, t) in enumerate(zip(said, truths, strict=True), start=1):
                phase = "practice" if trial <= 3 else "held_out"
                rows.append(
                    guess(
                        annotator_id=who,
                        target_id=target,
                        trial=trial,
                        phase=phase,
                        feedback="true",
                        guess=g,
                        truth=t,
                        item_id=f"{target}{trial}",
                        l_ref=2.4,
                        seconds=0.5 if who == "fraudster" else 6.0,
                    )
                )
    return rows


def test_a_top_that_holds_every_target_is_noted(tmp_path: Path, guess: Guess) -> None:
    assert any("choose a smaller top k" in note for note in ranked(by_hand(guess), tmp_path, top_k=2).notes)
    assert not any("top k" in note for note in ranked(by_hand(guess), tmp_path, top_k=1).notes)


def test_a_small_crowd_by_hand(tmp_path: Path, guess: Guess) -> None:
    found = ranked(by_hand(guess), tmp_path)
    episodes = pd.read_csv(tmp_path / "out" / "episodes.csv")
    first = episodes[episodes["target_id"] == "toy/mlp.0/1"].set_index("annotator_id")
    assert (first.loc[["exact"], ["start", "held_out", "mean_skill"]] == 1.0).all(axis=None)
    assert first.loc["careless", "start"] == pytest.approx(1 - 1 / 2.4)
    assert first.loc["careless", "held_out"] == pytest.approx(1 - (4 + 6) / 2 / 2.4)
    people = found.annotators.set_index("annotator_id")
    assert people["skill"].idxmax() == "exact"
    assert people["bias"].to_dict() == pytest.approx(
        {"exact": 0.5, "off_by_one": 1.5, "fraudster": 1.0, "careless": -0.6}
    )
    assert people.loc["fraudster", "scale"] == pytest.approx(0)
    assert "answers hardly vary" in str(people.loc["fraudster", "evidence"])
    assert "answers faster than the text can be read: median 0.5 s" in str(people.loc["fraudster", "evidence"])
    assert "repeats the last truth" in str(people.loc["careless", "evidence"])
    assert people.loc[["exact", "off_by_one"], "evidence"].isna().all()
    assert found.ranking["target_id"].tolist() == ["toy/mlp.0/1", "toy/mlp.0/2"]
    assert not found.annotators["excluded"].any()


def test_a_ranking_finds_the_order_and_its_intervals_cover(tmp_path: Path, crowd: Builder) -> None:
    taus, hits, ranks = [], [], []
    for seed in range(4):
        rows = crowd(targets=30, annotators=60, each=6, seed=seed)
        truth = rows.groupby("target_id")["known"].first()
        # the simulator folds guesses back into the scale, so truth is what a much larger crowd would show
        found = ranked(rows.drop(columns="known"), tmp_path, f"out{seed}").ranking.set_index("target_id")
        taus.append(stats.kendalltau(found["imitability"], truth.loc[found.index]).statistic)
        line = np.polyfit(truth.loc[found.index], found["imitability"], 1)
        level = np.polyval(line, truth.loc[found.index])
        hits += list((found["imitability_low"] <= level) & (level <= found["imitability_high"]))
        order = truth.loc[found.index].rank(ascending=False)
        ranks += list((found["rank_low"] <= order) & (order <= found["rank_high"]))
    assert np.mean(taus) > 0.55
    assert 0.80 <= np.mean(hits) <= 1.0
    assert 0.80 <= np.mean(ranks) <= 1.0


def test_the_same_input_gives_the_same_bytes_in_any_row_order(tmp_path: Path, crowd: Builder) -> None:
    rows = crowd(targets=5, annotators=8, each=3).drop(columns="known")
    ranked(rows, tmp_path, "one")
    ranked(rows, tmp_path, "two")
    ranked(rows.sample(frac=1, random_state=1), tmp_path, "three")
    (tmp_path / "two.csv").rename(tmp_path / "one.csv")
    rank(tmp_path / "one.csv", tmp_path / "two")
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == {path.name for path in (tmp_path / "two").iterdir()}
    for name in names - {"run.json"}:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    for name in names - {"run.json", "fit.json"}:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes(), name


def test_every_promised_file_and_column_is_there(tmp_path: Path, crowd: Builder) -> None:
    rows = crowd(targets=5, annotators=8, each=3).drop(columns="known")
    rows["level"] = np.where(rows["annotator_id"] < "a_004", "text", "examples")
    ranked(rows, tmp_path)
    out = tmp_path / "out"
    tables = {"ranking": RANKING, "annotators": ANNOTATORS, "episodes": EPISODES, "crowd": CROWD}
    for stem, table in tables.items():
        wanted = [column.name for column in table.columns if not column.name.endswith("*")]
        assert list(pd.read_csv(out / f"{stem}.csv")) == wanted
    assert (out / "quarantine.csv").read_bytes() == b"file,line,row,reason\n"
    assert list(pd.read_parquet(out / "draws.parquet")) == ["draw", "target_id", "start", "middle", "held_out"]
    levels = pd.read_csv(out / "levels.csv")
    assert set(levels["level"]) == {"text", "examples"}
    described = json.loads((out / "datapackage.json").read_text())
    assert set(described["files"]) == {path.name for path in out.iterdir()}
    for resource in described["resources"]:
        assert all(field["description"] for field in resource["schema"]["fields"])
        assert isinstance(resource["schema"]["primaryKey"], list)


def test_a_level_can_be_asked_for(tmp_path: Path, crowd: Builder) -> None:
    rows = crowd(targets=5, annotators=12, each=3).drop(columns="known")
    rows["level"] = np.where(rows["annotator_id"] < "a_006", "text", "examples")
    mean, text, examples = (ranked(rows, tmp_path, f"out{at}", level=at).ranking for at in (None, "text", "examples"))
    by_target = [table.set_index("target_id")["imitability"] for table in (mean, text, examples)]
    up, down = by_target[1] - by_target[0], by_target[2] - by_target[0]
    np.testing.assert_allclose(up, -down.loc[up.index], atol=1e-9)
    assert up.abs().max() > 0
    with pytest.raises(TableError, match="at the level 'weights'; choose one of examples, text"):
        ranked(rows, tmp_path, "more", level="weights")


def test_levels_that_no_target_has_in_common_are_contrasted_with_a_word_of_it(tmp_path: Path, crowd: Builder) -> None:
    rows = crowd(targets=5, annotators=12, each=3).drop(columns="known")
    first = sorted(set(rows["target_id"]))[:2]
    rows["level"] = np.where(rows["target_id"].isin(first), "text", "examples")
    summary = ranked(rows, tmp_path, by=("level",))
    assert summary.groups is not None
    assert set(zip(summary.groups["n_a"], summary.groups["n_b"], strict=True)) == {(3, 2)}
    assert [note for note in summary.notes if "No target was played both at examples and text" in note]
    rows["level"] = np.where(rows["annotator_id"] < "a_006", "text", "examples")
    assert not [note for note in ranked(rows, tmp_path, "both").notes if "played both" in note]


def test_people_of_one_level_are_not_held_against_what_players_reach_at_all(tmp_path: Path, crowd: Builder) -> None:
    rows = crowd(targets=5, annotators=12, each=3).drop(columns="known")
    rows["level"] = np.where(rows["annotator_id"] < "a_006", "text", "weights")
    (tmp_path / "export").mkdir()
    rows.to_csv(tmp_path / "export" / "guesses.csv", index=False)
    for players, beside in (({"ridge": 0.0}, True), ({"ridge": 0.0, "readings": 0.5}, False)):
        targets = pd.DataFrame({"target_id": sorted(set(rows["target_id"]))})
        targets = targets.assign(**{f"baseline_{name}": skill for name, skill in players.items()})
        targets.to_csv(tmp_path / "export" / "targets.csv", index=False)
        for level in (None, "text"):
            out = tmp_path / f"out-{len(players)}-{level}"
            summary = rank(tmp_path / "export", out, Settings(level=level))
            said = "Beside automatic players" in (out / "report.html").read_text(encoding="utf-8")
            assert said == (beside or level is None)
            assert said != any("are not set beside automatic players" in note for note in summary.notes)
            assert (summary.ranking["baseline_ridge"] == 0).all()


def test_levels_that_are_harder_do_not_make_a_target_look_worse(tmp_path: Path, guess: Guess) -> None:
    rows = []
    for target in range(4):
        for who in range(12):
            level = "examples" if (who % 4 == 0) == (target == 0) else "text"
            off = 0.6 + (1.5 if level == "text" else 0.0) + 0.05 * (who % 3)
            for trial in range(1, 5):
                rows.append(
                    guess(
                        annotator_id=f"a{who}",
                        target_id=f"m/mlp.0/{target}",
                        trial=trial,
                        level=level,
                        guess=4 + off,
                        truth=4,
                        item_id=f"{target}{who}{trial}",
                    )
                )
    found = ranked(rows, tmp_path).ranking
    assert found["imitability"].max() - found["imitability"].min() < 0.02


def test_no_held_out_rounds_is_said_everywhere(tmp_path: Path, crowd: Builder) -> None:
    rows = crowd(targets=5, annotators=8, each=3, held_out=0).drop(columns="known")
    found = ranked(rows, tmp_path)
    assert any("no held-out rounds" in note for note in found.notes)
    assert "last practice round" in json.loads((tmp_path / "out" / "fit.json").read_text())["estimand"]
    assert "There are no held-out rounds" in (tmp_path / "out" / "report.html").read_text()
    assert found.ranking["imitability"].notna().all()


def test_no_practice_leaves_start_and_gain_empty(tmp_path: Path, crowd: Builder) -> None:
    found = ranked(crowd(targets=5, annotators=8, each=3, practice=0).drop(columns="known"), tmp_path)
    empty = ["start", "start_sd", "gain", "gain_low", "p_easy", "p_learnable"]
    assert found.ranking[empty].isna().all(axis=None)
    assert "learned?" not in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    "keep",
    [
        lambda r: r.head(1),
        lambda r: r[r["annotator_id"] == "a_000"],
        lambda r: r[r["target_id"] == r["target_id"].iloc[0]],
        lambda r: r[r["episode_id"] == r["episode_id"].iloc[0]],
        lambda r: r[r["phase"] == "held_out"].drop_duplicates("annotator_id"),
        lambda r: r[r["phase"] == "held_out"].drop_duplicates("target_id"),
        lambda r: r.assign(guess=5.0),
        lambda r: r.assign(guess=r["truth"]),
        lambda r: r.drop(columns=["item_id", "episode_id", "l_ref", "seconds"]),
        lambda r: r.assign(phase=r["phase"].where(r["target_id"] != r["target_id"].iloc[0], "practice")),
        lambda r: r.assign(trial=r["trial"] + 3),
    ],
)
def test_poor_data_gives_an_answer_with_some_width(
    tmp_path: Path, crowd: Builder, keep: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    rows = keep(crowd(targets=5, annotators=8, each=3).drop(columns="known"))
    found = ranked(rows, tmp_path).ranking
    assert np.isfinite(found[["imitability", "imitability_sd"]].to_numpy()).all()
    assert (found["rank_low"] <= found["rank"]).all()
    assert (found["rank"] <= found["rank_high"]).all()


def test_one_or_two_episodes_do_not_look_certain(tmp_path: Path, crowd: Builder) -> None:
    rows = crowd(targets=6, annotators=30, each=4).drop(columns="known")
    first = rows["target_id"].iloc[0]
    lone = rows.loc[rows["target_id"] == first, "annotator_id"].iloc[0]
    rows = rows[(rows["target_id"] != first) | (rows["annotator_id"] == lone)]
    found = ranked(rows, tmp_path).ranking.set_index("target_id")
    assert found.loc[first, "imitability_sd"] > 1.5 * found["imitability_sd"].drop(first).max()


def test_few_items_shared_by_many_widen_the_interval(tmp_path: Path, crowd: Builder) -> None:
    many = ranked(crowd(annotators=60, pool=60, seed=2).drop(columns="known"), tmp_path, "many").ranking
    few = ranked(crowd(annotators=60, practice=0, pool=5, seed=2).drop(columns="known"), tmp_path, "few").ranking
    assert few["imitability_sd"].mean() > 1.2 * many["imitability_sd"].mean()


def test_simulated_players_are_named_as_such_on_every_face(tmp_path: Path, crowd: Builder) -> None:
    rows = crowd(targets=4, annotators=6, each=2).drop(columns="known").assign(platform="simulated")
    assert ranked(rows, tmp_path).simulated
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Simulated players: nothing here is about people" in re.search("<title>(.*)</title>", page)[1]  # type: ignore[index]
    body = re.sub(r"\s*<[^>]+>\s*", "", page[page.index("<main>") :])
    assert body.startswith("Simulated players: nothing here is about people")
    assert json.loads((tmp_path / "out" / "fit.json").read_text())["simulated"] is True


def test_an_export_ranks(tmp_path: Path, crowd: Builder) -> None:
    rows = crowd(targets=4, annotators=6, each=2).drop(columns="known")
    rows["target_id"] = rows["target_id"].str.replace("toy", "=toy")
    targets = pd.DataFrame({"target_id": rows["target_id"].unique(), "polarity": "pos", "baseline_ridge": 0.25})
    episodes = pd.DataFrame({"episode_id": rows["episode_id"].unique(), "completed": False})
    write_export(tmp_path / "export", guesses=rows, targets=targets, episodes_played=episodes)
    assert "\n'=toy" in (tmp_path / "export" / "targets.csv").read_text()
    found = rank(tmp_path / "export", tmp_path / "out")
    assert set(found.ranking["target_id"]) == set(rows["target_id"])
    assert (found.ranking["completion"] == 0).all()
    assert (found.ranking["baseline_ridge"] == 0.25).all()
    (tmp_path / "export" / "guesses.csv").unlink()
    again = rank(tmp_path / "export", tmp_path / "again")
    pd.testing.assert_frame_equal(found.ranking, again.ranking)


def test_quarantined_rows_do_not_change_the_ranking(tmp_path: Path, guess: Guess) -> None:
    rows = by_hand(guess)
    clean = ranked(rows, tmp_path, "clean")
    mixed = ranked([rows[0] | {"trial": 9, "guess": 99}, *rows, rows[0]], tmp_path, "mixed")
    assert mixed.n_quarantined == 2
    pd.testing.assert_frame_equal(clean.ranking, mixed.ranking)
    assert "2 rows could not be used" in (tmp_path / "mixed" / "report.html").read_text()


def test_a_failure_while_writing_leaves_nothing_behind(
    tmp_path: Path, guess: Guess, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranked(by_hand(guess), tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    written = []

    def fails(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) == 3:
            raise OSError("no space left")
        path.write_bytes(content)

    monkeypatch.setattr(export, "_write", fails)
    with pytest.raises(TableError, match=r"no space left.*then run again"):
        ranked(by_hand(guess), tmp_path)
    written.clear()
    with pytest.raises(TableError, match="no space left"):
        ranked(by_hand(guess), tmp_path, "fresh")
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == {"out", "out.csv", "fresh.csv"}


def test_nobody_elses_folder_is_touched(tmp_path: Path, guess: Guess) -> None:
    out = tmp_path / "out"
    out.mkdir()
    ranked(by_hand(guess), tmp_path)
    ranked(by_hand(guess), tmp_path)
    (out / "thoughts.md").write_text("mine")
    with pytest.raises(TableError, match=r"thoughts\.md, which imitable did not write; move that away"):
        ranked(by_hand(guess), tmp_path)
    (out / "datapackage.json").unlink()
    with pytest.raises(TableError, match="not written by imitable; give a new or empty folder"):
        ranked(by_hand(guess), tmp_path)
    assert (out / "thoughts.md").read_text() == "mine"
    write_folder(tmp_path / "other", {"a.json": {}}, name="imitable-export", title="t")
    with pytest.raises(TableError, match="another kind of files"):
        ranked(by_hand(guess), tmp_path, "other")


def test_the_report_needs_no_network_and_escapes_what_people_wrote(tmp_path: Path, guess: Guess) -> None:
    rows = [
        row | {"target_id": str(row["target_id"]) + "<script>alert(1)</script>$\\frac$字"} for row in by_hand(guess)
    ]
    ranked(rows, tmp_path)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page
    assert not re.search(r"""(src|href)=["'](?!#)|url\((?!#)|@import""", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert page.count("<svg") == page.count("<desc id=")
