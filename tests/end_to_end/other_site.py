"""A web site that is not the game's: another origin, on the same machine."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


class OtherSite:
    """Its host is `localhost`, and the game's `127.0.0.1`."""

    def __init__(self) -> None:
        self.page = ""
        """What it answers to every GET."""
        self.asked = 0
        self.submitted: list[dict[str, list[str]]] = []
        """Forms that were posted to it, with their `path`."""
        self.origins: list[str | None] = []
        """What browsers said of where these came from."""
        site = self

        class Pages(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked += 1
                self._say(site.page)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                site.submitted.append({"path": [self.path], **parse_qs(body)})
                site.origins.append(self.headers["Origin"])
                self._say("<!doctype html><title>Thanks</title><h1>Submitted</h1>")

            def _say(self, page: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(page.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        self.origin = f"http://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Shut it."""
        self.server.shutdown()
        self.server.server_close()
