"""A requester with real boto3 at a stand-in for Mechanical Turk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from imitable.rehearsal.mturk import KEY, SECRET, StandIn, standing_in

SCHEMA = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd"


@pytest.fixture(scope="module")
def process() -> Iterator[StandIn]:
    """One for all tests of a file."""
    with standing_in() as one:
        yield one


@pytest.fixture
def there(process: StandIn) -> StandIn:
    """As it is at its start."""
    process.reset()
    return process


@pytest.fixture
def api(there: StandIn) -> Any:
    """The requester's client."""
    return client(there)


def client(there: StandIn, *, attempts: int = 1, secret: str = SECRET, key: str = KEY) -> Any:
    """boto3's client: by default without retries of its own."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "mturk",
        endpoint_url=there.address,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}, read_timeout=5, proxies={}),
    )


def question(url: str = "https://play.example/task?campaign=1", height: int = 0) -> str:
    """An ExternalQuestion."""
    return (
        f'<ExternalQuestion xmlns="{SCHEMA}"><ExternalURL>{url.replace("&", "&amp;")}</ExternalURL>'
        f"<FrameHeight>{height}</FrameHeight></ExternalQuestion>"
    )


def hit_type(api: Any, **other: Any) -> str:
    """The id of a type of HIT: half a dollar for at most ten minutes."""
    told = {"Title": "A task", "Description": "To do", "Reward": "0.50", "AssignmentDurationInSeconds": 600, **other}
    return str(api.create_hit_type(**told)["HITTypeId"])


def hit(api: Any, kind: str = "", **other: Any) -> str:
    """The id of a HIT for three, open for a day."""
    told = {"LifetimeInSeconds": 86_400, "MaxAssignments": 3, "Question": question(), **other}
    return str(api.create_hit_with_hit_type(HITTypeId=kind or hit_type(api), **told)["HIT"]["HITId"])


def handed_in(there: StandIn, task: str, *, worker: str = "") -> tuple[str, str]:
    """A worker, and the assignment that they handed in."""
    worker = worker or there.workers(1)[0]
    assignment, _ = there.accept(worker, task)
    there.submit(assignment, {"seen": "a cat"})
    return worker, assignment
