"""What a platform must be able to do with money. Platforms implement it; the paying is done in `paying.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol, runtime_checkable

from imitable.money.amounts import Money

State = Literal["paid", "failed", "unknown", "absent"]
"""`paid`: the platform said so. `failed`: it refused, and nothing was paid. `unknown`: it may have been paid or not.
`absent`: it was unknown, and the platform's own list shows that nothing was paid."""


@dataclass(frozen=True)
class Payout:
    """One obligation on its way."""

    operation_id: str
    """Ours, the same for every try of this attempt: 30 characters, letters, digits and hyphens."""
    obligation_id: str
    kind: str
    """`base`, `bonus`, `partial`, `top_up:N`, `correction:N`. A base is paid by approving the work."""
    platform_id: str
    """Who is paid, as the platform calls them."""
    assignment: str
    """The platform's own id of the work: a submission, an assignment."""
    amount: Money
    reason: str
    """What the annotator reads; it ends with a tag by which the payment is found again."""


@dataclass(frozen=True)
class Answer:
    """What became of one payout."""

    operation_id: str
    state: State
    facts: Mapping[str, object] = field(default_factory=dict)
    """What the platform said, in its words; no ids of people."""
    fee: Money | None = None
    """What the platform said that it takes."""


@dataclass(frozen=True)
class Batch:
    """Payouts that a platform has prepared to pay at once, and has not paid yet."""

    batch_id: str
    """The platform's id, or the operation id where each is paid alone."""
    payouts: Sequence[Payout]
    amount: Money
    """What the platform says that it will pay: compared with our own sum before anything is sent."""
    fee: Money | None = None


@dataclass(frozen=True)
class Held:
    """Why a payout is not sent."""

    why: str
    """What is missing, in a few words; no ids of people."""
    final: bool
    """True where it never can be sent as it is: it counts as refused. False: the next run looks again."""
    nobody: bool = False
    """True where the platform knows nobody who did this work: it was made up, and nothing is owed for it."""

    @property
    def facts(self) -> Mapping[str, object]:
        """What is written down of a payout that never can be sent."""
        return {"found": self.why, "nobody": True} if self.nobody else {"found": self.why}


@dataclass(frozen=True)
class Seen:
    """A payment in the platform's own list."""

    assignment: str
    kind: Literal["base", "bonus"]
    amount: Money
    tag: str
    """The reason's tag where the platform keeps reasons, else empty."""


class Payer(Protocol):
    """How a platform pays. None of these may try again by itself what pays."""

    name: str
    """The platform's name."""
    endpoint: str
    """Where the money goes through, as it is shown before anything is sent."""
    stand_in: bool
    """True where no real money moves."""
    remembers: timedelta
    """For how long the platform knows an operation id again and does not pay it twice; zero where it never does."""
    settling: timedelta
    """How long a payment may take to appear in the platform's own list."""
    tells_all: bool
    """True where its list holds every payment with our tag, so that after `settling` what is not in it was not paid."""
    most_at_once: int
    """Payouts that one batch may hold."""
    reads_at_once: int
    """Payouts that `check` and `list_payments` are asked about at a time, before it is said how far we are: all
    (`sys.maxsize`) where one list tells of all."""

    def approve(self, payout: Payout) -> Answer:
        """Approve the work, which pays its base. `paid` as well where it was approved before."""
        ...

    def prepare(self, payouts: Sequence[Payout]) -> Batch:
        """Get a batch ready without paying it. Safe to repeat. Raises PlatformError, and then nothing was paid."""
        ...

    def bonus(self, batch: Batch) -> Sequence[Answer]:
        """Pay a batch: one request, tried once. Never raises what may have been paid: that is `unknown`."""
        ...

    def list_payments(self, payouts: Sequence[Payout]) -> Sequence[Seen]:
        """Everything that the platform says it paid for the assignments of these payouts."""
        ...

    def balance(self) -> Money | None:
        """What is left to be spent there, without what is kept for something already, if the platform tells."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """A payer whose platform may keep the base of all that was offered apart."""

    keeps_base: bool
    """True where it does: then no base is taken from `balance`."""


@runtime_checkable
class Checking(Protocol):
    """A payer that knows beforehand what cannot be paid, so that it holds nobody else up."""

    def check(self, payouts: Sequence[Payout]) -> Mapping[str, Held]:
        """Those that cannot be paid as things stand, by operation id. Sends nothing. Raises PlatformError."""
        ...
