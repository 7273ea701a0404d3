"""Statistics over runs, and numbers as text."""

import statistics
from collections.abc import Iterable, Mapping, Sequence


def medians(runs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure over the runs."""
    collected: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.items():
            collected.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in collected.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value at this share of the sorted values (nearest rank)."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def number(value: float) -> str:
    """Write a number with about three significant digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratio(value: float, base: float) -> str:
    """Write a value as a multiple of `base`."""
    return f"{value / base:.3f}"
