"""Pictures of every screen, made from the real program: `make snapshots`.

    python docs/make_screens.py [PROJECT] [STAGE ...]

PROJECT is a project folder (default: `rung-demo`, which `rung demo --fast` makes where it is missing). The pictures go
to `docs/screens/`; the clock and the person are fixed, everything else is what the program shows.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from rung.tui.app import SCREENS, RungApp
from rung.tui.source import ScreenSource

HERE = Path(__file__).parent / "screens"
SIZE = (100, 30)
NAMES = ("start", *(name.removesuffix("Screen").lower() for _, name in SCREENS.values()))


async def quiet(app: RungApp, pilot: object) -> None:
    """Wait until every worker has ended and the screen is drawn."""
    still = 0
    while still < 5:
        await pilot.pause(0.1)  # type: ignore[attr-defined]
        still = 0 if any(worker.is_running for worker in app.workers) else still + 1


async def draw(folder: Path, stages: list[int]) -> None:
    """Draw one picture a stage."""
    source = ScreenSource.of(folder)
    source.who = "sam"
    source.now = lambda: datetime(2026, 11, 25, 14, 2, tzinfo=UTC)
    app = RungApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await quiet(app, pilot)
        for stage in stages:
            if stage:
                app.open_stage(stage)
            else:
                app.open_start()
            await quiet(app, pilot)
            path = HERE / f"{NAMES[stage]}.svg"
            path.write_text(app.export_screenshot(title=f"rung: {NAMES[stage]}"), encoding="utf-8")
            sys.stdout.write(f"{path}\n")


def main() -> None:
    """Draw what was asked for; with `--help` only say how."""
    if any(word.startswith("-") for word in sys.argv[1:]):
        sys.stdout.write(f"{__doc__}\n")
        return
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "rung-demo").resolve()
    if not (folder / "rung.toml").is_file():
        subprocess.run([sys.executable, "-m", "rung", "demo", "--fast", "--into", str(folder)], check=True)
    HERE.mkdir(exist_ok=True)
    asyncio.run(draw(folder, [int(word) for word in sys.argv[2:]] or list(range(len(NAMES)))))


if __name__ == "__main__":
    main()
