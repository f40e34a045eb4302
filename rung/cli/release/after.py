"""Commands after a release: verify it on any machine, check a server against it."""

from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import typer

from advisor.decision import Decision
from chat.endpoint import Endpoint
from chat.privacy import Guard, project_guard
from rung.cli.output import ProgressLine, show
from training.release import server_check
from training.release.goldens import read_goldens
from training.release.releases import CHAIN, VerifiedRelease, current_release
from training.release.releases import verify as verify_release
from training.release.server_check import CAUSES, RUN, ServerCheck
from workspace.artefact import read_artefact
from workspace.counted import counted
from workspace.errors import Refusal, RungError
from workspace.folder import find_project, require_project
from workspace.settings import load_settings
from workspace.trust import is_this_machine

LOCAL = "rung release check http://127.0.0.1:8000/v1"


def verify(name: str, as_json: bool) -> None:
    """`rung release verify DIR`: exit 1 if it is not what was released."""
    checked = verify_release(folder_of(name))
    show(
        as_json,
        {"release": checked.release.id, "files": checked.files, "links": checked.links, "faults": checked.faults},
        _lines(checked),
    )
    if checked.faults:
        raise typer.Exit(1)


def check(url: str, model: str, against: str, as_json: bool) -> None:
    """`rung release check URL`: exit 1 if the server answers otherwise than the run and every released form."""
    if folder_of(url).is_dir():
        raise RungError(
            f"{url} is a folder; the address of a server is expected.", f"rung release verify {url}", where=url
        )
    endpoint = Endpoint(url, model, keyed=True)
    folder = folder_of(against) if against else _current()
    goldens = read_goldens(folder)
    _may_leave(endpoint, folder)
    found = server_check.check(endpoint, goldens, folder, ProgressLine("golden prompts"))
    document = {**asdict(found), "release": folder.name, "passed": found.passed}
    show(as_json, document, check_lines(folder.name, found))
    if not found.passed:
        raise typer.Exit(1)


def _may_leave(endpoint: Endpoint, folder: Path) -> None:
    """The golden prompts are rows of the project that released them: its privacy answer is read before they go to
    another machine, wherever the command runs; without the project that of the release's own copy of the advice.
    """
    if is_this_machine(endpoint.host):
        return
    project = find_project(folder)
    if project is not None:
        guard = project_guard(project, load_settings(project.settings_file))
    else:
        guard = Guard(lambda: _told_by(folder), local_way=LOCAL)
    guard.check("openai", endpoint.host)


def _told_by(folder: Path) -> frozenset[str]:
    """Return the privacy answer in the release's copy of the advice. Raises Refusal if the release holds none."""
    path = folder / CHAIN / "decision.json"
    said = read_artefact(path, Decision).answers.get("privacy") if path.is_file() else None
    if said is None:
        raise Refusal(
            f"Not sent: {folder} is outside any Rung project, so no privacy setting applies, "
            "and its golden prompts contain dataset rows.",
            f"{LOCAL}, or check it where it was released",
            where=str(folder),
        )
    return frozenset([said] if isinstance(said, str) else map(str, said))


def check_lines(name: str, found: ServerCheck) -> list[str]:
    """Return the result first, then each difference token by token, warnings, and the next step."""
    lines = [
        f"{'✓' if found.passed else '✗'} {found.model} at {urlsplit(found.url).netloc} against {name}: {found.words}."
    ]
    if found.matches not in (None, RUN):
        lines.append(f"  Its answers match the form {found.matches} of the release.")
    lines.append(f"  Prompt tokens: {found.tokens}.")
    for each in found.differences[:10]:
        lines.append(f"  {each.number:>3}  {' '.join(each.question.split())[:60]}")
        lines.append(f"       run     {each.texts[0]!r}")
        lines.append(f"       server  {each.texts[1]!r}")
        side = "prompt" if each.cause in ("template", "bos") else "answer"
        lines.append(f"       {side} token {each.place}: {_tokens(each.expected)} | {_tokens(each.found)}")
    if len(found.differences) > 10:
        lines.append(f"  {len(found.differences) - 10} more: --json")
    causes = dict.fromkeys(each.cause for each in found.differences)
    lines += [f"Likely cause: {CAUSES[cause]}." for cause in causes]
    return [*lines, *(f"! {warning}" for warning in found.warnings)]


def _tokens(texts: list[str]) -> str:
    return " ".join(repr(text) for text in texts) or "nothing"


def _current() -> Path:
    found = current_release(require_project())
    if found is None:
        raise Refusal("Nothing is released yet.", "rung release --to prompt")
    return found[0]


def folder_of(name: str) -> Path:
    """Return a folder as named, or `L-001` of the project around."""
    project = find_project()
    inside = project.releases / name if project else Path(name)
    return inside if not Path(name).is_dir() and inside.is_dir() else Path(name)


def _lines(checked: VerifiedRelease) -> list[str]:
    made = checked.release
    if not checked.faults:
        files, links = counted(checked.files, "file"), counted(checked.links, "link")
        return [f"✓ {made.id}: {files} and {links} of the chain are unchanged since the release."]
    shown = [f"✗ {fault}" for fault in checked.faults[:20]]
    return [f"{made.id} changed since the release: {counted(len(checked.faults), 'difference')}.", *shown]
