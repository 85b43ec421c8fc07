"""HTTP from strangers: heads that are too large and requests that dribble in are refused before they cost anything.

uvicorn's fast protocol has neither limit: llhttp buffers whatever comes, and a connection that says nothing stays. It
would also keep every request that is sent before the last one is answered (pipelining), a hundred bytes for each one
sent. No browser and no proxy does that: the last one is answered, and then the connection is closed.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from imitable.game.label_studio.names import LARGEST_CALL, PREDICT
from imitable.game.request_log import note

LARGEST_HEAD = 16_384
"""Bytes of request line and headers; a browser sends one or two thousand."""

MOST_HEADERS = 100

LONGEST_URL = 8_192
"""Bytes; a signed address of a platform has a thousand."""

LARGEST_REQUEST = 262_144
"""Bytes in all, the framing of chunks and trailers included. What the door reads of a body is much less. What Label
Studio tells of a whole task may be longer."""

ARRIVING = 20.0
"""Seconds from the first byte of a request to its last, and from a connection to its first byte. As long after a
request, a client that has not read what was written is hung up on."""


class WaryProtocol(HttpToolsProtocol):
    """uvicorn's protocol on httptools, with limits."""

    _alarm: asyncio.TimerHandle | None = None
    _open = False
    """True between the first byte of a request and its last."""
    _head = False
    """True while its head is being read."""
    _size = 0
    _most = LARGEST_REQUEST
    _refused: HTTPStatus | None = None
    _deaf = False
    """True once nothing more is read, and only the answer to what came before is awaited."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._watch()
        super().data_received(data)
        if self._open and not self.transport.is_closing():
            self._size += len(data)
            if self._head and self._size > LARGEST_HEAD:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            elif self._size > self._most:
                self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def on_message_begin(self) -> None:
        self._watch(anew=True)
        self._open = self._head = True
        self._size = 0
        if self._answering():
            raise ValueError("a request before the last one is answered")  # as in on_headers_complete
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head = False
        self._most = LARGEST_REQUEST + (LARGEST_CALL if self.url.endswith(PREDICT.encode()) else 0)
        if len(self.url) > LONGEST_URL:
            self._refused = HTTPStatus.REQUEST_URI_TOO_LONG
        elif len(self.headers) > MOST_HEADERS or sum(len(one) for pair in self.headers for one in pair) > LARGEST_HEAD:
            self._refused = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        if self._refused:
            raise ValueError(self._refused.phrase)  # the parser stops, and uvicorn calls send_400_response
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._open = False
        self._watch(anew=True)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._refused or HTTPStatus.BAD_REQUEST)

    def _watch(self, *, anew: bool = False) -> None:
        if anew:
            self._rest()
        if self._alarm is None:
            self._alarm = self.loop.call_later(ARRIVING, self._late)

    def _rest(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _late(self) -> None:
        self._alarm = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # a connection that is closed would stay until all of it is read
        elif self.transport.is_closing():
            return
        elif self._answering():
            self._watch()  # an answer is on its way
        elif self._head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, status: HTTPStatus) -> None:
        """Say so where nothing was said yet, and close the connection."""
        if self._head and self._answering():
            self.cycle.keep_alive = False
            self._deaf = True
            return
        if self._head or self.cycle is None or not self.cycle.response_started:
            note(uncounted=True, method="", route="(refused)", status=status.value)
            said = f"{status.phrase}.\n".encode()
            self.transport.write(
                f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
                f"content-length: {len(said)}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n"
                "connection: close\r\n\r\n".encode()
                + said
            )
        self.transport.close()
