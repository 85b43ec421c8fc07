"""Tiny random models of many architectures, each with the places of its parts and the textbook formula of its MLP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers

from imitable.activations import Loaded

torch.set_num_threads(1)  # models this small lose by threads

HIDDEN, NEURONS, HEADS, LAYERS = 16, 40, 4, 2

Hand = Callable[[Any, Any], Any]
"""(a block, what goes into its MLP) -> the MLP's hidden units, by the block's own submodules."""


@dataclass(frozen=True)
class Family:
    """One architecture. Paths are within a block."""

    config: str
    """Name of its configuration class, less `Config`."""
    blocks: str
    """Path of the list of blocks."""
    given: str
    """The module whose input is the MLP's."""
    down: str
    """The MLP's output projection."""
    out: str
    """Attention's output projection."""
    hand: Hand
    more: dict[str, Any]
    neurons: int = NEURONS
    head_dim: int = HIDDEN // HEADS


def gated(block: Any, x: Any) -> Any:
    return block.mlp.act_fn(block.mlp.gate_proj(x)) * block.mlp.up_proj(x)


def plain(up: str, act: str, mlp: str = "mlp") -> Hand:
    return lambda block, x: getattr(getattr(block, mlp), act)(getattr(getattr(block, mlp), up)(x))


def fused(block: Any, x: Any) -> Any:
    gate, up = block.mlp.gate_up_proj(x).chunk(2, dim=-1)
    return up * block.mlp.activation_fn(gate)


def modern_bert(block: Any, x: Any) -> Any:
    first, gate = block.mlp.Wi(x).chunk(2, dim=-1)
    return block.mlp.act(first) * gate


def bloom(block: Any, x: Any) -> Any:
    return block.mlp.gelu_impl(block.mlp.dense_h_to_4h(x))


def t5(block: Any, x: Any) -> Any:
    dense = block.layer[1].DenseReluDense
    return dense.act(dense.wi_0(x)) * dense.wi_1(x)


def unfolded(block: Any, x: Any) -> Any:
    """OPT, BART and kin have no module for the MLP."""
    return block.activation_fn(block.fc1(x))


def like_llama(config: str, hand: Hand = gated, down: str = "mlp.down_proj", **more: Any) -> Family:
    head_dim = more.get("head_dim", HIDDEN // HEADS)
    return Family(config, "layers", "mlp", down, "self_attn.o_proj", hand, more, head_dim=head_dim)


def like_bert(config: str, out: str = "attention.output.dense", **more: Any) -> Family:
    hand = plain("dense", "intermediate_act_fn", "intermediate")
    return Family(config, "encoder.layer", "intermediate", "output.dense", out, hand, more)


def like_gpt2(config: str, down: str, up: str, out: str, **more: Any) -> Family:
    return Family(config, "h", "mlp", down, out, plain(up, "act"), more)


_BART = {"d_model": HIDDEN, "encoder_ffn_dim": NEURONS, "decoder_ffn_dim": NEURONS}
_BART |= dict.fromkeys(("encoder_layers", "decoder_layers"), LAYERS)
_BART |= dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), HEADS)
_T5 = {"d_kv": 6, "d_ff": NEURONS, "num_layers": LAYERS, "num_heads": HEADS, "feed_forward_proj": "gated-gelu"}

