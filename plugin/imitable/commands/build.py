"""`imitable build`: corpus and model to targets, pools and sealed truths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from imitable.campaign import Folder, open_folder
from imitable.commands.asked import Asked, asked
from imitable.commands.drawing import LeftOut, draw_targets
from imitable.commands.gathering import prepare
from imitable.commands.players import embedder_of, in_words, told, with_baselines
from imitable.commands.progress import Progress, silent
from imitable.commands.readings import Told, told_by_level, with_readings
from imitable.commands.unchanged import probe_hashes
from imitable.commands.work import working
from imitable.errors import BuildError, CampaignError
from imitable.rounds import MadeTarget
from imitable.selection import find_method
from imitable.store import (
    build_hash_of,
    copy_build,
    holds_items,
    load_build,
    open_store,
    read_build,
    read_report,
    write_build,
)


@dataclass(frozen=True)
class Built:
    """What `imitable build` did."""

    folder: Path
    targets: int
    items: int
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    told: tuple[Told, ...]
    """How much of the truths the readings of each level tell; empty where no level shows any."""
    fresh: bool
    """False when the build was there already and nothing had to be done."""


def build(directory: Path, *, ray: str | None = None, copy_to: str | None = None, progress: Progress = silent) -> Built:
    """Build a campaign. Repeating it is safe: a finished build is only loaded into the store, if it must be.

    An interrupted one goes on with the shards that it had done. `ray` runs the model on a Ray cluster: its address, or
    `local` for the processors of this machine; the result is the same, byte for byte. `copy_to` is an fsspec address
    where the build's files are put as well, report.json last.

    Raises ImitableError subclasses for anything the runner can mend; nothing half-written is left behind.
    """
    folder = open_folder(directory)
    store = open_store(folder)
    try:
        wanted = build_hash_of(folder)
        report = read_report(folder.build)
        fresh = report is None or report["build_hash"] != wanted
        played = store.played() > 0
        if played and store.build_hash() != wanted:
            raise BuildError(
                f"{directory} has been played, and campaign.toml no longer describes what was built. Put the old "
                "settings back, or make a new campaign with: imitable new"
            )
        if fresh or report is None:
            with working(folder.path / ".build-work"):
                made, report = _make(folder, wanted, ray, progress)
                if played and not holds_items(store, made):
                    raise BuildError(
                        f"{directory} has been played, {folder.build} is gone, and the corpus or the model is no "
                        f"longer what it was built from. Put {folder.build} back."
                    )
                write_build(folder.build, made, report)
        if (fresh and not played) or store.build_hash() != wanted:
            load_build(store, name=folder.config.campaign.name, build_hash=wanted, records=read_build(folder.build))
        if copy_to is not None:
            copy_build(folder.build, copy_to)
    finally:
        store.close()
    return Built(
        folder=folder.build,
        targets=report["targets"],
        items=report["items"],
        left_out=tuple(LeftOut(**one) for one in report["left_out"]),
        notes=tuple(report["notes"]),
        told=tuple(told_by_level(report.get("readings", ()))),
        fresh=fresh,
    )


def _make(
    folder: Folder, build_hash: str, ray: str | None, progress: Progress
) -> tuple[list[MadeTarget], dict[str, Any]]:
    config = folder.config
    for table in config.targets:
        if table.select:
            find_method(table.select.method)  # before the model is run, not after
    embed = embedder_of(folder)
    made: list[MadeTarget] = []
    left_out: list[LeftOut] = []
    notes: list[str] = []
    described: list[dict[str, object]] = []
    documents: dict[str, int] = {}
    readings: list[dict[str, object]] = []
    for model in config.all_models:
        prepared = prepare(
            folder, model, work=folder.path / ".build-work" / build_hash[:16], ray=ray, progress=progress
        )
        name = prepared.loaded.model_id
        if prepared.dropped:
            notes.append(
                f"{name}: {prepared.dropped} of {prepared.dropped + prepared.windows} texts were dropped: they share a "
                "run of 12 tokens with another split, or stood there before"
            )
        described.append(prepared.about)
        documents = {split: prepared.splits.count(split) for split in sorted(set(prepared.splits))}
        tables = [asked(folder, prepared, table, number, progress) for number, table in enumerate(config.targets)]
        _refuse_two_files_of_one_name(tables)
        for number, one in enumerate(tables):
            wanted, found, without = draw_targets(one)
            made = _joined(made, found)
            left_out += without
            if len(found) < wanted:
                notes.append(f"{name}, [[targets]] #{number + 1}: {len(found)} of {wanted} targets")
        levelled = with_readings(prepared, tables, [one for one in made if one.target.model_id == name])
        made = [one for one in made if one.target.model_id != name] + levelled.made
        left_out += [LeftOut(target_id, reason) for target_id, reason in levelled.lacking]
        readings += levelled.report
        prepared.workers.close()
    if not made:
        reasons = "; ".join(f"{one.target_id} {one.reason}" for one in left_out[:5])
        raise BuildError(
            f"No unit is left to play: {reasons}. Choose other sites, a larger corpus, or smaller pools in [episode]."
        )
    _note_small_pools(made, folder, notes)
    made, players = with_baselines(folder, made, embed, progress)
    if said := in_words(told([baseline for one in made for baseline in one.baselines])):
        notes.append(f'{said}. select = {{ method = "beyond-lexical", count = ... }} prefers others')
    if folder.config.platform.label_studio and folder.config.episode.shade_reveal:
        notes.append(
            "automatic players were taught by shaded answers, which Label Studio does not show: where all play there, "
            "set [episode] shade_reveal = false and build again, so that they see what people see"
        )
    report = {
        "build_hash": build_hash,
        "campaign": config.campaign.name,
        "seed": config.campaign.seed,
        "models": described,
        "documents": documents,
        "targets": len(made),
        "items": sum(len(one.items) for one in made),
        "left_out": [asdict(one) for one in left_out],
        "notes": notes,
        "readings": readings,
        "probes": probe_hashes(folder),
        "players": players,
    }
    return made, report


def _refuse_two_files_of_one_name(tables: Sequence[Asked]) -> None:
    """A site's name must mean one file, or the ids made of it would mean two."""
    hashes: dict[str, str] = {}
    for one in tables:
        for name, site in one.sites.items():
            if hashes.setdefault(name, site.file_hash) != site.file_hash:
                raise CampaignError(
                    f"Two files would both be {name}, {one.table.file} among them. Give one of their [[targets]] "
                    "tables a name of its own: name = ..."
                )


def _joined(made: list[MadeTarget], found: list[MadeTarget]) -> list[MadeTarget]:
    """All targets; one that several tables chose stands once, with all its methods in `selected_by`.

    Where only the later method gave a score, that method stands first: a target's score is its first method's.
    """
    by_id = {one.target.target_id: one for one in made}
    for one in found:
        known = by_id.setdefault(one.target.target_id, one)
        if known is not one:
            first, second = known.target, one.target
            if first.score is None and second.score is not None:
                first, second = second, first
            methods = dict.fromkeys([*first.selected_by.split(";"), *second.selected_by.split(";")])
            by_id[one.target.target_id] = replace(known, target=replace(first, selected_by=";".join(methods)))
    return list(by_id.values())


def _note_small_pools(made: Sequence[MadeTarget], folder: Folder, notes: list[str]) -> None:
    asked = {"practice": folder.config.episode.pool.practice, "held_out": folder.config.episode.pool.held_out}
    for split, size in asked.items():
        sizes = [sum(item.split == split for item in one.items) for one in made]
        if min(sizes) < size:
            notes.append(
                f"{split} pools hold {min(sizes)} to {max(sizes)} items, where {size} were asked: the corpus has too "
                "few documents (one item a document)"
            )
