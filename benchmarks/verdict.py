"""How far the verdict can be trusted: coverage and false ship of its interval, enumerated and simulated, beside others.

usage: python benchmarks/verdict.py [--fast]

Scores of 0 and 1 are enumerated: every count of wins and losses of n paired items with its probability. Graded scores
and clusters are simulated with fixed seeds. A cell is one n and one truth. "False ship" is how often low > margin where
the true gain is the margin itself. "Naive" ships on a measured difference above the margin.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.special import gammaln

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.verdict_methods import (
    bca_counts,
    bca_rows,
    newcombe,
    padded_rows,
    padded_t,
    unpaired,
    unpaired_rows,
    wald,
)
from evaluation.compare import paired_interval
from evaluation.judge_error import corrected_difference

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
    """The bars of one size; the cell is named where coverage is under .94."""
    lowest, share, truth = min(cover)
    if lowest < 0.94:
        print(f"{'':>6}  {lowest:.4f} where {share:.0%} of the items differ and the true gain is {truth:+.0%}")
    dense = [c for c, q, _ in cover if n >= 200 and n * q >= 20]
    check(f"n {n}: coverage >= .94 in every cell", lowest >= 0.94)
    check(f"n {n}: false ship at the margin <= .03", max(false) <= 0.03)
    if dense:
        check(f"n {n}: coverage <= .975 with 20 discordant pairs expected", max(dense) <= 0.975)


def one_way(sizes):
    """Where losses are impossible: over every true gain, not only over the cells of the table."""
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


def simulate_clusters(sets):
    """Items that share a cluster, ICC .5: over cluster means, and as if they were independent."""
    print(f"\nClusters, ICC .5, 8 items each, {sets:,} sets a cell")
    print(f"{'clusters':>9}{'cover':>8}{'false ship':>12}{'as independent items':>22}{'their false ship':>18}")
    for k in (10, 20, 50, 100):
        rng = np.random.default_rng(13)
        shared, own = rng.normal(0, 0.15, (sets, k, 1)), rng.normal(0, 0.15, (sets, k, 8))
        values = (shared + own).clip(-1, 1)
        low, high = padded_rows(values.mean(2))
        flow, fhigh = padded_rows(values.reshape(sets, -1))
        cover = ((low <= 0) & (high >= 0)).mean()
        false, theirs = (
            (padded_rows(v + MARGIN)[0] > MARGIN).mean() for v in (values.mean(2), values.reshape(sets, -1))
        )
        print(f"{k:>9}{cover:8.3f}{false:12.3f}{((flow <= 0) & (fhigh >= 0)).mean():22.3f}{theirs:18.3f}")
        check(f"{k} clusters: coverage >= .935", cover >= 0.935)
        check(f"{k} clusters: false ship <= .035", false <= 0.035)


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
    """What a judge says of two arms, corrected by people's labels on a random part: over groups, and over items."""
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
                    found[place + step] += d["low"] > MARGIN + 1e-9 if place else d["low"] <= 0 <= d["high"]
        cover, false, plain, theirs = found / sets
        kind = f"{groups} of {each}" if alike else "no"
        print(f"{groups * each:>7}  {kind:<16}{cover:8.3f}{false:12.3f}{plain:12.3f}{theirs:12.3f}")
        check(f"judge, {groups} groups: coverage >= .935", cover >= 0.935)
        check(f"judge, {groups} groups: false ship <= .035", false <= 0.035)


def power(sizes):
    """How often a true gain ships."""
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
    """The vectorised interval is the product's own."""
    for w, lost, n in ((3, 1, 20), (0, 0, 5), (40, 9, 300), (5, 0, 100), (0, 2, 30), (7, 0, 7)):
        theirs = paired_interval([1.0] * w + [-1.0] * lost + [0.0] * (n - w - lost))
        mine = padded_t(np.array([w]), np.array([lost]), n)
        assert np.allclose(theirs, [mine[0][0], mine[1][0]]), (w, lost, n)


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
    simulate_clusters(4000 if fast else 20_000)
    simulate_judge(200 if fast else 2000)
    power((50, 100, 200, 300, 500, 1000))
    print(f"\n{time.process_time() - started:.0f} CPU-seconds")
    print("\nAll bars hold." if not FAILED else "\nNot held:\n  " + "\n  ".join(FAILED))
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
