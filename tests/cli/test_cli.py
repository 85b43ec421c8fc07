"""The command line: help worth reading, one clear error, exit codes, and free imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from imitable.cli.app import app
from imitable.testing import invented_campaign

MODELS = ("EleutherAI/pythia-70m@main", "SmolLM2-135M-Instruct")
COMMANDS = sorted(getattr(get_command(app), "commands"))  # noqa: B009  # click's group, which typer hides
IN_LABEL_STUDIO = sorted(getattr(getattr(get_command(app), "commands")["label-studio"], "commands"))  # noqa: B009
HEAVY = ("torch", "transformers", "boto3", "label_studio_sdk", "pandas", "matplotlib", "uvicorn", "sqlalchemy")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """The command as a user types it, in a process of its own."""
    return subprocess.run([sys.executable, "-m", "imitable", *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output


def test_help_begins_with_the_demo_and_stands_under_headings() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    signs = ("─ Try ─", "│ demo ", "─ Make ─", "│ new ", "─ Run ─", "─ Results ─", "─ Money ─", "│ forget ")
    where = [shown.index(sign) for sign in signs]
    assert where == sorted(where)
    assert "─ Commands ─" not in shown


@pytest.mark.parametrize(
    "words", [(), *((one,) for one in COMMANDS), *(("label-studio", one) for one in IN_LABEL_STUDIO)]
)
def test_help_shows_every_word_that_is_written_brackets_too(words: tuple[str, ...]) -> None:
    """`[pay] cap` was taken for markup, and only the cap was left."""
    written = get_command(app)
    for one in words:
        written = getattr(written, "commands")[one]  # noqa: B009  # as above
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "1000"}).output
    shown = " ".join(shown.replace("│", " ").split())
    for text in (written.help, *(getattr(one, "help", None) for one in written.params)):
        assert " ".join((text or "").replace("\\[", "[").split()) in shown
    assert "[]" not in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    readme = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
    assert f"imitable {command}" in readme


def test_what_the_user_can_mend_is_said_without_a_traceback_and_exits_with_1(tmp_path: Path) -> None:
    shown = run("build", str(tmp_path / "nowhere"))
    assert shown.returncode == 1
    assert shown.stdout == ""
    assert "imitable new" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_wrong_usage_exits_with_2() -> None:
    assert run("build").returncode == 2
    assert run("nonsense").returncode == 2
    assert run("rank", "x", "--coverage", "2", "--out", "y").returncode == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_broken_where_eighty_columns_break_it(command: str) -> None:
    """Lines after the first paragraph are shown as they are written; longer ones would leave single words behind."""
    said = getattr(get_command(app), "commands")[command].help  # noqa: B009  # as above
    assert max(map(len, said.partition("\n\n")[2].split("\n"))) <= 78


def test_the_help_of_export_names_the_files() -> None:
    shown = CliRunner().invoke(app, ["export", "--help"]).output
    assert all(name in shown for name in ("guesses.csv", "targets.csv", "episodes_played.csv", "exposures.csv"))


def test_new_build_publish_status_lead_on_to_each_other(tmp_path: Path) -> None:
    campaign = tmp_path / "first"
    runner = CliRunner()
    shown = runner.invoke(app, ["new", str(campaign)])
    assert f"imitable build {campaign}" in shown.output
    assert (campaign / "secret.key").stat().st_mode & 0o077 == 0
    assert f"imitable build {campaign}" in runner.invoke(app, ["status", str(campaign)]).output

    invented_campaign(campaign)
    assert f"imitable publish {campaign}" in runner.invoke(app, ["status", str(campaign)]).output
    assert "Would make" in runner.invoke(app, ["publish", str(campaign), "--dry-run"]).output
    assert not (campaign / "links.csv").exists()
    assert "links.csv" in runner.invoke(app, ["publish", str(campaign), "--links", "2"]).output
    said = runner.invoke(app, ["status", str(campaign)]).output
    assert f"imitable serve {campaign}" in said
    assert "places filled: web 0 of 30" in said


def test_ranking_a_guesses_file_alone_prints_the_order_and_writes_the_files(tmp_path: Path) -> None:
    lines = ["annotator_id,target_id,trial,phase,guess,truth,l_ref"]
    for person in range(6):
        for trial in range(1, 11):
            phase = "practice" if trial <= 6 else "held_out"
            truth = (trial * 7) % 11 * 0.9
            lines.append(f"p{person},m/mlp.0/1,{trial},{phase},{truth + 0.1 * person},{truth},2.5")
            lines.append(f"p{person},m/mlp.0/2,{trial},{phase},{(truth + 5) % 10},{truth},2.5")
    source = tmp_path / "guesses.csv"
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    shown = CliRunner().invoke(app, ["rank", str(source), "--out", str(tmp_path / "out")])
    assert shown.exit_code == 0, shown.output
    assert shown.output.index("m/mlp.0/1") < shown.output.index("m/mlp.0/2")
    assert "simulated" not in shown.output
    assert (tmp_path / "out" / "ranking.csv").exists()


def test_a_ranking_prints_what_was_asked_for_in_eighty_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    places = [f"{model}/{site}/11{unit}" for model in MODELS for site in ("mlp.3", "sae.res8k.12") for unit in (3, 4)]
    lines = ["annotator_id,target_id,trial,phase,guess,truth,l_ref,level"]
    for person in range(8):
        for at, target in enumerate(places):
            for trial in range(1, 11):
                truth, phase = (trial * 7) % 11 * 0.9, "practice" if trial <= 6 else "held_out"
                guess = min(10, truth + 0.2 * (trial + person + at) % 3)
                lines.append(
                    f"p{person},{target},{trial},{phase},{guess},{truth},2.5,{('text', 'examples')[person % 2]}"
                )
    source = tmp_path / "guesses.csv"
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = ["rank", str(source), "--out", str(tmp_path / "out"), "--level", "text", "--coverage", "0.5"]
    shown = CliRunner().invoke(app, [*words, "--by", "model_id", "--by", "site"])
    assert shown.exit_code == 0, shown.output
    table = shown.output.splitlines()[1:9]
    assert all(len(line) <= 80 for line in table)
    for place in places:
        _, site, unit = place.rsplit("/", 2)
        assert sum(f"/{site}/{unit} " in line and place[0] in line for line in table) == 1, place
    assert "at the level text" in shown.output
    assert "hold with a probability of 50%" in shown.output
    assert "more imitable than the 4 of" in shown.output
    assert "groups.csv" in shown.output


def test_a_missing_column_is_named_and_exits_with_1(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("annotator_id,target_id,trial,phase,guess\na,b,1,practice,2\n", encoding="utf-8")
    shown = run("rank", str(tmp_path / "g.csv"), "--out", str(tmp_path / "out"))
    assert shown.returncode == 1
    assert "truth" in shown.stderr
    assert "g.csv" in shown.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "code", ["import imitable", "import sys, imitable.cli; sys.argv = ['imitable', '--help']; imitable.cli.main()"]
)
def test_importing_and_asking_for_help_load_nothing_heavy(code: str) -> None:
    script = f"""
import sys
try:
    exec({code!r})
except SystemExit:
    pass
heavy = [name for name in {HEAVY!r} if name in sys.modules]
sys.exit(", ".join(heavy) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_build_stopped_by_ctrl_c_says_how_to_finish_it_and_exits_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal itself is left out: while torch is being imported, third parties swallow it now and then."""

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("imitable.commands.build.build", stopped)
    shown = CliRunner().invoke(app, ["build", str(tmp_path)])
    assert shown.exit_code == 3
    assert f"imitable build {tmp_path}" in shown.output


def test_a_build_says_how_to_publish_where_campaign_toml_says(small_campaign: Path) -> None:
    shown = CliRunner().invoke(app, ["build", str(small_campaign)])
    assert f"Next: imitable publish {small_campaign} --platform web" in shown.output
    with (small_campaign / "campaign.toml").open("a", encoding="utf-8") as file:
        file.write("\n[platform.label_studio]\n")
    shown = CliRunner().invoke(app, ["build", str(small_campaign)])
    assert f"publish {small_campaign} --platform label-studio" in shown.output
