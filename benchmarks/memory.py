"""How much memory and time `imitable build` takes as the corpus grows: `python benchmarks/memory.py --sizes 1 100`.

The corpus is real text, repeated with variation: every copy of a paragraph has its sentences in another order and some
of its words exchanged for other words of the text, so that no two texts are the same. Only the command line is used.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

REAL = Path(__file__).resolve().parent.parent / "plugin" / "imitable" / "builtin" / "tinystories.txt"
EXCHANGED = 0.15
"""Share of words that are exchanged."""


def main() -> int:
    """Build on a corpus of every size and print the table. Exit code 1 if a build fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=float, default=[1, 100], metavar="MB", help="default: 1 100")
    parser.add_argument("--model", help="a folder or a hub name (default: the built-in model)")
    asked = parser.parse_args()
    failed = 0
    print("| corpus MB | texts | peak resident MB | seconds |\n| ---: | ---: | ---: | ---: |", flush=True)
    for size in asked.sizes:
        with tempfile.TemporaryDirectory() as folder:
            campaign = Path(folder) / "campaign"
            _new(campaign, asked.model)
            paragraphs = _write(campaign / "corpus.txt", int(size * 1e6))
            code, peak, seconds, said = _build(campaign)
        failed |= code
        print(f"| {size:g} | {paragraphs:,} | {peak:,.0f} | {seconds:,.0f} |", flush=True)
        if code:
            print(f"\nThe build of {size:g} MB failed:\n{said}", file=sys.stderr)
    return failed


def _new(campaign: Path, model: str | None) -> None:
    """A campaign as `imitable new` makes it, on the corpus beside it."""
    subprocess.run([sys.executable, "-m", "imitable", "new", str(campaign)], check=True, capture_output=True)
    file = campaign / "campaign.toml"
    text = file.read_text(encoding="utf-8").replace("builtin:tinystories", "corpus.txt")
    if model is not None:
        where = Path(model).resolve() if Path(model).exists() else model
        text = text.replace("builtin:stories260K", str(where))
    file.write_text(text, encoding="utf-8")


def _write(file: Path, size: int) -> int:
    """Write about `size` bytes of paragraphs and say how many they are."""
    written = count = 0
    with file.open("w", encoding="utf-8") as out:
        for paragraph in _varied(Random(0)):
            out.write(paragraph + "\n\n")
            written += len(paragraph.encode()) + 2
            count += 1
            if written >= size:
                return count
    raise AssertionError("there is always another paragraph")


def _varied(random: Random) -> Iterator[str]:
    """The real text first, as it is; then one variation of it after the other, without end."""
    real = REAL.read_text(encoding="utf-8").strip().split("\n\n")
    yield from real
    words = re.findall(r"[a-z]{3,}", " ".join(real))
    while True:
        for paragraph in real:
            sentences = re.split(r"(?<=[.!?])\s+", paragraph)
            random.shuffle(sentences)
            yield re.sub(
                r"\b[a-z]{3,}\b",
                lambda found: random.choice(words) if random.random() < EXCHANGED else found[0],
                " ".join(sentences),
            )


def _build(campaign: Path) -> tuple[int, float, float, str]:
    """Run the command in a process of its own: (exit code, peak resident megabytes, seconds, what it said)."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "imitable", "build", str(campaign)], stdout=output, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    peak = used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e6 / 1024)
    return abs(process.returncode), peak, seconds, said


if __name__ == "__main__":
    sys.exit(main())
