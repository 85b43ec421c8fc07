"""Answers that say less than they seem to: to a repetition, of what is no such site, of a connection that broke."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from imitable.errors import NoAnswer
from imitable.money import Money, Payout
from imitable.money.paying import Paymaster
from imitable.money.reconciling import reconcile
from imitable.platforms.mturk.payer import MTurkPayer
from imitable.rehearsal.mturk import Fault, StandIn
from imitable.testing import invented_campaign
from mturk_campaign import campaign_on, credentials, owe, there
from paying_once import lines, nobody_twice_and_nothing_booked_that_was_not_paid, reached

__all__ = ["credentials", "there"]

BONUS = Payout("po-abc-1", "o_1", "bonus", "A1", "W1 A1", Money(50, "USD"), "invented: bonus (ref po-abc-1)")


@pytest.mark.parametrize("how", ["no connection", 403, 400])
def test_a_repetition_that_is_refused_or_does_not_get_there_tells_nothing_of_the_first_request(
    there: StandIn, tmp_path: Path, how: str | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with campaign_on(there, tmp_path, "per_hit = 60\napprove_after_days = 30") as here:
        here.publish(2)
        owe(here, 2)
        there.move(hours=2)
        payer = MTurkPayer(here.folder)
        master = Paymaster(here.store, here.folder, payer, there.now)
        there.set(listing_lag=3600.0)
        there.fail(Fault("drop", path="^SendBonus$", when="after", times=1))
        master.pay(master.lines())
        there.move(hours=0.1)
        with monkeypatch.context() as meanwhile:
            if isinstance(how, int):
                there.fail(Fault("status", path="^SendBonus$", status=how, times=1))
            else:
                gone = NoAnswer("gone", connected=False)
                meanwhile.setattr(payer.api, "once", lambda *_, **__: (_ for _ in ()).throw(gone))
            master.pay(master.lines())
        nobody_twice_and_nothing_booked_that_was_not_paid(here)
        for hours in (0.1, 2.0):
            there.move(hours=hours)
            master.pay(master.lines())
            nobody_twice_and_nothing_booked_that_was_not_paid(here)
        assert Counter(line.stand for line in lines(here)) == {"paid": 4}
        assert len(reached(here)) == 4
        there.move(hours=2)
        assert reconcile(payer, master.lines(), master.payouts(master.lines()), there.now) == []


@contextmanager
def site(body: bytes, *, promised: int) -> Iterator[str]:
    """A server that answers everything with this, as a success of so many bytes."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", str(promised))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_words: object) -> None:
            """Nothing is logged."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def payer_at(path: Path, address: str) -> MTurkPayer:
    return MTurkPayer(invented_campaign(path, more=f'[platform.mturk]\nendpoint_url = "{address}"\n'))


ROWS = json.dumps({"NumResults": 1, "BonusPayments": [{"AssignmentId": "W1", "WorkerId": "A1"}]}).encode()


@pytest.mark.parametrize(
    ("body", "promised"),
    [(b"<html>We are down for maintenance</html>", 40), (b"[]", 2), (ROWS[:-9], len(ROWS)), (b"", len(ROWS))],
    ids=["a page", "no object", "cut short", "nothing of it"],
)
def test_a_success_that_is_not_the_protocols_pays_nobody_and_is_no_list(
    credentials: None, tmp_path: Path, body: bytes, promised: int
) -> None:
    with site(body, promised=promised) as address:
        payer = payer_at(tmp_path / "campaign", address)
        assert [one.state for one in payer.bonus(payer.prepare([BONUS]))] == ["unknown"]
        with pytest.raises(NoAnswer, match="is not the protocol of MTurk"):
            list(payer.api.rows("ListBonusPayments", "BonusPayments", HITId="H"))


def test_a_list_without_its_rows_is_empty_only_where_it_says_so(credentials: None, tmp_path: Path) -> None:
    for body, whole in ((b'{"NumResults": 0}', True), (b"{}", False)):
        with site(body, promised=len(body)) as address:
            payer = payer_at(tmp_path / str(whole), address)
            if whole:
                assert list(payer.api.rows("ListBonusPayments", "BonusPayments", HITId="H")) == []
                continue
            with pytest.raises(NoAnswer, match="is not the protocol of MTurk"):
                list(payer.api.rows("ListBonusPayments", "BonusPayments", HITId="H"))


def ends(connection: ssl.SSLSocket) -> None:
    connection.close()


def resets(connection: ssl.SSLSocket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def breaks(connection: ssl.SSLSocket) -> None:
    """A record that nobody can decrypt."""
    with socket.socket(fileno=connection.detach()) as raw:
        raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))


@pytest.mark.parametrize("breaking", [ends, resets, breaks])
@pytest.mark.parametrize("proxied", [True, False])
def test_a_connection_that_breaks_once_the_request_was_read_leaves_a_doubt(
    credentials: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    breaking: Callable[[ssl.SSLSocket], None],
    proxied: bool,
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = "subjectAltName=DNS:site.test,IP:127.0.0.1"
    command = (
        f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} -subj /CN=site -addext {names}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    read: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        while not read:
            raw, _ = listening.accept()
            if proxied:
                while b"\r\n\r\n" not in raw.recv(4096):
                    pass
                raw.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                connection, request = context.wrap_socket(raw, server_side=True), b""
            except OSError:  # who asks whether this is a stand-in does not trust it
                continue
            while b"UniqueRequestToken" not in request:
                request += connection.recv(65536)
            read.append(request)
            breaking(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        here = f"127.0.0.1:{listening.getsockname()[1]}"
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        if proxied:
            monkeypatch.setenv("HTTPS_PROXY", f"http://{here}")
        serving = threading.Thread(target=serve, args=(listening,), daemon=True)
        serving.start()
        payer = payer_at(tmp_path / "campaign", "https://site.test" if proxied else f"https://{here}")
        [answer] = payer.bonus(payer.prepare([BONUS]))
        serving.join()
    assert read, f"the site got the request, and may have paid: {answer}"
    assert answer.state == "unknown"
    assert answer.facts == {"error": "no whole answer came back"}
