"""The campaign's tables. One database holds one campaign; migrations in `migrations/` make exactly these."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    and_,
    exists,
    or_,
    true,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class _UtcTime(TypeDecorator[datetime]):
    """Aware UTC times in and out, also where the database forgets the zone (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("times in the store are aware UTC times")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


ID = String(40)
TIME = _UtcTime()

campaigns = Table(
    "campaigns",
    metadata,
    Column("campaign_id", ID, primary_key=True),
    Column("name", String(80), nullable=False),
    Column("build_hash", String(64), nullable=False),
    Column("built_at", TIME, nullable=False),
)
"""One row: whose database this is, and which build it holds. Locked while targets are assigned."""

targets = Table(
    "targets",
    metadata,
    Column("target_id", String(300), primary_key=True),
    Column("model_id", String(200), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("site", String(120), nullable=False),
    Column("unit", Integer, nullable=False),
    Column("polarity", String(4), nullable=False),
    Column("selected_by", String(200), nullable=False),
    Column("l_ref", Float, nullable=False),
    Column("scale_s", Float, nullable=False),
    Column("scale_m", Float, nullable=False),
    Column("file_hash", String(64), nullable=False),
    Column("score", Float),
)

CHECK_ITEM = "check-"
"""How the ids of attention checks begin. They are items that no build made, put there when they are planned."""

items = Table(
    "items",
    metadata,
    Column("item_id", ID, primary_key=True),
    Column("target_id", ForeignKey(targets.c.target_id), nullable=False, index=True),
    Column("split", String(10), nullable=False),
    Column("text", Text, nullable=False),
    Column("focus_start", Integer, nullable=False),
    Column("focus_end", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("weight", Float, nullable=False),
)
"""Questions. `active` is the half of the pool it was drawn from: episodes take from both."""

truths = Table(
    "truths",
    metadata,
    Column("item_id", ForeignKey(items.c.item_id), primary_key=True),
    Column("truth", Float, nullable=False),
    Column("activation", Float, nullable=False),
)
"""Answers, sealed: only the reveal (and the export, later) reads them."""

shades = Table(
    "shades",
    metadata,
    Column("item_id", ForeignKey(items.c.item_id), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("offsets", JSON, nullable=False),
    Column("values", JSON, nullable=False),
)
"""The target's activation at every token of an item's text, display scale: sealed as truths are, and read by the
reveal alone. Items without a row are revealed unshaded."""

examples = Table(
    "examples",
    metadata,
    Column("target_id", ForeignKey(targets.c.target_id), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("role", String(10), nullable=False),
    Column("text", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("offsets", JSON, nullable=False),
    Column("values", JSON, nullable=False),
)

gauges = Table(
    "gauges",
    metadata,
    Column("target_id", ForeignKey(targets.c.target_id), primary_key=True),
    Column("level", String(20), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("unit", String(300), nullable=False),
    Column("chosen_by", String(20), nullable=False),
    Column("strength", Float, nullable=False),
    Column("weights", JSON, nullable=False),
)
"""What a level shows beside the texts of a target: other units, mostly. Their names are for the runner alone."""

readings = Table(
    "readings",
    metadata,
    Column("item_id", ForeignKey(items.c.item_id), primary_key=True),
    Column("level", String(20), primary_key=True),
    Column("values", JSON, nullable=False),
)
"""What the gauges of a level show at an item, by gauge. Part of the question, as its text is."""

baselines = Table(
    "baselines",
    metadata,
    Column("target_id", ForeignKey(targets.c.target_id), primary_key=True),
    Column("player", String(20), primary_key=True),
    Column("skill", Float, nullable=False),
    Column("standard_error", Float, nullable=False),
)
"""How far automatic players get on a target. Made of truths: read by the export alone, and on no page."""

BUILT = (campaigns, targets, items, truths, shades, examples, gauges, readings, baselines)
"""The tables that a build fills, each after those that it refers to."""

SIMULATED_DOMAIN = "simulated.invalid"
"""Mail domain of programs that play on a platform which knows people by their e-mail."""

FORGOTTEN = "forgotten-"
"""What the platform's ids of people and of their work are replaced by when somebody is erased, and our own id."""

identities = Table(
    "identities",
    metadata,
    Column("annotator_id", ID, primary_key=True),
    Column("platform", String(40), nullable=False),
    Column("platform_id", String(200), nullable=False),
    Column("created_at", TIME, nullable=False),
    UniqueConstraint("platform", "platform_id"),
)
"""Who is behind a pseudonym. In no export, page or log."""

ERASED = identities.c.platform_id.startswith(FORGOTTEN)
"""Somebody of `identities` who was forgotten."""

pay_rules = Table(
    "pay_rules",
    metadata,
    Column("pay_rule", ID, primary_key=True),
    Column("currency", String(3), nullable=False),
    Column("base", String(40), nullable=False),
    Column("bonus_per_point", String(40), nullable=False),
    Column("since", TIME, nullable=False),
)
"""What [pay] promised at any time, as it stood there. Never changed: what was promised is owed."""

links = Table(
    "links",
    metadata,
    Column("code_hash", String(64), primary_key=True),
    Column("platform", String(40), nullable=False),
    Column("platform_id", String(200), nullable=False),
    Column("created_at", TIME, nullable=False),
    UniqueConstraint("platform", "platform_id"),
)
"""Personal links. Only the hash of a link's code is kept."""

sittings = Table(
    "sittings",
    metadata,
    Column("sitting_id", ID, primary_key=True),
    Column("annotator_id", ForeignKey(identities.c.annotator_id), nullable=False, index=True),
    Column("platform", String(40), nullable=False),
    Column("assignment", String(200), nullable=False),
    Column("submission", String(100), nullable=False, server_default=""),
    Column("study", String(100), nullable=False, server_default=""),
    Column("return_to", String(300), nullable=False, server_default=""),
    Column("proven", Boolean, nullable=False, server_default=true()),
    Column("consent_version", String(64), nullable=False),
    Column("started_at", TIME, nullable=False),
    Column("tutorial_step", Integer, nullable=False),
    Column("ended_at", TIME),
    Column("ended_by", String(20)),
    Column("pay_rule", ID),
    UniqueConstraint("platform", "assignment"),
)
"""One platform assignment each: money is owed per sitting. `assignment` is its key, `submission` the platform's own id
of it, `study` of what was offered; `return_to` is the site that is told of its end, and `proven` says whether the
annotator's identity was signed. `pay_rule` is what its annotator was promised."""

episodes = Table(
    "episodes",
    metadata,
    Column("episode_id", ID, primary_key=True),
    Column("annotator_id", ForeignKey(identities.c.annotator_id), nullable=False),
    Column("target_id", ForeignKey(targets.c.target_id), nullable=False, index=True),
    Column("level", String(20), nullable=False),
    Column("assigned_by", String(20), nullable=False),
    Column("assignment_probability", Float, nullable=False),
    Column("started_at", TIME, nullable=False),
    Column("last_seen_at", TIME, nullable=False),
    Column("completed_at", TIME),
    UniqueConstraint("annotator_id", "target_id"),
)
"""One annotator playing one target, once ever."""

sitting_episodes = Table(
    "sitting_episodes",
    metadata,
    Column("sitting_id", ForeignKey(sittings.c.sitting_id), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("episode_id", ForeignKey(episodes.c.episode_id), nullable=False, unique=True),
)
"""Sittings only point to episodes."""

rounds = Table(
    "rounds",
    metadata,
    Column("round_id", ID, primary_key=True),
    Column("episode_id", ForeignKey(episodes.c.episode_id), nullable=False),
    Column("trial", Integer, nullable=False),
    Column("phase", String(10), nullable=False),
    Column("item_id", ForeignKey(items.c.item_id), nullable=False),
    Column("shown_at", TIME),
    UniqueConstraint("episode_id", "trial"),
    CheckConstraint("trial >= 1", name="trial"),
)
"""The plan of an episode, fixed at its first page."""

guesses = Table(
    "guesses",
    metadata,
    Column("episode_id", ForeignKey(episodes.c.episode_id), primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("guess", Float, nullable=False),
    Column("seconds", Float),
    Column("answered_at", TIME, nullable=False),
    Column("pasted", Boolean),
    Column("copied", Boolean),
    Column("blurs", Integer),
    Column("away_seconds", Float),
)
"""Committed guesses: the first write wins, nothing is ever updated. `seconds` is empty where nobody of ours saw the
round being shown. The last four are what the round's page told of itself (`game/conduct.py`), empty where it told
nothing."""

looks = Table(
    "looks",
    metadata,
    Column("round_id", ForeignKey(rounds.c.round_id), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("looked_at", TIME, nullable=False),
)
"""The gauges that a player asked to see in a round, at level `consult`."""

OF_ROUND = and_(guesses.c.episode_id == rounds.c.episode_id, guesses.c.trial == rounds.c.trial)
"""Joins a round and its committed guess."""

BEGUN = or_(
    exists().where(rounds.c.episode_id == episodes.c.episode_id, rounds.c.shown_at.is_not(None)),
    exists().where(guesses.c.episode_id == episodes.c.episode_id),
)
"""An episode of which a round was shown or answered. Others are reserved for an annotator who has not come yet."""

planned = Table(
    "planned",
    metadata,
    Column("target_id", ForeignKey(targets.c.target_id, ondelete="CASCADE"), primary_key=True),
    Column("level", String(20), primary_key=True),
    Column("probability", Float, nullable=False),
    CheckConstraint("probability > 0 AND probability <= 1", name="probability"),
)
"""The plan that `imitable assign` loaded last: where a sitting's later episodes go, and with what probability."""

answers = Table(
    "answers",
    metadata,
    Column("episode_id", ForeignKey(episodes.c.episode_id), primary_key=True),
    Column("fun", Integer),
    Column("interest", Integer),
    Column("explanation", Text),
    Column("answered_at", TIME, nullable=False),
    CheckConstraint("fun BETWEEN 1 AND 5", name="fun"),
    CheckConstraint("interest BETWEEN 1 AND 5", name="interest"),
)
"""The three questions after an episode."""

Index("ix_episodes_annotator_id_started_at", episodes.c.annotator_id, episodes.c.started_at)

tasks = Table(
    "tasks",
    metadata,
    Column("task_key", ID, primary_key=True),
    Column("episode_id", ForeignKey(episodes.c.episode_id), nullable=False),
    Column("trial", Integer, nullable=False),
    Column("platform", String(40), nullable=False),
    Column("project", String(40), nullable=False),
    Column("external_id", String(40)),
    Column("published_at", TIME, nullable=False),
    UniqueConstraint("episode_id", "trial"),
)
"""What was put on a platform that keeps tasks: a whole episode (`trial` 0) or one of its rounds. `task_key` is our own
key, which stands in the task's data; `external_id` is the platform's, empty until it said so."""

heard = Table(
    "heard",
    metadata,
    Column("platform", String(40), primary_key=True),
    Column("annotation_id", String(40), primary_key=True),
    Column("task_key", ForeignKey(tasks.c.task_key), nullable=False, index=True),
    Column("completed_by", String(200), nullable=False),
    Column("updated_at", TIME, nullable=False),
    Column("lead_time", Float),
    Column("cancelled", Boolean, nullable=False),
    Column("result", JSON, nullable=False),
    Column("first_result", JSON, nullable=False),
    Column("gone_at", TIME),
    Column("updated_by", String(200)),
)
"""What the platform last said of each annotation, and first: to tell what was edited or deleted there. Not the record:
that is `guesses`. `completed_by` is whose the platform says it is, `updated_by` who wrote in it last."""

pulls = Table(
    "pulls",
    metadata,
    Column("platform", String(40), primary_key=True),
    Column("up_to", TIME, nullable=False),
)
"""Up to when a platform was asked what changed, by its own clock."""
