"""What things are called between Label Studio and us: in tasks, on the page, in replies and annotations."""

from __future__ import annotations

import re

from imitable.campaign import Folder

PLATFORM = "label-studio"

KEY = "imitable"
"""In a task's data: our own key of the task, so that it is never made twice."""
ANNOTATOR = "annotator"
"""In a task's data: the e-mail, in lower case, of whom the task is for."""
INTRO = "intro"
EXAMPLES = "examples"
TEXT = "text"
"""In a task of one round: its text, and the page's part that shows it."""
GUESS = "guess"
"""In a task of one round: the number."""

BEGIN = "begin"
"""Box in which "yes" begins the episode."""
BEGAN = "began"
"""Hidden choice that unfolds the first round."""
WELCOME = "welcome"
"""What is said to who typed into BEGIN."""
FUN = "fun"
INTEREST = "interest"
EXPLANATION = "explanation"

YES = "yes"
"""Choice: it was taken, and what follows unfolds."""
AGAIN = "again"
"""Choice: it was not taken; what is said tells why and what to do."""


def text(trial: int) -> str:
    """The page's part with the text of a round, and its place in the task's data."""
    return f"r{trial}"


def guess(trial: int) -> str:
    """Box in which a guess is typed."""
    return f"guess{trial}"


def done(trial: int) -> str:
    """Hidden choice that unfolds the answer, and the next round."""
    return f"done{trial}"


def feedback(trial: int) -> str:
    """What is said to a guess."""
    return f"feedback{trial}"


def yours(trial: int) -> str:
    """Slider that stands at the guess, above that of the true activation."""
    return f"yours{trial}"


def truth(trial: int) -> str:
    """Slider that stands at the true activation; only in rounds whose answer is shown."""
    return f"truth{trial}"


# Where players choose what they are shown beside a text


def question(trial: int) -> str:
    """The page's part with the question of a round, below what was looked up, and its place in the task's data."""
    return f"q{trial}"


def look(trial: int) -> str:
    """Box in which the letter of a unit is typed, to see it."""
    return f"look{trial}"


def looked(trial: int) -> str:
    """Hidden choice of how many were looked up: so many meters unfold, and the box goes with the last."""
    return f"looked{trial}"


def told(trial: int) -> str:
    """What is said to a letter."""
    return f"told{trial}"


def letter(trial: int, at: int) -> str:
    """The letter of the unit that a meter shows; `at` counts those that were looked up, from 1."""
    return f"letter{trial}_{at}"


def meter(trial: int, at: int) -> str:
    """Slider that stands at its activation."""
    return f"meter{trial}_{at}"


MOST_LOOKS = 26
"""In one round: there are no more letters."""

_TYPED = re.compile(r"(guess|look)([1-9][0-9]{0,3})")


def trial_of(name: str) -> int | None:
    """The round whose guess is typed into a box of this name; None for every other name."""
    trial, guessed = box_of(name) or (None, False)
    return trial if guessed else None


def box_of(name: str) -> tuple[int, bool] | None:
    """The round that a box is about, and whether it is the one for its guess; None for what is no such box."""
    found = _TYPED.fullmatch(name)
    return (int(found[2]), found[1] == "guess") if found else None


def written(guess: float) -> str:
    """A committed guess as a reply writes it back into its box: the shortest text that reads as the same number."""
    return repr(guess).removesuffix(".0")


TASK_KEY = re.compile(r"t_[0-9a-f]{16}")


def task_key(folder: Folder, episode_id: str, trial: int = 0) -> str:
    """Our key of the task that is a whole episode (`trial` 0) or one of its rounds."""
    return "t_" + folder.derive("task", episode_id, trial)


DOOR = "/label-studio"
"""Path of the door, below that of the game."""
PREDICT = f"{DOOR}/predict"

LARGEST_CALL = 4_194_304
"""Bytes of a call: it brings the whole task along, with the page's drawing and everybody's annotations of it."""

USER = "label-studio"
"""Whom Label Studio calls itself when it asks us."""


def password(folder: Folder) -> str:
    """What Label Studio shows us to be let in."""
    return folder.derive("label-studio", "backend", size=32)


def hint_secret(folder: Folder) -> str:
    """What a webhook shows us: another word than the backend's, for every account can read it in Label Studio."""
    return folder.derive("label-studio", "webhook", size=32)


def backend_address(folder: Folder) -> str:
    """Where Label Studio reaches the door of `imitable serve`."""
    config = folder.config
    settings = config.platform.label_studio
    base = (settings and settings.backend_url) or config.serve.public_url or "http://127.0.0.1:8000"
    return base.rstrip("/") + DOOR
