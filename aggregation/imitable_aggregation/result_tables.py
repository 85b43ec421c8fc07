"""The tables that a ranking writes, column by column; the descriptors and the column order come from here."""

from __future__ import annotations

from .tables import EPISODES_PLAYED, EXPOSURES, GUESSES, LOOKS, QUARANTINE, READINGS, TARGETS, WHERE, Column, Table


def _estimate(name: str, meaning: str, *, sd: bool = True) -> tuple[Column, ...]:
    """An estimate with its uncertainty: value, posterior sd, and the ends of its interval."""
    return (
        Column(name, "number", meaning),
        *((Column(f"{name}_sd", "number", f"Posterior standard deviation of {name}."),) if sd else ()),
        Column(f"{name}_low", "number", f"Lower end of the interval of {name}."),
        Column(f"{name}_high", "number", f"Upper end of the interval of {name}."),
    )


RANKING = Table(
    "Targets from most to least imitable",
    ("target_id",),
    (
        Column("target_id", "string", "What was imitated."),
        *WHERE,
        Column("selected_by", "string", "Methods that chose the target, joined by semicolons."),
        Column("n_guesses", "integer", "Usable guesses, attention checks not counted."),
        Column("n_episodes", "integer", "Episodes with a usable guess."),
        Column("n_annotators", "integer", "Annotators with a usable guess."),
        Column("completion", "number", "Share of its episodes that were finished, 0 to 1."),
        *_estimate("imitability", "Expected held-out skill on fresh items; 1 is exact, 0 the best constant."),
        *_estimate("start", "Expected skill before any feedback."),
        *_estimate("gain", "imitability minus start: what was learned."),
        Column("rank", "integer", "1 is the most imitable."),
        Column("tie_group", "integer", "1 is the top; targets of one group cannot be told apart from its first."),
        Column("rank_low", "integer", "Best rank in the interval."),
        Column("rank_high", "integer", "Worst rank in the interval."),
        Column("expected_rank", "number", "Mean rank over the posterior draws."),
        Column("p_top", "number", "Probability of being among the top k."),
        Column("p_easy", "number", "Probability that start exceeds 0.25."),
        Column("p_learnable", "number", "Probability that gain exceeds 0.10."),
        Column("r", "number", "Correlation of held-out guesses with truths; empty where either is constant."),
        Column("r2", "number", "neuron-explainer's r2: 1 - mean((truth - guess)²) / mean(truth²), held-out."),
        Column("r_natural", "number", "Held-out correlation under weight: as on the natural distribution."),
        Column("crowd_skill", "number", "Held-out skill of the pooled, recalibrated guess of all who met the item."),
        Column("crowd_low", "number", "Lower end of the interval of crowd_skill."),
        Column("crowd_high", "number", "Upper end of the interval of crowd_skill."),
        Column("l_ref", "number", "Loss of the best constant guess, display units."),
        Column("baseline_*", "number", "Held-out skill of a machine player on the target."),
    ),
)

LEVELS_TABLE = Table(
    "Imitability of each target at each level",
    ("target_id", "level"),
    (
        Column("target_id", "string", "What was imitated."),
        Column("level", "string", "What was seen besides the text."),
        *_estimate("imitability", "Expected held-out skill at this level."),
    ),
)

ANNOTATORS = Table(
    "One row for each annotator",
    ("annotator_id",),
    (
        Column("annotator_id", "string", "Pseudonym."),
        Column("n_guesses", "integer", "Usable guesses, attention checks not counted."),
        Column("n_episodes", "integer", "Episodes with a usable guess."),
        *_estimate("skill", "Expected held-out skill on the average target, adjusted for the targets played."),
        *_estimate("bias", "Mean of guess - truth, display units.", sd=False),
        *_estimate("scale", "Slope of guess on truth; 1 uses the scale fully, 0 ignores the truth.", sd=False),
        Column("noise_sd", "number", "Scatter of guesses about that line, display units."),
        Column("learning", "number", "Skill in the later half of practice minus the earlier half."),
        Column("p_bad", "number", "Probability of not playing in earnest (bad_class says how)."),
        Column("bad_class", "string", "Most likely kind of such play: random, constant, copies, running or leaks."),
        Column("evidence", "string", "What is odd about the play, in plain words."),
        Column("anomaly", "number", "How unlike everybody else, whatever the way: see conduct."),
        Column("median_seconds", "number", "Median seconds for a guess."),
        Column("excluded", "boolean", "Whether the annotator was left out of the fit."),
    ),
)

CROWD = Table(
    "The crowd's guess of each held-out item",
    ("target_id", "item_id"),
    (
        Column("target_id", "string", "What was imitated."),
        Column("item_id", "string", "The item."),
        Column("n_guesses", "integer", "Held-out guesses on it that count."),
        Column("crowd", "number", "Their mean without each annotator's bias, recalibrated; display units."),
        Column("crowd_low", "number", "Lower end of the interval of the truth, given the crowd."),
        Column("crowd_high", "number", "Upper end of the interval of the truth, given the crowd."),
        Column("truth", "number", "The truth, display units."),
    ),
)

GROUPS = Table(
    "Contrasts between groups of targets, or between levels",
    ("factor", "level_a", "level_b", "estimand", "population"),
    (
        Column("factor", "string", "Column by which targets are grouped."),
        Column("level_a", "string", "One of its values."),
        Column("level_b", "string", "Another of its values."),
        Column("estimand", "string", "imitability, start or gain."),
        Column("population", "string", "these: the targets played; like_these: new targets of the same kind."),
        Column("difference", "number", "Mean of a minus mean of b."),
        Column("low", "number", "Lower end of its interval."),
        Column("high", "number", "Upper end of its interval."),
        Column("p_positive", "number", "Probability that a is above b."),
        Column("n_a", "integer", "Targets of a in the contrast."),
        Column("n_b", "integer", "Targets of b in the contrast."),
    ),
)

EPISODES = Table(
    "One row for each episode",
    ("episode_id",),
    (
        Column("episode_id", "string", "The episode."),
        Column("annotator_id", "string", "Who played."),
        Column("target_id", "string", "What was imitated."),
        Column("level", "string", "What was seen besides the text."),
        Column("n_practice", "integer", "Usable practice guesses."),
        Column("n_held_out", "integer", "Usable held-out guesses."),
        Column("completed", "boolean", "Whether it was finished."),
        Column("start", "number", "Skill of the first guess, before any feedback."),
        Column("held_out", "number", "Mean skill of the held-out guesses."),
        Column("mean_skill", "number", "Mean skill of all counted guesses."),
    ),
)

DRAWS = Table(
    "Draws from the posterior of each target, to recompute any statement about ranks",
    ("draw", "target_id"),
    (
        Column("draw", "integer", "Number of the draw, from 0."),
        Column("target_id", "string", "What was imitated."),
        Column("start", "number", "Skill before any feedback."),
        Column("middle", "number", "Skill after about three feedbacks."),
        Column("held_out", "number", "Held-out skill."),
    ),
)

TABLES: dict[str, Table] = {
    "guesses": GUESSES,
    "targets": TARGETS,
    "episodes_played": EPISODES_PLAYED,
    "exposures": EXPOSURES,
    "readings": READINGS,
    "looks": LOOKS,
    "quarantine": QUARANTINE,
    "ranking": RANKING,
    "levels": LEVELS_TABLE,
    "annotators": ANNOTATORS,
    "episodes": EPISODES,
    "draws": DRAWS,
    "crowd": CROWD,
    "groups": GROUPS,
}
"""Every table by the stem of its file."""
