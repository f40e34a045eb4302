"""`rung review serve`: the review page, for a browser."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.options import Json
from rung.cli.output import emit, note, say
from rung.cli.review.review_group import review_app
from workspace.errors import RungError
from workspace.settings import Settings, WebSettings, load_settings, opened_project

if TYPE_CHECKING:
    from curation.review import Desk


@review_app.command("serve")
def serve_command(
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "",
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="0: a free port.", min=0, max=65535)] = None,
    login: Annotated[str, typer.Option("--login", metavar="link|proxy|none", help="How people sign in.")] = "",
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Public address, behind a proxy.")] = "",
    as_json: Json = False,
) -> None:
    """Serve the review page to browsers, by default on this machine only. --json prints the address, then serves."""
    from workspace.extras import require

    for module in ("uvicorn", "starlette"):
        require("web", module)
    given: dict[str, Any] = {"host": host, "login": login, "url": url, "port": port}
    desk = _desk({key: value for key, value in given.items() if value not in ("", None)})
    with desk.store:
        desk.store.check_writable()
        _serve(desk, as_json)


def _desk(given: dict[str, Any]) -> Desk:
    """Return the desk of the project here, with the flags on top of `[web]`."""
    from pydantic import ValidationError

    from curation.review import open_desk

    project, settings = opened_project()
    try:
        web = WebSettings.model_validate({**settings.web.model_dump(), **given})
    except ValidationError as error:
        detail = error.errors()[0]
        raise RungError(
            f"--{detail['loc'][0]} {detail['input']}: {detail['msg']}.", "rung review serve --help"
        ) from error
    return open_desk(project, Settings.model_validate({**settings.model_dump(), "web": web}))


def _serve(desk: Desk, as_json: bool) -> None:
    from rung.start import guideline_is_untouched
    from rung.web.serve import bind, check_login, server

    check_login(desk)
    opened = bind(desk.settings.web)
    own = secrets.token_urlsafe(32) if desk.settings.web.login == "link" else ""
    _tell(desk, opened.getsockname()[1], own, as_json)
    if guideline_is_untouched(desk.project):
        note("! guideline.md is still the template: describe there what a right answer is; reviewers see it")
    sys.stdout.flush()
    try:
        server(desk, own).run(sockets=[opened])
    except KeyboardInterrupt:
        pass
    finally:
        opened.close()
    note("The review page is closed. All decisions are saved.")


def _tell(desk: Desk, port: int, own: str, as_json: bool) -> None:
    """Print the address of the page before serving it, and the link of the person who starts it (token `own`)."""
    from rung.web.serve import link_base, reached

    web = desk.settings.web
    written = load_settings(desk.project.settings_file).web
    usual = link_base(written, written.port)
    base = f" --base {link_base(web, port)}" if link_base(web, port) != usual else ""
    if as_json:
        invite = f"rung review invite NAME{base}" if web.login != "none" else None
        address = f"[{web.host}]" if ":" in web.host else web.host
        told = {"address": f"http://{address}:{port}", "port": port, "login": web.login, "url": web.url or None}
        emit({**told, "link": f"{link_base(web, port)}/enter/{own}" if own else None, "invite": invite})
        return
    first, *others = reached(web, port, usual)
    say(first)
    if own:
        say(f"Your link:   {link_base(web, port)}/enter/{own}   (ends with this page)")
    for line in others:
        say(line)
