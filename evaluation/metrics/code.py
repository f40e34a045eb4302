"""Code: 1 where the output, run in the sandbox, passes the row's own tests (its key `tests`, Python with asserts)."""

from __future__ import annotations

import re

from evaluation.sandbox.run_code import run_code
from workspace.errors import RungError

FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL)


def passes(output: str, tests: str) -> float:
    """Pass or not. Fenced blocks are run where there are some, else all of it. Raises RungError without tests."""
    if not tests.strip():
        raise RungError('metric = "code": a test row has no key "tests" with Python that checks the answer.')
    return float(run_code(code_of(output), tests).passed)


def code_of(output: str) -> str:
    """The program in an answer."""
    blocks = FENCE.findall(output)
    return "\n".join(blocks) if blocks else output
