"""Pages from templates. What hundreds of pages have in common is rendered once; what holds an answer is never kept."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from imitable.game.views import ExampleText
from imitable_templates.texts import Texts, texts

MOST_KEPT = 20_000
"""Parts of pages held in memory: of about 1 kB each, and 20 kB where they are a target's examples."""


def environment(*folders: str, words: Texts | None = None) -> Environment:
    """Templates of these folders, with the filters and functions that they share, in English or in the language given.

    `"page.key"|say` is a text of the catalogue as HTML, `word` the same where no HTML can stand, `script` what app.js
    has to say. Texts without fields become part of a template when it is compiled.
    The macros stand in `words`, `shown`, `history`, `reading` and `meters`: to import them would take longer than to
    call them.
    """
    words = words or texts()
    signs = _signs(words)
    pages = Environment(loader=FileSystemLoader(folders), autoescape=True, undefined=StrictUndefined, auto_reload=False)
    number = numbers(words)
    pages.filters.update(
        cut=cut,
        num=number,
        hundredths=_signed(partial(num, places=2), signs),
        thousandths=_signed(partial(num, places=3), signs),
        pieces=partial(pieces, number),
        plain=plain,
        whole=_signed(whole, signs),
    )
    pages.filters.update(say=words.html, word=words.plain)
    pages.globals.update(
        kept=kept,
        language=words.language,
        direction=words.direction,
        plus=signs["+"],
        script=json.dumps(words.page("script") | {"decimal": signs["."], "minus": signs["−"]}, ensure_ascii=False),
    )
    for name, file in _MACROS.items():
        pages.globals[name] = pages.get_template(file).module
    return pages


_MACROS = {
    "words": "_words.html.j2",
    "shown": "_examples.html.j2",
    "history": "_history.html.j2",
    "reading": "_reading.html.j2",
    "meters": "_readings.html.j2",
}
"""Templates of macros by the name that pages call them, each of which may use those before it."""


def numbers(words: Texts) -> Callable[[float], str]:
    """How numbers are written in this language: with one decimal."""
    return _signed(num, _signs(words))


def _signs(words: Texts) -> dict[str, str]:
    mark = "\u200e" if words.direction == "rtl" else ""  # without it a sign would jump behind its number
    return {".": words.plain("number.decimal"), "−": f"{mark}−", "+": f"{mark}+"}


def _signed(written: Callable[[float], str], signs: Mapping[str, str]) -> Callable[[float], str]:
    """A way to write numbers, with a language's own signs."""
    table = str.maketrans({sign: own for sign, own in signs.items() if own != sign})
    return (lambda value: written(value).translate(table)) if table else written


@lru_cache(maxsize=MOST_KEPT)
def kept(macro: Any, *given: Any) -> Markup:
    """What a macro makes of these arguments, made once. Nothing that an annotator has yet to guess may be in them."""
    made: Markup = macro(*given)
    return made


def num(value: float, places: int = 1) -> str:
    """One decimal, or so many, a real minus sign, and never "-0.0"."""
    shown = value if abs(value) >= 0.5 * 10**-places else 0.0
    return f"{shown:.{places}f}".replace("-", "−")


def whole(value: float) -> str:
    """As few digits as say it, and a real minus sign."""
    return f"{value:g}".replace("-", "−")


_HIDDEN = {
    chr(int(code, 16)): name
    for code, name in re.findall(
        r"(\w+):(\w+)",
        """0:NUL 1:SOH 2:STX 3:ETX 4:EOT 5:ENQ 6:ACK 7:BEL 8:BS B:VT C:FF E:SO F:SI 10:DLE 11:DC1 12:DC2 13:DC3 14:DC4
        15:NAK 16:SYN 17:ETB 18:CAN 19:EM 1A:SUB 1B:ESC 1C:FS 1D:GS 1E:RS 1F:US 7F:DEL AD:SHY 61C:ALM 200B:ZWSP 2028:LS
        2029:PS 202A:LRE 202B:RLE 202C:PDF 202D:LRO 202E:RLO 2060:WJ 2066:LRI 2067:RLI 2068:FSI 2069:PDI FEFF:BOM""",
    )
}
"""What hides or reorders text, by its usual short name. Joiners are not in it: emoji and some scripts need them."""

_ANY_HIDDEN = re.compile(f"[{''.join(_HIDDEN)}]")


@lru_cache(maxsize=MOST_KEPT)
def plain(text: str) -> Markup:
    """A text as it is, with names in the place of characters that hide or reorder it."""
    return Markup(  # noqa: S704  # escaped, and names are our own
        _ANY_HIDDEN.sub(lambda found: f'<bdi class="code" dir="ltr">{_HIDDEN[found[0]]}</bdi>', str(escape(text)))
    )


_WHITE = {"\n": "ws-line", "\r": "ws-line", "\t": "ws-tab"}


@lru_cache(maxsize=MOST_KEPT)
def cut(text: str) -> tuple[Markup, Markup, Markup]:
    """A token's characters as (leading space, what is seen, trailing space): only the middle is boxed or shaded.

    A token of white space alone is all middle, with a glyph from the style sheet so that it is seen.
    """
    seen = text.strip()
    if seen:
        at = text.index(seen)
        return escape(text[:at]), plain(seen), escape(text[at + len(seen) :])
    glyphs = "".join(f'<i class="ws {_WHITE.get(c, "ws-space")}"></i>{escape(c)}' for c in text)
    return Markup(), Markup(glyphs or '<i class="ws ws-none"></i>'), Markup()  # noqa: S704


_SHADES = {heat: f"heat-{heat}" if heat > 0 else f"cool-{-heat}" for heat in range(-10, 11)} | {0: ""}


def pieces(number: Callable[[float], str], text: ExampleText) -> Markup:
    """A text with every token in its shade and the marked one boxed. Not a macro: hundreds may stand on a page."""
    made: list[str] = []
    for at, one in enumerate(text.pieces):
        lead, seen, trail = cut(one.text)
        if at == text.focus:
            shade = _SHADES[one.heat]
            made += (lead, f'<mark class="p {shade}" data-v="{number(one.value)}"><b>{seen}</b></mark>', trail)
        elif one.heat:
            made += (lead, f'<span class="p {_SHADES[one.heat]}" data-v="{number(one.value)}">{seen}</span>', trail)
        else:
            made.append(plain(one.text))
    return Markup("".join(made))  # noqa: S704  # its parts are
