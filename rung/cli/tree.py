"""Shared by all commands: `--quiet` and `--verbose`, examples in the help, suggestions for a mistyped word."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from rung.cli.output import speak
from workspace.errors import RungError
from workspace.interrupt import is_interrupt
from workspace.settings_file import VARIABLE

OTHER_WORDS = {
    "add": "data import",
    "annotate": "review",
    "ask": "advise",
    "clean": "data fix",
    "compare": "baseline",
    "create": "init",
    "eval": "evaluate",
    "explain": "why",
    "export": "release",
    "finetune": "train",
    "fine-tune": "train",
    "label": "review",
    "load": "data import",
    "measure": "baseline",
    "merge": "release",
    "new": "init",
    "report": "verdict",
    "run": "train",
    "start": "init",
    "split": "data freeze",
    "test": "baseline",
    "tune": "train",
}
"""What other programs call it."""


ARTEFACTS = ("decision.json", "manifest.json", "report.json", "run.json", "release.json", "import.json")
"""What Rung writes and nobody edits: where one is wrong, others may be."""


class ReaderGone(Exception):
    """Whoever read our pipe has read enough."""


class _Answered:
    """What commands and groups share: no empty file names, and a way on from every error."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """As usual; an empty word for a file (a variable that holds nothing) is never this folder."""
        this: Any = self
        if "" in args:
            given = this.make_parser(ctx).parse_args(list(args))[0]
            files = _of_files(this.callback)
            for param in this.params:
                said = given.get(param.name)
                if param.name in files and "" in ([said] if isinstance(said, str) else said or ()):
                    name = param.opts[-1]
                    raise RungError(f"{name}: the name is empty.", f"{ctx.command_path} --help", where=name)
        return super().parse_args(ctx, args)  # type: ignore[misc]

    def get_help(self, ctx: Any) -> str:
        """As usual, with `<path>` where it would say `<list[Path]>`: nobody has to read Python's types."""
        said: str = super().get_help(ctx)  # type: ignore[misc]
        said = re.sub(r"<list\[(\w+)\]>", lambda kind: f"<{kind[1].lower()}>".ljust(len(kind[0])), said)
        return re.sub(" +$", "", said, flags=re.MULTILINE)

    def invoke(self, ctx: Any) -> Any:
        """As usual; bad usage or input that names no way on ends with the command that shows the right usage."""
        try:
            return super().invoke(ctx)  # type: ignore[misc]
        except BrokenPipeError as error:
            raise ReaderGone from error  # typer would leave with 1, as if a gate had said no
        except RungError as error:
            if error.exit_code == RungError.exit_code and not error.hint:
                error.hint = _way_on(error.where, ctx.command_path)
            raise


class Command(_Answered, TyperCommand):
    """A command with its examples under the help."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples of this command."""
        _write_examples(ctx, formatter)


