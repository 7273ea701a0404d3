"""Table 1: the first request to a function that is not running yet, without SnapStart."""

import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import builds, servers
from bench.checkouts import HERE, Checkout
from bench.events import FUNCTIONS, first_event
from bench.figures import medians, number, ratio
from bench.report import Section
from local.emulator import BuiltFunction, built_function, start

DEFAULT = "default build"
FLOOR = "floor"
NOTES = [
    "Init is the emulator's `INIT REPORT`. The first answer is the time after it until the client has a response; for "
    "chat that is a turn with a new TLS connection to the database. All files are in the page cache, which favours the "
    "default build: its package is read from disk on a new machine.",
    f"The {DEFAULT} is the same code as SAM's Python builder packages it: no bytecode, nothing removed from the "
    "dependencies, and a read-only disk. boto3 and botocore are there in every variant, with bytecode, as in Lambda's "
    "runtime.",
]


@dataclass(frozen=True)
class Start:
    """A cold start to measure."""

    function: str
    variant: str
    package: BuiltFunction
    environment: Mapping[str, str]


def measure(runs: int, checkouts: Sequence[Checkout]) -> Section:
    """Measure every function of every build, and the floors, in random order within a run."""
    with _starts(checkouts) as starts:
        results: dict[tuple[str, str], list[dict[str, float]]] = {(each.function, each.variant): [] for each in starts}
        shuffled = random.Random(0)  # noqa: S311 - the same order on every run
        for run in range(runs + 1):
            for each in shuffled.sample(starts, len(starts)):
                figures = _cold_start(each)
                if run:  # Run 0 fills the page cache.
                    results[each.function, each.variant].append(figures)
    return _section({key: medians(found) for key, found in results.items()})


@contextmanager
def _starts(checkouts: Sequence[Checkout]) -> Iterator[list[Start]]:
    """Build every variant, with a migrated database and a model."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="taskchat-bench-")))
        server, _ = stack.enter_context(servers.server())
        _, model_url = stack.enter_context(servers.model())
        variants = []
        for number_of_build, checkout in enumerate(checkouts):
            database = stack.enter_context(servers.migrated(server, checkout))
            # Lambda's disk is read-only, so Python cannot keep the bytecode it compiles.
            environment = {**servers.environment(database, model_url), "PYTHONDONTWRITEBYTECODE": "1"}
            built = builds.build(checkout, folder / f"build-{number_of_build}")
            variants.append((checkout.name, built, environment))
        _, ours, environment = variants[0]
        variants.insert(1, (DEFAULT, builds.default_build(ours, folder / "default"), environment))
        yield [
            Start(function, variant, built_function(function, build), variables)
            for function in FUNCTIONS
            for variant, build, variables in variants
        ] + [Start(FLOOR, name, package, environment) for name, package in builds.floors(ours, folder).items()]


def _cold_start(start_: Start) -> dict[str, float]:
    """Start a function, invoke it once, and return init, first answer and their sum in milliseconds, and peak MB."""
    with start(start_.package, start_.environment) as emulator:
        event = first_event(start_.function)
        begin = time.perf_counter()
        answer = emulator.invoke(event)
        both_ms = (time.perf_counter() - begin) * 1000
        assert answer.get("statusCode") == 200, answer
        init_ms = emulator.init_ms()
        return {"init": init_ms, "first": both_ms - init_ms, "both": both_ms, "peak": _peak_mb(emulator.process_id)}


def _peak_mb(emulator_id: int) -> float:
    """Return the peak resident memory of the largest process below the emulator."""
    children = Path(f"/proc/{emulator_id}/task").glob("*/children")
    ids = [int(child) for listed in children for child in listed.read_text().split()]
    own = int(Path(f"/proc/{emulator_id}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return max([own, *map(_peak_mb, ids)])


def _section(results: Mapping[tuple[str, str], Mapping[str, float]]) -> Section:
    figures = ["init ms", "first answer ms", "both ms", "init over default", "both over default", "peak MB"]
    section = Section("1. Cold start without SnapStart", ["function", "variant", *figures], notes=NOTES)
    for (function, variant), found in results.items():
        default = results.get((function, DEFAULT))
        section.rows.append(
            [
                function,
                "this build" if variant == HERE.name else variant,
                *(number(found[figure]) for figure in ("init", "first", "both")),
                *(ratio(found[figure], default[figure]) if default else "-" for figure in ("init", "both")),
                number(found["peak"]),
            ]
        )
    return section
