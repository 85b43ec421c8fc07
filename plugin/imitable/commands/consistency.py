"""Does a build agree with itself? What can be derived from other parts of it is derived again."""

from __future__ import annotations

from typing import Any

import numpy as np

from imitable.campaign import Folder
from imitable.rounds import AnswerKey, Item, PlayedTarget
from imitable.targets import TargetId
from imitable_aggregation import scoring


def inconsistent(folder: Folder, records: dict[str, list[Any]]) -> list[str]:
    """What contradicts itself in a build, in words, each with the next action.

    Every item's id (which only the holder of the key can make), its truth from its activation and the scale, its
    activation from the values at all tokens, and every target's reference loss.
    """
    answers: dict[str, AnswerKey] = {one.item_id: one for one in records["truths"]}
    targets: dict[str, PlayedTarget] = {one.target_id: one for one in records["targets"]}
    items: list[Item] = records["items"]
    wrong: dict[str, list[str]] = {"id": [], "truth": [], "activation": [], "reference loss": []}
    for item in items:
        answer, target = answers.get(item.item_id), targets.get(item.target_id)
        if answer is None or target is None or len(answer.values) != len(item.token_ids):
            wrong["activation"].append(item.item_id)
            continue
        identity = TargetId(target.model_id, target.site, target.unit, target.polarity)
        made = "i_" + folder.derive("item", identity, item.split, item.document, item.text, item.position)
        if made != item.item_id or str(identity) != item.target_id:
            wrong["id"].append(item.item_id)
        if not (np.isfinite(answer.values).all() and answer.activation == answer.values[item.position]):
            wrong["activation"].append(item.item_id)
        y = scoring.played(answer.activation, target.polarity)
        shown = scoring.display(y, s=target.scale_s, m=target.scale_m, polarity=target.polarity)
        if not abs(float(shown) - answer.truth) < 1e-9:
            wrong["truth"].append(item.item_id)
    for target in targets.values():
        mine = [one.item_id for one in items if one.target_id == target.target_id and one.split == "held_out"]
        truths = [answers[one].truth for one in mine if one in answers]
        if not truths or not abs(scoring.l_ref(truths) - target.l_ref) < 1e-9:
            wrong["reference loss"].append(target.target_id)
    return [
        f"the {what} of {len(names)} does not follow from the rest of {folder.build} ({names[0]}). Build again."
        for what, names in wrong.items()
        if names
    ]