FAMILIES: dict[str, Family] = {
    "gpt2": like_gpt2("GPT2", "mlp.c_proj", "c_fc", "attn.c_proj", n_inner=NEURONS),
    "gpt-bigcode": like_gpt2("GPTBigCode", "mlp.c_proj", "c_fc", "attn.c_proj", n_inner=NEURONS),
    "gpt-neo": like_gpt2(
        "GPTNeo", "mlp.c_proj", "c_fc", "attn.attention.out_proj", attention_types=[[["global", "local"], 1]]
    ),
    "gpt-j": like_gpt2("GPTJ", "mlp.fc_out", "fc_in", "attn.out_proj", rotary_dim=2, n_inner=NEURONS),
    "codegen": like_gpt2("CodeGen", "mlp.fc_out", "fc_in", "attn.out_proj", rotary_dim=2, n_inner=NEURONS),
    "gpt-neox": Family(
        "GPTNeoX", "layers", "mlp", "mlp.dense_4h_to_h", "attention.dense", plain("dense_h_to_4h", "act"), {}
    ),
    "falcon": like_gpt2(
        "Falcon", "mlp.dense_4h_to_h", "dense_h_to_4h", "self_attention.dense", ffn_hidden_size=NEURONS, bias=True
    ),
    "falcon-new": like_gpt2(
        "Falcon",
        "mlp.dense_4h_to_h",
        "dense_h_to_4h",
        "self_attention.dense",
        ffn_hidden_size=NEURONS,
        new_decoder_architecture=True,
        num_kv_heads=2,
    ),
    "bloom": Family("Bloom", "h", "mlp", "mlp.dense_4h_to_h", "self_attention.dense", bloom, {}, neurons=4 * HIDDEN),
    "mpt": Family(
        "Mpt", "blocks", "ffn", "ffn.down_proj", "attn.out_proj", plain("up_proj", "act", "ffn"), {}, neurons=4 * HIDDEN
    ),
    "ctrl": Family(
        "CTRL", "h", "ffn", "ffn.2", "multi_head_attention.dense", lambda b, x: b.ffn[1](b.ffn[0](x)), {"dff": NEURONS}
    ),
    "llama": like_llama("Llama", attention_bias=True, mlp_bias=True),
    "mistral": like_llama("Mistral"),
    "ministral": like_llama("Ministral", head_dim=4),
    "qwen2": like_llama("Qwen2"),
    "qwen3": like_llama("Qwen3", head_dim=6),
    "olmo": like_llama("Olmo"),
    "olmo2": like_llama("Olmo2"),
    "olmo3": like_llama("Olmo3"),
    "stablelm": like_llama("StableLm"),
    "gemma": like_llama("Gemma", head_dim=6),
    "gemma2": like_llama("Gemma2", head_dim=6),
    "gemma3": like_llama("Gemma3Text", head_dim=6),
    "granite": like_llama("Granite"),
    "cohere": like_llama("Cohere"),
    "cohere2": like_llama("Cohere2"),
    "smollm3": like_llama("SmolLM3"),
    "helium": like_llama("Helium", head_dim=4),
    "ernie-4.5": like_llama("Ernie4_5", head_dim=4),
    "exaone-4": like_llama("Exaone4"),
    "seed-oss": like_llama("SeedOss", head_dim=4),
    "hunyuan": like_llama("HunYuanDenseV1", head_dim=4),
    "arcee": like_llama("Arcee", plain("up_proj", "act_fn")),
    "nemotron": like_llama("Nemotron", plain("up_proj", "act_fn"), head_dim=4),
    "starcoder2": like_llama("Starcoder2", plain("c_fc", "act"), "mlp.c_proj"),
    "nanochat": like_llama("NanoChat", plain("fc1", "activation_fn"), "mlp.fc2"),
    "phi3": like_llama("Phi3", fused),
    "glm": like_llama("Glm", fused, head_dim=4),
    "glm4": like_llama("Glm4", fused, head_dim=4),
    "phi": Family("Phi", "layers", "mlp", "mlp.fc2", "self_attn.dense", plain("fc1", "activation_fn"), {}),
    "persimmon": Family(
        "Persimmon", "layers", "mlp", "mlp.dense_4h_to_h", "self_attn.dense", plain("dense_h_to_4h", "act"), {}
    ),
    "opt": Family(
        "OPT",
        "decoder.layers",
        "fc1",
        "fc2",
        "self_attn.out_proj",
        unfolded,
        {"ffn_dim": NEURONS, "word_embed_proj_dim": HIDDEN},
    ),
    "biogpt": Family("BioGpt", "layers", "fc1", "fc2", "self_attn.out_proj", unfolded, {}),
    "xglm": Family("XGLM", "layers", "fc1", "fc2", "self_attn.out_proj", unfolded, {"ffn_dim": NEURONS}),
    "bart-encoder": Family("Bart", "encoder.layers", "fc1", "fc2", "self_attn.out_proj", unfolded, _BART),
    "bert": like_bert("Bert"),
    "roberta": like_bert("Roberta"),
    "xlm-roberta": like_bert("XLMRoberta"),
    "electra": like_bert("Electra", embedding_size=HIDDEN),
    "deberta": like_bert("Deberta", relative_attention=True, pos_att_type=["c2p", "p2c"]),
    "deberta-v2": like_bert("DebertaV2", relative_attention=True, pos_att_type=["c2p", "p2c"]),
    "mpnet": like_bert("MPNet", out="attention.attn.o"),
    "rembert": like_bert("RemBert"),
    "megatron-bert": like_bert("MegatronBert"),
    "distilbert": Family(
        "DistilBert",
        "transformer.layer",
        "ffn.lin1",
        "ffn.lin2",
        "attention.out_lin",
        plain("lin1", "activation", "ffn"),
        {"hidden_dim": NEURONS},
    ),
    "modernbert": Family("ModernBert", "layers", "mlp", "mlp.Wo", "attn.Wo", modern_bert, {}),
    "nomic-bert": like_llama("NomicBert"),
    "t5-encoder": Family(
        "T5",
        "encoder.block",
        "layer.1.DenseReluDense",
        "layer.1.DenseReluDense.wo",
        "layer.0.SelfAttention.o",
        t5,
        _T5,
        head_dim=6,
    ),
}


def make(config: str, **more: Any) -> Any:
    """A model of 512 tokens whose every parameter is random, biases and norms too, in evaluation mode."""
    named = {
        "vocab_size": 512,
        "hidden_size": HIDDEN,
        "intermediate_size": NEURONS,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    stated = getattr(transformers, f"{config}Config")(**(named | more))
    torch.manual_seed(0)
    model = transformers.T5EncoderModel(stated) if config == "T5" else transformers.AutoModel.from_config(stated)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def by_hand(model: Any, name: str) -> Loaded:
    """A model as `load_model` would give it, without a folder."""
    return Loaded(model_id=name, model=model, tokenizer=None, sha256="", longest=None, versions={}, files={})


def passing(model: Any, *modules: str, tokens: Sequence[int] = range(5, 12)) -> dict[str, tuple[Any, Any]]:
    """What goes into and comes out of modules in one forward pass over a text, by path."""
    caught: dict[str, tuple[Any, Any]] = {}

    def catch(path: str) -> Any:
        return model.get_submodule(path).register_forward_hook(
            lambda _module, args, out: caught.update({path: (args[0], out)})
        )

    handles = [catch(path) for path in modules]
    with torch.no_grad():
        model(input_ids=torch.tensor([list(tokens)]))
    for handle in handles:
        handle.remove()
    return caught
