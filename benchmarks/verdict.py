"""Trust in the verdict: coverage and false-ship rate of its interval, enumerated and simulated, compared with others.

usage: python benchmarks/verdict.py [--fast]

Scores of 0 and 1 are enumerated: every count of wins and losses of n paired items with its probability, and of
clusters whose items are all alike. Graded scores and other clusters are simulated with fixed seeds. A cell is one n and
one truth. "False ship" is how often low > margin where the true gain is the margin itself. "Naive" ships on a measured
difference above the margin. Bars: coverage .94 for independent items (.93 where only wins can happen) and .92 for
clusters, false ship .03 and .05. It exits 1 where one is not held, and names the cell.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.special import gammaln, stdtrit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.verdict_methods import (
    bca_counts,
    bca_rows,
    clustered,
    newcombe,
    over_means,
    padded_rows,
    padded_t,
    unpaired,
    unpaired_rows,
    wald,
)
from evaluation.judge.model_judge import corrected_difference
from evaluation.verdict.intervals import FEWEST_CLUSTERS, effective_number, estimate

MARGIN = 0.05
DISAGREE = (0.05, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.95)
GAINS = (-0.05, 0.0, 0.02, 0.05, 0.1, 0.2)
Bounds = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]


METHODS: dict[str, Bounds] = {"verdict": padded_t, "Wald": wald, "Newcombe": newcombe, "unpaired": unpaired}


def counts(n, win, lose):
    """Every likely (wins, losses) of n items, with its probability."""
    spread = 9 * np.sqrt(n * 0.25) + 9
    w = np.arange(max(0, int(n * win - spread)), min(n, int(n * win + spread)) + 1)
    lost = np.arange(max(0, int(n * lose - spread)), min(n, int(n * lose + spread)) + 1)
    w, lost = (a.ravel() for a in np.meshgrid(w, lost))
    keep = w + lost <= n
    w, lost = w[keep], lost[keep]
    same = n - w - lost
    ways = gammaln(n + 1) - gammaln(w + 1) - gammaln(lost + 1) - gammaln(same + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [
            np.where(k > 0, k * np.log(p) if p > 0 else -np.inf, 0.0)
            for k, p in ((w, win), (lost, lose), (same, 1 - win - lose))
        ]
    return w.astype(float), lost.astype(float), np.exp(ways + sum(logs))


def cells():
    """(share that disagrees, true gain) that can be."""
    return [(q, g) for q in DISAGREE for g in GAINS if abs(g) <= q]


def enumerate_binary(sizes):
    """A row a size and method: worst and mean coverage, worst false ship at the margin, of naive as well."""
    print("\nScores of 0 and 1, enumerated over", len(cells()), "cells a size")
    print(f"{'n':>6}  {'method':<10}{'lowest cover':>13}{'mean':>8}{'highest':>9}{'false ship':>12}")
    for n in sizes:
        found = {name: ([], []) for name in (*METHODS, "naive")}
        for q, gain in cells():
            w, lost, chance = counts(n, (q + gain) / 2, (q - gain) / 2)
            for name, bounds in METHODS.items():
                low, high = bounds(w, lost, n)
                covered = chance[(low <= gain + 1e-12) & (gain - 1e-12 <= high)].sum()
                found[name][0].append((covered, q, gain))
                if gain == MARGIN:
                    found[name][1].append(chance[low > MARGIN + 1e-9].sum())
            if gain == MARGIN:
                found["naive"][1].append(chance[(w - lost) / n > MARGIN + 1e-9].sum())
        for name, (cover, false) in found.items():
            line(n, name, [c for c, _, _ in cover], false)
        hold_binary(n, *found["verdict"])


def hold_binary(n, cover, false):
    """The bars of one size, for cells where both can happen and for those of wins or losses alone."""
    for name, bar, found in (
        ("every cell with wins and losses", 0.94, [c for c in cover if c[1] > abs(c[2])]),
        ("every cell of wins or losses alone", 0.93, [c for c in cover if c[1] <= abs(c[2])]),
    ):
        lowest, share, truth = min(found)
        if lowest < 0.94:
            print(f"{'':>6}  {lowest:.4f} where {share:.0%} of the items differ and the true gain is {truth:+.0%}")
        check(f"n {n}: coverage >= {bar} in {name}", lowest >= bar)
    dense = [c for c, q, _ in cover if n >= 200 and n * q >= 20]
    check(f"n {n}: false ship at the margin <= .03", max(false) <= 0.03)
    if dense:
        check(f"n {n}: coverage <= .975 with 20 discordant pairs expected", max(dense) <= 0.975)


def one_way(sizes):
    """Test the cases where losses are impossible: over every true gain, not only the cells of the table."""
    print("\nOnly wins can happen, over all truths: lowest coverage (and the true gain where it is)")
    for n in sizes:
        w = np.arange(n + 1.0)
        low, high = padded_t(w, 0 * w, n)
        truth = np.unique(np.concatenate([np.linspace(5e-4, 0.9995, 2000), high + 1e-6, low - 1e-6]))
        truth = truth[(truth > 0) & (truth < 1)]
        covered = (np.exp(log_binomial(n, w, truth)) * ((low <= truth[:, None]) & (truth[:, None] <= high))).sum(1)
        print(f"{n:>6}{covered.min():10.3f} ({truth[covered.argmin()]:.3f})")


def log_binomial(n, w, truth):
    """Log-probability of w of n at each truth."""
    ways = gammaln(n + 1) - gammaln(w + 1) - gammaln(n - w + 1)
    return ways + w * np.log(truth[:, None]) + (n - w) * np.log1p(-truth[:, None])


def line(n, name, cover, false):
    covered = f"{min(cover):13.3f}{np.mean(cover):8.3f}{max(cover):9.3f}" if cover else f"{'-':>13}{'-':>8}{'-':>9}"
    print(f"{n:>6}  {name:<10}{covered}{max(false):12.4f}")


FAILED: list[str] = []


def check(what, holds):
    if not holds:
        FAILED.append(what)


def draws(kind, rng, shape):
    """Differences of graded scores with mean 0, in -1..1."""
    if kind == "ties, 70%":
        return rng.uniform(-0.5, 0.5, shape) * (rng.random(shape) < 0.3)
    if kind == "skewed":
        return rng.beta(1.2, 6, shape) - 1.2 / 7.2
    if kind == "rare losses":
        return np.where(rng.random(shape) < 0.03, -0.9, 0.9 * 0.03 / 0.97)
    return rng.normal(0, 0.15, shape).clip(-0.8, 0.8)


def bca_binary(sizes, sets, resamples=999):
    """BCa in the enumerated cells: its bootstrap has no closed form, so each cell is simulated."""
    print(f"\nBCa bootstrap in the same cells, {sets} sets a cell, {resamples} resamples")
    print(f"{'n':>6}  {'lowest cover':>12}{'mean':>8}{'false ship':>12}")
    for n in sizes:
        rng, cover, false = np.random.default_rng(13), [], []
        for q, gain in cells():
            shares = [(q + gain) / 2, (q - gain) / 2, 1 - q]
            drawn = rng.multinomial(n, shares, sets)
            low, high = np.array([bca_counts(w, lost, same, rng, resamples) for w, lost, same in drawn]).T
            cover.append(((low <= gain + 1e-12) & (gain - 1e-12 <= high)).mean())
            if gain == MARGIN:
                false.append((low > MARGIN + 1e-9).mean())
        print(f"{n:>6}  {min(cover):12.3f}{np.mean(cover):8.3f}{max(false):12.4f}")


def simulate_graded(sizes, sets, bca_sets):
    """Coverage of the mean and false ship at the margin for graded scores, beside the other ways."""
    print(f"\nGraded scores, {sets:,} sets a cell (BCa {bca_sets:,}); truth 0 for coverage, the margin for false ship")
    print("(Newcombe is a method for proportions only; unpaired: power to see a gain of 10 points over the margin)")
    heads = ("cover", "false ship", "naive ship", "BCa cover", "BCa ship", "sees +15", "unpaired")
    print(f"{'n':>6}  {'scores':<12}" + "".join(f"{h:>11}" for h in heads))
    for n in sizes:
        for kind in ("ties, 70%", "skewed", "rare losses", "bell"):
            rng = np.random.default_rng(13)
            values = draws(kind, rng, (sets, n))
            low, high = padded_rows(values)
            cover, false = ((low <= 0) & (high >= 0)).mean(), (padded_rows(values + MARGIN)[0] > MARGIN + 1e-9).mean()
            naive = ((values + MARGIN).mean(1) > MARGIN + 1e-9).mean()
            blow, bhigh = bca_rows(values[:bca_sets], rng, 999)
            bca, bship = ((blow <= 1e-12) & (bhigh >= -1e-12)).mean(), (blow > 1e-9).mean()
            gained = values[:bca_sets] + MARGIN + 0.1
            sees = (padded_rows(gained)[0] > MARGIN).mean()
            plain = (unpaired_rows(gained, rng)[0] > MARGIN).mean()
            figures = (cover, false, naive, bca, bship, sees, plain)
            print(f"{n:>6}  {kind:<12}" + "".join(f"{f:11.3f}" for f in figures))
            rare = kind == "rare losses"
            check(f"graded {kind} n {n}: coverage >= .935", cover >= 0.935)
            check(f"graded {kind} n {n}: false ship", false <= (0.06 if rare else 0.035))


DESIGNS = {
    "30 of 1": [1] * 30,
    "10 of 8": [8] * 10,
    "50 of 8": [8] * 50,
    "1 of 30, 45 of 2": [30] + [2] * 45,
    "1 of 100, 50 of 1": [100] + [1] * 50,
    "each of 1 to 12, once": list(range(1, 13)),
    "each of 1 to 12, 4 times": list(range(1, 13)) * 4,
    "3 of 12, 40 of 1": [12] * 3 + [1] * 40,
    "4 of 60, 145 of 1": [60] * 4 + [1] * 145,
    "3 of 30, 40 of 2, 40 of 1": [30] * 3 + [2] * 40 + [1] * 40,
    "a long tail, 10 to 1": [max(1, 40 // (k + 3)) for k in range(80)],
}
"""Clusters by their sizes: equal, one that dominates, mixed, a few that carry the weight."""
KINDS = {
    "bell": lambda rng, shape: rng.normal(0, 0.3, shape).clip(-0.95, 0.95),
    "wins and losses": lambda rng, shape: rng.choice([0.95, -1.05, -0.05], p=[0.175, 0.125, 0.7], size=shape),
    "rare wins": lambda rng, shape: (rng.random(shape) < 0.05) - 0.05,
    "rare losses": lambda rng, shape: np.where(rng.random(shape) < 0.05, -0.9, 0.9 * 0.05 / 0.95),
    "all or nothing": lambda rng, shape: rng.choice([0.95, -0.95], size=shape),
    "skewed up": lambda rng, shape: np.where(rng.random(shape) < 0.2, 0.76, -0.19),
    "skewed down": lambda rng, shape: np.where(rng.random(shape) < 0.2, -0.76, 0.19),
}
"""Differences of single items around a true mean of 0."""
SHARED = (0.0, 0.1, 0.3, 0.6, 1.0)
"""Correlation inside clusters."""


LOWEST = np.array([True, False, True, False, False, True, False])
"""Figures of a cell whose lowest value is the worst: coverage."""


def drawn_clusters(kind, shared, sizes, sets, rng):
    """Return by set the clusters' sums and inner sums of squares: an item takes its cluster's draw, or its own."""
    names = np.repeat(np.arange(len(sizes)), sizes)
    values = np.where(
        rng.random((sets, len(names))) < np.sqrt(shared),
        KINDS[kind](rng, (sets, len(sizes)))[:, names],
        KINDS[kind](rng, (sets, len(names))),
    )
    sums = np.add.reduceat(values, np.flatnonzero(np.diff(names, prepend=-1)), axis=1)
    return sums, ((values - (sums / sizes)[:, names]) ** 2).sum(1)


def simulate_clusters(sets):
    """Clusters of every design: the worst cell over kinds and correlations, beside two other ways."""
    print(f"\nClusters, {sets:,} sets a cell, {len(KINDS)} kinds of scores, correlation {SHARED} inside: worst cells")
    print("(over means: each cluster counts once, whatever its size; outside: the mean over items is not in it)")
    heads = ("effective", "cover", "false ship", "over means", "their ship", "outside", "independent", "their ship")
    print(f"{'clusters':<26}" + "".join(f"{h:>12}" for h in heads))
    for name, made in DESIGNS.items():
        sizes = np.array(made)
        effective = effective_number(made)
        if effective < FEWEST_CLUSTERS - 1e-9:
            print(f"{name:<26}{effective:12.1f}   refused: need more data")
            continue
        worst = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0])
        for kind in KINDS:
            for shared in SHARED:
                sums, within = drawn_clusters(kind, shared, sizes, sets, np.random.default_rng(13))
                found = cell(sums, within, sizes)
                worst = np.where(
                    [True, False, True, False, False, True, False], np.minimum(worst, found), np.maximum(worst, found)
                )
        print(f"{name:<26}{effective:12.1f}" + "".join(f"{f:12.3f}" for f in worst))
        check(f"clusters {name}: coverage >= .92", worst[0] >= 0.92)
        check(f"clusters {name}: false ship at the margin <= .05", worst[1] <= 0.05)


def cell(sums, within, sizes):
    """Coverage of 0 and false ship at the margin: of the verdict's interval, over means, and as independent items."""
    items, mean = sizes.sum(), sums.sum(1) / sizes.sum()
    low, high = clustered(sums, sizes, within)
    assert (low <= mean + 1e-9).all() and (mean - 1e-9 <= high).all()
    first = clustered(sums + MARGIN * sizes, sizes, within)[0]
    mlow, mhigh = over_means(sums, sizes)
    mfirst = over_means(sums + MARGIN * sizes, sizes)[0]
    square = within + (sums**2 / sizes).sum(1)
    ilow, ihigh = independent(mean, square, items)
    ifirst = independent(mean + MARGIN, square + 2 * MARGIN * mean * items + MARGIN**2 * items, items)[0]
    return np.array(
        [
            ((low <= 0) & (high >= 0)).mean(),
            (first > MARGIN + 1e-9).mean(),
            ((mlow <= 0) & (mhigh >= 0)).mean(),
            (mfirst > MARGIN + 1e-9).mean(),
            ((mean < mlow) | (mean > mhigh)).mean(),
            ((ilow <= 0) & (ihigh >= 0)).mean(),
            (ifirst > MARGIN + 1e-9).mean(),
        ]
    )


