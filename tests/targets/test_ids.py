"""Target ids: what is written can be read, and what cannot be read says how to write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imitable.errors import CampaignError
from imitable.targets import Polarity, TargetId, kind_of_site

NAME = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
LAYER = st.integers(0, 200)
SITES = st.one_of(
    LAYER.map("mlp.{}".format),
    LAYER.map("head.{}.norm".format),
    st.builds("head.{}.along-{}".format, LAYER, NAME),
    st.builds("direction.{}.{}".format, LAYER, NAME),
    st.builds("probe.{}.{}".format, LAYER, NAME),
    st.builds("sae.{}.{}".format, NAME, LAYER),
)
MODELS = st.lists(st.text(alphabet="aZ09._-@: é", min_size=1), min_size=1, max_size=3).map("/".join)
POLARITIES: st.SearchStrategy[Polarity] = st.sampled_from(["pos", "neg", "both"])


@given(st.builds(TargetId, MODELS, SITES, st.integers(0, 10**6), POLARITIES))
def test_every_id_reads_back_as_itself(target: TargetId) -> None:
    text = str(target)
    assert TargetId.parse(text) == target
    assert str(TargetId.parse(text)) == text
    assert text.endswith(":pos") is False


@pytest.mark.parametrize(
    ("text", "parts", "kind"),
    [
        ("stories260K/mlp.3/117", ("stories260K", "mlp.3", 117, "pos"), "neuron"),
        (
            "EleutherAI/pythia-70m@main/sae.res8k.3/4021",
            ("EleutherAI/pythia-70m@main", "sae.res8k.3", 4021, "pos"),
            "latent",
        ),
        ("SmolLM2-135M/mlp.21/673:neg", ("SmolLM2-135M", "mlp.21", 673, "neg"), "neuron"),
        ("m/head.2.along-french/0:both", ("m", "head.2.along-french", 0, "both"), "head"),
    ],
)
def test_the_examples_of_the_contract(text: str, parts: tuple[object, ...], kind: str) -> None:
    target = TargetId.parse(text)
    assert (target.model, target.site, target.index, target.polarity) == parts
    assert target.kind == kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mlp.3/117",
        "m/mlp.3/-1",
        "m/mlp.3/1.5",
        "m/mlp.3/",
        "m/mlp.3/7:up",
        "m/mlp.3/7:pos:neg",
        "m/mlp.3/7 ",
        "m/mlp.3/٧",
    ],
)
def test_what_is_no_id_says_how_one_looks(text: str) -> None:
    with pytest.raises(CampaignError, match=r"is not a target id\. Write MODEL/SITE/INDEX.*pos, neg, both\.$"):
        TargetId.parse(text)


@pytest.mark.parametrize(
    "site", ["mlp", "mlp.x", "mlp.3.4", "head.2", "head.2.along-a b", "sae.3", "mlp.3\n", "MLP.3", "mlp.٣"]
)
def test_what_is_no_site_says_how_one_looks(site: str) -> None:
    with pytest.raises(CampaignError, match=r"is not a site\. Sites look like mlp\.3.*write one of these\.$"):
        kind_of_site(site)


def test_a_target_needs_a_model() -> None:
    with pytest.raises(CampaignError, match="needs a model's name"):
        TargetId.parse("/mlp.3/117")


def test_ids_sort_by_model_site_and_index() -> None:
    assert sorted([TargetId("b", "mlp.0", 0), TargetId("a", "mlp.0", 10), TargetId("a", "mlp.0", 9)]) == [
        TargetId("a", "mlp.0", 9),
        TargetId("a", "mlp.0", 10),
        TargetId("b", "mlp.0", 0),
    ]
