"""The tables that travel between rooms: every column's name, type and meaning, in one place.

The reader takes its contract from here, and the data package that lies beside every set of files describes its
columns from here. Names are exact, since other people rely on them: columns may be added, none is renamed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["string", "integer", "number", "boolean", "datetime"]
"""A field type of the Frictionless Table Schema."""

PHASES = ("practice", "held_out", "check")
"""What a round is for: truth shown after the guess; not shown; an attention check that is never counted."""

SIMULATED = "simulated"
"""The reserved value of `platform` for players that are programs."""


@dataclass(frozen=True)
class Column:
    """One column of one table."""

    name: str
    """Exact name; a trailing `*` stands for a family such as `score_*`."""
    type: Type
    """How its cells are to be read."""
    meaning: str
    """What a cell says, with its unit and range."""
    required: bool = False
    """Whether a table without it cannot be used."""


@dataclass(frozen=True)
class Table:
    """One table: its columns in order and the columns that tell its rows apart."""

    title: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    beside: tuple[Column, ...] = ()
    """Columns that are written beside them and described, and that no reader takes in."""

    def column(self, name: str) -> Column | None:
        """Find the description of a column, families included."""
        for column in (*self.columns, *self.beside):
            if column.name == name:
                return column
            if column.name.endswith("*") and name.startswith(column.name[:-1]):
                return column
        return None

    @property
    def required(self) -> tuple[str, ...]:
        """The columns without which the table cannot be used."""
        return tuple(column.name for column in self.columns if column.required)


WHERE = (
    Column("model_id", "string", "Model that the target belongs to."),
    Column("kind", "string", "What the target is: neuron, head, direction, probe or latent."),
    Column("site", "string", "Where in the model it sits, such as mlp.3."),
    Column("unit", "string", "Its index at that site."),
)

GUESSES = Table(
    "One row for each committed guess",
    ("episode_id", "trial"),
    (
        Column("annotator_id", "string", "Pseudonym of who guessed.", required=True),
        Column("target_id", "string", "What was imitated: MODEL/SITE/INDEX[:POLARITY].", required=True),
        Column("trial", "integer", "Place of the round in its episode, from 1.", required=True),
        Column("phase", "string", "practice, held_out or check.", required=True),
        Column("guess", "number", "The guess on the display scale, 0 to 10 (-10 to 10 for both).", required=True),
        Column("truth", "number", "The truth on the display scale, 0 to 10 (-10 to 10 for both).", required=True),
        Column("episode_id", "string", "One annotator playing one target at one level."),
        Column("sitting_id", "string", "What one annotator did in one platform assignment."),
        Column("round_id", "string", "The round, one item shown to one annotator."),
        Column("item_id", "string", "The item, one text with one focus token."),
        Column("level", "string", "What was seen besides the text."),
        Column("l_ref", "number", "Loss of the best constant guess on the target, display units, above 0."),
        Column("feedback", "boolean", "Whether the truth was shown after the guess."),
        Column("activation", "number", "Raw truth, in the activation's unit."),
        Column("weight", "number", "Inverse sampling probability of the item, above 0."),
        Column("seconds", "number", "Server-side seconds from shown to committed, 0 or more."),
        Column("answered_at", "datetime", "When the guess was committed, ISO 8601 UTC."),
        Column("campaign_id", "string", "Campaign in which the guess was made."),
        Column("platform", "string", "Platform that recruited the annotator; simulated for programs."),
        *WHERE,
        Column("selected_by", "string", "Methods that chose the target, joined by semicolons."),
    ),
    beside=(
        Column("pasted", "boolean", "Whether something was pasted into the guess, as the page told; weak evidence."),
        Column("copied", "boolean", "Whether text of the page was copied, as the page told; weak evidence."),
        Column("blurs", "integer", "Times that the page lost the focus, 0 to 1000, as it told; weak evidence."),
        Column("away_seconds", "number", "Seconds without the focus, as the page told; weak evidence."),
    ),
)

TARGETS = Table(
    "One row for each target",
    ("target_id",),
    (
        Column("target_id", "string", "MODEL/SITE/INDEX[:POLARITY].", required=True),
        *WHERE,
        Column("polarity", "string", "Side that is played: pos, neg or both."),
        Column("selected_by", "string", "Methods that chose the target, joined by semicolons."),
        Column("l_ref", "number", "Loss of the best constant guess, display units, above 0."),
        Column("scale_s", "number", "s of the display scale, in the activation's unit."),
        Column("scale_m", "number", "m of the display scale, in the activation's unit."),
        Column("file_hash", "string", "SHA-256 of the probe's or SAE's file."),
        Column("score_*", "number", "Score that a selection method gave to the target."),
        Column("baseline_*", "number", "Held-out skill of a machine player on the target."),
    ),
)

EPISODES_PLAYED = Table(
    "One row for each episode that was begun",
    ("episode_id",),
    (
        Column("episode_id", "string", "The episode.", required=True),
        Column("sitting_id", "string", "The sitting it was played in."),
        Column("level", "string", "What was seen besides the text."),
        Column("assigned_by", "string", "Rule that chose the target for this annotator."),
        Column("assignment_probability", "number", "Probability of that choice, 0 to 1."),
        Column("completed", "boolean", "Whether every round was answered."),
        Column("fun", "number", "How much fun it was, as the annotator said."),
        Column("interest", "number", "How interesting the target seemed, as the annotator said."),
        Column("explanation", "string", "What the annotator thinks the target does, in his words."),
    ),
)

EXPOSURES = Table(
    "One row for each item that an annotator was shown",
    ("annotator_id", "target_id", "trial"),
    (
        Column("annotator_id", "string", "Pseudonym of who saw it.", required=True),
        Column("target_id", "string", "The target whose item it is.", required=True),
        Column("item_id", "string", "The item, one text with one focus token.", required=True),
        Column("trial", "integer", "Place of the round in its episode, from 1."),
        Column("phase", "string", "practice or held_out."),
        Column("shown_at", "datetime", "When the item was first shown, ISO 8601 UTC."),
        Column("revealed_at", "datetime", "When its truth was shown, ISO 8601 UTC; empty where it was not."),
    ),
)

_OF_A_ROUND = (
    Column("episode_id", "string", "The episode; with trial, the round, as in guesses.csv.", required=True),
    Column("trial", "integer", "Place of the round in its episode, from 1.", required=True),
)
_GAUGE = (
    Column("place", "integer", "Place of the unit in what the level offers for the target, from 0.", required=True),
    Column("letter", "string", "How the page names the unit; empty where it is none."),
    Column("unit", "string", "Which unit of the model that is; empty for token and rest."),
    Column("chosen_by", "string", "Why it is offered, as in gauges.parquet; token and rest are rows of the table."),
)

READINGS = Table(
    "One row for each reading beside a text that an annotator saw",
    ("episode_id", "trial", "place"),
    (
        *_OF_A_ROUND,
        *_GAUGE,
        Column("reading", "number", "The unit's activation as it was shown, -10 to 10; empty for token and rest."),
        Column("weight_1", "number", "What it is multiplied by; at level weights."),
        Column("adds_1", "number", "What it adds to the target's input as shown; at level weights."),
        Column("weight_2", "number", "The same for the second input of a gated neuron."),
        Column("adds_2", "number", "The same for the second input of a gated neuron."),
    ),
)

LOOKS = Table(
    "One row for each unit that an annotator looked up",
    ("episode_id", "trial", "look"),
    (
        *_OF_A_ROUND,
        Column("look", "integer", "Which look of the round it was, from 1.", required=True),
        *_GAUGE,
        Column("looked_at", "datetime", "When it was looked up, ISO 8601 UTC."),
    ),
)

QUARANTINE = Table(
    "One row for each row that could not be used",
    ("file", "line"),
    (
        Column("file", "string", "File that holds the row."),
        Column("line", "integer", "Physical line, header = 1; row number, from 1, in Parquet."),
        Column("row", "string", "The row as found, control characters escaped, cut after 2,000 characters."),
        Column("reason", "string", "Why it could not be used."),
    ),
)
