"""Command line of the benchmark: measure tables, print them and, with `--write`, store them in RESULTS.md."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module

from bench.checkouts import HERE, Checkout, UnknownRevisionError, checkout
from bench.report import RESULTS, Section, print_section, write

TABLES: Mapping[str, str] = {
    "cold_start": "first request to a function that is not running yet, without SnapStart",
    "restored": "first request after a SnapStart restore",
    "turn": "a turn beside the same turn of other libraries, by length of the conversation",
    "round_trips": "round trips to the database in one turn",
    "crowd": "many turns at once through PgBouncer",
    "row_security": "the price of row-level security",
    "prompt_cache": "input tokens of a long conversation that hit the provider's cache",
}
"""Each is a module of this package with `measure(runs, checkouts)`; add a table by adding a module and a line here."""

Measure = Callable[[int, Sequence[Checkout]], Section]


def main(arguments: Sequence[str]) -> None:
    """Measure the named tables, or all of them."""
    parser = argparse.ArgumentParser(
        prog="make bench",
        usage="make bench ARGS='[TABLE ...] [--runs N] [--beside REV] [--write]'",
        description="Measure Taskchat beside comparable libraries.",
        epilog="tables:\n" + "\n".join(f"  {name:12} {purpose}" for name, purpose in TABLES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="tables to measure; default: all")
    parser.add_argument("--runs", type=int, default=11, metavar="N", help="runs per median; default: %(default)s")
    parser.add_argument("--beside", metavar="REV", help="measure this commit too, in the same runs")
    parser.add_argument("--write", action="store_true", help=f"replace the measured tables in bench/{RESULTS.name}")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.tables) - set(TABLES):
        parser.error(f"unknown table: {', '.join(sorted(unknown))}")
    with ExitStack() as stack:
        checkouts = [HERE]
        if chosen.beside:
            try:
                checkouts.append(stack.enter_context(checkout(chosen.beside)))
            except UnknownRevisionError as error:
                parser.error(str(error))
        for name in chosen.tables or TABLES:
            measure: Measure = import_module(f"bench.{name}").measure
            section = measure(chosen.runs, checkouts)
            print_section(section)
            if chosen.write:
                write(name, chosen.runs, section)


if __name__ == "__main__":
    main(sys.argv[1:])
