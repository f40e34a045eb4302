"""The review page as an ASGI program: its routes with the roles that each is for."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from curation.review import Desk, LinkEnded, LinkUnknown
from curation.review.people import ROLES
from curation.review.rows import NearestDecided
from rung.web import pages
from rung.web.login import Door, HostGuard, NotInvited, TooMany, Visitor
from rung.web.templating import STATIC, PageRequest, closed, read_form, static_file
from workspace.errors import Refusal, RungError

Page = Callable[[Desk, PageRequest], Response]


@dataclass(frozen=True, slots=True)
class PageRoute:
    """A route for people who are signed in: its method, path, the roles it is open to, and the page."""

    method: str
    path: str
    roles: Collection[str]
    page: Page


WAYS = (
    PageRoute("GET", "/", ROLES, pages.show),
    PageRoute("POST", "/open", ROLES, pages.open_panel),
    PageRoute("POST", "/unmask", ROLES, pages.unmask_page),
    PageRoute("POST", "/decide", ROLES, pages.decide_page),
    PageRoute("POST", "/undo", ROLES, pages.undo_page),
    PageRoute("POST", "/contest", ROLES, pages.contest_page),
    PageRoute("POST", "/forget", ROLES, pages.forget),
    PageRoute("POST", "/stop", ROLES, pages.stop),
    PageRoute("GET", "/done", ROLES, pages.done_page),
    PageRoute("POST", "/look", ROLES, pages.look),
    PageRoute("POST", "/leave", ROLES, pages.leave),
    PageRoute("GET", "/team", ("lead",), pages.team_page),
    PageRoute("POST", "/reopen", ("lead",), pages.reopen),
    PageRoute("GET", "/rows", ROLES, pages.rows_page),
    PageRoute("GET", "/alike", ROLES, pages.alike_page),
    PageRoute("POST", "/alike", ROLES, pages.accept_alike),
    PageRoute("GET", "/compare", ROLES, pages.compare_page),
    PageRoute("POST", "/compare", ROLES, pages.prefer),
    PageRoute("POST", "/compare/unmask", ROLES, pages.compare_page),
    PageRoute("POST", "/compare/end", ("lead",), pages.end_comparison),
)
"""Every route but the two that are open to all: `/enter/TOKEN` and `/static/NAME`."""


def build_app(desk: Desk, hosts: Collection[str], door: Door | None = None) -> Starlette:
    """Return the page on a desk, served under these host names only."""
    door = door or Door(desk)
    routes = [Route(way.path, _endpoint(way, desk, door), methods=[way.method]) for way in WAYS]
    routes += [
        Route("/enter/{token}", _enter(desk, door), methods=["GET"]),
        Route("/static/{name}", _static, methods=["GET"]),
    ]
    made = Starlette(
        routes=routes,
        middleware=[Middleware(HostGuard, hosts=hosts)],
        exception_handlers={404: _missing, 405: _missing, RungError: _error, Exception: _broken},
    )
    made.state.store = desk.store.where
    made.state.nearest = NearestDecided(desk)
    made.state.owner = desk.settings.project.person
    return made


def _endpoint(way: PageRoute, desk: Desk, door: Door) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(_serve, way, desk, door, request, body)

    return answer


def _serve(way: PageRoute, desk: Desk, door: Door, request: Request, body: bytes) -> Response:
    """Identify the visitor, check rights and the form's token, then make the page."""
    visitor = door.visitor(request)
    if visitor.person.role not in way.roles:
        return closed("No access", f"This page is for: {', '.join(way.roles)}.", 403, after="/")
    form: dict[str, str] = {}
    if way.method == "POST":
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
            return closed("Not a form", "This page accepts only its own forms.", 415, after="/")
        try:
            form = read_form(body)
        except ValueError:
            return closed("Form refused", "It has more fields than any form here.", 400, after="/")
        if not visitor.wrote(form.get("csrf", "")):
            words = "You opened this page before you signed in, or another page sent the form. Nothing was changed."
            return closed("Not counted", words, 403, after="/")
    return way.page(desk, PageRequest(request, visitor, form))


def _enter(desk: Desk, door: Door) -> Callable[[Request], Awaitable[Response]]:
    """The personal link. It answers with a page that leads on, for a cookie of this kind is not sent on from a mail."""

    async def answer(request: Request) -> Response:
        if request.headers.get("sec-fetch-dest", "document") != "document":
            return closed("Not here", "Open a personal link as a page of its own.", 403)
        token = request.path_params["token"]
        visitor: Visitor = await run_in_threadpool(door.by_link, token, request)
        until = visitor.until
        words = f"You are {visitor.person.name}, {visitor.person.role}."
        made = closed(f"Welcome, {visitor.person.name}", words, 200, after="/")
        made.headers["Refresh"] = "0; url=/"
        age = max(0, int(until - desk.clock())) if until else None
        made.set_cookie(door.cookie, token, max_age=age, httponly=True, samesite="strict", secure=door.secure)
        return made

    return answer


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        return await _missing(request, None)
    content, kind = static_file(name)
    return Response(content, media_type=kind, headers={"Cache-Control": "max-age=300"})


async def _missing(request: Request, _error: Exception | None) -> Response:
    return closed("No such page", "There is no page at this address.", 404, after="/")


async def _error(request: Request, error: Exception) -> Response:
    title, words, status = _said(error, request.app.state.owner)
    if isinstance(error, RungError) and error.where == request.app.state.store:
        status = 503
    headers = {"Retry-After": "60"} if status == 429 else None
    after = "/" if status in (400, 403) else ""
    return closed(title, words, status, after=after, headers=headers)


def _said(error: Exception, owner: str) -> tuple[str, str, int]:
    match error:
        case LinkEnded(day=day):
            words = f"This link ended on {day}. Ask {owner} for a new one; what you decided is kept."
            return "This link has ended", words, 410
        case LinkUnknown():
            return (
                "This link is not known",
                f"It was replaced or mistyped. Ask {owner} for a new one; your decisions are kept.",
                401,
            )
        case NotInvited():
            return "Your link, please", f"This page opens with a personal link. Ask {owner} for yours.", 401
        case TooMany():
            return "Please wait", error.message, 429
        case Refusal():
            return "Not done", f"{error.message} Nothing was changed.", 403
    return "Not done", f"{error} Nothing was changed.", 400


async def _broken(request: Request, _error: Exception) -> Response:
    return closed("Something went wrong", "Your decision may not be saved. Go back and send it again.", 500)
