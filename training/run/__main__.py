"""The process of a run: `python -P -m training.run runs/R-001 [--follow]` trains it, or follows it where it trains."""

import os
import sys
from pathlib import Path


def main() -> int:
    """Train the run that the argument names; follow one that trains elsewhere, with `--follow` without starting it.

    Returns 0, 1 if it failed, and REFUSED where it was not admitted. The reason is in run.json, and of a refusal on
    stderr, which is the run's log.
    """
    from training.runs import REFUSED

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from workspace.errors import RungError

    try:
        return _run(Path(sys.argv[1]), restart="--follow" not in sys.argv)
    except RungError as error:
        hint = f"\n-> {error.hint}" if error.hint else ""
        sys.stderr.write(f"{error.message}{hint}\n")
        return REFUSED


def _run(folder: Path, *, restart: bool) -> int:
    from training.runs import RECORD, read_run

    if (folder / RECORD).is_file() and read_run(folder).remote:
        from training.gates.clearance import project_of
        from training.remote.following import follow

        return follow(*project_of(folder), folder, restart=restart)
    from training.run.lifecycle import train
    from training.run.processes import follow_the_leader

    follow_the_leader()
    return train(folder)


if __name__ == "__main__":
    sys.exit(main())
