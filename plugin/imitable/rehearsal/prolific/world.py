"""What a stand-in for Prolific knows: one account with a workspace, a wallet, studies, participants and their work.

All of it is in memory and gone with the process. Time is the machine's, moved by `ahead`. Where Prolific's documents
leave something open, the stand-in does the stricter thing; the modules say where.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from imitable.rehearsal.controls import Clock
from imitable.rehearsal.faults import Fields

LABEL = "stand-in for Prolific: no real money, no real people"


class Refusal(Exception):
    """What the API answers with another status than 2xx."""

    def __init__(self, status: int, title: str, detail: object) -> None:
        super().__init__(f"{title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail


def bad_request(detail: object) -> Refusal:
    """The answer to a request that cannot be done as it is asked for."""
    return Refusal(400, "Bad request", detail)


def not_found(what: str) -> Refusal:
    """The answer where nothing has this id."""
    return Refusal(404, "Not found", f"There is no such {what}.")


@dataclass
class Settings:
    """How this stand-in behaves; changed through its control path."""

    token: str
    currency: str = "USD"
    """Of the workspace: Prolific has GBP and USD."""
    fee: str = "0.428"
    """Prolific's share of every reward and bonus."""
    tax: str = "0"
    """Tax as a share of the fee."""
    bonus_delay: float = 60.0
    """Seconds from a call that pays to the payment: the documents say "the following minutes"."""
    listing_lag: float = 0.0
    """Seconds after which reads show what has changed. The documents promise nothing here."""
    largest_page: int = 100
    """Rows of a page at most. Not documented."""
    secure_links: bool = True
    """Whether this workspace may have its links signed: the documents say "only available to certain workspaces"."""
    hook_copies: int = 1
    """How often each event is delivered."""
    hooks_held: int = 0
    """Events that are held back, to be delivered in reverse order once so many have gathered; 0: none."""


@dataclass
class Study:
    """A study as it was described, and where it stands."""

    id: str
    described: Fields
    created: datetime
    status: str = "UNPUBLISHED"
    published: datetime | None = None

    @property
    def places(self) -> int:
        """Places in all."""
        return int(self.described["total_available_places"])

    @property
    def reward(self) -> int:
        """In cents."""
        return int(self.described["reward"])


@dataclass
class Submission:
    """One participant's place in a study."""

    id: str
    study: Study
    participant: str
    history: list[tuple[datetime, str]]
    """When it got which status."""
    code: str | None = None
    completed: datetime | None = None
    return_requested: datetime | None = None

    @property
    def status(self) -> str:
        """As it is, however much reads lag behind."""
        return self.history[-1][1]

    @property
    def since(self) -> datetime:
        """When it got this status."""
        return self.history[-1][0]

    @property
    def started(self) -> datetime:
        """When the place was taken."""
        return self.history[0][0]


@dataclass(frozen=True)
class Payment:
    """Money that reached a participant."""

    at: datetime
    kind: str
    """`reward` or `bonus`."""
    submission: str
    amount: int
    fee: int
    tax: int

    @property
    def total(self) -> int:
        """What left the wallet, in cents."""
        return self.amount + self.fee + self.tax


@dataclass
class Bulk:
    """Bonuses that were set up: not paid yet, or, where it is asked for more than once, paid more than once."""

    id: str
    study: str
    rows: list[tuple[str, int]]
    """Submission and cents."""
    calls: int = 0
    """How often it was asked to be paid."""


@dataclass
class Group:
    """A participant group."""

    id: str
    name: str
    members: dict[str, datetime] = field(default_factory=dict)


@dataclass
class Subscription:
    """Somebody who wants to hear of events of one type."""

    id: str
    event_type: str
    target_url: str
    proof: str
    """What its confirmation must repeat."""
    enabled: bool = False


class World(Clock):
    """Everything at once. Not shared between threads."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.workspace = self.fresh("workspace")
        self.project = self.fresh("project")
        self.user = self.fresh("researcher")
        self.deposited = 0
        self.studies: dict[str, Study] = {}
        self.participants: list[str] = []
        self.submissions: dict[str, Submission] = {}
        self.groups: dict[str, Group] = {}
        self.bulks: dict[str, Bulk] = {}
        self.due: list[tuple[datetime, Bulk]] = []
        """Bonuses that are on their way."""
        self.payments: list[Payment] = []
        self.hook_secret = ""
        self.subscriptions: dict[str, Subscription] = {}
        self.events: list[Fields] = []
        """What is to be told to subscribers, in order."""

    def fresh(self, kind: str) -> str:
        """A new id, in which it can be seen where it comes from."""
        return f"stand-in-{kind}-{secrets.token_hex(6)}"

    @property
    def readable(self) -> datetime:
        """Up to when reads show what happened."""
        return self.now() - timedelta(seconds=self.settings.listing_lag)

    def study(self, study_id: str) -> Study:
        """Raises Refusal for an unknown one."""
        if study_id not in self.studies:
            raise not_found("study")
        return self.studies[study_id]

    def submission(self, submission_id: str) -> Submission:
        """Raises Refusal for an unknown one."""
        if submission_id not in self.submissions:
            raise not_found("submission")
        return self.submissions[submission_id]

    def of_study(self, study: Study) -> list[Submission]:
        """Its submissions in the order in which their places were taken."""
        return [one for one in self.submissions.values() if one.study is study]
