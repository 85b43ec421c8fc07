"""Requests held against botocore's own description of the API, with what botocore itself does not check.

botocore checks before sending that members are there and of the right type, and minima. It sends what breaks a
pattern, a maximum or an enum; the service refused that, and so does the stand-in, in the words of AWS. Limits that
stand in the documents only are in `LENGTHS` and `RANGES`.
"""

from __future__ import annotations

import re
from typing import Any

from imitable.errors import MissingExtra, PlatformError
from imitable.rehearsal.faults import Fields
from imitable.rehearsal.mturk.world import WireError, bad_value

LAST_SEEN = "1.44.5"
"""The newest botocore of which it is known that it has the model."""

LENGTHS = {
    "Title": 128,
    "Description": 2000,
    "Keywords": 1000,
    "RequesterAnnotation": 255,
    "Question": 65_535,
    "Test": 65_535,
    "AnswerKey": 65_535,
    "RequesterFeedback": 1024,
    "Subject": 200,
    "MessageText": 4096,
    "Name": 200,
}
"""Bytes at most."""

RANGES = {
    "AssignmentDurationInSeconds": (30, 31_536_000),
    "LifetimeInSeconds": (30, 31_536_000),
    "AutoApprovalDelayInSeconds": (0, 2_592_000),
    "MaxAssignments": (1, 1_000_000_000),
    "NumberOfAdditionalAssignments": (1, 1_000_000_000),
}

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "timestamp": (int, float),
    "list": (list,),
    "structure": (dict,),
}


class Model:
    """The operations and the shapes of what they are asked."""

    def __init__(self, described: Fields) -> None:
        self.target = str(described["metadata"]["targetPrefix"])
        """What stands before an operation's name in X-Amz-Target."""
        self.operations: Fields = described["operations"]
        self._shapes: Fields = described["shapes"]

    def check(self, operation: str, fields: Fields) -> None:
        """Raises WireError for what the service refuses before it looks at what is asked for."""
        problems: list[str] = []
        self._check(self.operations[operation]["input"]["shape"], fields, "", problems)
        if problems:
            errors = "error" if len(problems) == 1 else "errors"
            told = f"{len(problems)} validation {errors} detected: {'; '.join(problems)}"
            raise WireError("ValidationException", told)
        for name, most in LENGTHS.items():
            if len(str(fields.get(name, "")).encode()) > most:
                raise bad_value(name, f"{fields[name][:40]}...")
        for name, (least, most) in RANGES.items():
            if not least <= fields.get(name, least) <= most:
                raise bad_value(name, fields[name])

    def _check(self, shape_name: str, value: Any, path: str, problems: list[str]) -> None:
        shape = self._shapes[shape_name]
        kind = shape["type"]
        if not _is(kind, value):
            raise WireError("SerializationException", f"{path or 'The request'} is no {kind}.")
        if kind == "structure":
            for name in shape.get("required", ()):
                if value.get(name) is None:
                    problems.append(_problem("null", _below(path, name), "Member must not be null"))
            for name, member in shape["members"].items():
                if value.get(name) is not None:
                    self._check(member["shape"], value[name], _below(path, name), problems)
        elif kind == "list":
            for number, item in enumerate(value, start=1):
                self._check(shape["member"]["shape"], item, f"{path}.{number}.member", problems)
        else:
            problems += [_problem(f"'{value}'", path, broken) for broken in _broken(shape, value)]


def _is(kind: str, value: object) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _broken(shape: Fields, value: Any) -> list[str]:
    """What AWS says of each constraint that a value breaks."""
    size, sized = (len(value), "length") if isinstance(value, str) else (value, "value")
    found = []
    if "max" in shape and size > shape["max"]:
        found.append(f"Member must have {sized} less than or equal to {shape['max']}")
    if "min" in shape and size < shape["min"]:
        found.append(f"Member must have {sized} greater than or equal to {shape['min']}")
    if "pattern" in shape and not re.fullmatch(shape["pattern"], value):
        found.append(f"Member must satisfy regular expression pattern: {shape['pattern']}")
    if "enum" in shape and value not in shape["enum"]:
        found.append(f"Member must satisfy enum value set: [{', '.join(shape['enum'])}]")
    return found


def _problem(value: str, path: str, constraint: str) -> str:
    return f"Value {value} at '{path}' failed to satisfy constraint: {constraint}"


def _below(path: str, name: str) -> str:
    """AWS names members as its own code does: `HITId` is `hITId`."""
    lowered = name[0].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered


def load() -> Model:
    """botocore's model. Raises MissingExtra without botocore, PlatformError for one that has dropped the model."""
    try:
        import botocore
        from botocore.exceptions import DataNotFoundError, UnknownServiceError
        from botocore.loaders import create_loader
    except ImportError as error:
        raise MissingExtra("aws", wanted_for="The stand-in for Mechanical Turk") from error
    try:
        described = create_loader(_data_path()).load_service_model("mturk", "service-2")
    except (DataNotFoundError, UnknownServiceError) as error:
        raise PlatformError(
            f"botocore {botocore.__version__} no longer has the API of Mechanical Turk, which closed on 2026-09-30. "
            f"Install one that has it (botocore=={LAST_SEEN}), or set AWS_DATA_PATH to a folder with its model."
        ) from error
    return Model(dict(described))


def _data_path() -> str | None:
    import os

    return os.environ.get("AWS_DATA_PATH")
