"""Every word an annotator reads, in one language: the catalogue that ships, and a campaign's own words over it.

Catalogues are TOML, `[page]` and `key = "text"`; the comments of `web/texts/en.toml` say how texts are written. They
are read and cut up once; a text is then found by `page.key` and filled in.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from imitable_templates.plurals import CATEGORIES, Rule, plural_rule

SHIPPED = Path(str(files("imitable_templates.web"))) / "texts"
"""The folder of the catalogues that ship; en.toml has every key."""

_FIELD = re.compile(r"\{([a-z_]+)\}")
_MARKS = re.compile(r"\{[^}]*\}?|\}|\||=\d+(?:\.\d+)?\]")
"""What a translation has to keep: fields, bars around a marked piece, and numbers of words."""

_SPECIAL = re.compile(r"[&<>\"']")

_RIGHT_TO_LEFT = {"ar", "ckb", "dv", "fa", "he", "ks", "nqo", "ps", "sd", "syr", "ug", "ur", "yi"}
_SCRIPTS_TO_LEFT = {"adlm", "arab", "hebr", "mand", "nkoo", "rohg", "samr", "syrc", "thaa"}


class TextsError(ValueError):
    """A catalogue that cannot be used. The message names file and key, and ends with what to do."""


class Html(str):
    """HTML that is safe as it stands. Template engines know it by `__html__`."""

    __slots__ = ()

    def __html__(self) -> Html:
        return self


class _Text:
    """One text, made ready: with a %s for each of its fields."""

    __slots__ = ("fields", "html", "plain")

    def __init__(self, text: str) -> None:
        self.fields = _FIELD.findall(text)
        bold = iter(("<b>", "</b>") * text.count("**"))
        self.html = Html(self._ready(re.sub(r"\*\*", lambda _: next(bold), escape(text))))
        self.plain = self._ready(text.replace("**", ""))

    def _ready(self, text: str) -> str:
        return _FIELD.sub("%s", text.replace("%", "%%")) if self.fields else text


class Texts:
    """The texts of one language. A key that no catalogue has is a KeyError: a mistake of ours."""

    def __init__(
        self, language: str, found: Mapping[str, str | Mapping[str, str]], untranslated: tuple[str, ...]
    ) -> None:
        self.language = language
        """BCP 47 tag, such as `de` or `pt-BR`: the `lang` of the page."""
        self.direction: Literal["ltr", "rtl"] = direction_of(language)
        self.untranslated = untranslated
        """Keys whose English stands in."""
        self.words = found
        """Every text as it stands in the catalogues, by `page.key`; forms of a number by category."""
        self._rule: Rule = plural_rule(language)
        self._texts = {key: _Text(text) for key, text in found.items() if isinstance(text, str)}
        self._forms = {
            key: {form: _Text(text) for form, text in forms.items()}
            for key, forms in found.items()
            if not isinstance(forms, str)
        }

    def plain(self, key: str, **fields: object) -> str:
        """A text for where no HTML can stand, with its fields filled in."""
        text = self._find(key, fields)
        return text.plain % tuple([fields[name] for name in text.fields]) if text.fields else text.plain

    def html(self, key: str, **fields: object) -> Html:
        """A text as HTML: bold where it says so, and fields escaped unless they are HTML themselves."""
        text = self._find(key, fields)
        return Html(text.html % tuple([_safe(fields[name]) for name in text.fields])) if text.fields else text.html

    def page(self, name: str) -> dict[str, str]:
        """The texts of one page by key, as they stand in the catalogue; forms of a number are left out."""
        return {
            key.removeprefix(f"{name}."): text
            for key, text in self.words.items()
            if isinstance(text, str) and key.startswith(f"{name}.")
        }

    def _find(self, key: str, fields: Mapping[str, object]) -> _Text:
        found = self._texts.get(key)
        if found is not None:
            return found
        forms, count = self._forms[key], fields["count"]
        assert isinstance(count, int)  # noqa: S101  # the plural rules are those of whole numbers
        return forms.get(self._rule(abs(count)), forms["other"])


def texts(language: str = "en", own: Path | None = None) -> Texts:
    """The texts of a language, English where there is no translation; those of the file `own` before all others.

    Raises TextsError when `own` cannot be used, or when nothing at all is in that language.
    """
    return _shipped(language) if own is None else _layered(language, own)


@cache
def _shipped(language: str) -> Texts:
    return _layered(language, None)


def _layered(language: str, own: Path | None) -> Texts:
    english = _flat(_read(SHIPPED / "en.toml"))
    names = dict.fromkeys((language.partition("-")[0], language))
    layers = [path for name in names if name != "en" and (path := SHIPPED / f"{name}.toml").exists()]
    if own is not None:
        layers.append(own)
    elif not layers and not language.startswith("en"):
        raise TextsError(f"no texts in {language!r} ship with imitable; name a file of them (docs/translating.md)")
    found = dict(english)
    translated: set[str] = set()
    for path in layers:
        layer = _flat(_read(path))
        problems = [f"key '{key}' {wrong}" for key, text in layer.items() if (wrong := _wrong(key, text, english))]
        if problems:
            raise TextsError(f"{path}: " + "; ".join(problems) + ". Mend this and try again.")
        found |= layer
        translated |= layer.keys()
    missing = () if language.startswith("en") else tuple(key for key in english if key not in translated)
    return Texts(language, found, missing)


def direction_of(language: str) -> Literal["ltr", "rtl"]:
    """Which way a language is written, by its script where the tag names one (`az-Arab`, `ur-Latn`)."""
    tag = language.lower().split("-")
    script = next((part for part in tag[1:] if len(part) == 4 and part.isalpha()), None)
    leftwards = script in _SCRIPTS_TO_LEFT if script else tag[0] in _RIGHT_TO_LEFT
    return "rtl" if leftwards else "ltr"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TextsError(f"{path} cannot be read: {error}. Mend that place and try again.") from error


def _flat(catalogue: Mapping[str, Any]) -> dict[str, Any]:
    """`page.key` to whatever stands there. What is no page stays under its own name, and is unknown."""
    return {
        key: value
        for page, texts in catalogue.items()
        for key, value in (
            [(f"{page}.{key}", text) for key, text in texts.items()] if isinstance(texts, dict) else [(page, texts)]
        )
    }


def _wrong(key: str, text: Any, english: Mapping[str, Any]) -> str:
    """What is wrong with a translated text, or an empty string."""
    ours = english.get(key)
    if ours is None:
        near = get_close_matches(key, english, n=1)
        return f"is not a text of the page ({f'did you mean {near[0]!r}?' if near else 'en.toml lists them all'})"
    if isinstance(text, dict):
        if isinstance(ours, str):
            return "has no forms for numbers; give it one text"
        if odd := sorted(set(text) - set(CATEGORIES)):
            return f"has a form {odd[0]!r}, which is none of {', '.join(CATEGORIES)}"
        if "other" not in text:
            return "lacks the form 'other'"
    elif not isinstance(text, str):
        return f"is no text (it is {text!r}); put it in quotes"
    return next((wrong for form in _every_form(text) if (wrong := _differs(form, ours))), "")


def _every_form(text: Any) -> Iterator[Any]:
    yield from text.values() if isinstance(text, dict) else (text,)


def _differs(text: Any, ours: str | dict[str, str]) -> str:
    """How one form's marks differ from those of the English."""
    if not isinstance(text, str) or not text.strip():
        return f"has an empty text, or none (it is {text!r})"
    pattern = ours if isinstance(ours, str) else ours["other"]
    theirs, kept = Counter(_MARKS.findall(text)), Counter(_MARKS.findall(pattern))
    if not isinstance(ours, str):
        kept["{count}"] = theirs["{count}"]  # "one neuron" may be said without a figure
    if unknown := sorted((theirs - kept).elements()):
        return f"has {unknown[0]!r}, which the English text has not{' so often' if unknown[0] in kept else ''}"
    if lacking := sorted((kept - theirs).elements()):
        return f"lacks {lacking[0]!r}, which the English text has"
    if "**" in text and ("**" not in pattern or text.count("**") % 2):
        return "prints something bold that cannot be" if "**" not in pattern else "opens ** and does not close it"
    return ""


def _safe(value: object) -> object:
    if isinstance(value, int) or hasattr(value, "__html__"):
        return value
    text = str(value)
    return escape(text) if _SPECIAL.search(text) else text
