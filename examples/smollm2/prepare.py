"""Make what campaign.toml in this folder needs and git does not hold: corpus, labelled texts, an SAE and a key."""

from __future__ import annotations

import csv
import json
import random
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn.functional import normalize

from imitable.activations import Shard, Tap, cut, load_model, scan_dtype, stream_corpus, study
from imitable.activations.running import run
from imitable.campaign import read_config, write_key

HERE = Path(__file__).resolve().parent

MONEY = (
    r"\b(tax\w*|budget\w*|econom\w*|inflation\w*|wages?|dollars?|billions?|millions?|deficits?|prices?|spending|debts?|"
    r"\w*employment|jobs?|incomes?|cents|costs?|fiscal|profits?|loans?|credits?|payments?)\b"
)
BEGINNING = 200  # characters of a paragraph that decide its label: about as many as the probe is shown, one window
EACH = 400  # paragraphs of each label
LAYER = 15  # of 30: the SAE reads the residual stream behind this block
LATENTS, K = 2304, 16
EPOCHS, BATCH, RATE = 8, 1024, 1e-3


def say(what: str, done: int, total: int, start: float) -> None:
    """A line that is written over and over: how far it is, and the time left."""
    left = (time.perf_counter() - start) / done * (total - done)
    print(f"\r{what}: {done:,} of {total:,}, {left:.0f} s left  ", end="\n" if done == total else "", flush=True)


def paragraphs() -> Iterator[str]:
    """The addresses' paragraphs, without titles and dates; quotation marks that were read as Latin-1 are put back."""
    for line in (HERE / "state_of_the_union.jsonl").open(encoding="utf-8"):
        text = re.sub("¡.", lambda pair: pair[0].encode("latin-1").decode("big5", "ignore"), json.loads(line)["text"])
        for words in (" ".join(paragraph.split()) for paragraph in text.split("\n")):
            if len(words) >= 100 and not words.isupper():
                yield words


def labels(texts: list[str]) -> list[tuple[str, str]]:
    """(text, label): `yes` where two different words of MONEY stand in the beginning, `no` where none does."""
    found: dict[str, list[str]] = {"no": [], "yes": []}
    for text in texts:
        words = {word.lower() for word in re.findall(MONEY, text[:BEGINNING], re.IGNORECASE)}
        if len(words) != 1:
            found["yes" if words else "no"].append(text)
    rng = random.Random(0)
    rows = [(text, label) for label, all_of_it in found.items() for text in rng.sample(all_of_it, EACH)]
    rng.shuffle(rows)
    return rows


def residuals() -> tuple[torch.Tensor, str]:
    """Block LAYER's output at every token that may be asked about, (tokens, d) float32; and the model's name."""
    config = read_config(HERE / "campaign.toml")
    corpus, model = config.corpus, config.all_models[0]
    loaded = load_model(model, base=HERE)
    tap = Tap(study(loaded).block(LAYER).path, "output")
    texts = ((number, text.text) for number, text in enumerate(stream_corpus(corpus, base=HERE)))
    with tempfile.TemporaryDirectory() as folder:
        paths = cut(loaded, texts, shortest=corpus.shortest, longest=corpus.max_tokens, folder=Path(folder))
        shards = [Shard.load(path) for path in paths]
    rows: list[torch.Tensor] = []
    total, done, start = sum(len(shard.tokens) for shard in shards), 0, time.perf_counter()
    for shard in shards:

        def take(_tap: Tap, caught: Any, places: Any, shard: Shard = shard) -> None:
            rows.append(caught[torch.from_numpy(shard.focusable[places])].float())

        for places in run(loaded, shard, [tap], take, dtype=scan_dtype(loaded, model.scan_dtype)):
            done += places.size
            say("Reading the residual stream: tokens", done, total, start)
    return torch.cat(rows), loaded.model_id


def train(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """A top-k SAE of the rows of `x`. Latents that were silent for an epoch begin again where the error is large."""
    torch.manual_seed(0)
    factor = x.shape[1] ** 0.5 / x.norm(dim=1).mean()  # train at a mean norm of √d; folded into the weights at the end
    x = x * factor
    held_out, x = x[-len(x) // 20 :], x[: -len(x) // 20]  # of the corpus's last addresses
    decoder = normalize(torch.randn(LATENTS, x.shape[1]))
    first = {"W_dec": decoder, "W_enc": decoder.T, "b_enc": torch.zeros(LATENTS), "b_dec": x.mean(0)}
    p = {name: each.clone(memory_format=torch.contiguous_format).requires_grad_() for name, each in first.items()}
    adam = torch.optim.Adam(p.values(), lr=RATE)

    def both_ways(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, places = ((rows - p["b_dec"]) @ p["W_enc"] + p["b_enc"]).topk(K, dim=1, sorted=False)
        codes = torch.zeros(len(rows), LATENTS).scatter(1, places, values.relu())
        return codes, rows - (codes @ p["W_dec"] + p["b_dec"])

    steps, done, start = EPOCHS * (len(x) // BATCH), 0, time.perf_counter()
    for epoch in range(EPOCHS):
        fired = torch.zeros(LATENTS, dtype=torch.bool)
        for batch in torch.randperm(len(x))[: len(x) // BATCH * BATCH].view(-1, BATCH):
            codes, error = both_ways(x[batch])
            adam.zero_grad()
            error.pow(2).sum(1).mean().backward()
            adam.param_groups[0]["lr"] = RATE * min(1.0, 5 * (1 - done / steps))  # the last fifth: down to 0
            adam.step()
            done += 1
            with torch.no_grad():
                p["W_dec"].div_(p["W_dec"].norm(dim=1, keepdim=True))
                fired |= (codes > 0).any(0)
            say("Training the SAE: step", done, steps, start)
        dead = (~fired).nonzero()[:BATCH, 0]
        if len(dead) and epoch < EPOCHS - 2:
            with torch.no_grad():
                worst = normalize(error[error.norm(dim=1).topk(len(dead)).indices])
                p["W_dec"][dead], p["W_enc"][:, dead], p["b_enc"][dead] = worst, worst.T, 0.0
    with torch.no_grad():
        missed = both_ways(held_out)[1].pow(2).sum() / (held_out - held_out.mean(0)).pow(2).sum()
        p["W_enc"], p["b_dec"], p["W_dec"] = p["W_enc"] * factor, p["b_dec"] / factor, p["W_dec"] / factor
    print(f"Of {len(held_out):,} held-out tokens it explains {1 - missed:.1%} of the variance; over the last epoch")
    print(f"({len(x):,} tokens) {int((~fired).sum())} of {LATENTS:,} latents were silent.")
    return {name: each.detach().contiguous() for name, each in p.items()}


def main() -> None:
    texts = list(paragraphs())
    (HERE / "corpus.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="ascii")
    with (HERE / "labelled.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "money"), *labels(texts)])
    print(f"corpus.jsonl: {len(texts):,} paragraphs; labelled.csv: {EACH} about money, {EACH} not")
    if not (HERE / "secret.key").exists():
        write_key(HERE / "secret.key")
    rows, model_name = residuals()
    folder = HERE / "saes" / "middle"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(train(rows), folder / "sae_weights.safetensors")
    about = {"architecture": "topk", "k": K, "d_in": rows.shape[1], "d_sae": LATENTS, "dtype": "float32"}
    about |= {"apply_b_dec_to_input": True, "normalize_activations": "none", "rescale_acts_by_decoder_norm": False}
    about |= {"metadata": {"hook_name": f"blocks.{LAYER}.hook_resid_post", "model_name": model_name}}
    (folder / "cfg.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
