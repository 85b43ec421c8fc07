"""Pure planning: splits of documents, pools of items, the display scale of a target, plans of episodes."""

from imitable.rounds.episodes import Planned, plan_rounds
from imitable.rounds.ground import Ground
from imitable.rounds.making import TooFlat, Wish, make_target
from imitable.rounds.records import AnswerKey, Example, Item, MadeTarget, PlayedTarget, Split
from imitable.rounds.splits import assign_splits, without_shared_runs

__all__ = [
    "AnswerKey",
    "Example",
    "Ground",
    "Item",
    "MadeTarget",
    "Planned",
    "PlayedTarget",
    "Split",
    "TooFlat",
    "Wish",
    "assign_splits",
    "make_target",
    "plan_rounds",
    "without_shared_runs",
]
