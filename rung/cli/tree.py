"""What every command shares: `--quiet` and `--verbose`, examples under its help, and a way on from a wrong word."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from rung.cli.examples import EXAMPLES
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


class Command(TyperCommand):
    """A command with its examples under the help."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """As usual; an empty word for a file (a variable that holds nothing) is never this folder."""
        if "" in args:
            given = self.make_parser(ctx).parse_args(list(args))[0]
            files = _of_files(self.callback)
            for param in self.params:
                said = given.get(param.name)
                if param.name in files and "" in ([said] if isinstance(said, str) else said or ()):
                    name = param.opts[-1]
                    raise RungError(f"{name}: an empty name.", f"{ctx.command_path} --help", where=name)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """As usual; bad usage or input that names no way on ends with the command that shows the right usage."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone from error  # typer would leave with 1, as if a gate had said no
        except RungError as error:
            if error.exit_code == RungError.exit_code and not error.hint:
                error.hint = _way_on(error.where, ctx.command_path)
            raise

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples of this command."""
        _write_examples(ctx, formatter)


class Group(TyperGroup):
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


def dress(app: typer.Typer) -> None:
    """Give every command of the tree the two flags and these classes; before the tree is built."""
    app.info.cls = Group
    if app.registered_callback is not None and app.registered_callback.callback is not None:
        app.registered_callback.callback = _heard(app.registered_callback.callback)
    for command in app.registered_commands:
        command.cls = Command
        if command.callback is not None:
            command.callback = _heard(command.callback)
    for group in app.registered_groups:
        group.cls = Group
        if group.typer_instance is not None:
            dress(group.typer_instance)


Quiet = Annotated[bool, typer.Option("--quiet", help="Results, warnings and errors only: no progress, no notes.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Also times, what libraries say, and where an error arose.")]


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
    """What to do about an error that does not say it, by the place that it names."""
    name = re.sub(r"(:| line )\d+$", "", where)
    if name.endswith("rung.toml") or VARIABLE.fullmatch(name):
        return "put it right, then: rung doctor"
    if name.endswith("rung.db"):
        return "rung doctor; rung restore FILE FOLDER brings a backup back"
    return "rung doctor says what else is not whole" if name.endswith(ARTEFACTS) else f"{command} --help"


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
    """What was meant, perhaps: a name like it, the same name in another group, or another program's word for it."""
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
