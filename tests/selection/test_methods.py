"""Choosing units: our methods, a stranger's, and what is said of one that is not there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from building import campaign
from imitable.activations import Moments
from imitable.commands.build import build
from imitable.errors import CampaignError
from imitable.selection import Look, find_method, ranked
from imitable.store import read_build

Publish = Callable[..., None]


def moments(*kurtosis: float) -> Moments:
    zeros, ones = np.zeros(len(kurtosis)), np.ones(len(kurtosis))
    return Moments(1, zeros, np.stack([ones, zeros, np.array(kurtosis) + 3]), zeros, zeros)


NOTHING_TOLD = Look(2, lambda wanted: [0.0] * len(wanted))
SITES = {"mlp.0": moments(1.0, 5.00001, -1.0), "mlp.1": moments(5.00002, 9.0)}


def names(method: str, seed: int = 0) -> list[tuple[str, int]]:
    return [(one.site, one.unit) for one in ranked(method, SITES, np.random.default_rng(seed), NOTHING_TOLD)]


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Install a distribution with one module and one entry point, as pip would leave it."""

    def install(name: str, method: str, code: str) -> None:
        site = tmp_path / f"site-{name}"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}.py").write_text(code, encoding="utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[imitable.selection]\n{method} = {name}:choose\n", encoding="utf-8")
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, name, raising=False)

    return install


LAST_UNITS = """
from imitable.selection import Candidate

def choose(sites, rng):
    return [
        Candidate(site, unit, float(unit))
        for site, seen in sites.items()
        for unit in range(len(seen.mean) - 1, -1, -1)
    ]
"""


def test_kurtosis_ranks_the_rarely_active_first() -> None:
    assert names("kurtosis") == [("mlp.1", 1), ("mlp.0", 1), ("mlp.1", 0), ("mlp.0", 0), ("mlp.0", 2)]


def test_scores_do_not_carry_the_last_digits_that_threads_shuffle() -> None:
    scores = [one.score for one in ranked("kurtosis", SITES, np.random.default_rng(0), NOTHING_TOLD)]
    assert scores == [9.0, 5.0, 5.0, 1.0, -1.0]


def test_random_draws_every_unit_once_and_by_the_generator() -> None:
    assert sorted(names("random")) == sorted(names("kurtosis"))
    assert names("random", 1) == names("random", 1)
    assert len({tuple(names("random", seed)) for seed in range(8)}) > 4
    firsts = [names("random", seed)[0] for seed in range(400)]
    assert min(firsts.count(unit) for unit in set(firsts)) > 40


def test_an_unknown_method_names_the_known_ones() -> None:
    with pytest.raises(CampaignError, match=r"no selection method 'magic'\. Choose one of .*kurtosis, random"):
        find_method("magic")


def test_an_installed_package_adds_its_own_method(distribution: Publish, tmp_path: Path) -> None:
    distribution("last_units", "last-units", LAST_UNITS)
    directory = campaign(tmp_path / "c", chosen='select = { method = "last-units", count = 2 }')
    build(directory)
    targets = read_build(directory / "build")["targets"]
    assert {target.selected_by for target in targets} == {"last-units"}
    assert [target.score for target in targets] == [float(target.unit) for target in targets]
    assert min(target.unit for target in targets) > 150


def test_two_packages_with_one_method_are_refused_by_name(distribution: Publish) -> None:
    distribution("first_pack", "shared", LAST_UNITS)
    distribution("other_pack", "shared", LAST_UNITS)
    with pytest.raises(CampaignError, match=r"'shared' comes from first_pack and other_pack at once\. Uninstall one"):
        find_method("shared")


@pytest.mark.parametrize("code", ["import a_package_that_is_not_there", "chose = None"])
def test_a_package_that_cannot_be_loaded_is_named(code: str, distribution: Publish) -> None:
    distribution("broken_pack", "broken", code)
    with pytest.raises(CampaignError, match=r"'broken' \(broken_pack:choose\) cannot be loaded: .*uninstall"):
        find_method("broken")


@pytest.mark.parametrize("made_up", ['"mlp.9", 0', '"mlp.0", 3', '"mlp.0", -1', '"mlp.0", 1, float("nan")'])
def test_a_method_that_ranks_what_is_not_there_is_blamed(made_up: str, distribution: Publish) -> None:
    code = f"from imitable.selection import Candidate\ndef choose(sites, rng): return [Candidate({made_up})]\n"
    distribution("dreamer", "dream", code)
    with pytest.raises(CampaignError, match=r"method 'dream' ranked unit .*Mend the package that provides it\.$"):
        ranked("dream", SITES, np.random.default_rng(0), NOTHING_TOLD)


def test_a_unit_that_a_method_names_twice_counts_once(distribution: Publish) -> None:
    distribution("stutter", "stutter", LAST_UNITS + "\nonce = choose\ndef choose(s, r): return once(s, r) * 2\n")
    assert len(names("stutter")) == 5
