"""Where the page listens, under which names, and how it is reached from elsewhere."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from curation.review import Desk
from workspace.errors import Refusal, RungError
from workspace.settings import WebSettings

if TYPE_CHECKING:
    import uvicorn

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY = ("0.0.0.0", "::")  # nosec B104  names that are no name of ours
MOST_AT_ONCE = 256
"""Connections that are served at once; the next one is told to come back (503)."""


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_login(desk: Desk) -> None:
    """Raise Refusal where the page would listen to others and nobody would have to say who they are."""
    web = desk.settings.web
    if web.login == "proxy" and not web.proxy:
        raise RungError(
            '[web] login = "proxy" believes nobody yet: name the proxy\'s address.',
            'proxy = ["127.0.0.1"] in rung.toml',
        )
    if is_loopback(web.host):
        return
    if web.login == "none":
        raise Refusal(
            f'Not started: {web.host} is reached from elsewhere, and [web] login = "none" lets everyone in.',
            "rung review serve --host 127.0.0.1",
            where=web.host,
        )
    if web.login == "link" and not has_links(desk):
        raise Refusal(
            f"Not started: {web.host} is reached from elsewhere, and nobody has a personal link yet.",
            "rung review invite NAME",
            where=web.host,
        )


def has_links(desk: Desk) -> bool:
    """Whether anyone's personal link is good now."""
    from curation.review import all_reviewers

    return any((person.token_until or 0) > desk.clock() for person in all_reviewers(desk.store))


def host_names(web: WebSettings) -> set[str]:
    """Names in a Host header that are answered: this machine's own, and that of `[web] url`."""
    names = {*LOOPBACK, web.host}
    if web.url:
        names.add(urlsplit(web.url).hostname or "")
    if not is_loopback(web.host):
        own = socket.gethostname()
        names |= {own, own.split(".")[0], f"{own.split('.')[0]}.local"} | _own_addresses(own)
    return names - {"", *ANY}


def bind(web: WebSettings) -> socket.socket:
    """A listening socket. Raises RungError where the address is taken or not ours."""
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


def server(desk: Desk) -> uvicorn.Server:
    """The program that serves the page, not yet running. It writes no line a request: links would stand in it."""
    import uvicorn

    from rung.web.app import build_app

    app = build_app(desk, host_names(desk.settings.web))
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # who is believed is [web] proxy's to say
            limit_concurrency=MOST_AT_ONCE,
            timeout_keep_alive=20,
            timeout_graceful_shutdown=3,
            ws="none",
            lifespan="off",
        )
    )


def link_base(web: WebSettings, port: int) -> str:
    """Where a personal link leads: the page's public address, else this machine as its reviewers can name it."""
    if web.url:
        return web.url.rstrip("/")
    host = socket.gethostname() if web.host in ANY else web.host
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def reached(web: WebSettings, port: int, usual: str = "") -> Iterator[str]:
    """How reviewers get to the page: here, through ssh, through a proxy; and their links.

    `usual` is where `rung review invite` leads by itself, by rung.toml alone.
    """
    address = f"[{web.host}]" if ":" in web.host else web.host
    yield f"Review page: http://{address}:{port}   (Ctrl+C ends it; decisions are kept)"
    yield ""
    if is_loopback(web.host):
        yield "From another machine, through ssh:"
        yield f"  ssh -L {port}:127.0.0.1:{port} {_user()}@{socket.gethostname()}"
        yield f"  then open http://127.0.0.1:{port} there"
    else:
        yield "This connection is not encrypted: for more than a trusted network put a proxy with TLS in front."
    yield ""
    yield 'Behind nginx, with [web] url = "https://review.example.org" in rung.toml:'
    yield f"  location / {{ proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $host;"
    yield "    proxy_set_header X-Forwarded-For $remote_addr; access_log off; }"
    if web.login == "proxy":
        yield f"    proxy_set_header {web.user_header} $remote_user;   # after its own login, for each request"
    yield ""
    if web.login != "none":
        base = "" if link_base(web, port) == usual else f" --base {link_base(web, port)}"
        yield f"Links: rung review invite NAME{base}   (again: a new link; --revoke ends it)"
    else:
        yield "No login: whoever uses this machine reviews under your name."


def _own_addresses(own: str) -> set[str]:
    try:
        return {str(found[4][0]).split("%")[0] for found in socket.getaddrinfo(own, None)}
    except OSError:
        return set()


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "you"
