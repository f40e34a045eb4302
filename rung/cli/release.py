"""`rung release`: release a run or the best prompt; verify a release on any machine, check a server against it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from rung.cli.options import Json
from rung.cli.output import ProgressLine, note, show
from workspace.counted import counted
from workspace.errors import Refusal, RungError, did_you_mean
from workspace.folder import find_project, require_project
from workspace.settings import load_settings, opened_project
from workspace.trust import is_this_machine

if TYPE_CHECKING:
    from chat.endpoint import Endpoint
    from training.release.goldens import ServerCheck


def release(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN] | verify DIR | check URL",
            help="Run, e.g. R-001, or one of these subcommands.",
        ),
    ] = None,
    to: Annotated[
        str, typer.Option(help="Forms: prompt,classifier,encoder,adapter,merged,gguf,gptq,awq,ollama,vllm,tgi,served.")
    ] = "",
    gguf: Annotated[str, typer.Option(help="GGUF types: q8_0,q4_k_m,f16,f32 (default: rung.toml).")] = "",
    override: Annotated[
        str, typer.Option(help="loss: release a form that loses more than the limit; needs --by.")
    ] = "",
    by: Annotated[str, typer.Option(help="Your name: who releases or accepts a judgement.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    model: Annotated[str, typer.Option(help="check: the model's name at the server.")] = "",
    against: Annotated[
        str, typer.Option(help="check: release to compare with, e.g. L-001 (default: the current one).")
    ] = "",
    as_json: Json = False,
) -> None:
    """Release a tuned model, the best prompt or a classifier; verify a release, or check a server against it."""
    words = what or []
    if words and words[0] == "verify":
        return _verify(_one(words, "verify DIR"), as_json)
    if words and words[0] == "check":
        return _check(_one(words, "check URL"), model, against, as_json)
    if len(words) > 1:
        raise RungError(f"One run at a time: {' '.join(words)}.", "rung release RUN --to adapter")
    _release(words[0] if words else None, to, gguf, override, (by, reason), as_json=as_json)


def _one(words: list[str], usage: str) -> str:
    if len(words) != 2:
        raise RungError(f"rung release {usage} takes one name; {len(words) - 1} were given.", f"rung release {usage}")
    return words[1]


def _release(run: str | None, to: str, gguf: str, override: str, signed: tuple[str, str], *, as_json: bool) -> None:
    """Release a run, or what needs none; `signed` is a name and a reason."""
    from evaluation.metrics.item_metrics import item_metric
    from rung.cli.models import open_judge, watch
    from training.release.making import ReleaseOptions
    from training.release.releases import RELEASE, UNTUNED, Release
    from training.release.releasing import gguf_types, release_run, release_untuned, wanted_forms
    from training.runs import find_run
    from workspace.artefact import read_artefact, revised

    if override not in ("", "loss"):
        hint = did_you_mean(override, ["loss"])
        raise RungError(f"--override {override}: a release can override only loss.{hint}", "--override loss")
    if not to:
        raise RungError(
            "No form given. Expected --to prompt, classifier or encoder, or for a run --to adapter,merged.",
            "rung release --to prompt",
            where="--to",
        )
    forms = wanted_forms(to)
    project, settings = opened_project()
    if gguf:
        settings = revised(settings, release=revised(settings.release, gguf=gguf_types(gguf)))
    by, reason = signed
    if set(forms) <= set(UNTUNED):
        folder = release_untuned(project, settings, forms, by=by, reason=reason, told=note)
    else:
        judged = "merged" in forms and item_metric(settings.evaluation.metric, project.root).judged
        judge = open_judge(project, settings) if judged else None
        ways = ReleaseOptions(by, reason, override == "loss", note, watch, judge)
        folder = release_run(project, settings, find_run(project, run), forms, ways)
    made = read_artefact(folder / RELEASE, Release)
    names = ", ".join(form.form for form in made.forms)
    lines = [
        *(f"✓ {form.form:<10} {form.bytes / 1e6:>10,.1f} MB   {form.against}" for form in made.forms),
        f"Released {made.id}: {names}. Card: {project.relative(folder / 'README.md')}",
        f"To check it on another machine: rung release verify {project.relative(folder)}",
    ]
    show(as_json, {**made.model_dump(mode="json"), "folder": str(folder)}, lines)


LOCAL = "rung release check http://127.0.0.1:8000/v1"


def _verify(name: str, as_json: bool) -> None:
    """`rung release verify DIR`: exit 1 if it is not what was released."""
    from training.release.releases import verify

    found = verify(_folder_of(name))
    name = found.release.id
    document = {"release": name, "files": found.files, "links": found.links, "faults": found.faults}
    files, links = counted(found.files, "file"), counted(found.links, "link")
    lines = [f"✓ {name}: {files} and {links} of the chain are unchanged since the release."]
    if found.faults:
        lines = [f"{name} changed since the release: {counted(len(found.faults), 'difference')}."]
        lines += [f"✗ {fault}" for fault in found.faults[:20]]
    show(as_json, document, lines)
    if found.faults:
        raise typer.Exit(1)


def _check(url: str, model: str, against: str, as_json: bool) -> None:
    """`rung release check URL`: exit 1 if the server answers otherwise than the run and every released form."""
    from chat.endpoint import Endpoint
    from training.release.goldens import check_server, read_goldens
    from training.release.releases import current_release

    if _folder_of(url).is_dir():
        raise RungError(
            f"{url} is a folder; the address of a server is expected.", f"rung release verify {url}", where=url
        )
    endpoint = Endpoint(url, model, keyed=True)
    if against:
        folder = _folder_of(against)
    elif (current := current_release(require_project())) is not None:
        folder = current[0]
    else:
        raise Refusal("Nothing is released yet.", "rung release --to prompt")
    goldens = read_goldens(folder)
    _may_leave(endpoint, folder)
    found = check_server(endpoint, goldens, folder, ProgressLine("golden prompts"))
    document = {**asdict(found), "release": folder.name, "passed": found.passed}
    show(as_json, document, _check_lines(folder.name, found))
    if not found.passed:
        raise typer.Exit(1)


def _may_leave(endpoint: Endpoint, folder: Path) -> None:
    """The golden prompts are rows of the project that released them: its privacy answer is read before they go to
    another machine, wherever the command runs; without the project that of the release's own copy of the advice.
    """
    from chat.privacy import Guard, project_guard

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
    from advisor.decision import Decision
    from training.release.releases import CHAIN
    from workspace.artefact import read_artefact

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


def _check_lines(name: str, found: ServerCheck) -> list[str]:
    """Return the result first, then each difference token by token, warnings, and the next step."""
    from training.release.goldens import CAUSES, RUN

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
        lines.append(f"       {each.side} token {each.place}: {_tokens(each.expected)} | {_tokens(each.found)}")
    if len(found.differences) > 10:
        lines.append(f"  {len(found.differences) - 10} more: --json")
    causes = dict.fromkeys(each.cause for each in found.differences)
    lines += [f"Likely cause: {CAUSES[cause]}." for cause in causes]
    return [*lines, *(f"! {warning}" for warning in found.warnings)]


def _tokens(texts: list[str]) -> str:
    return " ".join(repr(text) for text in texts) or "nothing"


def _folder_of(name: str) -> Path:
    """Return a folder as named, or `L-001` of the project around."""
    project = find_project()
    inside = project.releases / name if project else Path(name)
    return inside if not Path(name).is_dir() and inside.is_dir() else Path(name)
