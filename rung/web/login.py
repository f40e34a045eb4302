"""Login: a personal link's cookie, a proxy's header from a named address, or the person of this machine."""

import hashlib
import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from starlette.requests import Request

from curation.review import Desk, Reviewer, by_token, known_reviewer
from workspace.errors import Refusal

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
