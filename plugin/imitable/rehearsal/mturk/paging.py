"""Lists by the page. As it was live, every page with a row has a NextToken, and the last page is empty.

A token is a position: what comes or goes between two pages shifts the rest, and a list that is changed while it is
read must be read again. Tokens of another list, or of the same with another filter, are refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

from imitable.rehearsal.faults import Fields
from imitable.rehearsal.mturk.world import World, bad_value


def page(world: World, name: str, rows: list[Any], fields: Fields) -> Fields:
    """One page of rows under a name, with NumResults and NextToken."""
    asked = {key: value for key, value in fields.items() if key not in ("NextToken", "MaxResults")}
    list_ = hashlib.sha256(json.dumps([name, asked], sort_keys=True).encode()).hexdigest()[:16]
    start = _start(fields["NextToken"], list_) if "NextToken" in fields else 0
    shown = rows[start : start + fields.get("MaxResults", world.settings.page)]
    answer: Fields = {"NumResults": len(shown), name: shown}
    if shown:
        answer["NextToken"] = base64.b64encode(f"{list_}:{start + len(shown)}".encode()).decode()
    return answer


def _start(token: str, list_: str) -> int:
    try:
        of, _, position = base64.b64decode(token, validate=True).decode().partition(":")
        start = int(position)
    except (binascii.Error, ValueError) as error:
        raise bad_value("NextToken", token) from error
    if of != list_:
        raise bad_value("NextToken", token)
    return start
