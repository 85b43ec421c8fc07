"""Pure planning: splits of documents, pools of items, the display scale of a target, plans of episodes."""

from imitable.rounds.baselines import (
    EPISODES,
    SOLVED,
    AtLevel,
    Embed,
    Schooling,
    at_levels,
    baselines,
    best_table,
    skills_of,
    solved,
)
from imitable.rounds.episodes import Planned, plan_rounds
from imitable.rounds.gauges import REST, TOKEN, in_turn, shown, strongest
from imitable.rounds.kept import of_unit
from imitable.rounds.making import Answered, Draft, Wish, draft_target, make_target
from imitable.rounds.overlap import windows_to_keep
from imitable.rounds.readers import CONSULT, correlations, read_off, to_look_up
from imitable.rounds.records import AnswerKey, Baseline, Example, Gauge, Item, MadeTarget, PlayedTarget, Reading, Split
from imitable.rounds.seen import Seen, see, upper_quantile
from imitable.rounds.splits import assign_splits
from imitable.rounds.strata import Side, TooFlat, calibrate
from imitable.rounds.told import told

__all__ = [
    "CONSULT",
    "EPISODES",
    "REST",
    "SOLVED",
    "TOKEN",
    "AnswerKey",
    "Answered",
    "AtLevel",
    "Baseline",
    "Draft",
    "Embed",
    "Example",
    "Gauge",
    "Item",
    "MadeTarget",
    "Planned",
    "PlayedTarget",
    "Reading",
    "Schooling",
    "Seen",
    "Side",
    "Split",
    "TooFlat",
    "Wish",
    "assign_splits",
    "at_levels",
    "baselines",
    "best_table",
    "calibrate",
    "correlations",
    "draft_target",
    "in_turn",
    "make_target",
    "of_unit",
    "plan_rounds",
    "read_off",
    "see",
    "shown",
    "skills_of",
    "solved",
    "strongest",
    "to_look_up",
    "told",
    "upper_quantile",
    "windows_to_keep",
]
