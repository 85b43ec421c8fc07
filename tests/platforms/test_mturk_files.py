"""MTurk-style batches by hand: template and CSV out, results CSV in, and the commands as a runner types them."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import func, select

from imitable.campaign import Folder
from imitable.commands.build import build
from imitable.commands.export import export
from imitable.commands.new import new
from imitable.commands.publish import publish_files
from imitable.errors import PlatformError
from imitable.money.forgetting import forget as erase
from imitable.platforms.by_hand import NotTaken, TakenIn
from imitable.platforms.mturk.files import write_files
from imitable.platforms.mturk.results import take_in_results
from imitable.store import Store, money_tables, open_store, tables
from imitable.testing import invented_campaign
from mturk_campaign import credentials

__all__ = ["credentials"]

Row = dict[str, str]


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[tuple[Folder, Store]]:
    folder = invented_campaign(tmp_path / "campaign", consent="We study ${texts} & <more>.", targets=4)
    with closing(open_store(folder)) as store:
        yield folder, store


@pytest.fixture
def batch(campaign: tuple[Folder, Store], tmp_path: Path) -> list[Row]:
    """The rows of a batch of three HITs, of ten rounds each."""
    write_files(*campaign, tmp_path / "batch", places=3)
    with (tmp_path / "batch" / "batch.csv").open(encoding="ascii", newline="") as file:
        return list(csv.DictReader(file))


def answered(row: Row, worker: str, *, guess: Callable[[int], object] = lambda at: at % 10, **more: str) -> Row:
    """A row as a site with a requester's pages exports it."""
    guesses = {f"Answer.guess_{at}": str(guess(at)) for at in range(1, 11)}
    return {
        "HITId": "H1",
        "AssignmentId": f"A{worker}{row['sitting'][-4:]}",
        "WorkerId": worker,
        "AssignmentStatus": "Submitted",
        "SubmitTime": "Thu Nov 26 10:15:00 PST 2026",
        "Input.sitting": row["sitting"],
        "Input.task": row["task"],
        **guesses,
        **more,
    }


def take(campaign: tuple[Folder, Store], path: Path, rows: list[Row]) -> TakenIn:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return take_in_results(*campaign, path)


def test_a_batch_holds_every_round_and_no_truth(
    campaign: tuple[Folder, Store], batch: list[Row], tmp_path: Path
) -> None:
    _folder, store = campaign
    template = (tmp_path / "batch" / "template.html").read_text(encoding="ascii")
    assert re.findall(r"\$\{\w+\}", template) == ["${sitting}", "${task}"]
    assert "We study &#36;{texts} &amp; &lt;more&gt;." in template
    assert "<script" not in template
    assert "&#" not in template.partition("</style>")[0], "a style knows no entities"
    assert "http" not in template.replace("http://www.w3.org", "")
    assert len(batch) == 3
    for row in batch:
        assert re.findall(r'name="(guess_\d+)"', row["task"]) == [f"guess_{at}" for at in range(1, 11)]
        assert "${" not in row["task"]
        assert len(template) + len(row["task"]) <= 65_535
    with store.read() as connection:
        truths = [f"{truth:.4f}" for truth in connection.execute(select(tables.truths.c.truth)).scalars() if truth]
        shown = connection.execute(
            select(tables.items.c.text).join(tables.rounds, tables.rounds.c.item_id == tables.items.c.item_id)
        ).scalars()
        words = {text.split()[0] for text in shown}
    written = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "batch").iterdir())
    assert not [truth for truth in truths if truth in written]
    assert all(word in written for word in words)


def test_levels_that_the_page_does_not_show_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", levels=("examples", "upstream"))
    with closing(open_store(folder)) as store:
        with pytest.raises(
            PlatformError,
            match=r"Level 'upstream' is not shown on pages that are uploaded by hand\. Set \[episode\] lev",
        ):
            write_files(folder, store, tmp_path / "batch", places=2)
        with store.read() as connection:
            assert connection.execute(select(func.count()).select_from(tables.sittings)).scalar_one() == 0
    assert not (tmp_path / "batch").exists()


@pytest.mark.parametrize(("toml", "env"), [('endpoint_url = "http://127.0.0.1:9"', ""), ("", "http://127.0.0.1:9")])
def test_a_batch_is_not_written_where_pay_would_look_for_it_on_a_site(
    credentials: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toml: str, env: str
) -> None:
    if env:
        monkeypatch.setenv("AWS_ENDPOINT_URL_MTURK", env)
    folder = invented_campaign(tmp_path / "campaign", more=f"[platform.mturk]\n{toml}\n")
    with closing(open_store(folder)) as store:
        with pytest.raises(PlatformError, match=r"is paid by hand\. Take endpoint_url out of \[platform\.mturk\]"):
            write_files(folder, store, tmp_path / "batch", places=2)
        with store.read() as connection:
            assert connection.execute(select(func.count()).select_from(tables.sittings)).scalar_one() == 0
    assert not (tmp_path / "batch").exists()


