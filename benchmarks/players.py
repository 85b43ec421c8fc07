"""How far automatic players get on the units that each selection method takes: what people are to be compared with.

Prints a table a model. `--model PATH` takes another model than the one that ships (`make models` makes two), `--corpus`
another text, `--embedding PATH` lets `nearest` play too, `--level` shows other things to the players.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from imitable.commands.build import build
from imitable.commands.new import new
from imitable.commands.players import told
from imitable.rounds import Baseline
from imitable.store import read_build

METHODS = ("random", "kurtosis", "beyond-lexical")
TOML = """
[campaign]
name = "players"
seed = {seed}
[model]
path = "{model}"
name = "model"
[corpus]
path = "{corpus}"
max_tokens = 48
min_tokens = 24
document = "block:{block}"
{tables}
[episode]
levels = ["{level}"]
{players}
"""
TABLE = """
[[targets]]
sites = {sites}
select = {{ method = "{method}", count = {count} }}
"""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--model", default="builtin:stories260K")
    asked.add_argument("--corpus", default="builtin:tinystories")
    asked.add_argument("--block", type=int, default=5, help="consecutive texts that are one document")
    asked.add_argument("--layers", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    asked.add_argument("--count", type=int, default=40, help="units that each method takes")
    asked.add_argument("--level", default="examples", choices=("text", "examples"))
    asked.add_argument("--embedding", default="")
    asked.add_argument("--seed", type=int, default=0)
    options = asked.parse_args()
    sites = str([f"mlp.{layer}" for layer in options.layers]).replace("'", '"')
    tables = "".join(TABLE.format(sites=sites, method=method, count=options.count) for method in METHODS)
    players = f'[players]\nembedding = "{_whole(options.embedding)}"' if options.embedding else ""
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held) / "campaign"
        new(folder)
        (folder / "secret.key").write_text("07" * 32 + "\n", encoding="ascii")  # the same units every time
        text = TOML.format(
            seed=options.seed,
            model=_whole(options.model),
            corpus=_whole(options.corpus),
            block=options.block,
            tables=tables,
            level=options.level,
            players=players,
        )
        (folder / "campaign.toml").write_text(text, encoding="utf-8")
        spent: dict[str, float] = {}

        @contextmanager
        def timed(what: str, _total: int):  # type: ignore[no-untyped-def]
            begun = time.process_time()
            yield lambda _done: None
            spent[what] = spent.get(what, 0.0) + time.process_time() - begun

        begun = time.process_time()
        build(folder, progress=timed)
        whole = time.process_time() - begun
        records = read_build(folder / "build")
    by_target: dict[str, list[Baseline]] = {}
    for one in records["baselines"]:
        by_target.setdefault(one.target_id, []).append(one)
    methods = {one.target_id: one.selected_by.split(";") for one in records["targets"]}
    names = list(dict.fromkeys(one.player for one in records["baselines"]))
    print(f"\n{options.model}, layers {options.layers}, level {options.level}, seed {options.seed}\n")
    print(f"| units by | targets | {' | '.join(names)} | best player | solved by a table | mean layer |")
    print(f"| --- | ---: | {' | '.join('---:' for _ in names)} | ---: | ---: | ---: |")
    for method in METHODS:
        mine = {name: found for name, found in by_target.items() if method in methods[name]}
        players_said = told([one for found in mine.values() for one in found])
        cells = [_mean([one.skill for found in mine.values() for one in found if one.player == name]) for name in names]
        cells.append(_mean([one.skill for one in players_said.best.values()]))
        cells.append(f"{len(players_said.solved)} of {len(mine)}")
        cells.append(f"{np.mean([int(name.split('/')[-2].split('.')[1]) for name in mine]):.1f}")
        print(f"| {method} | {len(mine)} | {' | '.join(cells)} |")
    errors = [one.standard_error for one in records["baselines"] if one.player != "constant"]
    print(f"\nStandard errors of a target's figures: median {np.median(errors):.3f}, largest {max(errors):.3f}.")
    print(
        f"The build took {whole:.1f} s of CPU for {len(methods)} targets; automatic players "
        f"{spent['Asking automatic players']:.2f} s of them ({spent['Asking automatic players'] / whole:.1%})."
    )


def _mean(values: Sequence[float]) -> str:
    """Mean over targets, and its standard error."""
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):+.2f} ± {error:.2f}".replace("-", "−")


def _whole(path: str) -> str:
    """A path that means the same from the campaign's folder."""
    return str(Path(path).resolve()) if Path(path).exists() else path


if __name__ == "__main__":
    main()
