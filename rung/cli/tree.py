"""Shared by all commands: `--quiet` and `--verbose`, examples in the help, suggestions for a mistyped word."""

import functools
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from rung.cli.output import speak
from workspace.errors import RungError
from workspace.interrupt import is_interrupt
from workspace.settings_file import VARIABLE

EXAMPLES = Path(__file__).parent / "examples.toml"

ARTEFACTS = ("decision.json", "manifest.json", "report.json", "run.json", "release.json", "import.json")
"""Files that Rung writes and nobody edits: if one is wrong, others may be."""


class ReaderGone(Exception):
    """Whoever read our pipe has read enough."""


class _Answered:
    """Shared by commands and groups: no empty file names, and a next step after every error."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parse as usual; an empty word for a file (a variable without value) never means this folder."""
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
        """Return the help with `<path>` instead of `<list[Path]>`, a type of Python."""
        said: str = super().get_help(ctx)  # type: ignore[misc]
        said = re.sub(r"<list\[(\w+)\]>", lambda kind: f"<{kind[1].lower()}>".ljust(len(kind[0])), said)
        return re.sub(" +$", "", said, flags=re.MULTILINE)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples of this command."""
        if lines := examples().get(ctx.command_path.partition(" ")[2]):
            with formatter.section("Examples"):
                for line in lines:
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")

    def invoke(self, ctx: Any) -> Any:
        """Run as usual; an error of usage or input without a next step ends with the command that shows the usage."""
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


class Group(_Answered, TyperGroup):
    """A group of commands: whole sentences in the list, and a way on from a word that is none."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write every command with its whole first sentence."""
        shown = [(name, command) for name, command in self.commands.items() if not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_sentence(command.help or "")) for name, command in shown])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Resolve as usual; an unknown command is answered with similar ones."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise _no_such_command(ctx, args[0])
        return super().resolve_command(ctx, args)


def _group(kind: Any) -> type[TyperGroup]:
    """Return the class that a group names for itself, where it is one of ours."""
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
        if group.typer_instance is not None:
            dress(group.typer_instance)


Quiet = Annotated[bool, typer.Option("--quiet", help="Show results, warnings and errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Also show timings, library logs and tracebacks.")]


def _heard(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same command with `--quiet` and `--verbose`; the function itself never sees them."""
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
    """Return the parameters of a command that name files or folders."""
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


@functools.cache
def examples() -> dict[str, list[str]]:
    """Command path without `rung` -> its examples."""
    return tomllib.loads(EXAMPLES.read_text(encoding="utf-8"))


def _first_sentence(text: str) -> str:
    first = " ".join(text.strip().split("\n\n")[0].split())
    return first.partition(". ")[0].rstrip(".")


def _no_such_command(ctx: Any, word: str) -> RungError:
    """Suggest a command: a similar name, or the same name in another group."""
    root = ctx.find_root()
    here = {" ".join((ctx.command_path, name)): name for name in ctx.command.commands}
    names = {name: path for path, name in here.items()}
    near = [names[name] for name in get_close_matches(word.lower(), names)]
    elsewhere = [f"rung {path}" for path in _paths(root.command) if path.split()[-1] == word.lower()]
    meant = list(dict.fromkeys([*elsewhere, *near]))[:3]
    asked = f' Did you mean "{meant[0]}"' + "".join(f' or "{path}"' for path in meant[1:]) + "?" if meant else ""
    return RungError(f"No such command '{word}'.{asked}", f"{ctx.command_path} --help", found=word)


def _paths(command: Any, path: str = "") -> Iterator[str]:
    for name, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield f"{path} {name}".strip()
            yield from _paths(below, f"{path} {name}".strip())
