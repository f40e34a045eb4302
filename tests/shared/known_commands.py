"""Does a `rung ...` command exist, with its options? For the texts of screens, messages and pages."""

import re
from collections.abc import Iterator
from typing import Any

import typer

from rung.cli import build_app

TREE = typer.main.get_command(build_app())


def leaves(node: Any = TREE, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Every command of the tree that has none below it, with its options."""
    for name, command in node.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), [flag for p in command.params for flag in p.opts if flag.startswith("--")]


def fault(words: list[str]) -> str:
    """Return what is wrong with the words after `rung`: an unknown command, or unknown options; empty if nothing is."""
    node, rest = TREE, list(words)
    while commands := getattr(node, "commands", None):
        name = rest[0].partition("|")[0] if rest else ""
        if name in commands:
            node = commands[name]
            rest.pop(0)
        elif name[:1].islower() and (node is TREE or not getattr(node, "invoke_without_command", False)):
            return f"no command {name}"
        else:
            break
    known = {name for param in node.params for name in (*param.opts, *param.secondary_opts)}
    named = [word.partition("=")[0] for word in rest if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", word)]
    wrong = [name for name in named if name not in known | {"--help", "-h"}]
    return f"no option {', '.join(wrong)}" if wrong else ""
