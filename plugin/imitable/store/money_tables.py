"""The tables of money, append-only: what is owed, what was set aside, what was sent, what came of it, who decided.

No row is ever updated or deleted. Balances are sums.
"""

from __future__ import annotations

from sqlalchemy import JSON, CheckConstraint, Column, ForeignKey, Integer, String, Table, Text, UniqueConstraint

from imitable.store.tables import ID, TIME, metadata

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("about", String(80), nullable=False),
    Column("why", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("decided_at", TIME, nullable=False),
)
"""What a person decided, in writing. `about` is the obligation, sitting or annotator that it concerns."""

obligations = Table(
    "obligations",
    metadata,
    Column("obligation_id", ID, primary_key=True),
    Column("platform", String(40), nullable=False),
    Column("assignment", String(200), nullable=False),
    Column("annotator_id", ID, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("sitting_id", ID, nullable=False, index=True),
    Column("amount", Integer, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("rule", String(20), nullable=False),
    Column("facts", JSON, nullable=False),
    Column("decision_id", ForeignKey(decisions.c.decision_id)),
    Column("decided_at", TIME, nullable=False),
    UniqueConstraint("platform", "assignment", "annotator_id", "kind"),
    CheckConstraint("amount >= 0", name="amount"),
)
"""What is owed, and why. `amount` in the smallest unit; a bonus decided as zero is a row."""

reservations = Table(
    "reservations",
    metadata,
    Column("platform", String(40), primary_key=True),
    Column("name", String(80), primary_key=True),
    Column("places", Integer, nullable=False),
    Column("each", Integer, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("made_at", TIME, nullable=False),
)
"""Places that a publication may fill, and the worst case of one, fees included. Negative places give some back."""

batches = Table(
    "batches",
    metadata,
    Column("batch_id", String(100), primary_key=True),
    Column("platform", String(40), nullable=False),
    Column("sent_at", TIME, nullable=False),
)
"""What the platform pays at one request: each is sent once, ever."""

attempts = Table(
    "attempts",
    metadata,
    Column("operation_id", String(64), primary_key=True),
    Column("obligation_id", ForeignKey(obligations.c.obligation_id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("batch_id", ForeignKey(batches.c.batch_id)),
    Column("endpoint", String(300), nullable=False),
    Column("request_hash", String(64), nullable=False),
    Column("started_at", TIME, nullable=False),
    UniqueConstraint("obligation_id", "number"),
)
"""Written before the request is sent: from then on it may have been paid."""

outcomes = Table(
    "outcomes",
    metadata,
    Column("outcome_id", Integer, primary_key=True, autoincrement=True),
    Column("operation_id", ForeignKey(attempts.c.operation_id), nullable=False, index=True),
    Column("state", String(10), nullable=False),
    Column("fee", Integer),
    Column("facts", JSON, nullable=False),
    Column("seen_at", TIME, nullable=False),
    CheckConstraint("state IN ('paid', 'failed', 'unknown', 'absent')", name="state"),
)
"""What was learnt of an attempt; the last one counts."""

waits = Table(
    "waits",
    metadata,
    Column("wait_id", Integer, primary_key=True, autoincrement=True),
    Column("obligation_id", ForeignKey(obligations.c.obligation_id), nullable=False, index=True),
    Column("why", Text, nullable=False),
    Column("seen_at", TIME, nullable=False),
)
"""Why something that is owed could not be sent when it was to be; a row where it is another reason than the last."""