class Group(_Answered, TyperGroup):
    """A group of commands: whole sentences in the list, and a way on from a word that is none."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Every command with its first sentence, whole."""
        shown = [(name, command) for name, command in self.commands.items() if not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_sentence(command.help or "")) for name, command in shown])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples of this group."""
        _write_examples(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As usual; a word that is no command is answered with the commands that were perhaps meant."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise _no_such_command(ctx, args[0])
        return super().resolve_command(ctx, args)


def _group(kind: Any) -> type[TyperGroup]:
    """The class that a group names for itself, where it is one of ours."""
    return kind if isinstance(kind, type) and issubclass(kind, Group) else Group


def dress(app: typer.Typer) -> None:
    """Give every command of the tree the two flags and these classes; before the tree is built."""
    app.info.cls = _group(app.info.cls)
    if app.registered_callback is not None and app.registered_callback.callback is not None:
        app.registered_callback.callback = _heard(app.registered_callback.callback)
    for command in app.registered_commands:
        command.cls = Command
        if command.callback is not None:
            command.callback = _heard(command.callback)
    for group in app.registered_groups:
        group.cls = _group(group.cls)
        if group.typer_instance is not None:
            dress(group.typer_instance)


Quiet = Annotated[bool, typer.Option("--quiet", help="Show results, warnings and errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Also show timings, library logs and tracebacks.")]


def _heard(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same command with `--quiet` and `--verbose`; the function itself never sees them."""
    if hasattr(function, "__wrapped__"):
        return function

    @functools.wraps(function)
    def command(*given: Any, quiet: bool = False, verbose: bool = False, **named: Any) -> Any:
        speak(quiet=quiet, verbose=verbose)
        try:
            return function(*given, **named)
        except (KeyboardInterrupt, SystemError) as stop:
            if is_interrupt(stop):
                raise typer.Abort from stop  # typer alone would leave without a word
            raise

    signature = inspect.signature(function, eval_str=True)
    flags = {"quiet": Quiet, "verbose": Verbose}
    last = inspect.Parameter.KEYWORD_ONLY
    more = [inspect.Parameter(name, last, default=False, annotation=kind) for name, kind in flags.items()]
    told = signature.replace(parameters=[*signature.parameters.values(), *more])
    command.__signature__ = told  # type: ignore[attr-defined]
    command.__annotations__ = {name: each.annotation for name, each in told.parameters.items()}
    return command


def _of_files(function: Any) -> set[str]:
    """The parameters of a command that name files or folders."""
    told = inspect.signature(function).parameters.items() if function else ()
    return {name for name, each in told if "pathlib.Path" in str(each.annotation)}


def _way_on(where: str, command: str) -> str:
    """Return a hint for an error without one, by the place that it names."""
    name = re.sub(r"(:| line )\d+$", "", where)
    if name.endswith("rung.toml") or VARIABLE.fullmatch(name):
        return "fix it, then: rung doctor"
    if name.endswith("rung.db"):
        return "rung doctor, or put an earlier copy of the folder back"
    return "rung doctor lists all damaged files" if name.endswith(ARTEFACTS) else f"{command} --help"


def _write_examples(ctx: Any, formatter: Any) -> None:
    path = ctx.command_path.partition(" ")[2]
    if lines := EXAMPLES.get(path):
        with formatter.section("Examples"):
            for line in lines:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def _first_sentence(text: str) -> str:
    first = " ".join(text.strip().split("\n\n")[0].split())
    return first.partition(". ")[0].rstrip(".")


def _no_such_command(ctx: Any, word: str) -> RungError:
    """Suggest a command: a similar name, the same name in another group, or another tool's word for it."""
    root = ctx.find_root()
    here = {" ".join((ctx.command_path, name)): name for name in ctx.command.commands}
    names = {name: path for path, name in here.items()}
    near = [names[name] for name in get_close_matches(word.lower(), names)]
    elsewhere = [f"rung {path}" for path in _paths(root.command) if path.split()[-1] == word.lower()]
    other = [f"rung {OTHER_WORDS[word.lower()]}"] if word.lower() in OTHER_WORDS else []
    meant = list(dict.fromkeys([*other, *elsewhere, *near]))[:3]
    asked = f' Did you mean "{meant[0]}"' + "".join(f' or "{path}"' for path in meant[1:]) + "?" if meant else ""
    return RungError(f"No such command '{word}'.{asked}", f"{ctx.command_path} --help", found=word)


def _paths(command: Any, path: str = "") -> Iterator[str]:
    for name, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield f"{path} {name}".strip()
            yield from _paths(below, f"{path} {name}".strip())


EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "rung init claims && cd claims      start here",
        "rung                               the screens on this folder",
        "rung status                        the state of each stage, and the next command",
        "rung advise                        the questions, and the advice",
        "rung data check rows.csv           what is wrong with a file, no project needed",
    ),
    "init": ("rung init claims",),
    "status": ("rung status", "rung status --json"),
    "advise": (
        "rung advise                                       asks on a screen, then advises",
        "rung advise --answers answers.toml --save         takes the answers from a file",
        "rung advise --set goal_score=0.8                  answers one question and updates the advice",
        "rung advise --what-if knowledge_change=weekly     tries another answer",
        "rung advise --report advice.html                  a page to send on",
        "rung advise --logs requests.jsonl                 what to do with each workload of a log",
    ),
    "questions": ("rung questions      every key of answers.toml with its values",),
    "data import": (
        "rung data import test.csv --as test --question text --answer team",
        "rung data import rows.jsonl --rejects rejects.jsonl",
    ),
    "data convert": ("rung data convert rows.csv -o rows.jsonl --to chat",),
    "data dedup": ("rung data dedup rows.jsonl -o kept.jsonl --removed removed.jsonl",),
    "data leakage": ("rung data leakage --train train.jsonl --test test.jsonl --clean clean.jsonl",),
    "data check": (
        "rung data check                        the project's rows",
        "rung data check rows.csv --show pii    a file, with the rows of one finding",
    ),
    "data fix": ("rung data fix leaks", "rung data fix --all --dry-run"),
    "data freeze": (
        "rung data freeze --test-only    enough to measure the ladder",
        "rung data freeze                the whole dataset",
    ),
    "data generate": (
        "rung data generate --count 50 --provider local",
        "rung data generate --count 200 --provider anthropic --budget-usd 2 --batch",
    ),
    "review": (
        "rung review           the review screen",
        "rung review serve     the same queue in a browser",
        "rung review status    progress, pace and agreement",
    ),
    "review decide": ("rung review decide r-000012 reject --token T --reviewer dana --reason 1",),
    "review export": ("rung review export --assign mo -o mo.csv",),
    "review import": ("rung review import mo.csv --reviewer mo",),
    "review invite": ("rung review invite dana --days 30", "rung review invite dana --revoke"),
    "review serve": ("rung review serve --port 8080",),
    "baseline": (
        "rung baseline --arms base,prompt,few_shot",
        "rung baseline --dry-run         calls, tokens and dollars beforehand",
        "rung baseline --budget-usd 5",
        "rung baseline --batch           half the price, up to a day",
    ),
    "estimate": (
        "rung estimate --model Qwen3-8B --method qlora",
        "rung estimate --model Qwen3-8B --fit 24GB       what fits that card",
        "rung estimate --list                            the models in the catalogue",
    ),
    "plan": ("rung plan --set rank=8", "rung plan check    a few dry steps: memory and speed, measured"),
    "plan sweep": ("rung plan sweep lr=1e-4,2e-4,5e-4 rank=8,16 --budget 30",),
    "plan export": ("rung plan export axolotl -o export",),
    "train": ("rung train --detach", "rung train --override review --by priya --reason 'the pilot needs it'"),
    "evaluate": ("rung evaluate R-001",),
    "verdict": (
        "rung verdict R-001",
        "rung verdict --scores scores.jsonl    the same test on your own scores",
    ),
    "release": ("rung release --to prompt", "rung release R-001 --to adapter,merged"),
    "share": ("rung share", "rung share -o for-kim.html"),
    "watch import": (
        "rung watch import requests.jsonl",
        "rung watch import logs/*.jsonl.gz --rejects rejects.jsonl",
    ),
    "watch report": (
        "rung watch report --html watch.html",
        "rung watch report --since 2026-11-25 --judge 50",
    ),
    "watch learn": ("rung watch learn --errors    only what failed, was edited or rated low",),
    "mcp": (
        "claude mcp add rung -- rung mcp                     Claude Code",
        "rung mcp --skill > .claude/skills/rung/SKILL.md     when an agent asks Rung",
    ),
    "why": (
        "rung why L-001       a release, back to each row, reviewer and guideline",
        "rung why r-000012    a row",
        "rung why W-001:17    an answer in production",
        "rung why privacy     an answer: the rules that read it",
    ),
    "demo": ("rung demo --fast",),
}
"""Command path without `rung` -> its examples, with two spaces or more before what a line is good for."""
