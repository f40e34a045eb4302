"""The process that follows a run elsewhere: `python -P -m training.remote runs/R-001 [--follow]`."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> int:
    """Follow the run that the argument names; with `--follow` one that was interrupted there is not started again.

    Returns 0, 1 where it failed, and REFUSED where it was not admitted; the reason is on stderr, the run's log.
    """
    from training.gates.clearance import project_of
    from training.remote.following import follow
    from training.runs import REFUSED
    from workspace.errors import RungError

    folder = Path(sys.argv[1])
    try:
        return follow(*project_of(folder), folder, restart="--follow" not in sys.argv)
    except RungError as error:
        hint = f"\n-> {error.hint}" if error.hint else ""
        sys.stderr.write(f"{error.message}{hint}\n")
        return REFUSED


if __name__ == "__main__":
    sys.exit(main())
