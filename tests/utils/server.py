"""A web server on this machine that misbehaves as it is told."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

Answer = Callable[[BaseHTTPRequestHandler], None]


def sends(body: bytes, status: int = 200, length: int | None = None, **headers: object) -> Answer:
    """Answer with a body; ``length`` is what the header says of it."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), str(value))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    return answer


def resets(request: BaseHTTPRequestHandler) -> None:
    """Break the connection off with a reset, in the middle of a body."""
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b"PK\x03\x04")
    request.wfile.flush()
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()


def babbles(request: BaseHTTPRequestHandler) -> None:
    """Say what is no HTTP."""
    request.wfile.write(b"who is there?\r\n\r\n")


@contextmanager
def serving(*answers: Answer) -> Iterator[tuple[str, list[str]]]:
    """Serve the answers in turn, the last one for ever; yields the URL and what was asked."""
    left, asked = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            (left.pop(0) if len(left) > 1 else left[0])(self)
            self.close_connection = True

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
