"""Checks of every request before a page runs: Host, Origin, size and pace of the body; headers of every answer."""

import asyncio
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 4 * 1024 * 1024
"""Largest body that is read: a row of 1 MB as a form, each byte of it percent-encoded, and some room."""
BODY_SECONDS = 20.0
"""Seconds that a body may take to arrive."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class HostGuard:
    """ASGI: refuses a foreign Host (400) or Origin (403), a body that is too large (413) or too slow (408)."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], *, body_seconds: float = BODY_SECONDS) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check and answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        sealed = _sealed(send)
        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal is None:
            body, refusal = await self._body(scope, receive)
        if refusal is not None:
            await PlainTextResponse(refusal[1] + "\n", refusal[0])(scope, receive, sealed)
            return
        await self.app(scope, _replay(body, receive), sealed)

    def _refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        host = headers.getlist("host")
        if len(host) != 1 or _name(host[0]) not in self.hosts:
            return 400, "This page is not served under that name."
        origins = headers.getlist("origin")
        if any(_place(origin) != host[0].lower() for origin in origins):
            return 403, "Another page sent this. Nothing was changed."
        if method not in ("GET", "HEAD") and headers.get("sec-fetch-site", "same-origin") not in (
            "same-origin",
            "none",
        ):
            return 403, "Another page sent this. Nothing was changed."
        return None

    async def _body(self, scope: Scope, receive: Receive) -> tuple[bytes, tuple[int, str] | None]:
        announced = Headers(scope=scope).get("content-length", "0")
        too_large = (413, f"Too large: at most {MOST_BYTES // 1024 // 1024} MB. Nothing was changed.")
        if not announced.isdigit() or int(announced) > MOST_BYTES:
            return b"", too_large
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return b"", (400, "The request ended too soon.")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > MOST_BYTES:
                        return b"", too_large
                    if not message.get("more_body"):
                        return b"".join(parts), None
        except TimeoutError:
            return b"", (408, "The request took too long to arrive. Nothing was changed.")


def _name(host: str) -> str:
    """Return the name in a Host header, without the port."""
    try:
        return (urlsplit("//" + host).hostname or "").lower()
    except ValueError:
        return ""


def _place(origin: str) -> str:
    """Return the name and port in an Origin header; empty if it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read once more, then what the connection says."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _sealed(send: Send) -> Send:
    """Put the headers on every answer."""

    async def sealing(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sealing
