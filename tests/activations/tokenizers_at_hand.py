"""Tokenizers of the families that models on the hub have, trained here in a moment: no network, no files.

Every one comes with its own check that the characters a window marks are what the token stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from building import builtin_model, stories
from imitable.activations import Loaded, Window

FOREIGN = (
    "L'été dernier, ma sœur a mangé une crème brûlée à Nîmes. Das Mädchen fährt über die Brücke nach Köln.",
    "Жила-была девочка, и звали её Маша. Она пошла в лес за грибами. İstanbul'da büyük bir köpek gördüm.",
    "ذهبت الفتاة إلى الحديقة ولعبت مع الكلب. היא הלכה לגן ושיחקה עם הכלב.",
    "雨が降っていたので、彼女は公園へ行かずに家で本を読んでいました。小女孩去公园玩。 한국의 아이가 공을 찼다.",
    "लड़की पार्क में गई और कुत्ते के साथ खेली। เด็กหญิงไปสวนสาธารณะ",
    "I 😀 like 👩‍👩‍👧 and 🇫🇷 🇩🇪 👍🏽 ❤️ a lot. The ﬁrst oﬃce № ½ ﷺ",
)
"""Lines in scripts that the built-in text does not have."""

Check = Callable[[Window, int], bool]
"""Whether the characters marked for a token of a window are what that token stands for."""


def family(name: str) -> tuple[Loaded, Check]:
    """A tokenizer of one of the FAMILIES, wrapped as a model's, and its check. Made once."""
    return _made(name)


@cache
def _made(name: str) -> tuple[Loaded, Check]:
    fast, check = FAMILIES[name]()
    return without_model(name, fast), check


def without_model(name: str, tokenizer: Any) -> Loaded:
    """What cutting needs of a loaded model: its name and its tokenizer."""
    return Loaded(model_id=name, model=None, tokenizer=tokenizer, sha256="0" * 64, longest=None, versions={}, files={})


def corpus() -> Sequence[str]:
    """What they are trained on."""
    return [*stories(60), *FOREIGN * 3]


def _gpt2(*, prefix: bool) -> tuple[Any, Check]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=not prefix)
    tokenizer.train_from_iterator(corpus(), _bytes_trainer("<|endoftext|>"))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
    return fast, _in_bytes(fast, lambda token: bytes(_byte_of()[letter] for letter in token))


def _llama3() -> tuple[Any, Check]:
    """Byte-level with a BOS from the post-processor, a merged regular expression, and specials that have no role."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    split = pre_tokenizers.Split(Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+"), "isolated")
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, whole])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = _bytes_trainer("<|begin_of_text|>", "<|endoftext|>", "<|reserved_0|>")
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)]),
        ]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|begin_of_text|>", eos_token="<|endoftext|>")
    return fast, _in_bytes(fast, lambda token: bytes(_byte_of()[letter] for letter in token))


def _bytes_trainer(*special: str) -> Any:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trainers.BpeTrainer(
        vocab_size=900, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )


def _stories() -> tuple[Any, Check]:
    """The built-in model's own: SentencePiece BPE with byte fallback, whose spaces are part of the normaliser."""
    fast = PreTrainedTokenizerFast(
        tokenizer_file=str(builtin_model() / "tokenizer.json"), bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )

    def as_bytes(token: str) -> bytes:
        return bytes([int(token[3:5], 16)]) if token.startswith("<0x") else token.replace("▁", " ").encode()

    return fast, _in_bytes(fast, as_bytes)


def _bert() -> tuple[Any, Check]:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=900, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
    return fast, _as_normalised(fast, lambda token: token.removeprefix("##"))


def _unigram() -> tuple[Any, Check]:
    special = ["<pad>", "</s>", "<unk>", "<s>"]
    tokenizer = Tokenizer(models.Unigram())
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=900, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 3), ("</s>", 1)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", mask_token="<mask>"
    )
    return fast, _as_normalised(fast, lambda token: token.replace("▁", " "))


FAMILIES: dict[str, Callable[[], tuple[Any, Check]]] = {
    "gpt2": lambda: _gpt2(prefix=False),
    "gpt2-prefix": lambda: _gpt2(prefix=True),
    "llama3": _llama3,
    "stories260K": _stories,
    "bert": _bert,
    "unigram": _unigram,
}


def _in_bytes(fast: Any, as_bytes: Callable[[str], bytes]) -> Check:
    """The token's bytes begin within the first marked character and run at least to the end of the last."""

    def check(window: Window, at: int) -> bool:
        token = fast.convert_ids_to_tokens(window.token_ids[at])
        marked = window.text[slice(*window.offsets[at])].lstrip()
        first = len(marked[0].encode())
        meant, bare = as_bytes(token).lstrip(), marked.encode()
        return marked == token or any(meant.startswith(bare[skipped:]) for skipped in range(first))

    return check


def _as_normalised(fast: Any, bare: Callable[[str], str]) -> Check:
    """The token begins within the first marked character, normalised, and runs at least to the end of the last."""

    def check(window: Window, at: int) -> bool:
        token = fast.convert_ids_to_tokens(window.token_ids[at])
        marked = window.text[slice(*window.offsets[at])].lstrip()
        normalise = fast.backend_tokenizer.normalizer.normalize_str
        meant, normalised = bare(token).strip(), normalise(marked).strip()
        first = len(normalise(marked[0]))
        return marked == token or any(meant.startswith(normalised[skipped:]) for skipped in range(first))

    return check


@cache
def _byte_of() -> dict[str, int]:
    """GPT-2's alphabet: printable bytes stand for themselves, the others follow from U+0100 on."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in own]
    return {chr(byte): byte for byte in own} | {chr(0x100 + at): byte for at, byte in enumerate(others)}


def in_order(window: Window) -> bool:
    """Whether offsets follow each other without overlap, inside the text."""
    ends = [end for span in window.offsets for end in span]
    return all(left <= right for left, right in pairwise([0, *ends, len(window.text)]))
