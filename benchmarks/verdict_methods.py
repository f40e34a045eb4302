"""The ways to compare two arms that benchmarks/verdict.py holds beside each other, each from counts or from rows."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

Z = float(ndtri(0.975))


def padded_t(wins, losses, n):
    """The verdict's interval, from counts (equal to evaluation.verdict.intervals.estimate, which main() checks)."""
    total, size = wins - losses, n + 2
    centre = total / size
    half = stdtrit(n + 1, 0.975) * np.sqrt(np.maximum(wins + losses + 2 - size * centre**2, 0) / (size - 1) / size)
    return np.maximum(-1, centre - half), np.minimum(1, centre + half)


def wald(wins, losses, n):
    """The textbook paired interval: difference and its standard error."""
    d = (wins - losses) / n
    half = Z * np.sqrt(np.maximum((wins + losses) / n - d**2, 0) / n)
    return d - half, d + half


def newcombe(wins, losses, n, base=0.5):
    """Newcombe's method 10 (1998) for paired proportions; both right on `base` of the items that agree."""
    both = np.floor(base * (n - wins - losses))
    tuned, other = both + wins, both + losses
    neither = n - both - wins - losses

    def wilson(hits):
        p = hits / n
        half = Z * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
        return (p + Z**2 / (2 * n) - half) / (1 + Z**2 / n), (p + Z**2 / (2 * n) + half) / (1 + Z**2 / n)

    (l1, u1), (l2, u2), p1, p2 = wilson(tuned), wilson(other), tuned / n, other / n
    product = tuned * (n - tuned) * other * (n - other)
    cross = both * neither - wins * losses
    cross = np.where(cross > n / 2, cross - n / 2, np.where(cross >= 0, 0, cross))
    phi = np.divide(cross, np.sqrt(np.maximum(product, 1)), out=np.zeros_like(cross, dtype=float), where=product > 0)
    d = p1 - p2
    low = d - np.sqrt(np.maximum((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2, 0))
    high = d + np.sqrt(np.maximum((p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2, 0))
    return low, high


def unpaired(wins, losses, n, base=0.5):
    """Two independent proportions: what one gets when the pairing is thrown away."""
    both = base * (n - wins - losses)
    p1, p2 = (both + wins) / n, (both + losses) / n
    half = Z * np.sqrt(p1 * (1 - p1) / n + p2 * (1 - p2) / n)
    return p1 - p2 - half, p1 - p2 + half


def unpaired_rows(values, rng):
    """Welch's interval of two independent means: the same differences, on items whose own scores spread by .25."""
    n = values.shape[1]
    base = rng.normal(0.5, 0.25, values.shape)
    half = Z * np.sqrt(base.var(1, ddof=1) / n + (base + values).var(1, ddof=1) / n)
    centre = values.mean(1)
    return centre - half, centre + half


def padded_rows(values):
    """The verdict's interval for each row of a matrix."""
    n = values.shape[1]
    total, square = values.sum(1), (values**2).sum(1)
    centre = total / (n + 2)
    half = stdtrit(n + 1, 0.975) * np.sqrt(np.maximum(square + 2 - (n + 2) * centre**2, 0) / (n + 1) / (n + 2))
    return np.maximum(-1, centre - half), np.minimum(1, centre + half)


def clustered(sums, sizes, within, alike=None):
    """The verdict's interval over clusters, for each row of `sums`; `within` is the sum of squares inside clusters.

    `alike` gives the correlation inside clusters where it is known, else it is estimated, as the product does.
    """
    n = np.asarray(sizes, float)
    items, count = n.sum(), len(n)
    size = (n**2).sum() / items
    full = np.append(n, [size, size])
    padded = np.hstack([sums, np.tile([size, -size], (len(sums), 1))])
    weight, groups = full.sum(), len(full)
    centre = padded.sum(1) / weight
    left_out = (padded - full * centre[:, None]) / (weight - full)
    variance = (groups - 1) / groups * (left_out**2).sum(1)
    if alike is None:
        mean = sums.sum(1, keepdims=True) / items
        across = (n * (sums / n - mean) ** 2).sum(1) / (count - 1)
        inside = within / (items - count) if items > count else np.zeros(len(sums))
        below = across + ((items - (n**2).sum() / items) / (count - 1) - 1) * inside
        alike = np.where(below > 1e-18, ((across - inside) / np.maximum(below, 1e-18)).clip(0, 1), 1.0)
    grid = np.linspace(0, 1, 201)
    degrees = np.interp(alike, grid, [bell_mccaffrey(full, each) for each in grid])
    half = stdtrit(degrees, 0.975) * np.sqrt(variance)
    return np.maximum(-1, centre - half), np.minimum(1, centre + half)


def bell_mccaffrey(sizes, alike):
    """Degrees of freedom of the jackknife over clusters, by matrices."""
    shares, count = sizes / sizes.sum(), len(sizes)
    away = (np.eye(count) - np.outer(shares, np.ones(count))) / (1 - shares)[:, None]
    moments = away @ ((sizes * (1 + (sizes - 1) * alike))[:, None] * away.T)
    return np.trace(moments) ** 2 / (moments**2).sum()


def over_means(sums, sizes):
    """The interval over the clusters' own means, each counted once: of another quantity where sizes differ."""
    return padded_rows(sums / np.asarray(sizes, float))


def bca_rows(values, rng, resamples):
    """BCa bootstrap of the mean, for each row."""
    n = values.shape[1]
    out = []
    for row in values:
        means = row[rng.integers(0, n, (resamples, n))].mean(1)
        below = ((means < row.mean()).sum() + 0.5 * (means == row.mean()).sum() + 0.5) / (resamples + 1)
        gap = row - row.mean()
        scale = 6 * (gap**2).sum() ** 1.5
        out.append(bca_ends(means, below, (gap**3).sum() / scale if scale > 0 else 0.0))
    low, high = np.array(out).T
    return low, high


def bca_counts(wins, losses, same, rng, resamples):
    """BCa of a mean of +1, -1 and 0, from their counts."""
    n = wins + losses + same
    drawn = rng.multinomial(n, [wins / n, losses / n, same / n], resamples)
    means, mean = (drawn[:, 0] - drawn[:, 1]) / n, (wins - losses) / n
    below = ((means < mean - 1e-12).sum() + 0.5 * (abs(means - mean) < 1e-12).sum() + 0.5) / (resamples + 1)
    third = wins * (1 - mean) ** 3 + losses * (-1 - mean) ** 3 + same * (-mean) ** 3
    second = wins * (1 - mean) ** 2 + losses * (-1 - mean) ** 2 + same * mean**2
    a = third / (6 * second**1.5) if second > 1e-12 else 0.0
    return bca_ends(means, below, a)


def bca_ends(means, below, a):
    """Return both ends from the bootstrap means, the share below the estimate, and the acceleration."""
    z0 = ndtri(min(max(below, 1e-6), 1 - 1e-6))
    return np.quantile(means, [ndtr(z0 + (z0 + z) / (1 - a * (z0 + z))) for z in (-Z, Z)])
