"""Commands as they are typed, in this process: a campaign's dozens take seconds so. tests/cli starts real ones."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

from imitable.cli import main


@dataclass(frozen=True)
class Typed:
    """What a command came to."""

    code: int
    out: str
    err: str


def typed(*words: object) -> Typed:
    """Run `imitable` with these words."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["imitable", *map(str, words)])
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Typed(code, out.getvalue(), err.getvalue())
