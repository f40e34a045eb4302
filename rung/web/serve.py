"""Addresses of the page: where it listens, under which names, and how to reach it from elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from uvicorn.protocols.http.h11_impl import H11Protocol

from curation.review import Desk
from curation.store.reviewers import all_reviewers
from workspace.errors import Refusal, RungError
from workspace.settings import WebSettings, user_here

if TYPE_CHECKING:
    import uvicorn


LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY = ("0.0.0.0", "::")  # nosec B104  names that are no name of ours


def is_loopback(host: str) -> bool:
    """True if an address is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_login(desk: Desk) -> None:
    """Raise Refusal if the page would listen to others and nobody would have to say who they are."""
    web = desk.settings.web
    if web.login == "proxy" and not web.proxy:
        raise RungError(
            '[web] login = "proxy" needs the address of the proxy.',
            '[web] proxy = ["127.0.0.1"] in rung.toml',
        )
    if is_loopback(web.host):
        return
    if web.login == "none":
        raise Refusal(
            f'Not started: {web.host} is open to other machines, and [web] login = "none" asks nobody to sign in.',
            "rung review serve --host 127.0.0.1",
            where=web.host,
        )
    if web.login == "link" and not any((each.token_until or 0) > desk.clock() for each in all_reviewers(desk.store)):
        raise Refusal(
            f"Not started: {web.host} is open to other machines, and nobody has a personal link yet.",
            "rung review invite NAME",
            where=web.host,
        )


def host_names(web: WebSettings) -> set[str]:
    """Return names in a Host header that are answered: this machine's own, and that of `[web] url`."""
    names = {*LOOPBACK, web.host}
    if web.url:
        names.add(urlsplit(web.url).hostname or "")
    if not is_loopback(web.host):
        own = socket.gethostname()
        names |= {own, own.split(".")[0], f"{own.split('.')[0]}.local"}
        with contextlib.suppress(OSError):
            names |= {str(found[4][0]).split("%")[0] for found in socket.getaddrinfo(own, None)}
    return names - {"", *ANY}


def bind(web: WebSettings) -> socket.socket:
    """Return a listening socket. Raises RungError if the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((web.host, web.port))
        opened.listen(128)
    except OSError as error:
        opened.close()
        where = f"{web.host}:{web.port}"
        raise RungError(
            f"Cannot listen on {where}: {error.strerror or error}.", "rung review serve --port 0", where=where
        ) from error
    return opened


def server(desk: Desk, own: str = "") -> uvicorn.Server:
    """Return the server of the page, not yet running. It logs no requests: the log would contain links.

    `own` is the token that lets the person who starts it in.
    """
    import uvicorn

    from rung.web.app import build_app
    from rung.web.login import Door

    app = build_app(desk, host_names(desk.settings.web), Door(desk, own))
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # who is believed is [web] proxy's to say
            http=Connection,
            limit_concurrency=2 * MOST,  # of whole requests: connections without one are closed before
            timeout_keep_alive=int(HEADER_SECONDS),
            timeout_graceful_shutdown=3,
            ws="none",
            lifespan="off",
        )
    )


def link_base(web: WebSettings, port: int) -> str:
    """Return the start of personal links: the page's public address, else this machine as reviewers can name it."""
    if web.url:
        return web.url.rstrip("/")
    host = socket.gethostname() if web.host in ANY else web.host
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def address_of(web: WebSettings, port: int) -> str:
    """Return the address of the page on this machine."""
    return f"http://{f'[{web.host}]' if ':' in web.host else web.host}:{port}"


def reached(web: WebSettings, port: int, link: str | None, invite: str | None) -> Iterator[str]:
    """Yield the ways to the page (here, through ssh, through a proxy), and how others get their personal links.

    `link` is that of the person who starts the page, `invite` the command for others; None if nobody signs in.
    """
    yield f"Review page: {address_of(web, port)}   (Ctrl+C ends it; decisions are kept)"
    if link:
        yield f"Your link:   {link}   (ends with this page)"
    yield ""
    if is_loopback(web.host):
        yield "From another machine, through ssh:"
        yield f"  ssh -L {port}:127.0.0.1:{port} {user_here()}@{socket.gethostname()}"
        yield f"  then open http://127.0.0.1:{port} there"
    else:
        yield "This connection is not encrypted. Outside a trusted network, put a proxy with TLS in front."
    yield ""
    yield 'Behind nginx, with [web] url = "https://review.example.org" in rung.toml:'
    yield f"  location / {{ proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $host;"
    yield "    proxy_set_header X-Forwarded-For $remote_addr; access_log off; }"
    if web.login == "proxy":
        yield f"    proxy_set_header {web.user_header} $remote_user;   # after its own login, for each request"
    yield ""
    if invite:
        yield f"Links: {invite}   (a second call replaces the link; --revoke ends it)"
    else:
        yield "No login: everybody on this machine reviews under your name."


MOST = 256
"""Open connections. One more closes a connection that has no whole request."""
HEADER_SECONDS = 20.0
"""Time that a client has for the headers of a request, from the connection or from the last answer."""


class Connection(H11Protocol):
    """An HTTP/1.1 connection that ends if no request comes in time, or if too many are open.

    uvicorn itself has no time limit for headers, and refuses new connections above its limit. Here the newcomer is
    served: of the client with the most unfinished requests the oldest connection is closed, and one that was
    answered before only if no other is left.
    """

    since = 0.0
    was_answered = False
    _timer: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """True if no complete request is here, or the client does not read its answer."""
        cycle = self.cycle
        return cycle is None or cycle.response_complete or cycle.more_body or bool(self.flow.write_paused)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock, and make room."""
        super().connection_made(transport)
        self._restart()
        if len(self.connections) > MOST:
            self._make_room()

    def on_response_complete(self) -> None:
        """Start the clock again: the next request has as much time."""
        super().on_response_complete()
        self.was_answered = True
        self._restart()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def shutdown(self) -> None:
        """End the server without waiting for an incomplete request."""
        if self.cycle is not None and self.cycle.more_body:
            self.transport.abort()
        else:
            super().shutdown()

    def _restart(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.since = self.loop.time()
        self._timer = self.loop.call_later(HEADER_SECONDS, self._end_if_idle)

    def _end_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()

    def _make_room(self) -> None:
        waiting = [c for c in self.connections if isinstance(c, Connection) and c is not self and c.is_waiting]
        if waiting:
            many = Counter(_address(c) for c in waiting)
            oldest = min(waiting, key=lambda c: (-many[_address(c)], c.was_answered, c.since))
            self.connections.discard(oldest)  # its transport ends in the next turn of the loop; it counts no more
            oldest.transport.abort()


def _address(connection: Connection) -> str:
    return connection.client[0] if connection.client else ""
