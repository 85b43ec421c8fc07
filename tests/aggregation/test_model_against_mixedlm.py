"""The fit agrees with an independent implementation of linear mixed models on the same knots."""

from __future__ import annotations

import mixedlm
import numpy as np
import pytest

from imitable_aggregation.defaults import filled
from imitable_aggregation.model import fit
from imitable_aggregation.simulate import Setting, simulate
from imitable_aggregation.statistics import collect


@pytest.mark.filterwarnings("ignore::UserWarning")  # it warns where a variance is on its boundary
def test_targets_have_mixedlms_levels_with_nobody_left_out_and_no_correlated_effect() -> None:
    guesses = simulate(Setting(guesses=10_000, bad=0.0, seed=41)).guesses
    statistics = collect(filled(guesses))
    ours = fit(statistics.episodes, None, statistics.knots, correlated=False).targets
    seen = np.where(guesses["phase"] == "practice", guesses["trial"] - 1, 15).astype(float)
    for at, row in enumerate(np.eye(3)):
        guesses[f"x{at}"] = np.interp(seen, statistics.knots, row)
    guesses["y"] = 1 - (guesses["guess"] - guesses["truth"]).abs() / guesses["l_ref"]
    x = "0 + x0 + x1 + x2"
    theirs = mixedlm.lmer(f"y ~ {x} + ({x} | target_id) + ({x} | annotator_id) + ({x} | episode_id)", guesses)
    levels = theirs.ranef()["target_id"]
    assert np.corrcoef(levels["x2"], ours["imitability"])[0, 1] > 0.97
    assert np.corrcoef(levels["x0"], ours["start"])[0, 1] > 0.97