def independent(mean, square, n):
    """The interval as if clusters were none, from the mean and the sum of squares."""
    centre = mean * n / (n + 2)
    half = stdtrit(n + 1, 0.975) * np.sqrt(np.maximum(square + 2 - (n + 2) * centre**2, 0) / (n + 1) / (n + 2))
    return centre - half, centre + half


def enumerate_clusters():
    """One cluster of 30 and 45 of 2, each all won, all lost or the same: every outcome with its probability."""
    print("\nOne cluster of 30 items and 45 of 2, each all won, all lost or all the same, enumerated")
    sizes, cover, false = np.array([30] + [2] * 45), [], []
    for share, gain in cells():
        w, lost, chance = counts(45, (share + gain) / 2, (share - gain) / 2)
        for big, odds in ((1, (share + gain) / 2), (-1, (share - gain) / 2), (0, 1 - share)):
            small = np.where(np.arange(45) < w[:, None], 2.0, np.where(np.arange(45) >= 45 - lost[:, None], -2.0, 0.0))
            low, high = clustered(np.hstack([np.full((len(w), 1), 30.0 * big), small]), sizes, np.zeros(len(w)))
            cover.append((share, gain, odds * chance[(low <= gain + 1e-12) & (gain - 1e-12 <= high)].sum()))
            if gain == MARGIN:
                false.append((share, gain, odds * chance[low > MARGIN + 1e-9].sum()))

    def by_cell(parts):
        return [sum(p for q, g, p in parts if (q, g) == cell) for cell in dict.fromkeys((q, g) for q, g, _ in parts)]

    print(f"lowest coverage {min(by_cell(cover)):.4f}, false ship at most {max(by_cell(false)):.4f}")
    check("enumerated clusters: coverage >= .92", min(by_cell(cover)) >= 0.92)
    check("enumerated clusters: false ship at the margin <= .05", max(by_cell(false)) <= 0.05)


