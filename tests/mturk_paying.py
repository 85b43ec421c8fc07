"""One run of paying in a process of its own, by the clock of the stand-in: python tests/mturk_paying.py DIR [WHEN N]

With WHEN, `before` or `after`, it kills itself (SIGKILL) around its Nth request that pays.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from killing import dying

from imitable.campaign import open_folder
from imitable.errors import ImitableError
from imitable.money.paying import Paymaster, one_at_a_time
from imitable.platforms.mturk import client, payer
from imitable.store import open_store


def main(directory: str, when: str = "", number: str = "0") -> None:
    client.WAITS = (0.001,) * 5
    payer.SLOWER = 0.0
    folder = open_folder(Path(directory))
    paying = payer.MTurkPayer(folder)
    try:
        paying.balance()  # tells what time it is there
        if when:
            paying.api.once = dying(paying.api.once, when, int(number))  # type: ignore[method-assign]
        with closing(open_store(folder)) as store, one_at_a_time(store, folder):
            master = Paymaster(store, folder, paying, paying.api.now)
            said: object = master.pay(master.lines())
    except ImitableError as error:
        said = error
    sys.stdout.write(f"{said}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
