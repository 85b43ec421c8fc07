"""What botocore does not check before it sends: patterns, largest values, lists of names. Its own model holds them.

botocore looks at required members, types and smallest values only. What the model leaves out, and the protocol's
reference documents, stands in `LIMITS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from imitable.platforms.mturk.refusals import NotSent

if TYPE_CHECKING:
    from botocore.model import OperationModel, Shape

YEAR = 31_536_000
"""Seconds."""

LIMITS: dict[str, tuple[int, int]] = {
    "Title": (1, 128),
    "Description": (1, 2000),
    "Keywords": (0, 1000),
    "Question": (1, 65_535),
    "RequesterAnnotation": (0, 255),
    "AssignmentDurationInSeconds": (30, YEAR),
    "LifetimeInSeconds": (30, YEAR),
    "AutoApprovalDelayInSeconds": (0, 2_592_000),
    "MaxAssignments": (1, 1_000_000_000),
    "QualificationRequirements": (0, 10),
    "IntegerValues": (0, 15),
    "LocaleValues": (0, 30),
}
"""Least and most by member, of characters, seconds or entries: the API Reference of 2017-01-17, as of 2026-11."""

FIELDS: dict[str, str] = {
    "Title": "[platform.mturk] title",
    "Description": "[platform.mturk] description",
    "Keywords": "[platform.mturk] keywords",
    "Question": "[serve] public_url",
    "AssignmentDurationInSeconds": "[platform.mturk] assignment_minutes",
    "LifetimeInSeconds": "[platform.mturk] open_days",
    "AutoApprovalDelayInSeconds": "[platform.mturk] approve_after_days",
    "MaxAssignments": "[platform.mturk] per_hit",
    "Reward": "[pay] base",
    "BonusAmount": "[pay] bonus_per_point",
    "QualificationRequirements": "[[platform.mturk.qualifications]]",
    "QualificationTypeId": "[[platform.mturk.qualifications]] type",
    "Comparator": "[[platform.mturk.qualifications]] comparator",
    "ActionsGuarded": "[[platform.mturk.qualifications]] guards",
    "IntegerValues": "[[platform.mturk.qualifications]] values",
    "LocaleValues": "[[platform.mturk.qualifications]] countries",
    "Country": "[[platform.mturk.qualifications]] countries",
    "Subdivision": "[[platform.mturk.qualifications]] countries",
}
"""Where in campaign.toml a member comes from; what is not in it is none of the runner's doing."""


def check(operation: OperationModel, params: Mapping[str, Any]) -> None:
    """Raise NotSent, naming the field of campaign.toml, for what the site would refuse."""
    problem = next(problems(operation.input_shape, params), None)
    if problem is not None:
        member, what = problem
        where = FIELDS.get(member)
        raise NotSent(
            f"{where} {what}. Mend that in campaign.toml; nothing was sent."
            if where
            else f"{operation.name} was not sent: {member} {what}."
        )


def problems(shape: Shape | None, value: Any, member: str = "", *, entry: bool = False) -> Iterator[tuple[str, str]]:
    """Everything that a value breaks, as the member and what is wrong with it in words.

    `entry`: the value is one of the member's list, for which the list's own limits do not hold.
    """
    if shape is None or value is None:
        return
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name, part in value.items():
            yield from problems(shape.members.get(name), part, name)
        return
    yield from _size(shape, value, member, None if entry else LIMITS.get(member))
    if shape.type_name == "list" and isinstance(value, list | tuple):
        for part in value:
            yield from problems(shape.member, part, member, entry=True)
    elif isinstance(value, str):
        known, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
        if known and value not in known:
            yield member, f"is '{value}', which is not one of {', '.join(known)}"
        if pattern and not re.fullmatch(pattern, value):
            yield member, f"is '{value}', which is not of the form {pattern}"


def _size(shape: Shape, value: Any, member: str, documented: tuple[int, int] | None) -> Iterator[tuple[str, str]]:
    counted = {"string": "characters", "list": "entries"}.get(shape.type_name, "")
    if not counted and not isinstance(value, int):
        return
    size = len(value) if counted else int(value)
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if documented and least is None and most is None:
        least, most = documented
    unit = counted or ("seconds" if member.endswith("Seconds") else "")
    if most is not None and size > most:
        yield member, f"comes to {size} {unit}".rstrip() + f", and {most} are the most"
    elif least is not None and size < least:
        yield member, f"comes to {size} {unit}".rstrip() + f", and {least} are the least"
