"""What a stand-in for Mechanical Turk knows: one requester's account, HITs, workers and their work.

All of it is in memory and gone with the process. Time is the machine's, moved by `ahead`. Where the API's documents
leave something open, the stand-in does what was seen of the live service, else the stricter thing; the modules say
where.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from imitable.rehearsal.controls import Clock
from imitable.rehearsal.faults import Fields

LABEL = "stand-in for Mechanical Turk: no real money, no real people"


class WireError(Exception):
    """What the API answers instead of a result."""

    def __init__(self, kind: str, message: str, *, turk_code: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.kind = kind
        """`__type` on the wire: `RequestError`, `ValidationException` and so on."""
        self.turk_code = turk_code
        self.status = status


def refused(turk_code: str, message: str) -> WireError:
    """A `RequestError`: what was asked for is well-formed, and cannot be done. The code is without its prefix."""
    return WireError("RequestError", message, turk_code=f"AWS.MechanicalTurk.{turk_code}")


def missing(what: str, name: str) -> WireError:
    """Nothing has this id: `Hit`, `Assignment` or `QualificationType`."""
    code = "HIT" if what == "Hit" else what
    return refused(f"{code}DoesNotExist", f"{what} {name} does not exist.")


def bad_value(parameter: str, value: object) -> WireError:
    """A value that the service model lets pass and the service does not."""
    return refused("InvalidParameterValue", f'The value "{value}" is not valid for the parameter {parameter}.')


@dataclass
class Settings:
    """How this stand-in behaves; changed through its control path."""

    key: str
    """What AWS_ACCESS_KEY_ID must be."""
    secret: str
    """What AWS_SECRET_ACCESS_KEY must be."""
    check_signatures: bool = True
    listing_lag: float = 0.0
    """Seconds after which lists show what has changed. The documents promise nothing here."""
    token_hours: float = 24.0
    """How long a repeated UniqueRequestToken is noticed."""
    page: int = 10
    """Rows of a page where MaxResults is not given. Not documented."""
    reuse_assignment_ids: bool = False
    """Whether an assignment that was returned or abandoned passes its id on to the next worker, as some have seen."""
    holds: bool = False
    """Whether open HITs keep their price on hold, as prepaid accounts had it; else only payments are taken off."""
    trailing_slash: bool = False
    """Whether turkSubmitTo ends with a slash, as in the documents; live it did not."""
    notification_copies: int = 1
    """How often each notification is told; from 2 on, also in reverse order: at least once, in no promised order."""


@dataclass(frozen=True)
class HitType:
    """What HITs have in common."""

    id: str
    group: str
    title: str
    description: str
    keywords: str
    reward: int
    """In cents."""
    duration: int
    """Seconds from acceptance to the deadline."""
    approval_delay: int
    """Seconds from submission to approval by itself."""
    requirements: tuple[Fields, ...]


@dataclass
class Assignment:
    """One worker's acceptance of a HIT."""

    id: str
    hit: Hit
    worker: Worker
    history: list[tuple[datetime, str]]
    """When it became Accepted, Submitted, Approved, Rejected, Returned or Abandoned."""
    answer: str = ""
    """XML."""
    feedback: str = ""

    @property
    def status(self) -> str:
        """As it is, however much lists lag behind."""
        return self.history[-1][1]

    @property
    def accepted(self) -> datetime:
        """When the worker took it."""
        return self.history[0][0]

    @property
    def deadline(self) -> datetime:
        """When it is abandoned, unless it was submitted."""
        return self.accepted + timedelta(seconds=self.hit.type.duration)

    @property
    def approval(self) -> datetime | None:
        """When it is approved by itself."""
        at = self.since("Submitted")
        return at + timedelta(seconds=self.hit.type.approval_delay) if at else None

    def since(self, status: str) -> datetime | None:
        """When it last became that."""
        return next((at for at, name in reversed(self.history) if name == status), None)

    def status_at(self, moment: datetime) -> str:
        """As a list shows it that knows only what happened until then; empty before there was anything to list."""
        return next((name for at, name in reversed(self.history) if at <= moment), "")


@dataclass
class Hit:
    """A task, and who took it."""

    id: str
    type: HitType
    created: datetime
    expires: datetime
    places: int
    """MaxAssignments."""
    large: bool
    """Whether it was created with ten assignments or more: they cost more, and smaller ones never grow to it."""
    question: str
    annotation: str
    reviewing: bool = False
    deleted: bool = False
    told_expired: bool = False
    told_reviewable: bool = False
    """Whether those who want to know have been told."""
    assignments: list[Assignment] = field(default_factory=list)
    """All that there ever were, in the order of acceptance."""

    def count(self, *statuses: str) -> int:
        """How many assignments are in one of these."""
        return sum(one.status in statuses for one in self.assignments)