def test_a_page_that_is_too_long_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", practice=60, held_out=30, targets=2)
    with closing(open_store(folder)) as store:
        with pytest.raises(PlatformError, match=r"comes to \d+ bytes, and 65535 are the most.*\[sitting\] episodes"):
            write_files(folder, store, tmp_path / "batch", places=1)
        assert not (tmp_path / "batch").exists()
        with store.read() as connection:
            assert connection.execute(select(func.count()).select_from(tables.sittings)).scalar_one() == 0


def test_results_are_taken_in_once_under_the_workers_who_gave_them(
    campaign: tuple[Folder, Store], batch: list[Row], tmp_path: Path
) -> None:
    folder, _store = campaign
    rows = [answered(batch[0], "AONE"), answered(batch[1], "ATWO")]
    assert take(campaign, tmp_path / "r.csv", rows) == TakenIn(20, 0, ())
    assert take(campaign, tmp_path / "r.csv", rows) == TakenIn(0, 20, ())
    made = export(folder.path, out=tmp_path / "out")
    assert (made.guesses, made.episodes, made.annotators) == (20, 4, 2)
    guesses = pd.read_csv(tmp_path / "out" / "guesses.csv")
    assert set(guesses["annotator_id"]) == {folder.annotator_id("mturk", one) for one in ("AONE", "ATWO")}
    assert not guesses["feedback"].any()
    assert set(guesses["platform"]) == {"mturk"}
    assert set(guesses["answered_at"].str.slice(0, 19)) <= {"2026-11-26T18:15:00", "2026-11-26 18:15:00"}


def test_rows_that_cannot_be_taken_in_are_told_and_change_nothing(
    campaign: tuple[Folder, Store], batch: list[Row], tmp_path: Path
) -> None:
    rows = [
        answered(batch[0], "AONE"),
        answered(batch[0], "ATWO"),
        answered({"sitting": "s_ffff", "task": ""}, "ATHREE"),
        answered(batch[1], "AFOUR", SubmitTime="yesterday"),
        answered(batch[2], "AFIVE", guess=lambda at: "" if at == 3 else 99 if at == 4 else 5),
    ]
    done = take(campaign, tmp_path / "r.csv", rows)
    assert (done.taken, done.known) == (18, 0)
    assert [(one.place, one.why) for one in done.not_taken] == [
        (2, "not_theirs"),
        (3, "unknown"),
        (4, "unreadable"),
        (5, "no_number"),
        (5, "no_number"),
    ]
    later = [answered(batch[0], "AONE", guess=lambda at: 3)]
    changed = take(campaign, tmp_path / "r.csv", later)
    assert (changed.taken, changed.known) == (0, 1)
    assert changed.not_taken[0] == NotTaken(1, f"{later[0]['AssignmentId']} guess_1", "other")


@pytest.mark.parametrize("cell", ["WorkerId", "AssignmentId"])
@pytest.mark.parametrize("value", ["", " ", "A" * 65, "AÖ"])
def test_a_row_without_the_ids_of_somebody_and_their_work_is_nobodys(
    campaign: tuple[Folder, Store], batch: list[Row], tmp_path: Path, cell: str, value: str
) -> None:
    done = take(campaign, tmp_path / "r.csv", [answered(batch[0], "AONE") | {cell: value}])
    assert (done.taken, [one.why for one in done.not_taken]) == (0, ["unreadable"])


def test_nobody_plays_a_target_twice_in_two_rows(
    campaign: tuple[Folder, Store], batch: list[Row], tmp_path: Path
) -> None:
    _folder, store = campaign
    rows = [answered(row, "AONE") for row in batch]
    done = take(campaign, tmp_path / "r.csv", rows)
    assert "again" in {one.why for one in done.not_taken}
    with store.read() as connection:
        played = connection.execute(
            select(tables.episodes.c.target_id)
            .join(tables.identities, tables.identities.c.annotator_id == tables.episodes.c.annotator_id)
            .where(tables.identities.c.platform_id == "AONE")
        ).scalars()
        targets = list(played)
    assert len(targets) == len(set(targets)) == done.taken // 5


