"""`python -m bench [TABLE …] [--runs N] [--write]`: measure, print, and with --write keep in bench/RESULTS.md."""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from bench.figures import DEFAULT_RUNS, Section
from bench.report import RESULTS, print_section, write

TABLES = ("cold_start", "restored", "late_imports", "turn", "by_size", "network", "growth", "crowd", "memory_sizes")


def main(arguments: Sequence[str]) -> None:
    """Measure the tables that are named, all of them where none is."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure this project beside its peers.")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"one of {', '.join(TABLES)}; all without")
    parser.add_argument("--runs", type=int, default=DEFAULT_RUNS, help="runs behind each median")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {RESULTS.name}, in place of the old")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.tables) - set(TABLES)
    if unknown:
        parser.error(f"no table {', '.join(sorted(unknown))}")
    for name in chosen.tables or TABLES:
        measure: Callable[[int], Sequence[Section]] = import_module(f"bench.{name}").measure
        sections = measure(chosen.runs)
        for section in sections:
            print_section(section)
        if chosen.write:
            write(name, chosen.runs, sections)


if __name__ == "__main__":
    main(sys.argv[1:])
