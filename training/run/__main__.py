"""The process that trains: `python -P -m training.run runs/R-001`."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> int:
    """Train the run that the argument names. Returns the exit code; the reason stands in run.json and on stderr."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from training.run.child import train
    from workspace.errors import RungError

    try:
        return train(Path(sys.argv[1]))
    except RungError as error:
        hint = f"\n-> {error.hint}" if error.hint else ""
        sys.stderr.write(f"{error.message}{hint}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
