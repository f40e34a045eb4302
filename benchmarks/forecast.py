"""How often a learning curve's forecast is right, by simulation: interval, refusals, and what is refused.

    python -m benchmarks.forecast [--curves 120]        (about a minute of one core)

Each law gives 120 curves of four sizes with three noisy runs each; the loss of 500 rows, and what 1,000 would gain, are
forecast from 50 to 400 rows. `held` counts intervals with the truth in them among those forecasts that are made;
`refused` are curves whose smaller sizes do not foretell the largest. The last laws are none that a power of the rows
fits: there a refusal is right.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable

from training.trials.forecast import CurvePoint, forecast, looked_back

SIZES, RUNS, NOW, NOISE = (50, 100, 200, 400), 3, 500, 0.03
LAWS: dict[str, Callable[[float], float]] = {
    "0.5 + 4 / rows^0.5": lambda n: 0.5 + 4 * n**-0.5,
    "0.2 + 10 / rows^0.8": lambda n: 0.2 + 10 * n**-0.8,
    "0.0 + 3 / rows^0.2": lambda n: 3 * n**-0.2,
    "0.8 + 30 / rows^1.2": lambda n: 0.8 + 30 * n**-1.2,
    "flat": lambda n: 1.0,
    "falls late: 3 / (1 + (rows/200)^2)": lambda n: 0.3 + 3 / (1 + (n / 200) ** 2),
    "falls by steps: 4 - 0.55 ln(rows)": lambda n: max(0.1, 4.2 - 0.6 * math.log(n)),
    "a cliff at 300 rows": lambda n: 0.4 + 1.5 / (1 + math.exp((n - 300) / 40)),
}


def curve(law: Callable[[float], float], seed: int) -> list[CurvePoint]:
    """The losses of one simulated curve."""
    chance = random.Random(seed)
    return [
        CurvePoint(rows=n, seed=number, loss=law(n) + chance.gauss(0, NOISE)) for n in SIZES for number in range(RUNS)
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=int, default=120)
    wanted = parser.parse_args().curves
    print("| law | held of all | refused | held of those made | gain held of those made |")
    print("|---|---|---|---|---|")
    for name, law in LAWS.items():
        held, gained, refused = [], [], []
        for seed in range(wanted):
            points = curve(law, seed)
            refused.append(bool(looked_back(points)))
            found = forecast(points, NOW)
            now, gain = found["forecast"][0], found["gain"]
            held.append(now.low <= law(NOW) <= now.high)
            gained.append(gain.low <= law(NOW) - law(2 * NOW) <= gain.high)
        made = [place for place, no in enumerate(refused) if not no]
        cells = [share(sum(held), wanted), share(sum(refused), wanted)]
        cells += [share(sum(found[n] for n in made), len(made)) for found in (held, gained)]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def share(count: int, of: int) -> str:
    """`93%`, or `-` of none."""
    return f"{count / of:.0%}" if of else "-"


if __name__ == "__main__":
    main()
