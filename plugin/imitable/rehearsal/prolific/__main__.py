"""`python -m imitable.rehearsal.prolific --port 0`: a stand-in for Prolific on loopback, until it is ended."""

from __future__ import annotations

import argparse
import socket

from imitable.rehearsal.prolific.world import LABEL, Settings


def main() -> None:
    """Listen, say where, and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m imitable.rehearsal.prolific", description=f"A {LABEL}. It listens on this machine only."
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--token", default="stand-in-token", help="what PROLIFIC_TOKEN must be (default: %(default)s)")
    parser.add_argument("--currency", choices=("USD", "GBP"), default="USD", help="of its money (default: %(default)s)")
    parser.add_argument("--cents", type=int, default=1_000_000, help="in the wallet (default: %(default)s)")
    parser.add_argument("--fee", default="0.428", help="share of every reward and bonus (default: %(default)s)")
    parser.add_argument("--tax", default="0", help="share of the fee (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="decides whom faults strike (default: %(default)s)")
    chosen = parser.parse_args()
    import uvicorn

    from imitable.rehearsal.prolific.app import stand_in

    settings = Settings(chosen.token, chosen.currency, chosen.fee, chosen.tax)
    with socket.create_server(("127.0.0.1", chosen.port)) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]} is a {LABEL}", flush=True)  # noqa: T201
        app = stand_in(settings, cents=chosen.cents, seed=chosen.seed)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listening])


if __name__ == "__main__":
    main()