def judged_set(rng, groups, each, gain, alike):
    """Two arms as people and a judge see them: (people, judge) differences of each item, and the item's group.

    `alike` items of a group share their chance of being right (.15 or .85, ICC .5). The judge forgives the tuned arm
    one mistake in ten, more in some groups than in others.
    """
    size = (groups, 1) if alike else (groups, each)
    tuned = rng.random((groups, each)) < np.where(rng.random(size) < 0.5 + gain / 0.7, 0.85, 0.15)
    rival = rng.random((groups, each)) < np.where(rng.random(size) < 0.5, 0.85, 0.15)
    forgiven = rng.random((groups, each)) < np.where(rng.random(size) < 0.5, 0.2, 0.0)
    people = tuned.astype(float) - rival
    return people.ravel(), ((tuned | forgiven).astype(float) - rival).ravel(), np.arange(groups).repeat(each)


def simulate_judge(sets, labelled=160):
    """Simulate a judge of two arms, corrected by people's labels on a random part: over groups, and over items."""
    print(
        f"\nA judge that favours the tuned arm by 5 points, {labelled} items labelled by people, {sets:,} sets a cell"
    )
    print(f"{'items':>7}  {'alike in groups':<16}{'cover':>8}{'false ship':>12}{'over items':>12}{'their ship':>12}")
    for groups, each, alike in ((400, 1, False), (60, 6, True), (30, 10, True), (20, 20, True)):
        rng, found = np.random.default_rng(13), np.zeros(4)
        for _ in range(sets):
            for place, gain in ((0, 0.0), (1, MARGIN)):
                people, judge, group = judged_set(rng, groups, each, gain, alike)
                some = rng.choice(len(people), labelled, replace=False)
                known = {int(i): (people[i], 0.0) for i in some}
                said, none = dict(enumerate(judge.tolist())), dict.fromkeys(range(len(judge)), 0.0)
                named = {i: str(g) for i, g in enumerate(group)} if alike else None
                for step, names in ((0, named), (2, None)):
                    d = corrected_difference(said, none, known, groups=names)
                    found[place + step] += d.low > MARGIN + 1e-9 if place else d.low <= 0 <= d.high
        cover, false, plain, theirs = found / sets
        kind = f"{groups} of {each}" if alike else "no"
        print(f"{groups * each:>7}  {kind:<16}{cover:8.3f}{false:12.3f}{plain:12.3f}{theirs:12.3f}")
        check(f"judge, {groups} groups: coverage >= .935", cover >= 0.935)
        check(f"judge, {groups} groups: false ship <= .035", false <= 0.035)


