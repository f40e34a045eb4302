"""Commands of the group `release`: release a run or the best prompt, and what is done with a release afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import Json
from rung.cli.output import note, show
from workspace.errors import RungError, did_you_mean
from workspace.settings import opened_project

if TYPE_CHECKING:
    from chat.protocols import ChatModel
    from training.release.releasing import ReleaseOptions
    from workspace.folder import Project
    from workspace.settings import Settings


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
    from rung.cli.release import after as release_after

    words = what or []
    if words and words[0] == "verify":
        return release_after.verify(_one(words, "verify DIR"), as_json)
    if words and words[0] == "check":
        return release_after.check(_one(words, "check URL"), model, against, as_json)
    if len(words) > 1:
        raise RungError(f"One run at a time: {' '.join(words)}.", "rung release RUN --to adapter")
    _release(words[0] if words else None, to, gguf, _ways(override, by, reason), as_json)


def _one(words: list[str], usage: str) -> str:
    if len(words) != 2:
        raise RungError(f"rung release {usage} takes one name; {len(words) - 1} were given.", f"rung release {usage}")
    return words[1]


def _ways(override: str, by: str, reason: str) -> ReleaseOptions:
    from rung.cli.models import watch
    from training.release.releasing import ReleaseOptions

    if override not in ("", "loss"):
        hint = did_you_mean(override, ["loss"])
        raise RungError(f"--override {override}: a release can override only loss.{hint}", "--override loss")
    return ReleaseOptions(by, reason, override == "loss", note, watch)


def _release(run: str | None, to: str, gguf: str, ways: ReleaseOptions, as_json: bool) -> None:
    from training.release.releases import UNTUNED
    from training.release.releasing import release_run, release_untuned, wanted_forms
    from training.runs import find_run

    if not to:
        raise RungError(
            "No form given. Expected --to prompt, classifier or encoder, or for a run --to adapter,merged.",
            "rung release --to prompt",
            where="--to",
        )
    forms = wanted_forms(to)
    project, settings = opened_project()
    settings = _with_types(settings, gguf)
    if set(forms) <= set(UNTUNED):
        folder = release_untuned(project, settings, forms, by=ways.by, reason=ways.reason, told=ways.told)
    else:
        ways = replace(ways, judge=_judge(project, settings) if set(forms) & {"gguf", "gptq", "merged"} else None)
        folder = release_run(project, settings, find_run(project, run), forms, ways)
    _say(project, folder, as_json)


def _judge(project: Project, settings: Settings) -> ChatModel | None:
    """Return the judge, where the project's metric is one's."""
    from evaluation.metrics.item_metrics import item_metric
    from rung.cli.models import open_judge

    return open_judge(project, settings) if item_metric(settings.evaluation.metric, project.root).judged else None


def _with_types(settings: Settings, gguf: str) -> Settings:
    from training.release.releasing import gguf_types
    from workspace.artefact import revised

    if not gguf:
        return settings
    return revised(settings, release=revised(settings.release, gguf=gguf_types(gguf)))


def _say(project: Project, folder: Path, as_json: bool) -> None:
    from training.release.releases import RELEASE, Release
    from workspace.artefact import read_artefact

    made = read_artefact(folder / RELEASE, Release)
    names = ", ".join(form.form for form in made.forms)
    lines = [
        *(f"✓ {form.form:<10} {form.bytes / 1e6:>10,.1f} MB   {form.against}" for form in made.forms),
        f"Released {made.id}: {names}. Card: {project.relative(folder / 'README.md')}",
        f"To check it on another machine: rung release verify {project.relative(folder)}",
    ]
    show(as_json, {**made.model_dump(mode="json"), "folder": str(folder)}, lines)
