"""Renders a short talk with a chat template, in a process that may use little: `python -P -m chat.local.trial`.

The template comes on stdin. Ends with 0 if it came to an end, also where it refused the talk in words of its own;
with `TOO_MUCH`, or killed by its limits, where it did not.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

CPU_SECONDS = 2
MEMORY = 1 << 30
"""Bytes of address space: a few dozen times what Python and jinja2 take."""
CHARACTERS = 1 << 20
"""The most that four turns of a few words may become."""
TOO_MUCH = 9
TALK = (
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "What is 2 + 2?"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "And 3 + 3?"},
)


class Generation(Extension):
    """`{% generation %}`, with which templates mark the assistant's words for training."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return the value itself."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def parts(template: str, turns: Sequence[dict[str, str]]) -> Iterator[str]:
    """Yield the text as it is made, in the environment that transformers gives to templates."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    environment.globals.update(raise_exception=_refuse, strftime_now=str)
    given: dict[str, Any] = {"messages": turns, "add_generation_prompt": True, "bos_token": "", "eos_token": ""}
    yield from environment.from_string(template).generate(**given)


def _refuse(words: str) -> None:
    raise ValueError(words)


def ends(template: str, turns: Sequence[dict[str, str]]) -> bool:
    """True if the template ends within the limits; an error that it raises counts as an end."""
    written = 0
    try:
        for part in parts(template, turns):
            written += len(part)
            if written > CHARACTERS:
                return False
    except MemoryError:
        return False
    except Exception:
        return True
    return True


def main() -> int:
    """Try a talk of four turns, and one without a system message."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    template = sys.stdin.buffer.read().decode()
    return 0 if ends(template, TALK) and ends(template, TALK[1:2]) else TOO_MUCH


if __name__ == "__main__":
    sys.exit(main())
