"""The sites that one [[targets]] table names, in one model."""

from __future__ import annotations

import re
from pathlib import Path

from imitable.activations.anatomy import Anatomy, neuron_site
from imitable.activations.heads import head_site
from imitable.activations.models import Loaded
from imitable.activations.sae import sae_site
from imitable.activations.sites import Site
from imitable.activations.vectors import vector_site
from imitable.campaign import Targets
from imitable.errors import CampaignError
from imitable.targets import kind_of_site, read_sae, read_vectors


def find_sites(loaded: Loaded, anatomy: Anatomy, table: Targets, *, base: Path) -> list[Site]:
    """The table's sites, in its order. Relative files start at `base`, the campaign's folder.

    Raises CampaignError for a site that is unknown, of another kind, or not what the file holds, and ModelError for
    one that the model cannot be vouched for.
    """
    for site in table.sites:
        if kind_of_site(site) != table.kind:
            raise CampaignError(
                f"'{site}' holds {kind_of_site(site)}s, and this [[targets]] table has kind '{table.kind}'. "
                "Correct one."
            )
    names = list(dict.fromkeys(table.sites))
    if table.kind == "neuron":
        return [neuron_site(anatomy, _layer(name, loaded, anatomy)) for name in names]
    if table.kind == "head":
        return [_head(name, loaded, anatomy, table, base) for name in names]
    path = base / Path(table.file or "").expanduser()
    if table.kind == "latent":
        found = sae_site(read_sae(path), anatomy, name=table.file_name, layer=_stated(table), loaded=loaded)
    else:
        found = vector_site(
            read_vectors(path),
            anatomy,
            kind=table.kind,
            name=table.file_name,
            layer=_stated(table),
            model_sha256=loaded.sha256,
        )
    if names and names != [found.name]:
        raise CampaignError(f"{path} is the site {found.name}, and not {', '.join(names)}. Correct [[targets]] sites.")
    return [found]


def _head(name: str, loaded: Loaded, anatomy: Anatomy, table: Targets, base: Path) -> Site:
    layer, what = _layer(name, loaded, anatomy), name.split(".")[2]
    if what == "norm":
        return head_site(loaded, anatomy, layer, along=None, name=None)
    vectors = read_vectors(base / Path(table.file or "").expanduser())
    if what != f"along-{table.file_name}" or len(vectors.weight) != 1:
        raise CampaignError(
            f"{name}: {vectors.path} holds {len(vectors.weight)} directions under the name '{table.file_name}'. "
            f"Give it one direction, and write the site as head.{layer}.along-{table.file_name}."
        )
    return head_site(loaded, anatomy, layer, along=vectors.weight[0], name=table.file_name, file_hash=vectors.sha256)


def _layer(name: str, loaded: Loaded, anatomy: Anatomy) -> int:
    layer = int(name.split(".")[1])
    if layer >= len(anatomy.blocks):
        kinds = ", ".join(re.sub(r"\.\d+", f".{at}", name, count=1) for at in range(len(anatomy.blocks)))
        raise CampaignError(
            f"{loaded.model_id} has no site '{name}'. It has {kinds}: name some of these in [[targets]] sites."
        )
    return layer


def _stated(table: Targets) -> int | None:
    """The layer that the table states, by `layer` or in its site's name."""
    if table.layer is None and table.sites:
        number = table.sites[0].split(".")[2 if table.kind == "latent" else 1]
        return int(number)
    return table.layer