@dataclass
class Worker:
    """Somebody on the worker site."""

    id: str
    country: str = "US"
    subdivision: str = ""
    adult: bool = True
    masters: bool = False
    approved_before: int = 0
    """Assignments that others approved."""
    rejected_before: int = 0


@dataclass(frozen=True)
class Payment:
    """Money that left the account for a worker."""

    at: datetime
    kind: str
    """`reward` or `bonus`."""
    assignment: Assignment
    amount: int
    fee: int
    reason: str = ""


@dataclass
class QualificationType:
    """A kind of qualification that the requester made."""

    id: str
    created: datetime
    described: Fields
    """As it was asked for."""
    held: dict[str, Fields] = field(default_factory=dict)
    """What each worker has of it, by worker: value, since when, and whether it was revoked."""


@dataclass
class QualificationRequest:
    """A worker asks for a qualification."""

    id: str
    type: QualificationType
    worker: Worker
    at: datetime


class World(Clock):
    """Everything at once. Not shared between threads."""

    def __init__(self, settings: Settings, cents: int) -> None:
        super().__init__()
        self._first = (settings, cents)
        self.begin()

    def begin(self) -> None:
        """Be as at the start: nothing has happened yet."""
        self.ahead = timedelta(0)
        self.settings, self.deposited = self._first
        """`deposited` in cents."""
        self.types: dict[tuple[object, ...], HitType] = {}
        """By everything they consist of: the same values are the same type."""
        self.hits: dict[str, Hit] = {}
        self.workers: dict[str, Worker] = {}
        self.assignments: dict[str, Assignment] = {}
        self.open: dict[str, Assignment] = {}
        """Those that time changes: Accepted and Submitted."""
        self.payments: list[Payment] = []
        self.tokens: dict[tuple[str, str], tuple[datetime, str]] = {}
        """When an operation's token was used, and what came of it."""
        self.qualifications: dict[str, QualificationType] = {}
        self.requests: dict[str, QualificationRequest] = {}
        self.blocks: dict[str, str] = {}
        """Reasons, by worker."""
        self.emails: list[Fields] = []
        """What would have been e-mailed to workers."""
        self.subscriptions: dict[str, Fields] = {}
        """Notification settings, by type of HIT."""
        self.notifications: list[Fields] = []
        """What would have been told to the requester."""

    def fresh(self, kind: str) -> str:
        """A new id, in which it can be seen where it comes from."""
        return f"{kind}STANDIN{secrets.token_hex(8).upper()}"

    @property
    def readable(self) -> datetime:
        """Up to when lists show what happened."""
        return self.now() - timedelta(seconds=self.settings.listing_lag)

    def hit(self, hit_id: str) -> Hit:
        """Raises WireError for an unknown one."""
        if hit_id not in self.hits:
            raise missing("Hit", hit_id)
        return self.hits[hit_id]

    def hit_type(self, type_id: str) -> HitType:
        """Raises WireError for an unknown one."""
        for one in self.types.values():
            if one.id == type_id:
                return one
        raise missing("HITType", type_id)

    def assignment(self, assignment_id: str) -> Assignment:
        """Raises WireError for an unknown one."""
        if assignment_id not in self.assignments:
            raise missing("Assignment", assignment_id)
        return self.assignments[assignment_id]

    def worker(self, worker_id: str) -> Worker:
        """Raises WireError for an unknown one."""
        if worker_id not in self.workers:
            raise bad_value("WorkerId", worker_id)
        return self.workers[worker_id]

    def qualification(self, type_id: str) -> QualificationType:
        """Raises WireError for one that this requester did not make."""
        if type_id not in self.qualifications:
            raise missing("QualificationType", type_id)
        return self.qualifications[type_id]

    def once(self, operation: str, token: str | None) -> str | None:
        """What came of this token's first use, if that was not too long ago."""
        at, made = self.tokens.get((operation, token or ""), (None, ""))
        fresh = at is not None and self.now() - at < timedelta(hours=self.settings.token_hours)
        return made if token and fresh else None

    def used(self, operation: str, token: str | None, made: str) -> None:
        """Remember a token."""
        if token:
            self.tokens[operation, token] = (self.now(), made)


def dollars(cents: int) -> str:
    """As amounts are on the wire."""
    return f"{cents // 100}.{cents % 100:02d}" if cents >= 0 else f"-{dollars(-cents)}"