def test_more_rows_can_be_had_after_results_were_read_back_and_their_money_is_set_aside_once(
    credentials: None, tmp_path: Path
) -> None:
    folder = invented_campaign(
        tmp_path / "c", targets=4, more='[platform.mturk]\n[pay]\nbase = "1.00"\ncap = "50.00"\n'
    )

    def made(name: str, places: int) -> list[Row]:
        publish_files(folder.path, tmp_path / name, platform="mturk", places=places)
        with (tmp_path / name / "batch.csv").open(encoding="ascii", newline="") as file:
            return list(csv.DictReader(file))

    first = made("first", 2)
    with closing(open_store(folder)) as store:
        rows = [answered(row, f"AW{at}") for at, row in enumerate(first)]
        assert take((folder, store), tmp_path / "r.csv", rows).taken == 20
        with pytest.raises(
            PlatformError, match=r"results of all 2 HITs are in.*--links how many there are to be in all"
        ):
            made("same", 2)
        more = made("more", 3)
        assert len(more) == 1
        assert not {row["sitting"] for row in more} & {row["sitting"] for row in first}
        assert made("again", 3) == more
        with store.read() as connection:
            assert connection.execute(select(func.sum(money_tables.reservations.c.places))).scalar_one() == 3
        assert take((folder, store), tmp_path / "r.csv", [answered(more[0], "AW9")]).taken == 10


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "AssignmentId,WorkerId\n", '"\0', "\xff\xfe"])
def test_a_file_that_is_no_results_file_is_refused(campaign: tuple[Folder, Store], tmp_path: Path, text: str) -> None:
    (tmp_path / "r.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(PlatformError, match=r"r\.csv .*Download the results again as CSV"):
        take_in_results(*campaign, tmp_path / "r.csv")


def test_the_commands_write_a_batch_and_read_it_back(tmp_path: Path, credentials: None) -> None:
    folder = invented_campaign(tmp_path / "c", more='[platform.mturk]\n[pay]\nbase = "1.00"\ncap = "50.00"\n')

    def run(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "imitable", *map(str, words)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return " ".join(done.stdout.split())

    out = tmp_path / "batch"
    said = run("publish", folder.path, "--platform", "mturk", "--files", out, "--links", 2)
    assert "Made a batch of 2 HITs, one worker each, without answers" in said
    with (out / "batch.csv").open(encoding="ascii", newline="") as file:
        rows = [answered(row, f"AW{at}") for at, row in enumerate(csv.DictReader(file))]
    with (tmp_path / "r.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert "Took 20 guesses; 0 were known" in run("collect", folder.path, "--from-file", tmp_path / "r.csv")
    assert "by hand" in run("pay", folder.path)
    assert "mturk: 2 sittings have begun, 0 differences" in run("collect", folder.path)
    assert "take the batch down on that site" in run("close", folder.path)


def test_the_campaign_that_new_writes_fits_its_cap_on_an_mturk_style_site(tmp_path: Path, credentials: None) -> None:
    new(tmp_path / "c")
    with (tmp_path / "c" / "campaign.toml").open("a", encoding="utf-8") as file:
        file.write('\n[platform.mturk]\nendpoint_url = "http://127.0.0.1:9"\n')
    config = (tmp_path / "c" / "campaign.toml").read_text(encoding="utf-8")
    config = config.replace('# public_url = "https://example.org/play"', 'public_url = "https://example.org/play"')
    (tmp_path / "c" / "campaign.toml").write_text(config, encoding="utf-8")
    build(tmp_path / "c")
    done = subprocess.run(
        [sys.executable, "-m", "imitable", "publish", str(tmp_path / "c"), "--platform", "mturk", "--dry-run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "Would make 4 HITs for 30 workers at http://127.0.0.1:9, 3.00 USD each" in said
    assert "cannot be reached" in said


def test_a_worker_who_was_forgotten_gets_no_other_row(
    campaign: tuple[Folder, Store], batch: list[Row], tmp_path: Path
) -> None:
    folder, store = campaign
    assert take(campaign, tmp_path / "r.csv", [answered(batch[0], "W1")]).taken == 10
    erase(store, folder.annotator_id("mturk", "W1"), now=datetime.now(UTC))
    done = take(campaign, tmp_path / "r.csv", [answered(row, "W1") for row in batch])
    assert (done.taken, [one.why for one in done.not_taken]) == (0, ["not_theirs"] * 3)
    with store.read() as connection:
        said = str(connection.execute(select(tables.sittings)).all())
    assert "W1" not in said
