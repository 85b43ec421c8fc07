"""For tests, ours and those of people who write platforms: invented campaigns, and the contract a platform keeps.

Nothing here needs torch: an invented campaign has a store full of playable targets whose truths were drawn at random.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imitable.campaign import Folder, open_folder
from imitable.platforms import Platform
from imitable.rounds import AnswerKey, Example, Item, MadeTarget, PlayedTarget, Split
from imitable.store import Store, build_hash_of, load_build, open_store, read_build, write_build
from imitable.targets import Polarity, TargetId
from imitable_aggregation import scoring

_WORDS = ["lily", "went", "to", "the", "park", "and", "saw", "a", "big", "red", "ball", "under", "an", "old", "tree"]


def invented_campaign(
    path: Path,
    *,
    targets: int = 3,
    practice: int = 3,
    held_out: int = 2,
    episodes: int = 2,
    annotators_per_target: int = 10,
    levels: Sequence[str] = ("examples",),
    polarity: Polarity = "pos",
    key: bytes = bytes(range(32)),
    consent: str = "",
    web: str = "",
    episode: str = "",
    more: str = "",
    seed: int = 0,
) -> Folder:
    """Make a campaign's folder at `path` with invented targets, built and loaded into its store.

    `consent` is a consent text, `web` goes into [platform.web], `episode` into [episode], and `more` stands at the end
    of campaign.toml. The same arguments give the same ids, texts and truths.
    """
    path.mkdir(parents=True, exist_ok=True)
    (path / "secret.key").write_text(key.hex() + "\n", encoding="ascii")
    if consent:
        (path / "consent.md").write_text(consent, encoding="utf-8")
    (path / "campaign.toml").write_text(
        f"""
[campaign]
name = "invented"
[study]
consent = {"'consent.md'" if consent else "''"}
[model]
path = "builtin:stories260K"
[corpus]
path = "builtin:tinystories"
[[targets]]
sites = ["mlp.0"]
units = {list(range(targets))}
[episode]
levels = {json.dumps(list(levels))}
practice = {practice}
held_out = {held_out}
pool = {{ practice = {4 * practice + 2}, held_out = {4 * held_out + 2} }}
{episode}
[sitting]
episodes = {episodes}
[platform.web]
annotators_per_target = {annotators_per_target}
{web}
{more}
""",
        encoding="utf-8",
    )
    folder = open_folder(path)
    rng = np.random.default_rng(seed)
    config = folder.config.episode.pool
    made = [
        _target(folder, TargetId("invented", "mlp.0", unit, polarity), config.practice, config.held_out, rng)
        for unit in range(targets)
    ]
    build_hash = build_hash_of(folder)
    items = sum(len(one.items) for one in made)
    report = {"build_hash": build_hash, "models": [], "targets": targets, "items": items, "left_out": [], "notes": []}
    write_build(folder.build, made, report)
    store = open_store(folder)
    try:
        load_build(store, name="invented", build_hash=build_hash, records=read_build(folder.build))
    finally:
        store.close()
    return folder


def _target(folder: Folder, identity: TargetId, practice: int, held_out: int, rng: np.random.Generator) -> MadeTarget:
    items, answers = [], []
    sizes: tuple[tuple[Split, int], ...] = (("practice", practice), ("held_out", held_out))
    for split, size in sizes:
        for at in range(size):
            text, offsets = _text(rng)
            active = at % 2 == 0
            truth = float(rng.uniform(2, 10)) if active else 0.0
            if identity.polarity == "both" and rng.random() < 0.5:
                truth = -truth
            item_id = "i_" + folder.derive("item", identity, split, at)
            items.append(
                Item(
                    item_id=item_id,
                    target_id=str(identity),
                    split=split,
                    text=text,
                    token_ids=tuple(range(len(offsets))),
                    offsets=offsets,
                    position=int(rng.integers(1, len(offsets))),
                    document=at,
                    stratum="active-1" if active else "inactive",
                    weight=float(rng.uniform(1, 30)),
                )
            )
            answers.append(AnswerKey(item_id, truth, truth / 5, (truth / 5,) * len(offsets)))
    measuring = [answer.truth for item, answer in zip(items, answers, strict=True) if item.split == "held_out"]
    target = PlayedTarget(
        target_id=str(identity),
        model_id=identity.model,
        kind=identity.kind,
        site=identity.site,
        unit=identity.index,
        polarity=identity.polarity,
        selected_by="units",
        l_ref=max(scoring.FLATTEST_L_REF, scoring.l_ref(measuring)),
        scale_s=1.0,
        scale_m=2.0,
        file_hash="0" * 64,
        score=None,
    )
    examples = []
    for place, role in enumerate(("top", "contrast")):
        text, offsets = _text(rng)
        values = tuple(float(value) for value in rng.uniform(0, 10, len(offsets)))
        examples.append(Example(str(identity), place, role, text, offsets, 1, values))
    return MadeTarget(target, tuple(items), tuple(answers), tuple(examples))


def _text(rng: np.random.Generator) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A text of twelve words and the characters of each, the space before a word belonging to it."""
    words = [str(word) for word in rng.choice(_WORDS, 12)]
    text, offsets = "", []
    for word in words:
        start = len(text)
        text += word if not text else f" {word}"
        offsets.append((start, len(text)))
    return text, tuple(offsets)


class PlatformContract:
    """What every platform keeps. Derive a test class from it, set `platform`, and let pytest collect it."""

    def platform(self) -> Platform:
        """The platform under test."""
        raise NotImplementedError

    def campaign(self, path: Path) -> tuple[Folder, Store]:
        """A built campaign for it; override to add the platform's own settings."""
        folder = invented_campaign(path)
        return folder, open_store(folder)

    def test_a_dry_run_makes_nothing(self, tmp_path: Path) -> None:
        folder, store = self.campaign(tmp_path / "campaign")
        before = {path: path.read_bytes() for path in sorted(folder.path.rglob("*.csv"))}
        said = self.platform().publish(folder, store, places=3, dry_run=True)
        assert said.what  # noqa: S101
        assert said.files == ()  # noqa: S101
        assert {path: path.read_bytes() for path in sorted(folder.path.rglob("*.csv"))} == before  # noqa: S101
        store.close()

    def test_publishing_twice_is_publishing_once(self, tmp_path: Path) -> None:
        folder, store = self.campaign(tmp_path / "campaign")
        first = self.platform().publish(folder, store, places=3, dry_run=False)
        contents = [path.read_bytes() for path in first.files]
        second = self.platform().publish(folder, store, places=3, dry_run=False)
        assert second == first  # noqa: S101
        assert [path.read_bytes() for path in second.files] == contents  # noqa: S101
        store.close()

    def test_collecting_and_closing_can_be_repeated(self, tmp_path: Path) -> None:
        folder, store = self.campaign(tmp_path / "campaign")
        platform = self.platform()
        platform.publish(folder, store, places=1, dry_run=False)
        assert platform.collect(folder, store) == platform.collect(folder, store)  # noqa: S101
        platform.close(folder, store)
        platform.close(folder, store)
        store.close()
