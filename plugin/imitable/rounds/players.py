"""Automatic players: simple rules that guess from what an annotator is shown, and from nothing else.

Each is a function of a `Lesson` (what was shown, with answers) and of the `Texts` that are asked about; it returns one
guess a text, on the display scale. Whatever a further player goes by is a further field of `Texts`, as `vectors` is;
those that go by what a level shows beside a text are in `readers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHRINK = 1.0
"""Answers of size zero that a table's mean is taken with: what was seen once is half believed."""
PENALTIES = tuple(10.0**power for power in range(-2, 4))
"""Of the ridge; the one that foretells best what it was shown, each answer from the others, is taken."""
NEAREST = 3
"""Neighbours whose mean is guessed."""


@dataclass(frozen=True)
class Texts:
    """n texts, each with one marked token."""

    tokens: Ints
    """(n, longest): the same number for the same characters; -1 beyond a text's end."""
    position: Ints
    """(n,): place of the marked token."""
    vectors: Floats | None = None
    """(n, width): each text's sentence embedding, up to its marked token, of length 1; None without a model for it."""
    readings: Floats | None = None
    """(n, features): what a level shows beside each text, nan where nothing was shown; None without readings."""

    def only(self, rows: Sequence[int] | Ints) -> Texts:
        """Some of the texts."""
        vectors = None if self.vectors is None else self.vectors[rows]
        readings = None if self.readings is None else self.readings[rows]
        return Texts(self.tokens[rows], self.position[rows], vectors, readings)

    @property
    def marked(self) -> Ints:
        """(n,): the marked tokens."""
        found: Ints = self.tokens[np.arange(len(self.position)), self.position]
        return found

    @property
    def pairs(self) -> Ints:
        """(n, longest): the same number for the same token after the same token, or at a text's beginning."""
        before = np.pad(self.tokens[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
        found: Ints = (before + 1) * 2**32 + self.tokens
        return found


@dataclass(frozen=True)
class Lesson:
    """What was shown: at least one text."""

    texts: Texts
    values: Floats
    """(n, longest): answers on the display scale, to one decimal as they are shown; nan where none was shown."""

    @property
    def answers(self) -> Floats:
        """(n,): those at the marked tokens."""
        found: Floats = self.values[np.arange(len(self.values)), self.texts.position]
        return found

    @property
    def usual(self) -> float:
        """The median of the answers: the best constant, as far as one can know."""
        return float(np.median(self.answers))


Player = Callable[[Lesson, Texts], Floats]


def constant(lesson: Lesson, asked: Texts) -> Floats:
    """The median of the answers at marked tokens, always."""
    return np.full(len(asked.position), lesson.usual)


def lookup(lesson: Lesson, asked: Texts) -> Floats:
    """Remembers marked tokens: the mean of the answers to this very one, else the median of all."""
    usual = lesson.usual
    return usual + _means(lesson.texts.marked, lesson.answers - usual, asked.marked, shrink=0.0)


def unigram(lesson: Lesson, asked: Texts) -> Floats:
    """A table of every token that was shown with a value, marked or not: its mean, shrunken to the usual answer."""
    known = np.isfinite(lesson.values)
    return lesson.usual + _means(lesson.texts.tokens[known], lesson.values[known] - lesson.usual, asked.marked)


def bigram(lesson: Lesson, asked: Texts) -> Floats:
    """The table of tokens, and on top of it one of pairs of tokens: the shrunken mean of what the first leaves over."""
    return pair_means(lesson, asked)


def pair_means(lesson: Lesson, asked: Texts, *, without: Ints | None = None) -> Floats:
    """What `bigram` guesses. `without`: for each text asked, one of the lesson's that it is to know nothing of."""
    known = np.isfinite(lesson.values)
    values, answers = lesson.values[known], lesson.answers
    usual = np.full((len(asked.position), 1), lesson.usual)
    heard = np.ones((len(usual), len(values)), bool)
    if without is not None:
        heard = np.nonzero(known)[0] != without[:, None]
        others = np.arange(len(answers) - 1)
        usual = np.median(answers[others + (others >= without[:, None])], axis=1, keepdims=True)
    pairs = asked.pairs[np.arange(len(asked.position)), asked.position]
    guess = usual[:, 0]
    for shown, wanted in ((lesson.texts.tokens, asked.marked), (lesson.texts.pairs, pairs)):
        same = ((shown[known] == wanted[:, None]) & heard).astype(np.float64)
        count = same.sum(1)
        guess = guess + (same @ values - count * guess) / (count + SHRINK)
    return guess


def ridge(lesson: Lesson, asked: Texts) -> Floats:
    """Ridge regression of the answers on the bag of tokens up to the marked one, and on the marked one itself.

    Two texts are as alike as the cosine of their bags, and by 1 more if the same token is marked. The answers foretold
    are those at marked tokens.
    """
    shown, n = lesson.texts, len(lesson.answers)
    usual = float(lesson.answers.mean())
    bags = _bags(np.concatenate([_up_to_mark(shown), _up_to_mark(asked)]))
    alike = bags @ bags[:n].T
    alike += np.concatenate([shown.marked, asked.marked])[:, None] == shown.marked
    return usual + foretell(alike, lesson.answers - usual, PENALTIES)


def foretell(alike: Floats, answers: Floats, penalties: Sequence[float]) -> Floats:
    """Kernel ridge regression: what n answers say of m more texts, `alike` (n + m, n) being how alike all are to those.

    Of the penalties the one is taken that foretells best each answer from the others. The left-out residual of one is
    (G⁻¹ y)_i / (G⁻¹)_ii, with G the penalised kernel matrix (Rasmussen and Williams, Gaussian Processes for Machine
    Learning, 2006, section 5.4.2).
    """
    values, vectors = np.linalg.eigh(alike[: len(answers)])
    turned = vectors.T @ answers
    scales = 1 / (np.maximum(values, 0) + np.array(penalties)[:, None])
    left_out = ((scales * turned) @ vectors.T) / (scales @ (vectors**2).T)
    best = int(np.argmin((left_out**2).sum(1)))
    found: Floats = alike[len(answers) :] @ (vectors @ (scales[best] * turned))
    return found


def nearest(lesson: Lesson, asked: Texts) -> Floats:
    """The mean answer of the three texts shown whose sentence embeddings are nearest, by cosine."""
    assert lesson.texts.vectors is not None  # noqa: S101  # who asks it has embedded the texts
    assert asked.vectors is not None  # noqa: S101
    order = np.argsort(-(asked.vectors @ lesson.texts.vectors.T), axis=1, kind="stable")[:, :NEAREST]
    found: Floats = lesson.answers[order].mean(1)
    return found


PLAYERS: dict[str, Player] = {
    "constant": constant,
    "lookup": lookup,
    "unigram": unigram,
    "bigram": bigram,
    "ridge": ridge,
    "nearest": nearest,
}
"""By the name that `baseline_<player>` has."""
TABLES = ("lookup", "unigram", "bigram")
"""Those that know nothing but the marked token and the one before it."""


def _means(keys: Ints, values: Floats, asked: Ints, *, shrink: float = SHRINK) -> Floats:
    """For every key that is asked, the mean of its values, with `shrink` zeros among them; 0 for one never seen."""
    seen, at = np.unique(keys, return_inverse=True)
    means = np.bincount(at, values) / (np.bincount(at) + shrink)
    place = np.minimum(np.searchsorted(seen, asked), len(seen) - 1)
    return np.where(seen[place] == asked, means[place], 0.0)


def _up_to_mark(texts: Texts) -> Ints:
    """(n, longest): the tokens up to the marked one, and -1."""
    return np.where(np.arange(texts.tokens.shape[1]) <= texts.position[:, None], texts.tokens, -1)


def _bags(tokens: Ints) -> Floats:
    """(n, 1 + tokens): which tokens each row holds, of length 1; -1 is none."""
    bags = np.zeros((len(tokens), int(tokens.max()) + 2))
    np.put_along_axis(bags, tokens + 1, 1.0, axis=1)
    bags[:, 0] = 0.0
    found: Floats = bags / np.maximum(np.linalg.norm(bags, axis=1, keepdims=True), 1.0)
    return found
