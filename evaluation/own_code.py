"""Code of the project's own (`metrics/NAME.py`, `arms/NAME.py`): run only as this account trusted it."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from workspace.errors import RungError
from workspace.trust import demand_code


def own_function(root: Path, path: Path, usage: str) -> tuple[ModuleType, Callable[..., Any]]:
    """Return the module of a file, and its function that `usage` names (`score(output, expected)`).

    Raises Refusal if this account has not trusted these very bytes, RungError where they do not load or have no
    such function.
    """
    name, code = f"{path.parent.name}/{path.name}", demand_code(root, path)
    module = ModuleType(f"rung_own_{path.parent.name}_{path.stem}")
    module.__file__ = str(path)
    try:  # these bytes: the file is not read again after its hash was compared
        exec(compile(code, str(path), "exec"), module.__dict__)  # nosec B102  what the person trusted
    except (Exception, SystemExit) as error:
        raise RungError(f"{name}: does not load ({type(error).__name__}: {error}).", where=name) from error
    found = getattr(module, usage.partition("(")[0], None)
    if not callable(found):
        raise RungError(f"{name}: has no function {usage}.", where=name)
    return module, found
