"""Which form of a word goes with a whole number: the plural rules of Unicode's CLDR, for counts of things."""

from __future__ import annotations

from collections.abc import Callable

CATEGORIES = ("zero", "one", "two", "few", "many", "other")
"""CLDR's names of the forms. No language has all; every language has `other`."""

Rule = Callable[[int], str]


def plural_rule(language: str) -> Rule:
    """The rule of a language tag, such as `de` or `pt-BR`; for a language that is not listed, English's."""
    return _RULES.get(language.lower().partition("-")[0], _one_or_other)


def _one_or_other(n: int) -> str:
    return "one" if n == 1 else "other"


def _no_forms(_n: int) -> str:
    return "other"


def _zero_is_one(n: int) -> str:
    return "one" if n <= 1 else "other"


def _last_digit_one(n: int) -> str:
    return "one" if n % 10 == 1 and n % 100 != 11 else "other"


def _east_slavic(n: int) -> str:
    if _last_digit_one(n) == "one":
        return "one"
    return "few" if 2 <= n % 10 <= 4 and not 12 <= n % 100 <= 14 else "many"


def _south_slavic(n: int) -> str:
    return {"many": "other"}.get(form := _east_slavic(n), form)


def _polish(n: int) -> str:
    return "one" if n == 1 else "few" if 2 <= n % 10 <= 4 and not 12 <= n % 100 <= 14 else "many"


def _czech(n: int) -> str:
    return "one" if n == 1 else "few" if 2 <= n <= 4 else "other"


def _slovene(n: int) -> str:
    return {1: "one", 2: "two", 3: "few", 4: "few"}.get(n % 100, "other")


def _lithuanian(n: int) -> str:
    if 11 <= n % 100 <= 19 or n % 10 == 0:
        return "other"
    return "one" if n % 10 == 1 else "few"


def _latvian(n: int) -> str:
    return "zero" if n % 10 == 0 or 11 <= n % 100 <= 19 else _last_digit_one(n)


def _romanian(n: int) -> str:
    return "one" if n == 1 else "few" if n == 0 or 1 <= n % 100 <= 19 else "other"


def _hebrew(n: int) -> str:
    return {1: "one", 2: "two"}.get(n, "other")


def _arabic(n: int) -> str:
    if n <= 2:
        return ("zero", "one", "two")[n]
    return "few" if 3 <= n % 100 <= 10 else "many" if n % 100 >= 11 else "other"


def _irish(n: int) -> str:
    if n <= 2:
        return ("other", "one", "two")[n]
    return "few" if n <= 6 else "many" if n <= 10 else "other"


def _welsh(n: int) -> str:
    return {0: "zero", 1: "one", 2: "two", 3: "few", 6: "many"}.get(n, "other")


_SPEAKERS: dict[Rule, str] = {
    _no_forms: "id ja jv km ko lo ms my su th yue zh",
    _zero_is_one: "am as bn fa fr gu hi hy kn pa pt si vi zu",
    _last_digit_one: "is mk",
    _east_slavic: "be ru uk",
    _south_slavic: "bs hr sr",
    _polish: "pl",
    _czech: "cs sk",
    _slovene: "sl",
    _lithuanian: "lt",
    _latvian: "lv",
    _romanian: "ro",
    _hebrew: "he",
    _arabic: "ar",
    _irish: "ga",
    _welsh: "cy",
}
_RULES = {language: rule for rule, languages in _SPEAKERS.items() for language in languages.split()}
