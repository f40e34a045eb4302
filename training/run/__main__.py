"""The process that trains: `python -P -m training.run runs/R-001`."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> int:
    """Train the run that the argument names. Returns 0, 1 where it failed, and REFUSED where it was not admitted.

    The reason is in run.json, and of a refusal on stderr, which is the run's log.
    """
    from training.runs import REFUSED

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from training.run.lifecycle import train
    from training.run.processes import follow_the_leader
    from workspace.errors import RungError

    follow_the_leader()
    try:
        return train(Path(sys.argv[1]))
    except RungError as error:
        hint = f"\n-> {error.hint}" if error.hint else ""
        sys.stderr.write(f"{error.message}{hint}\n")
        return REFUSED


if __name__ == "__main__":
    sys.exit(main())
