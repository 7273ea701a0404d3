"""Statistics over runs, and the Markdown that they become."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

DEFAULT_RUNS = 11


@dataclass
class Section:
    """One table of the report; `notes` say what a reader has to know to trust it."""

    title: str
    head: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Return the table, its columns of figures flush right."""
        align = ["---", *("---:" for _ in self.head[1:])]
        table = [_line(self.head), _line(align), *(_line(row) for row in self.rows)]
        return "\n".join([f"## {self.title}", "", *table, *("\n" + note for note in self.notes)]) + "\n"


def median(values: Iterable[float]) -> float:
    """Return the middle value."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of all lies (nearest rank)."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def number(value: float) -> str:
    """Write a number with about three digits that matter."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratio(ours: float, theirs: float) -> str:
    """Write how much of the other's figure ours is."""
    return f"{ours / theirs:.3f}" if theirs else "-"


def medians(runs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure over the runs."""
    collected: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.items():
            collected.setdefault(name, []).append(value)
    return {name: median(values) for name, values in collected.items()}


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
