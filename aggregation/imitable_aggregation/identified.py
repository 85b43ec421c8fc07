"""What a design cannot tell, in sentences: who must overlap with whom for targets and people to be told apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import csgraph


def unidentified(episodes: pd.DataFrame, knots: Sequence[str]) -> list[str]:
    """Sentences on what these episodes leave open; `knots` are those that any round says something of."""
    notes: list[str] = []
    target, target_ids = pd.factorize(episodes["target_id"], sort=True)
    annotator, annotator_ids = pd.factorize(episodes["annotator_id"], sort=True)
    n = len(target_ids)
    pairs = pd.DataFrame({"t": target, "a": annotator}).drop_duplicates()
    per_annotator = np.bincount(pairs["a"], minlength=len(annotator_ids))
    per_target = np.bincount(pairs["t"], minlength=n)
    if n == 1:
        notes.append("There is one target: it has a level, but nothing to be ranked against.")
    elif (per_annotator == 1).all():
        notes.append(
            "No annotator played two targets, so that hard targets and unskilled people cannot be told apart: the "
            "order is right only if targets were given out at random."
        )
    else:
        edges = (pairs["t"].to_numpy(np.int64), pairs["a"].to_numpy(np.int64) + n)
        joined = sparse.csr_matrix((np.ones(len(pairs)), edges), shape=(n + len(annotator_ids),) * 2)
        groups, of = csgraph.connected_components(joined, directed=False)
        if groups > 1:
            largest = int(np.bincount(of[:n], minlength=groups).max())
            notes.append(
                f"Targets fall into {groups} groups that no annotator connects (the largest has {largest} of {n}): "
                "targets of different groups are compared only as if their people were equally skilled."
            )
    if (per_target == 1).all():
        notes.append("No target was played by two annotators: how much people differ is assumed, not seen.")
    if not (episodes["n_held_out"] > 0).any():
        notes.append("There are no held-out rounds: imitability is the model's value at the last practice round.")
    else:
        without = sorted(set(episodes["target_id"]) - set(episodes.loc[episodes["n_held_out"] > 0, "target_id"]))
        if without:
            more = " …" if len(without) > 5 else ""
            notes.append(
                f"{len(without)} targets have no held-out round; their imitability follows from their practice and "
                f"from the other targets: {', '.join(without[:5])}{more}."
            )
    if "start" not in knots or not (episodes["n_practice"] > 0).any():
        notes.append("There is no practice guess before feedback: start and gain are empty.")
    return notes
