"""Is everything still what the campaign was built from? Files are compared by hash; no model is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imitable.activations import file_hashes, locate
from imitable.campaign import Folder, Targets
from imitable.errors import ImitableError
from imitable.rounds import PlayedTarget
from imitable.store import changed_files
from imitable.targets import kind_of_site, read_sae, read_vectors


def changed_inputs(folder: Folder, report: dict[str, Any], targets: Sequence[PlayedTarget]) -> list[str]:
    """What is not as it was when the campaign was built, in words, each with the next action.

    Looks at the files of DIR/build, of local models, of probes, directions and SAEs. A model that is not on this
    machine (it is not needed to serve) is passed over.
    """
    problems = [
        f"{folder.build / name} is not the file that was built. Put it back, or remove {folder.build} and build again."
        for name in changed_files(folder.build, report)
    ]
    for described in report["models"]:
        spec = next((one for one in folder.config.all_models if one.model_id == described["model_id"]), None)
        try:
            where = None if spec is None else Path(locate(spec, base=folder.path))
        except ImitableError:
            continue
        if where is None or not where.is_dir() or not described["files"]:
            continue
        now = file_hashes(where)
        names = sorted({name for name, _ in now.items() ^ described["files"].items()})
        if names:
            problems.append(
                f"{where} is not the model that was built from: {', '.join(names)} changed since. Put the old model "
                "back, or build again."
            )
    for table in folder.config.targets:
        problems += _changed_file(folder, table, targets)
    try:
        now = probe_hashes(folder)
    except ImitableError as error:
        return [*problems, str(error)]
    changed = [file for file, sha256 in report.get("probes", {}).items() if now.get(file, sha256) != sha256]
    return problems + [_not_the_same(folder.path / Path(file).expanduser()) for file in changed]


def probe_hashes(folder: Folder) -> dict[str, str]:
    """The hashes of the files that [readings] probes names. Raises CampaignError as `read_vectors` does."""
    files = folder.config.readings.probes if "probes" in folder.config.episode.levels else []
    return {file: read_vectors(folder.path / Path(file).expanduser()).sha256 for file in files}


def _not_the_same(path: Path) -> str:
    return f"{path} is not the file that was built from. Put the old one back, or build again."


def _changed_file(folder: Folder, table: Targets, targets: Sequence[PlayedTarget]) -> list[str]:
    """A table's probe, directions or SAE, compared with the hash that its targets were built with."""
    built = {one.file_hash for one in targets if _is_from(one.site, table)}
    if table.file is None or not built:
        return []
    path = folder.path / Path(table.file).expanduser()
    try:
        now = read_sae(path).sha256 if table.kind == "latent" else read_vectors(path).sha256
    except ImitableError as error:
        return [str(error)]
    if now in built:
        return []
    return [_not_the_same(path)]


def _is_from(site: str, table: Targets) -> bool:
    """Whether a site is one that the table's file made: its name stands in the site's."""
    parts = site.split(".")
    name = {"latent": parts[1], "head": parts[-1].removeprefix("along-")}.get(kind_of_site(site), parts[-1])
    return kind_of_site(site) == table.kind and name == table.file_name
