"""Finding neurons, heads and the residual stream by structure, on tiny random models of many architectures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers
from activations.families import FAMILIES, HEADS, HIDDEN, LAYERS, NEURONS, by_hand, gated, make, passing

from imitable.activations.anatomy import Block, mlp_sites, neuron_site, study
from imitable.activations.sites import Tap
from imitable.errors import ModelError


def blocks_of(model: Any, name: str = "m") -> tuple[Block, ...]:
    return study(by_hand(model, name)).blocks


@pytest.mark.parametrize("family", FAMILIES)
def test_every_part_of_every_architecture_is_found(family: str) -> None:
    it = FAMILIES[family]
    anatomy = study(by_hand(make(it.config, **it.more), family))
    assert (anatomy.model_id, anatomy.hidden) == (family, HIDDEN)
    assert tuple(replace(block, mlp_up=()) for block in anatomy.blocks) == tuple(
        Block(
            layer,
            f"{it.blocks}.{layer}",
            mlp=Tap(f"{it.blocks}.{layer}.{it.down}", "input"),
            mlp_width=it.neurons,
            attention=Tap(f"{it.blocks}.{layer}.{it.out}", "input"),
            attention_projection=f"{it.blocks}.{layer}.{it.out}",
            heads=HEADS,
            head_dim=it.head_dim,
        )
        for layer in range(LAYERS)
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_neurons_of_every_architecture_are_those_of_the_textbook_to_the_last_bit(family: str) -> None:
    it = FAMILIES[family]
    model = make(it.config, **it.more)
    anatomy = study(by_hand(model, family))
    for layer in range(LAYERS):
        site, path = neuron_site(anatomy, layer), f"{it.blocks}.{layer}"
        caught = passing(model, site.tap.module, f"{path}.{it.given}")
        with torch.no_grad():
            expected = it.hand(model.get_submodule(path), caught[f"{path}.{it.given}"][0])
        read = site.reading(caught[site.tap.module][0], None)
        assert read.std() > 1e-3
        assert torch.equal(read, expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_block_returns_is_the_models_own_hidden_state(family: str) -> None:
    it = FAMILIES[family]
    model = make(it.config, **it.more)
    path = study(by_hand(model, family)).blocks[0].path
    caught: list[Any] = []
    handle = model.get_submodule(path).register_forward_hook(lambda _module, _args, out: caught.append(out))
    with torch.no_grad():
        out = model(input_ids=torch.arange(5, 12)[None], output_hidden_states=True)
    handle.remove()
    states = out.get("encoder_hidden_states") or out["hidden_states"]
    stream = caught[0][0] if isinstance(caught[0], tuple) else caught[0]
    assert torch.equal(stream, states[1])


@pytest.mark.parametrize(("config", "more"), [("GPT2", {"n_inner": HIDDEN}), ("Llama", {"intermediate_size": HIDDEN})])
def test_an_mlp_as_wide_as_the_model_is_not_taken_for_its_first_layer(config: str, more: dict[str, Any]) -> None:
    down = [str(block.mlp.module if block.mlp else block.mlp_refused) for block in blocks_of(make(config, **more))]
    assert all(path.endswith(("mlp.c_proj", "mlp.down_proj")) for path in down)


def test_studying_leaves_no_hook_behind() -> None:
    model = make("Llama")
    study(by_hand(model, "llama"))
    assert not any(each._forward_pre_hooks or each._forward_hooks for each in model.modules())


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelError, match=r"llama has no layer 2: it has 2 blocks\. Choose a layer from 0 to 1\.$"):
        neuron_site(study(by_hand(make("Llama"), "llama")), 2)


MOE = r"a mixture of experts \([a-z.]+\) has no single hidden layer to read neurons from\. Choose a dense model\.$"


def test_a_mixture_of_experts_is_refused_for_neurons_and_not_for_heads() -> None:
    loaded = by_hand(make("Mixtral", num_local_experts=2), "mixtral")
    anatomy = study(loaded)
    with pytest.raises(ModelError, match=rf"mixtral, layers\.0: {MOE}"):
        neuron_site(anatomy, 0)
    with pytest.raises(ModelError, match=rf"mixtral, layers\.0: {MOE}"):
        mlp_sites(loaded)
    assert [(block.heads, block.residual_refused) for block in anatomy.blocks] == [(HEADS, "")] * LAYERS


DEEPSEEK = {"first_k_dense_replace": 1, "n_routed_experts": 4, "n_group": 2, "topk_group": 1, "num_experts_per_tok": 2}
DEEPSEEK |= {"qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 6, "kv_lora_rank": 8, "q_lora_rank": 8}
DEEPSEEK |= {"num_key_value_heads": HEADS}


@pytest.mark.parametrize(
    ("config", "more"),
    [
        ("Qwen2Moe", {"mlp_only_layers": [0], "num_experts": 4, "moe_intermediate_size": 8}),
        ("DeepseekV3", DEEPSEEK),
    ],
)
def test_of_a_model_that_mixes_dense_and_expert_layers_the_dense_ones_are_read(
    config: str, more: dict[str, Any]
) -> None:
    anatomy = study(by_hand(make(config, **more), "mixed"))
    assert neuron_site(anatomy, 0).tap == Tap("layers.0.mlp.down_proj", "input")
    with pytest.raises(ModelError, match=rf"mixed, layers\.1: {MOE}"):
        neuron_site(anatomy, 1)


class ListOfExperts(torch.nn.Module):  # type: ignore[misc]  # torch is Any to the type checker
    """Experts as many models of the hub hold them: whole MLPs in a list, of which a text reaches some."""

    def __init__(self, mlps: list[Any], shared: Any) -> None:
        super().__init__()
        self.experts = torch.nn.ModuleList(mlps)
        self.shared = shared

    def forward(self, x: Any) -> Any:
        own = self.experts[1](x[:, :1])
        return torch.cat([own, x[:, 1:]], dim=1) + (0 if self.shared is None else self.shared(x))


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "with a shared expert"])
def test_experts_in_a_list_are_refused_even_where_only_one_ran(shared: bool) -> None:
    model = make("Llama")
    mlps = [make("Llama").layers[0].mlp for _ in range(4)]
    model.layers[1].mlp = ListOfExperts(mlps[:3], mlps[3] if shared else None)
    first, second = blocks_of(model)
    assert first.mlp is not None
    assert "a mixture of experts" in second.mlp_refused


def test_experts_stacked_in_a_parameter_of_the_block_itself_are_refused() -> None:
    model = make("Llama")
    model.layers[0].stacked = torch.nn.Parameter(torch.zeros(2, HIDDEN, NEURONS))
    first, second = blocks_of(model)
    assert first.mlp_refused.startswith("a mixture of experts (the block's own)")
    assert second.mlp is not None


def test_layers_that_share_one_mlp_are_refused() -> None:
    loaded = by_hand(make("Albert", embedding_size=HIDDEN, num_hidden_layers=3), "albert")
    (block,) = study(loaded).blocks
    with pytest.raises(ModelError, match=r"runs 3 times on one text.*MLPs of their own\.$"):
        mlp_sites(loaded)
    assert "attention runs 3 times on one text" in block.attention_refused
    assert "runs 3 times on one text" in block.residual_refused


def test_one_module_in_two_blocks_is_refused_in_both() -> None:
    model = make("Llama")
    model.layers[1].mlp = model.layers[0].mlp
    assert ["runs 2 times" in block.mlp_refused for block in blocks_of(model)] == [True, True]


@pytest.mark.parametrize(
    ("config", "more"),
    [
        ("Mamba", {}),
        ("MobileBert", {"true_hidden_size": 8, "intra_bottleneck_size": 8, "embedding_size": HIDDEN}),
        ("Gemma4Text", {"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 512, "head_dim": 4}),
    ],
)
def test_what_only_looks_like_an_mlp_is_refused(config: str, more: dict[str, Any]) -> None:
    reasons = [block.mlp_refused for block in blocks_of(make(config, **more))]
    assert all("MLP" in reason and "Choose a transformer" in reason for reason in reasons), reasons


@pytest.mark.parametrize("width", [HIDDEN, NEURONS])
def test_a_gate_after_an_mlp_is_not_taken_for_its_output_projection(width: int) -> None:
    """As in RWKV, where a linear layer of the right size runs last and is no second layer."""
    reasons = [block.mlp_refused for block in blocks_of(make("Rwkv", intermediate_size=width))]
    assert all(reasons), reasons


def test_attention_alone_is_no_mlp() -> None:
    model = make("Llama")
    for layer in model.layers:
        layer.mlp = torch.nn.Identity()
    assert all("(only attention's)" in block.mlp_refused for block in blocks_of(model))


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2", "bert", "opt", "t5-encoder"])
def test_heads_are_found_in_the_other_implementation_of_attention_too(family: str) -> None:
    it = FAMILIES[family]
    model = make(it.config, **it.more)
    model.set_attn_implementation("eager")
    assert [(block.heads, block.head_dim) for block in blocks_of(model)] == [(HEADS, it.head_dim)] * LAYERS


@pytest.mark.parametrize("config", ["DiffLlama", "BitNet"])
def test_heads_whose_values_are_changed_before_the_projection_are_refused(config: str) -> None:
    blocks = blocks_of(make(config))
    assert all(block.mlp is not None and "were not seen to reach" in block.attention_refused for block in blocks)


@pytest.mark.parametrize(
    ("heads", "reason"),
    [
        (2, "the mixed values of 2 heads of 8 were not seen to reach self_attn.o_proj as they are"),
        (3, "the 16 inputs of self_attn.o_proj cannot be 3 heads"),
        ([4, 4], "does not state one number of heads"),
    ],
)
def test_a_number_of_heads_that_was_not_seen_is_not_believed(heads: Any, reason: str) -> None:
    model = make("Llama")
    model.config.__dict__["num_attention_heads"] = heads  # past its own check of types
    assert all(reason in block.attention_refused for block in blocks_of(model))


def test_no_heads_without_attention() -> None:
    blocks = blocks_of(make("FNet"))
    assert all("no attention output projection" in block.attention_refused for block in blocks)
    assert all(block.mlp is not None for block in blocks)


def test_two_attentions_in_one_block_are_refused() -> None:
    model = make("Llama")

    class TwoAttention(type(model.layers[0].self_attn)):  # type: ignore[misc]
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            mixed, weights = super().forward(*args, **kwargs)
            return self.again(mixed), weights

    for layer in model.layers:
        layer.self_attn.__class__ = TwoAttention
        layer.self_attn.again = torch.nn.Linear(HIDDEN, HIDDEN)
    reasons = [block.attention_refused for block in blocks_of(model)]
    assert all("several modules may be its attention's (self_attn.o_proj, self_attn.again)" in r for r in reasons)


@pytest.mark.parametrize(
    ("config", "reason"), [("XLM", "the next block is not given"), ("OpenAIGPT", "not return a tensor")]
)
def test_blocks_that_are_not_on_the_residual_stream_say_so(config: str, reason: str) -> None:
    assert reason in blocks_of(make(config))[0].residual_refused


class InCodes(torch.nn.Linear):  # type: ignore[misc]
    """A layer quantised in place: whole numbers, and a scale."""

    def __init__(self, whole: Any) -> None:
        super().__init__(whole.in_features, whole.out_features, bias=False)
        codes = (whole.weight.detach() * 50).round().to(torch.int8)
        del self.weight
        self.register_buffer("weight", codes)

    def forward(self, x: Any) -> Any:
        return torch.nn.functional.linear(x, self.weight.float() / 50)


def test_layers_quantised_in_place_are_refused() -> None:
    model = make("Llama")
    model.layers[1].mlp.down_proj = InCodes(model.layers[1].mlp.down_proj)
    model.layers[0].self_attn.o_proj = InCodes(model.layers[0].self_attn.o_proj)
    first, second = blocks_of(model)
    assert (first.mlp_refused, second.attention_refused) == ("", "")
    assert second.mlp_refused.startswith("mlp.down_proj is quantised")
    assert first.attention_refused.startswith("self_attn.o_proj is quantised")


def test_a_model_that_says_it_is_quantised_is_refused() -> None:
    model = make("Llama")
    model.config.quantization_config = {"quant_method": "gptq"}
    assert all("the model is quantised" in block.mlp_refused for block in blocks_of(model))
    assert all("the model is quantised" in block.attention_refused for block in blocks_of(model))


@pytest.mark.parametrize("kind", ["an encoder-decoder", "images"])
def test_a_model_that_needs_more_than_tokens_is_refused_in_our_words(kind: str) -> None:
    if kind == "images":
        config = transformers.ViTConfig(hidden_size=HIDDEN, num_hidden_layers=2, num_attention_heads=2, image_size=32)
        model = transformers.ViTModel(config)
    else:
        model = transformers.T5Model(transformers.T5Config(vocab_size=512, d_model=HIDDEN, num_layers=2, num_heads=2))
    with pytest.raises(ModelError, match=r"it does not run on a text's tokens alone .*decoder of text\.$"):
        study(by_hand(model.eval(), "it"))


def test_a_model_without_blocks_is_refused() -> None:
    model = make("Llama")
    model.layers = torch.nn.ModuleList()
    with pytest.raises(ModelError, match=r"bare has no list of transformer blocks\. Choose a transformer\.$"):
        study(by_hand(model, "bare"))


def test_the_decoder_of_an_encoder_decoder_is_not_read_even_where_it_is_deeper() -> None:
    """Its tokens are not the text's: BART gives its decoder the text moved by one."""
    it = FAMILIES["bart-encoder"]
    assert [block.path for block in blocks_of(make("Bart", **(it.more | {"decoder_layers": 5})))] == [
        "encoder.layers.0",
        "encoder.layers.1",
    ]


def test_gated_means_act_of_the_gate_times_up() -> None:
    """The formula that most of the table rests on, spelled out once with torch alone."""
    model, x = make("Llama"), torch.randn(1, 3, HIDDEN)
    mlp = model.layers[0].mlp
    with torch.no_grad():
        gate, up = (
            x @ each.weight.T + each.bias if each.bias is not None else x @ each.weight.T
            for each in (mlp.gate_proj, mlp.up_proj)
        )
        torch.testing.assert_close(gated(model.layers[0], x), torch.nn.functional.silu(gate) * up)
