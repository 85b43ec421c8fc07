"""campaign.toml as a checked model, and what is wrong with it in words."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from imitable.campaign.material import About, Corpus, Model, Study, Table, Targets
from imitable.campaign.running import Episode, Pay, Platforms, Players, Readings, Serve, Sitting, Store
from imitable.errors import CampaignError


class Campaign(Table):
    """campaign.toml"""

    campaign: About
    study: Study = Study()
    model: Model | None = None
    models: list[Model] = Field(default=[])
    corpus: Corpus
    targets: list[Targets] = Field(min_length=1)
    episode: Episode = Episode()
    readings: Readings = Readings()
    players: Players = Players()
    sitting: Sitting = Sitting()
    serve: Serve = Serve()
    store: Store = Store()
    platform: Platforms = Platforms()
    pay: Pay = Pay()

    @model_validator(mode="after")
    def _models_differ(self) -> Campaign:
        if (self.model is None) == (not self.models):
            raise ValueError("needs one [model] table, or several [[models]], and not both")
        names = [model.model_id for model in self.all_models]
        if len(set(names)) != len(names):
            raise ValueError(f"two models are called '{max(names, key=names.count)}'; give each its own name")
        return self

    @model_validator(mode="after")
    def _probes_are_named(self) -> Campaign:
        if "probes" in self.episode.levels and not self.readings.probes:
            raise ValueError('level "probes" reads probes: name their files, [readings] probes = ["x.safetensors"]')
        return self

    @property
    def all_models(self) -> list[Model]:
        """The models, however they were written."""
        return [self.model] if self.model is not None else self.models


def read_config(path: Path) -> Campaign:
    """Read and check one campaign.toml. Raises CampaignError naming file, table and key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise CampaignError(f"There is no {path}. Make a campaign with: imitable new {path.parent}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CampaignError(f"{path} cannot be read: {error}. Mend that place and try again.") from error
    try:
        return Campaign.model_validate(data, context={"base": path.parent})
    except ValidationError as error:
        problems = [_say(problem) for problem in error.errors()]
        raise CampaignError(f"{path}: " + "; ".join(problems) + ". Mend this and try again.") from error


_FORMS = {
    "targets.name": "must be letters, digits, _ and -",
    **dict.fromkeys(("model.name", "models.name"), "must be one line that does not begin or end with a space"),
    "campaign.name": "must be letters, digits, spaces, _, . or -, at most 80, and begin with a letter or digit",
    "document": "must be 'text' or 'block:N', such as 'block:10'",
    **dict.fromkeys(
        (
            "public_url",
            "api_url",
            "keys_url",
            "completion_url",
            "endpoint_url",
            "worker_sites",
            "backend_url",
            "label_studio.url",
        ),
        "must be a web address that begins with http:// or https://",
    ),
    **dict.fromkeys(("completion_code", "stopped_code"), "must be 4 to 32 letters and digits"),
    "study.language": "must be a language tag, such as 'de' or 'pt-BR'",
    "currency": "must be three capital letters, such as 'USD'",
    **dict.fromkeys(
        ("base", "bonus_per_point", "floor_per_hour", "cap"), 'must be an amount in quotes, such as "3.00"'
    ),
}
"""What a value must look like, in words, by key."""


def _say(problem: Any) -> str:
    where, *inner = problem["loc"] or ("",)
    table = f"table [{where}]" if where else "the file"
    keys = ".".join(f"#{part + 1}" if isinstance(part, int) else part for part in inner)
    if problem["type"] == "extra_forbidden":
        named = f"table [{where}], unknown key '{keys}'" if keys else f"unknown table [{where}]"
        return f"{named} (see 'imitable new' for the keys there are)"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if problem["type"] == "missing":
        message = "is missing"
    if problem["type"] == "model_type":
        message = "is a table of keys, and not a single value"
    if problem["type"] == "string_pattern_mismatch":
        table_of, key = [where, *(part for part in inner if isinstance(part, str))][-2:]
        message = _FORMS.get(f"{table_of}.{key}", _FORMS.get(key, message) if key != "name" else message)
    shown = "" if problem["type"] in ("missing", "value_error") else f" (it is {problem['input']!r})"
    return f"{table}{f', key {keys!r}' if keys else ''}: {message}{shown}"
