"""What an annotator is shown at one moment: every page of the game as a value, rendered as HTML or sent as JSON.

No view but `Reveal` has a field that could hold the truth of a round that is being asked, so a page that is not a
reveal cannot leak one. What is `Past` was revealed before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar, get_args

from pydantic import TypeAdapter

from imitable_aggregation import scoring


@dataclass(frozen=True)
class Piece:
    """One token of a text, with the activation that the annotator may see."""

    text: str
    """The characters of the token, as they stand in the text."""
    value: float
    """Activation on the display scale, one decimal."""
    heat: int
    """`value` rounded to a shade, -10 to 10 (0: no colour)."""


@dataclass(frozen=True)
class ExampleText:
    """A text whose activations are open, at every token: an example, or a round that is answered."""

    pieces: tuple[Piece, ...]
    focus: int
    """Index into `pieces` of the marked token."""
    value: float
    """Activation at the focus token, display scale."""

    def __hash__(self) -> int:
        return hash((len(self.pieces), self.focus, self.value))  # of all pieces it would take longer than a page

    @property
    def loudest(self) -> list[Piece]:
        """The three pieces with the most activation, of those with 3 or more."""
        return sorted((p for p in self.pieces if p.value >= 3), key=lambda p: -p.value)[:3]


@dataclass(frozen=True)
class Stimulus:
    """A text with one marked token: `before` + `focus` + `after` is the text, character for character."""

    before: str
    focus: str
    after: str


@dataclass(frozen=True)
class Progress:
    """Where the annotator stands in the sitting and in the episode."""

    episode: int
    """1-based number of this episode in the sitting."""
    episodes: int
    """Episodes that the sitting is planned to hold."""
    trial: int
    """1-based round of this episode."""
    practice: int
    """Rounds of this episode whose answers are shown (trials 1 to `practice`)."""
    held_out: int
    """Rounds whose answers are not shown (the trials after them)."""
    points: float
    """Points earned in this episode's practice rounds so far, 10 at most a round."""


@dataclass(frozen=True)
class Past:
    """An earlier round of this episode, as its annotator remembers it."""

    trial: int
    stimulus: Stimulus
    """The marked piece with a few words around it."""
    guess: float
    truth: float | None
    """None where the answer was not shown, and in `points` too."""
    points: float | None


@dataclass(frozen=True)
class Meter:
    """One row of what is shown beside a text: another unit of the network, by a letter that stays for the episode."""

    letter: str
    """`A` to `Z`; empty where it is no unit."""
    group: str
    """Why it is shown, as the build says (`chosen_by`)."""
    value: float | None
    """Its activation at the marked token, -10 to 10; None where the player has not asked for it."""
    weights: tuple[float, ...] = ()
    """What the activation is multiplied by, one number a part of the target."""
    adds: tuple[float, ...] = ()
    """What it adds to each part."""


@dataclass(frozen=True)
class Readings:
    """What is shown beside a text at a level beyond `examples`."""

    level: str
    meters: tuple[Meter, ...]
    sums: tuple[float, ...] = ()
    """What all rows add up to, by part; at level `weights`."""
    looks_left: int | None = None
    """How many more units may be asked for in this round; None where there is nothing to ask for."""

    @property
    def groups(self) -> list[tuple[str, list[Meter]]]:
        """The meters by why they are shown, in order."""
        found: dict[str, list[Meter]] = {}
        for meter in self.meters:
            found.setdefault(meter.group, []).append(meter)
        return list(found.items())


@dataclass(frozen=True)
class Landing:
    """The page behind a link: what this is, what is asked, what is paid. Nothing is recorded yet."""

    kind: ClassVar[str] = "landing"
    campaign: str
    platform: str
    """Who sent the annotator: `web` for a link."""
    code: str
    """The link's own code, to be posted back to /start."""
    episodes: int
    rounds: int
    """Rounds in one episode."""
    minutes: int
    """About how long the sitting takes."""
    low: float
    """Lower end of the scale that most targets use, 0 or -10."""
    consent: str
    """Consent text, plain paragraphs separated by blank lines; empty when the campaign states none."""
    contact: str
    pay: str
    """What is paid, in a few sentences, or an empty string when nothing is."""
    resumed: bool
    """True when this link was used before: the button continues, and nothing is lost."""
    preview: bool = False
    """True for someone who has not accepted the task yet: there is nothing to start."""
    looks: bool = False
    """True where units may be looked up, at one of the campaign's levels: which, and when, is stored."""


