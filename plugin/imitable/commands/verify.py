"""`imitable verify`: are the truths what the model gives on the stored tokens, and is all what it was built from?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imitable.activations import Loaded, Shard, Site, Threads, Window, Work, find_sites, load_model, study
from imitable.campaign import Folder, open_folder
from imitable.commands.consistency import inconsistent
from imitable.commands.progress import Progress, silent
from imitable.commands.unchanged import changed_inputs
from imitable.errors import BuildError
from imitable.rounds import AnswerKey, Item, PlayedTarget
from imitable.store import open_store, read_build, read_report, store_differs

TOLERANCE = 1e-4
"""Largest difference that will do, in standard deviations of the target's activation over the tokens stored."""


@dataclass(frozen=True)
class Verified:
    """What `imitable verify` found."""

    checked: int
    """Items recomputed."""
    of: int
    """Items there are."""
    largest: float
    """Largest difference at any token, in standard deviations of the target's activation."""
    worst: str
    """Item and target of that difference."""
    problems: tuple[str, ...]
    """What is not as it was built, in words, each with the next action. Empty: all is well."""


def verify(directory: Path, *, sample: int = 300, seed: int = 0, progress: Progress = silent) -> Verified:
    """Recompute a sample of truths from the stored tokens, and compare models, files and database with the build.

    Raises BuildError when there is no build, and ModelError when a model cannot be loaded.
    """
    folder = open_folder(directory)
    report = read_report(folder.build)
    if report is None:
        raise BuildError(f"{directory} is not built yet. Build it with: imitable build {directory}")
    records = read_build(folder.build)
    rng = np.random.default_rng(seed)
    items: list[Item] = records["items"]
    answers: dict[str, AnswerKey] = {one.item_id: one for one in records["truths"]}
    whole = {one.item_id for one in items if len(getattr(answers.get(one.item_id), "values", ())) == len(one.token_ids)}
    chosen = whole & {items[at].item_id for at in rng.permutation(len(items))[:sample]}
    problems = [
        *changed_inputs(folder, report, records["targets"]),
        *_store_differs(folder, records),
        *inconsistent(folder, records),
    ]
    largest, worst, checked = 0.0, "", 0
    for described in report["models"]:
        spec = next((one for one in folder.config.all_models if one.model_id == described["model_id"]), None)
        if spec is None:
            problems.append(f"{described['model_id']} is no longer in campaign.toml. Put its [model] table back.")
            continue
        loaded = load_model(spec, base=folder.path)
        targets = {one.target_id: one for one in records["targets"] if one.model_id == loaded.model_id}
        mine = [one for one in items if one.target_id in targets and one.item_id in chosen]
        problems += _other_machine(loaded, described)
        sites = _sites(folder, loaded)
        gone = {one.site for one in targets.values()} - sites.keys()
        problems += [f"{name} is no longer in campaign.toml. Put its [[targets]] table back." for name in sorted(gone)]
        with progress("Recomputing truths", len(mine)) as advance:
            for item, values in _recomputed(loaded, sites, targets, mine):
                advance(1)
                checked += 1
                stored = np.array(answers[item.item_id].values)
                apart = float(np.abs(values - stored).max() / _spread(records, answers, item.target_id))
                if not apart <= largest:  # also when it is no number
                    largest, worst = apart, f"{item.item_id} of {item.target_id}"
        problems += _other_tokens(loaded, mine)
    if not largest <= TOLERANCE:
        problems.append(
            f"a recomputed activation is {largest:.2g} standard deviations from the stored one ({worst}; at most "
            f"{TOLERANCE:g} will do). Build again where the campaign will be verified, or look into the versions."
        )
    if not checked:
        problems.append("nothing could be recomputed. Build again.")
    return Verified(checked, len(items), largest, worst, tuple(problems))


def _recomputed(
    loaded: Loaded, sites: dict[str, Site], targets: dict[str, PlayedTarget], items: Sequence[Item]
) -> list[tuple[Item, Any]]:
    """The float32 activations of every item's target at all its tokens, from the stored tokens."""
    found: list[tuple[Item, Any]] = []
    known = [item for item in items if targets[item.target_id].site in sites]
    if not known:
        return found
    units: dict[str, list[int]] = {}
    for item in known:
        target = targets[item.target_id]
        units.setdefault(target.site, []).append(target.unit)
    work = Work(
        tuple(sites[name] for name in units),
        {name: tuple(dict.fromkeys(each)) for name, each in units.items()},
        "float32",
    )
    shard = Shard.of([Window(one.text, one.token_ids, one.offsets, (one.position,), one.document) for one in known])
    (read,) = Threads(loaded).map(work, [shard])
    for at, item in enumerate(known):
        target = targets[item.target_id]
        column = (work.units or {})[target.site].index(target.unit)
        found.append((item, read[target.site][shard.starts[at] : shard.ends[at], column]))
    return found


def _sites(folder: Folder, loaded: Loaded) -> dict[str, Site]:
    """The sites of all [[targets]] tables, by name."""
    anatomy = study(loaded)
    return {
        site.name: site
        for table in folder.config.targets
        for site in find_sites(loaded, anatomy, table, base=folder.path)
    }


def _spread(records: dict[str, list[Any]], answers: dict[str, AnswerKey], target_id: str) -> float:
    mine = [one.item_id for one in records["items"] if one.target_id == target_id]
    values = [answers[one].values for one in mine if one in answers]
    return float(np.concatenate([np.array(each) for each in values]).std()) or 1.0


def _other_tokens(loaded: Loaded, items: Sequence[Item]) -> list[str]:
    changed = [one for one in items if loaded.tokenizer(one.text)["input_ids"] != list(one.token_ids)]
    return (
        [f"the tokenizer cuts {len(changed)} texts otherwise ({changed[0].item_id}). Build again."] if changed else []
    )


def _other_machine(loaded: Loaded, described: dict[str, Any]) -> list[str]:
    """Whether the model or what runs it differs from what the truths were computed with."""
    problems = []
    if loaded.sha256 != described["sha256"]:
        problems.append(
            f"{loaded.model_id} has other weights, configuration or tokenizer (hash {loaded.sha256[:12]}, was "
            f"{described['sha256'][:12]}). Put the old model back, or build again."
        )
    if loaded.versions["device"] != described["device"]:
        problems.append(
            f"the truths were computed on {described['device']}, and this is {loaded.versions['device']}, which adds "
            "up in another order. Verify where the campaign was built."
        )
    return problems


def _store_differs(folder: Folder, records: dict[str, list[Any]]) -> list[str]:
    """Whether people would be shown, or judged by, anything else than DIR/build holds."""
    store = open_store(folder)
    try:
        differing = store_differs(store, records)
    finally:
        store.close()
    return [
        f"the database's table '{name}' is not what {folder.build} holds. Build again, or put back the files that "
        "belong to it."
        for name in differing
    ]
