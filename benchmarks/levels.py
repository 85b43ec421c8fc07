"""What each level's readings add for automatic players, on a real model: a table of levels, and where they do not help.

Every level is built (or `--levels`), `probes` with three that are trained here: on who the story is about, on speech,
on animals. As a control the same players are given the readings of other texts. `--model PATH` takes another model than
the one that ships (`make models` makes two), `--max-texts` bounds the corpus, `--embedding PATH` lets `nearest` play.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from imitable.campaign import open_folder
from imitable.campaign.running import LEVELS
from imitable.commands.build import build
from imitable.commands.gathering import generator_for
from imitable.commands.new import new
from imitable.commands.players import Help, helps
from imitable.commands.train_probe import train_probe
from imitable.rounds import AtLevel, MadeTarget, Schooling, at_levels, skills_of
from imitable.rounds.players import PLAYERS
from imitable.rounds.readers import READERS
from imitable.store import read_build, read_report

TOML = """
[campaign]
name = "levels"
seed = {seed}
[model]
path = "{model}"
name = "model"
[corpus]
path = "builtin:tinystories"
max_tokens = 48
min_tokens = 24
document = "block:{block}"
{most}
[[targets]]
sites = {sites}
select = {{ method = "random", count = {count} }}
[[targets]]
sites = {sites}
select = {{ method = "kurtosis", count = {count} }}
[episode]
levels = {levels}
pool = {{ practice = {practice}, held_out = {held_out} }}
{probes}
{players}
"""


PROBES = """
[readings]
probes = ["probes/speech.safetensors", "probes/girl.safetensors", "probes/animal.safetensors"]
"""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--model", default="builtin:stories260K")
    asked.add_argument("--layers", type=int, nargs="+", default=[1, 2, 3], help="blocks with others on both sides")
    asked.add_argument("--count", type=int, default=20, help="units that each of two selection methods takes")
    asked.add_argument("--levels", nargs="+", default=LEVELS, choices=LEVELS)
    asked.add_argument("--block", type=int, default=5, help="consecutive texts that are one document")
    asked.add_argument("--max-texts", type=int, help="texts of the corpus that are read")
    asked.add_argument("--pool", type=int, nargs=2, default=[60, 40], help="practice and held-out items")
    asked.add_argument("--probe-texts", type=int, default=100, help="of each label, that a probe is trained on at most")
    asked.add_argument("--embedding", default="")
    asked.add_argument("--seed", type=int, default=0)
    options = asked.parse_args()
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held) / "campaign"
        new(folder)
        (folder / "secret.key").write_text("07" * 32 + "\n", encoding="ascii")  # the same units every time
        (folder / "campaign.toml").write_text(_toml(options), encoding="utf-8")
        if "probes" in options.levels:
            _train_probes(folder, layer=options.layers[len(options.layers) // 2], texts=options.probe_texts)
        build(folder)
        records, report = read_build(folder / "build"), read_report(folder / "build")
        assert report is not None
        by_level = [AtLevel(**one) for one in report["players"]["by_level"]]
        control = _shuffled(folder, records)
    print(f"\n{options.model}, blocks {options.layers}, {len(records['targets'])} targets, seed {options.seed}\n")
    _table(by_level, report["readings"], helps(control))
    _where(by_level)
    print(f"\nIt took {time.process_time() - begun:.0f} s of CPU.")


def _toml(options: argparse.Namespace) -> str:
    def listed(each: Sequence[str]) -> str:
        return str(list(each)).replace("'", '"')

    def whole(path: str) -> str:
        return str(Path(path).resolve()) if Path(path).exists() else path

    return TOML.format(
        seed=options.seed,
        model=whole(options.model),
        block=options.block,
        most=f"max_texts = {options.max_texts}" if options.max_texts else "",
        sites=listed([f"mlp.{layer}" for layer in options.layers]),
        count=options.count,
        levels=listed(options.levels),
        practice=options.pool[0],
        held_out=options.pool[1],
        probes=PROBES if "probes" in options.levels else "",
        players=f'[players]\nembedding = "{whole(options.embedding)}"' if options.embedding else "",
    )


def _train_probes(folder: Path, *, layer: int, texts: int) -> None:
    """Three probes of what a reader could name, from texts of the corpus that tell by a plain rule."""
    stories = (Path(str(files("imitable.builtin"))) / "tinystories.txt").read_text(encoding="utf-8").split("\n\n")

    def girl(text: str) -> bool | None:
        she, he = (len(re.findall(rf"\b({words})\b", text.lower())) for words in ("she|her", "he|his|him"))
        return None if abs(she - he) < 2 else she > he

    rules: dict[str, Callable[[str], bool | None]] = {
        "speech": lambda text: '"' in text,
        "girl": girl,
        "animal": lambda text: re.search(r"\b(cat|dog|bird|bear|rabbit|fish|mouse|frog)s?\b", text.lower()) is not None,
    }
    for name, rule in rules.items():
        labels = [(text, found) for text in stories if (found := rule(text)) is not None]
        most = min(Counter(found for _, found in labels).values(), default=0)
        path, taken = folder / f"{name}.csv", Counter[bool]()
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["text", "label"])
            for text, found in labels:
                taken[found] += 1
                if taken[found] <= min(most, texts):
                    writer.writerow([" ".join(text.split()), "yes" if found else "no"])
        done = train_probe(folder, labelled=path, layer=layer, name=name)
        print(f"probe {name}: held-out AUROC {done.auroc:.2f} a token")


def _shuffled(folder: Path, records: dict[str, list[Any]]) -> list[AtLevel]:
    """What the players make of readings that belong to other texts of the same target."""
    opened = open_folder(folder)
    episode, answers = opened.config.episode, {one.item_id: one for one in records["truths"]}
    schooling = Schooling(episode.practice, episode.levels, episode.shade_reveal, opened.config.readings.looks)
    found = []
    for target in records["targets"]:
        items = tuple(item for item in records["items"] if item.target_id == target.target_id)
        names = [item.item_id for item in items]
        rng = generator_for(opened, "players", target.target_id)
        other = dict(zip(names, np.random.default_rng(len(found)).permutation(names).tolist(), strict=True))
        made = MadeTarget(
            target,
            items,
            tuple(answers[name] for name in names),
            tuple(one for one in records["examples"] if one.target_id == target.target_id),
            readings=tuple(
                replace(one, item_id=other[one.item_id]) for one in records["readings"] if one.item_id in other
            ),
        )
        found += at_levels(made, skills_of(made, schooling, rng))
    return found


def _table(by_level: Sequence[AtLevel], told: Sequence[dict[str, Any]], control: Sequence[Help]) -> None:
    played = {name for one in by_level for name in one.skills}
    players = [name for name in (*PLAYERS, *READERS) if name in played]
    print(f"| level | R² told | {' | '.join(players)} | gain | better | worse | gain, shuffled | better |")
    print(f"| --- | ---: | {' | '.join('---:' for _ in players)} | ---: | ---: | ---: | ---: | ---: |")
    found, shuffled = {one.level: one for one in helps(by_level)}, {one.level: one for one in control}
    for level in dict.fromkeys(one.level for one in by_level):
        mine = [one for one in by_level if one.level == level]
        r2 = [one["r2"] for one in told if one["level"] == level]
        cells = [f"{np.median(r2):.2f}" if r2 else ""]
        cells += [_mean([one.skills[name][0] for one in mine if name in one.skills]) for name in players]
        if level in found:
            real, other = found[level], shuffled[level]
            cells += [f"{real.gain:+.3f} ± {real.standard_error:.3f}", str(real.better), str(real.worse)]
            cells += [f"{other.gain:+.3f} ± {other.standard_error:.3f}", str(other.better)]
        else:
            cells += [""] * 5
        print(f"| {level} | {' | '.join(cells)} |".replace("-", "−"))


def _where(by_level: Sequence[AtLevel]) -> None:
    """By level and block: on how many targets readings add more than two standard errors."""
    print("\nTargets on which readings add more than two standard errors, by block:\n")
    blocks = sorted({_block(one) for one in by_level})
    print(f"| level | {' | '.join(f'block {block}' for block in blocks)} | where they add nothing |")
    print(f"| --- | {' | '.join('---:' for _ in blocks)} | --- |")
    levels = [one.level for one in helps(by_level)]
    for level in levels:
        cells: list[str] = []
        for block in blocks:
            mine = [one for one in by_level if one.level == level and _block(one) == block]
            cells.append(f"{sum(one.gain > 2 * one.standard_error for one in mine)} of {len(mine)}")
        without = [one.target_id for one in by_level if one.level == level and one.gain <= 0]
        named = ", ".join(name.partition("/")[2] for name in without[:4]) + (" …" if len(without) > 4 else "")
        print(f"| {level} | {' | '.join(cells)} | {len(without)}: {named} |")


def _block(one: AtLevel) -> int:
    return int(one.target_id.split("/")[-2].split(".")[1])


def _mean(values: Sequence[float]) -> str:
    """Mean over targets, and its standard error; empty for who does not play."""
    if not values:
        return ""
    return f"{np.mean(values):+.2f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.2f}"


if __name__ == "__main__":
    main()