def power(sizes):
    """Return how often a true gain ships."""
    print("\nPower: how often a true gain ships, 25% of the items disagreeing")
    print(f"{'n':>6}" + "".join(f"{f'+{g:.0%}':>8}" for g in (0.08, 0.1, 0.15, 0.2)) + f"{'unpaired +15%':>15}")
    for n in sizes:
        row = []
        for gain in (0.08, 0.1, 0.15, 0.2):
            w, lost, chance = counts(n, (0.25 + gain) / 2, (0.25 - gain) / 2)
            row.append(chance[padded_t(w, lost, n)[0] > MARGIN].sum())
        w, lost, chance = counts(n, 0.2, 0.05)
        plain = chance[unpaired(w, lost, n)[0] > MARGIN].sum()
        print(f"{n:>6}" + "".join(f"{p:8.2f}" for p in row) + f"{plain:15.2f}")


def agree():
    """The vectorised intervals are the product's own."""
    for w, lost, n in ((3, 1, 20), (0, 0, 5), (40, 9, 300), (5, 0, 100), (0, 2, 30), (7, 0, 7)):
        theirs = estimate([1.0] * w + [-1.0] * lost + [0.0] * (n - w - lost)).interval()
        mine = padded_t(np.array([w]), np.array([lost]), n)
        assert np.allclose(theirs, [mine[0][0], mine[1][0]]), (w, lost, n)
    rng = np.random.default_rng(1)
    for sizes in DESIGNS.values():
        values = [rng.choice([-1.0, 0.0, 0.5, 1.0], size) for size in sizes]
        names = [str(n) for n, size in enumerate(sizes) for _ in range(size)]
        theirs = estimate([float(v) for each in values for v in each], names).interval()
        within = sum(((each - each.mean()) ** 2).sum() for each in values)
        mine = clustered(np.array([[each.sum() for each in values]]), sizes, np.array([within]))
        assert np.allclose(theirs, [mine[0][0], mine[1][0]], atol=2e-4), sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="fewer sizes and sets")
    fast = parser.parse_args().fast
    started = time.process_time()
    agree()
    enumerate_binary((20, 50, 100, 200) if fast else (20, 30, 50, 80, 100, 150, 200, 300, 500, 1000))
    one_way((20, 50, 100, 200) if fast else (20, 30, 50, 80, 100, 150, 200, 300, 500, 1000))
    bca_binary((20, 100) if fast else (20, 50, 100, 200), 50 if fast else 300)
    simulate_graded((50, 200) if fast else (20, 50, 100, 300), 4000 if fast else 20_000, 100 if fast else 500)
    enumerate_clusters()
    simulate_clusters(1000 if fast else 5000)
    simulate_judge(200 if fast else 2000)
    power((50, 100, 200, 300, 500, 1000))
    print(f"\n{time.process_time() - started:.0f} CPU-seconds")
    print("\nAll bars hold." if not FAILED else "\nNot held:\n  " + "\n  ".join(FAILED))
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
