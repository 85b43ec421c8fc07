"""From a matplotlib figure to inline SVG: the page's colours and font, ids of its own, words for a screen reader."""

from __future__ import annotations

import io
import re
import warnings
from html import escape
from typing import Any

from matplotlib.figure import Figure

INK, SOFT, ACCENT, SECOND, THIRD = "#010203", "#010204", "#010205", "#010206", "#010207"
"""Stand-in colours, exchanged for the page's own."""
_THEME = {
    INK: "currentColor",
    SOFT: "var(--soft)",
    ACCENT: "var(--accent)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "path.simplify": False,
    "text.parse_math": False,
    "svg.hashsalt": "imitable",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.unicode_minus": True,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.constrained_layout.use": True,
}
WIDE = 7.6
"""Inches of a figure as wide as the page's text."""


def svg(figure: Figure, *, key: str, title: str, said: str) -> str:
    """Inline SVG: ids of its own, the page's colours and font, a title and a description."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # only widths are measured with this font: the reader's browser has the letters
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{key}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{key}-", text)
    text = re.sub(r"(font: (?:\w+ )*[\d.]+px) [^;\"]*", r"\1 var(--font)", text)
    text = re.sub(r' (?:d|x|y|transform)="[^"]*"', lambda found: _short(found[0]), text)
    text = re.sub(r"\n\s*", "\n", text)
    for colour, theirs in _THEME.items():
        text = text.replace(colour, theirs)
    head, rest = text.split(">", 1)
    head = re.sub(r'(width|height)="[\d.]+pt"\s*', "", head)
    width = float(figure.get_figwidth()) * 96
    label = (
        f'role="img" aria-labelledby="{key}-title {key}-desc" style="--least: {width:.0f}px; max-width: {width:.0f}px"'
    )
    told = f'<title id="{key}-title">{escape(title)}</title><desc id="{key}-desc">{escape(said)}</desc>'
    return f"{head} {label}>{told}{rest}"


def _short(attribute: str) -> str:
    """Coordinates to a hundredth of a point, on one line; a line of no length as a dot."""
    line = re.sub(r"(\.\d\d)\d+", r"\1", attribute).replace("\n", "")
    return re.sub(r"M ([\d.-]+ [\d.-]+) L \1(?=[ \"])", r"M \1h0", line)
