"""Commands of the group `release`: release a run or the best prompt, and what is done with a release afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import Json

if TYPE_CHECKING:
    from chat.protocols import ChatModel
    from training.release.make import Ways
    from workspace.folder import Project
    from workspace.settings import Settings


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("release")(release)


def release(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN] | verify DIR | check URL | challenge [RUN] | rollback [L-001] | switch L-001 L-002",
            help="A run (R-001), or one of these words with what it names.",
        ),
    ] = None,
    to: Annotated[str, typer.Option(help="Forms: prompt,adapter,merged,gguf,gptq,awq,ollama,vllm,tgi.")] = "",
    gguf: Annotated[str, typer.Option(help="Types of GGUF: q8_0,q4_k_m,f16,f32. Else rung.toml's.")] = "",
    override: Annotated[str, typer.Option(help="loss: a changed form may lose more than the limit. With --by.")] = "",
    by: Annotated[str, typer.Option(help="Who releases, or decides a judgement.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    model: Annotated[str, typer.Option(help="check: the model's name at the server.")] = "",
    against: Annotated[
        str, typer.Option(help="check: the release to compare with (L-001). Else the one that stands.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Release a tuned model that earned it, or the best prompt; verify, check, challenge or take back a release."""
    from rung.cli import release_after, release_stand
    from workspace.errors import RungError

    words = what or []
    if words and words[0] == "verify":
        return release_after.verify(_one(words, "verify DIR"), as_json)
    if words and words[0] == "check":
        return release_after.check(_one(words, "check URL"), model, against, as_json)
    if words and words[0] == "challenge":
        return release_stand.challenge(_at_most_one(words, "challenge [RUN]"), as_json)
    if words and words[0] == "rollback":
        return release_stand.rollback(_at_most_one(words, "rollback [L-001]"), by, reason, as_json)
    if words and words[0] == "switch":
        return release_after.switch(words[1:], as_json)
    if len(words) > 1:
        raise RungError(f"One run at a time: {' '.join(words)}.", "rung release RUN --to adapter")
    _release(words[0] if words else None, to, gguf, _ways(override, by, reason), as_json)


def _one(words: list[str], usage: str) -> str:
    from workspace.errors import RungError

    if len(words) != 2:
        raise RungError(f"rung release {usage}: names one, and {len(words) - 1} were named.", f"rung release {usage}")
    return words[1]


def _at_most_one(words: list[str], usage: str) -> str:
    return _one(words, usage) if len(words) > 1 else ""


def _ways(override: str, by: str, reason: str) -> Ways:
    from rung.cli.models import watch
    from rung.cli.output import note
    from training.release.make import Ways
    from workspace.errors import RungError, did_you_mean

    if override not in ("", "loss"):
        hint = did_you_mean(override, ["loss"])
        raise RungError(f"--override {override}: a release overrides loss and nothing else.{hint}", "--override loss")
    return Ways(by, reason, override == "loss", note, watch)


def _release(run: str | None, to: str, gguf: str, ways: Ways, as_json: bool) -> None:
    from dataclasses import replace

    from training.record import find_run
    from training.release.make import release_prompt, release_run, wanted_forms
    from workspace.errors import RungError
    from workspace.folder import require_project
    from workspace.settings import load_settings

    if not to:
        raise RungError("In which form? --to prompt, or of a run: --to adapter,merged", "rung release --to prompt")
    forms = wanted_forms(to)
    project = require_project()
    settings = _with_types(load_settings(project.settings_file), gguf)
    if forms == ["prompt"]:
        folder = release_prompt(project, settings, by=ways.by, reason=ways.reason, told=ways.told)
    else:
        ways = replace(ways, judge=_judge(project, settings) if set(forms) & {"gguf", "gptq", "merged"} else None)
        folder = release_run(project, settings, find_run(project, run), forms, ways)
    _say(project, folder, as_json)


def _judge(project: Project, settings: Settings) -> ChatModel | None:
    """The judge, where the project's metric is one's."""
    from evaluation.metrics.registry import item_metric
    from rung.cli.models import open_judge

    return open_judge(project, settings) if item_metric(settings.evaluation.metric, project.root).judged else None


def _with_types(settings: Settings, gguf: str) -> Settings:
    from training.release.make import gguf_types

    if not gguf:
        return settings
    return settings.model_copy(update={"release": settings.release.model_copy(update={"gguf": gguf_types(gguf)})})


def _say(project: Project, folder: Path, as_json: bool) -> None:
    from rung.cli.output import emit, say
    from training.release.record import RELEASE, Release
    from workspace.artefact import read_artefact

    made = read_artefact(folder / RELEASE, Release)
    if as_json:
        return emit({**made.model_dump(mode="json"), "folder": str(folder)})
    for form in made.forms:
        say(f"✓ {form.form:<8} {form.bytes / 1e6:>10,.1f} MB   {form.against}")
    names = ", ".join(form.form for form in made.forms)
    say(f"Released {made.id}: {names}. Card: {project.relative(folder / 'README.md')}")
    say(f"Another machine checks it with: rung release verify {project.relative(folder)}")
