"""Authentication: Host, Origin, size and pace of the body before any page runs; then who sends the request.

People sign in by a personal link's cookie, by a proxy's header from a named address, or as the person of this machine.
"""

import asyncio
import hashlib
import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from curation.review import Desk, Reviewer, by_token, known_reviewer
from workspace.errors import Refusal

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

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)

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
        if len(host) != 1 or _parts("//" + host[0]).hostname not in self.hosts:
            return 400, "This page is not served under that name."
        foreign = any(_parts(origin).netloc.lower() != host[0].lower() for origin in headers.getlist("origin"))
        site = headers.get("sec-fetch-site", "same-origin")
        if foreign or (method not in ("GET", "HEAD") and site not in ("same-origin", "none")):
            return 403, "Another page sent this. Nothing was changed."
        return None

    async def _body(self, scope: Scope, receive: Receive) -> tuple[bytes, tuple[int, str] | None]:
        announced = Headers(scope=scope).get("content-length", "0")
        too_large = (413, f"Too large: at most {MOST_BYTES // 1024 // 1024} MB. Nothing was changed.")
        if not announced.isdigit() or int(announced) > MOST_BYTES:
            return b"", too_large
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for part in Request(scope, receive).stream():
                    body += part
                    if len(body) > MOST_BYTES:
                        return b"", too_large
            return bytes(body), None
        except ClientDisconnect:
            return b"", (400, "The request ended too soon.")
        except TimeoutError:
            return b"", (408, "The request took too long to arrive. Nothing was changed.")


def _parts(address: str) -> SplitResult:
    """Return the parts of a Host or Origin header; empty ones if it is no address."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read once more, then what the connection says."""
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return whole.pop() if whole else await receive()

    return again


def _sealed(send: Send) -> Send:

    async def sealing(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sealing


WRONG_TOKENS = 10
"""Wrong links from one address before it must wait."""
WINDOW = 60.0
"""Seconds over which wrong links are counted."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Someone who is let in, with the token that their forms must carry. `link`: by a link, so they can sign out.

    `until`: when the link ends, in seconds of the epoch; None for a link without an end of its own.
    """

    person: Reviewer
    csrf: str
    link: bool = False
    until: float | None = None

    def wrote(self, given: str) -> bool:
        """True if a form carries this visitor's own token."""
        return hmac.compare_digest(self.csrf.encode(), given.encode("utf-8", "replace"))


class TooMany(Refusal):
    """Too many wrong links from one address."""


class NotInvited(Refusal):
    """The visitor is not signed in."""


@dataclass
class Door:
    """The policy of `[web]`, and the wrong links of the last minute by address.

    `own`: the token of whoever started the server; it is stored nowhere and ends with the server.
    """

    desk: Desk
    own: str = ""
    clock: Callable[[], float] = time.monotonic
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    wrong: dict[str, deque[float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def cookie(self) -> str:
        """The cookie's name: its own for each project, for ports of one host share their cookies."""
        root = str(self.desk.project.root.resolve())
        return "rung_" + hashlib.sha256(root.encode()).hexdigest()[:8]

    @property
    def secure(self) -> bool:
        """True if the cookie may be sent over https only."""
        return self.desk.settings.web.url.startswith("https:")

    def visitor(self, request: Request) -> Visitor:
        """Return the visitor. Raises NotInvited, LinkEnded, TooMany, or Refusal for a name that may not review."""
        web = self.desk.settings.web
        if web.login == "none":
            return self._visitor(self._owner)
        names = request.headers.getlist(web.user_header)
        if web.login == "proxy" and names and peer(request) in web.proxy:
            if len(names) > 1:
                raise Refusal(f"The proxy sent {web.user_header} twice.", "Let it replace the header.")
            return self._visitor(known_reviewer(self.desk.store, names[0]))
        token = request.cookies.get(self.cookie, "")
        if not token:
            raise NotInvited("This page needs a personal link.", "rung review invite NAME")
        return self.by_link(token, request, known=True)

    def by_link(self, token: str, request: Request, *, known: bool = False) -> Visitor:
        """Return the owner of a personal token; a wrong one is counted. `known`: it comes in a cookie, not typed in."""
        address = self.address(request)
        if not known:
            self._still_welcome(address)
        form = _digest(token.encode(), b"form")
        if self.own and hmac.compare_digest(self.own.encode(), token.encode("utf-8", "replace")):
            return Visitor(self._owner, form, link=True)
        try:
            person = by_token(self.desk.store, token)
        except Refusal:
            self._still_welcome(address)
            with self.lock:
                self.wrong.setdefault(address, deque()).append(self.clock())
            raise
        return Visitor(person, form, link=True, until=person.token_until)

    def address(self, request: Request) -> str:
        """Return the address that asks; through a named proxy the one that the proxy saw."""
        seen = peer(request)
        forwarded = request.headers.get("x-forwarded-for", "")
        return forwarded.split(",")[-1].strip() if forwarded and seen in self.desk.settings.web.proxy else seen

    @property
    def _owner(self) -> Reviewer:
        """Return whoever started the server: a lead here, as in the shell."""
        return replace(known_reviewer(self.desk.store, self.desk.settings.project.person), role="lead")

    def _visitor(self, person: Reviewer) -> Visitor:
        return Visitor(person, _digest(self.secret, person.name.encode()))

    def _still_welcome(self, address: str) -> None:
        """Raise TooMany if this address gave too many wrong links; forget the old ones."""
        moment = self.clock()
        with self.lock:
            for each in [a for a, times in self.wrong.items() if not times or times[-1] <= moment - WINDOW]:
                del self.wrong[each]
            times = self.wrong.get(address, deque())
            while times and times[0] <= moment - WINDOW:
                times.popleft()
            if len(times) >= WRONG_TOKENS:
                raise TooMany("Too many wrong links from your address. Wait a minute, then try again.")


def peer(request: Request) -> str:
    """Return the address at the other end of the connection."""
    return request.client.host if request.client else ""


def _digest(key: bytes, text: bytes) -> str:
    return hmac.new(key, text, hashlib.sha256).hexdigest()
