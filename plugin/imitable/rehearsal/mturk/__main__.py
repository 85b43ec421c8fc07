"""`python -m imitable.rehearsal.mturk --port 0`: a stand-in for Mechanical Turk on loopback, until it is ended."""

from __future__ import annotations

import argparse
import socket
import sys
from argparse import RawDescriptionHelpFormatter
from importlib.util import find_spec

from imitable.errors import ImitableError, MissingExtra
from imitable.rehearsal.mturk.model import load
from imitable.rehearsal.mturk.process import KEY, SECRET
from imitable.rehearsal.mturk.world import LABEL, Settings

HELP = f"""A {LABEL}.

It listens on this machine only, and speaks the API of Amazon Mechanical Turk (which closed on 2026-09-30) to boto3
and the other AWS SDKs. Everything is in memory, and gone when it ends.

Point a program at it:

    export AWS_ENDPOINT_URL_MTURK=http://127.0.0.1:5997 AWS_DEFAULT_REGION=us-east-1
    export AWS_ACCESS_KEY_ID={KEY} AWS_SECRET_ACCESS_KEY={SECRET}

Work there yourself: open http://localhost:5997/worker in a browser.
Move its clock, let it fail, look into it: its root page lists the addresses.
"""


def main() -> None:
    """Listen, say where, and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m imitable.rehearsal.mturk", description=HELP, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--key", default=KEY, help="what AWS_ACCESS_KEY_ID must be (default: %(default)s)")
    parser.add_argument("--secret", default=SECRET, help="what AWS_SECRET_ACCESS_KEY must be (default: %(default)s)")
    parser.add_argument("--cents", type=int, default=1_000_000, help="in the account (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="decides whom faults strike (default: %(default)s)")
    parser.add_argument("--any-signature", action="store_true", help="do not check who signed")
    chosen = parser.parse_args()
    try:
        model = load()
        _needs("defusedxml", "starlette", "uvicorn")
    except ImitableError as error:
        sys.exit(f"error: {error}")
    import uvicorn

    from imitable.rehearsal.mturk.app import stand_in

    settings = Settings(chosen.key, chosen.secret, check_signatures=not chosen.any_signature)
    try:
        server = socket.create_server(("127.0.0.1", chosen.port))
    except (OSError, OverflowError) as error:
        sys.exit(f"error: It cannot listen on port {chosen.port} ({error}). Choose another with --port.")
    with server as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]} is a {LABEL}", flush=True)  # noqa: T201
        app = stand_in(settings, model, cents=chosen.cents, seed=chosen.seed)
        config = uvicorn.Config(app, log_level="warning", access_log=False, date_header=False)
        uvicorn.Server(config).run(sockets=[listening])


def _needs(*modules: str) -> None:
    if not all(map(find_spec, modules)):
        raise MissingExtra("aws,serve", wanted_for="The stand-in for Mechanical Turk")


if __name__ == "__main__":
    main()
