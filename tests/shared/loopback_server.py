"""A real HTTP server on loopback that plays a script."""

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass
class Loopback:
    """A real HTTP server on loopback that plays a script and records what it was sent.

    Each entry of `script` is `(status, body, headers)` or a callable that gets the handler and the request; the last
    entry is repeated. `requests` holds `(method, path, headers, json body)`.
    """

    script: list[Any] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def say(self, *entries: Any) -> Self:
        self.script += entries
        return self

    def play(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers.get("content-length") or 0)
        raw = handler.rfile.read(size)
        with self.lock:
            headers = {key.lower(): value for key, value in handler.headers.items()}
            typed = headers.get("content-type", "application/json")
            body = raw if handler.command == "PUT" or "multipart" in typed else json.loads(raw or b"null")
            self.requests.append((handler.command, handler.path, headers, body))
            entry = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if callable(entry):
            entry = entry(handler, self.requests[-1])
        if entry is not None:
            send(handler, *entry)


def send(handler: BaseHTTPRequestHandler, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    handler.send_response(status)
    headers = {"content-type": "application/json", "content-length": str(len(data)), **(headers or {})}
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(data)


def torn(handler: BaseHTTPRequestHandler, _request: object) -> None:
    """Break the connection in the middle of the body."""
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "msg')
    handler.wfile.flush()
    handler.connection.close()
    handler.close_connection = True


def slow(handler: BaseHTTPRequestHandler, _request: object) -> None:
    """Never answer; end when the other side has gone."""
    handler.connection.settimeout(60)
    with contextlib.suppress(OSError):
        handler.connection.recv(1)
    handler.close_connection = True


class Server(ThreadingHTTPServer):
    """A server to which a client that hangs up is no news."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def serving() -> Iterator[Loopback]:
    """The server, while the block runs."""
    fake = Loopback()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            fake.play(self)

        do_GET = do_HEAD = do_PUT = do_POST

        def log_message(self, *args: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    yield fake
    server.shutdown()
    server.server_close()
