"""What stands on a Label Studio page, as a simulated annotator takes it in: the same that people see, and no more."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from imitable.game.label_studio import names

_NUMBER = re.compile(r"[−-]?\d+(?:\.\d+)?")


class _Page(HTMLParser):
    """Texts of a page, in the order of their pieces: (what, value, text)."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, str, dict[str, str]]] = []
        self.texts: list[tuple[str, list[tuple[bool, float, str]]]] = []
        """`stimulus`, `shaded` or `hint`, and the pieces: marked or not, the value told, the text."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in ("br", "img", "rect", "hr", "wbr"):
            return
        self.open.append((tag, given.get("class", ""), given))
        kind = given.get("class", "").partition(" ")[0]
        if tag == "p" and kind in ("stimulus", "shaded", "hint"):
            self.texts.append((kind, []))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        classes = [one[1].split() for one in self.open]
        inside = any(
            one[0] == "p" and kinds[:1] in (["stimulus"], ["shaded"], ["hint"])
            for one, kinds in zip(self.open, classes, strict=True)
        )
        if not inside or any("unseen" in one for one in classes):
            return
        marked = any(one[0] == "mark" for one in self.open)
        value = next((_number(one[2]["data-v"]) for one in reversed(self.open) if "data-v" in one[2]), 0.0)
        self.texts[-1][1].append((marked, value, data))


def examples_of(data: dict[str, str]) -> list[dict[str, Any]]:
    """The shaded texts of a task: pieces with their values, and which of them is marked."""
    found = []
    for kind, pieces in _read(data[names.EXAMPLES]):
        if kind == "shaded" and pieces:
            focus = next((at for at, (marked, _, _) in enumerate(pieces) if marked), 0)
            found.append({"pieces": [{"text": text, "value": value} for _, value, text in pieces], "focus": focus})
    return found


def round_of(data: dict[str, str], trial: int) -> dict[str, Any]:
    """A round as the web door's JSON has it: text, scale, and whether it is the first of its target."""
    texts = dict(_read(data[names.text(trial)] + data.get(names.question(trial), "")))
    pieces = texts["stimulus"]
    first = next(at for at, (marked, _, _) in enumerate(pieces) if marked)
    last = max(at for at, (marked, _, _) in enumerate(pieces) if marked)
    parts = pieces[:first], pieces[first : last + 1], pieces[last + 1 :]
    before, focus, after = ("".join(text for _, _, text in part) for part in parts)
    numbers = _NUMBER.findall("".join(text for _, _, text in texts["hint"]))
    return {
        "first_of_target": trial == 1,
        "examples": examples_of(data),
        "stimulus": {"before": before, "focus": focus, "after": after},
        "low": _number(numbers[0]),
        "high": _number(numbers[1]),
    }


def _read(html: str) -> list[tuple[str, list[tuple[bool, float, str]]]]:
    page = _Page()
    page.feed(html)
    page.close()
    return page.texts


def _number(text: str) -> float:
    return float(text.replace("−", "-"))