@dataclass(frozen=True)
class Round:
    """One question: how active is the target at the marked token?"""

    kind: ClassVar[str] = "round"
    tutorial: bool
    """True for the practice target that is in no campaign; then `round_id` is the step's number."""
    round_id: str
    phase: str
    """`practice` (the truth is shown after the guess) or `held_out` (it is not). Attention checks are among both."""
    progress: Progress
    stimulus: Stimulus
    examples: tuple[ExampleText, ...]
    low: float
    high: float
    first_of_target: bool
    """True on the first round of an episode: say that this is a new target."""
    first_held_out: bool
    """True on the first held-out round: say that from now on the answers are not shown."""
    notice: str = ""
    """A friendly word on what just happened ("Recorded."), or empty."""
    error: str = ""
    """Why the last guess was not taken, with what to do; empty if there was none."""
    bonus: str = ""
    """The rule of the bonus, on the round where it begins to be decided; empty elsewhere and where none is paid."""
    history: tuple[Past, ...] = ()
    """The rounds of this episode before this one, in order."""
    readings: Readings | None = None
    """What is shown beside the text; None at the levels that show nothing."""


@dataclass(frozen=True)
class Reveal:
    """The answer, after the guess is committed."""

    kind: ClassVar[str] = "reveal"
    tutorial: bool
    progress: Progress
    stimulus: Stimulus
    guess: float
    truth: float
    points: float
    """Points of this round, 0 to 10."""
    low: float
    high: float
    repeated: bool
    """True when this round had been answered before: the first answer stands."""
    next: str
    """What the button leads to: `round`, `held_out` (the rounds without answers begin), `questions` or `episode`."""
    shaded: ExampleText | None = None
    """The text again, with the activation at every token of it; None where the campaign does not show that."""
    history: tuple[Past, ...] = ()
    """The rounds of this episode before this one, in order."""
    coaching: str = ""
    """A hint on the practice target; empty in the real game."""
    readings: Readings | None = None
    """What was shown beside the text."""

    @property
    def grade(self) -> str:
        """Key of the word for how close the guess was."""
        return grade(self.points)


@dataclass(frozen=True)
class Questions:
    """Three questions after an episode."""

    kind: ClassVar[str] = "questions"
    episode_id: str
    progress: Progress
    error: str = ""


@dataclass(frozen=True)
class Finish:
    """How the annotator tells a platform that the sitting is over."""

    url: str
    """Where the button leads."""
    code: str = ""
    """A code to be copied by hand should the button fail; empty where there is none."""
    fields: tuple[tuple[str, str], ...] = ()
    """Names and values to be posted there; without any, the button is a link."""


@dataclass(frozen=True)
class Done:
    """The sitting is over."""

    kind: ClassVar[str] = "done"
    episodes: int
    """Episodes finished in this sitting."""
    guesses: int
    points: float
    """Practice points of the whole sitting."""
    best_possible: float
    """Ten times the practice rounds played."""
    stopped: bool
    """True when the annotator ended the sitting early."""
    nothing_left: bool = False
    """True where no target could be given to the annotator at all: the sitting is not over, and may begin later."""
    pay: str = ""
    """What is paid for it and by whom, in a few sentences, or an empty string when nothing is."""
    finish: Finish | None = None
    """None where nobody has to be told."""


@dataclass(frozen=True)
class Problem:
    """Something is wrong, said kindly, with what to do next."""

    kind: ClassVar[str] = "problem"
    title: str
    message: str


_GRADES = ((0.25, "reveal.spot_on"), (1, "reveal.very_close"), (2.5, "reveal.close"), (5, "reveal.some_way_off"))
"""Points that are missing, less than so many, and the key of the word for it."""


def grade(points: float) -> str:
    """Key of the word for a round's points, 0 to 10."""
    return next((key for below, key in _GRADES if scoring.TOP - points < below), "reveal.far_off")


View = Landing | Round | Reveal | Questions | Done | Problem


_WRITERS: dict[type[View], TypeAdapter[View]] = {view: TypeAdapter(view) for view in get_args(View)}


def as_json(view: View, token: str = "") -> bytes:
    """The view as one JSON object, with its kind and the session's token first."""
    head = json.dumps({"kind": view.kind, "token": token}).encode()
    return head[:-1] + b", " + _WRITERS[type(view)].dump_json(view)[1:]
