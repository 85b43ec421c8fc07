"""What a build refuses, with the remedy; and the units it leaves out, with the reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import LlamaModel

from building import build_bytes, builtin_model, campaign, edit, leftovers, never, stored
from imitable.commands.build import build
from imitable.errors import BuildError, CampaignError, CorpusError, ImitableError, ModelError
from imitable.store import read_build

Mistake = tuple[str, str, type[ImitableError], str]

MISTAKES: dict[str, Mistake] = {
    "an unknown site": (
        '"mlp.1"',
        '"mlp.9"',
        CampaignError,
        r"stories260K has no site 'mlp\.9'\. It has mlp\.0, .*mlp\.4: name",
    ),
    "a site of another kind": (
        '"mlp.1"',
        '"head.0.norm"',
        CampaignError,
        r"'head\.0\.norm' holds heads, and this .*kind 'neuron'",
    ),
    "a unit that is not there": (
        "[0, 1,",
        "[0, 172,",
        CampaignError,
        r"mlp\.1 has units 0 to 171, and not 172\. Correct",
    ),
    "an unknown method": (
        "units = [0, 1, 2, 3, 4, 5]",
        'select = { method = "magic", count = 2 }',
        CampaignError,
        r"no selection method 'magic'\. Choose one of beyond-lexical, kurtosis, random",
    ),
    "no model there": (
        '"builtin:stories260K"',
        '"./model"',
        ModelError,
        r"There is no model folder .*/c/model\. Correct",
    ),
    "no corpus there": ('"corpus.txt"', '"corpse.txt"', CorpusError, r"No corpus at .*corpse\.txt"),
    "a second corpus that is the first": (
        '"corpus.txt"',
        '"corpus.txt"\nheld_out_path = "./corpus.txt"',
        CorpusError,
        r"held_out_path reads .*/c/corpus\.txt, and so does path",
    ),
    "windows longer than the model": (
        "max_tokens = 32",
        "max_tokens = 600",
        CampaignError,
        r"max_tokens is 600, and .* 512\.",
    ),
    "windows that leave no past": (
        "max_tokens = 32",
        "max_tokens = 8",
        CorpusError,
        r"No text of corpus\.txt has 9 tokens",
    ),
    "texts that are too short": (
        "max_tokens = 32",
        "max_tokens = 512\nmin_tokens = 512",
        CorpusError,
        r"No text of corpus\.txt has 512 tokens .*min_tokens",
    ),
    "too few documents": (
        '"block:2"',
        '"block:20"',
        CorpusError,
        r"corpus\.txt is too short: it has \d of the 8 documents",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_remedy_and_nothing_is_written(mistake: str, tmp_path: Path) -> None:
    old, new, kind, said = MISTAKES[mistake]
    directory = campaign(tmp_path / "c")
    edit(directory, old, new)
    with pytest.raises(kind, match=said) as caught:
        build(directory)
    assert str(caught.value).endswith(".") or "Choose one of" in str(caught.value)
    assert leftovers(directory) == []
    assert stored(directory) == (None, set())


def test_a_mistake_that_could_be_seen_at_once_does_not_wait_for_the_model(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c", texts=None, chosen='select = { method = "magic", count = 2 }')
    with pytest.raises(CampaignError, match="no selection method 'magic'"):
        build(directory, progress=never)


def test_a_bad_corpus_leaves_the_old_build_in_place(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c")
    build(directory)
    before, held = build_bytes(directory), stored(directory)
    (directory / "corpus.txt").write_bytes(b"One.\n\nTwo \xff\n")
    edit(directory, "seed = 0", "seed = 1")
    with pytest.raises(CorpusError, match=r"corpus\.txt, line 3: not UTF-8"):
        build(directory)
    assert build_bytes(directory) == before
    assert stored(directory) == held


def test_units_that_cannot_be_played_are_left_out_with_reasons(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c", model='path = "silent"')
    silence(directory / "silent", units=[1, 4])
    built = build(directory)
    assert {one.target_id.removeprefix("silent/mlp.1/") for one in built.left_out} >= {"1", "4"}
    assert all(one.reason.startswith(("never fires", "is too flat", "has too few items")) for one in built.left_out)
    assert built.targets == 6 - len(built.left_out)
    assert f"silent, [[targets]] #1: {built.targets} of 6 targets" in built.notes
    assert "silent/mlp.1/1" not in {target.target_id for target in read_build(directory / "build")["targets"]}


def silence(folder: Path, *, units: list[int]) -> None:
    """The built-in model with units of its second layer that never react."""
    shutil.copytree(builtin_model(), folder)
    model = LlamaModel.from_pretrained(folder)
    with torch.no_grad():
        model.layers[1].mlp.up_proj.weight[units] = 0
    model.save_pretrained(folder)


def test_a_selection_goes_on_past_units_that_cannot_be_played(tmp_path: Path) -> None:
    chosen = 'select = { method = "random", count = 4 }'
    whole = campaign(tmp_path / "whole", chosen=chosen, model='path = "silent"')
    silence(whole / "silent", units=list(range(0, 172, 2)))
    built = build(whole)
    assert built.targets == 4
    assert built.left_out
    assert all(target.unit % 2 for target in read_build(whole / "build")["targets"])


def test_a_build_fails_only_when_nothing_is_left_and_says_why(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c", model='path = "silent"', chosen="units = [1, 4]")
    silence(directory / "silent", units=[1, 4])
    with pytest.raises(
        BuildError, match=r"No unit is left to play: silent/mlp\.1/1 never fires.*; silent/mlp\.1/4 .*pools"
    ):
        build(directory)
    assert leftovers(directory) == []


def test_a_unit_that_two_tables_choose_is_one_target_with_both_named(tmp_path: Path) -> None:
    more = '[[targets]]\nsites = ["mlp.1"]\nselect = { method = "kurtosis", count = 170 }'
    directory = campaign(tmp_path / "c", chosen="units = [3, 3, 5]", more=more)
    built = build(directory)
    targets = read_build(directory / "build")["targets"]
    assert len({target.target_id for target in targets}) == len(targets) == built.targets
    both = [target for target in targets if target.unit in (3, 5)]
    assert both
    assert {target.selected_by for target in both} == {"kurtosis;units"}
    assert all(target.score is not None for target in both)
    assert not any("#1" in note for note in built.notes)
