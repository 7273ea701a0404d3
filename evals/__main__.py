"""Command line of the evals: run the cases against the configured provider, and print the table.

The exit status is 1 if the offline model failed a case that is marked for it. For a real model it is 0, as the table is
the result.
"""

import argparse
import asyncio
import os
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context

from evals import worker
from evals.case import Category, EvalCase, Outcome
from evals.cases import CASES
from evals.dataset import dataset
from evals.report import RESULTS, CaseResult, failures, table, write
from local.environment import describe_model, use_offline_model, wants_offline_model
from local.model.server import offline_model

DEFAULT_RUNS = 3
DEFAULT_WORKERS = 4


class EvalError(Exception):
    """Raised when a case could not be run at all; a message without a reply is a result instead."""


def main(arguments: Sequence[str]) -> int:
    """Run the chosen cases; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="make eval",
        usage="make eval ARGS='[--case PATTERN] [--category NAME] [--runs N] [--workers N] [--write]'",
        description="Run conversations against the configured provider and judge what came of them.",
    )
    parser.add_argument("--case", metavar="PATTERN", help="run the cases whose name matches")
    parser.add_argument("--category", choices=[str(category) for category in Category])
    parser.add_argument("--runs", type=int, default=DEFAULT_RUNS, help="runs of each case; default: %(default)s")
    parser.add_argument("--workers", type=int, default=DEFAULT_WORKERS, help="cases at once; default: %(default)s")
    parser.add_argument("--write", action="store_true", help=f"replace evals/{RESULTS.name}")
    chosen = parser.parse_args(arguments)
    with ExitStack() as stack:
        is_offline = wants_offline_model(os.environ)
        if is_offline:
            use_offline_model(os.environ, f"{stack.enter_context(offline_model()).url}/v1")
            os.environ["OPENAI_REASONING_EFFORT"] = "none"
        model = "the offline model, on the cases marked for it" if is_offline else describe_model(os.environ)
        cases = tuple(
            case
            for case in CASES
            if (case.is_offline or not is_offline)
            and re.search(chosen.case or "", case.name)
            and chosen.category in (None, str(case.category))
        )
        if not cases:
            parser.error("no case is chosen")
        print(f"{len(cases)} cases, {chosen.runs} runs each, against {model}", flush=True)
        results = _results(cases, chosen.runs, chosen.workers)
    print(f"\n{table(results, chosen.runs)}\n\n{failures(results)}")
    if chosen.write:
        write(results, chosen.runs, model)
    return int(is_offline and not all(result.passed_always for result in results))


def _results(cases: tuple[EvalCase, ...], runs: int, workers: int) -> list[CaseResult]:
    """Run the cases, each worker process over a database of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="taskchat-evals-") as folder,
        ProcessPoolExecutor(workers, get_context("spawn"), worker.start, (folder,)) as pool,
    ):

        async def task(case: EvalCase) -> Outcome:
            return await asyncio.get_running_loop().run_in_executor(pool, worker.run, case.name)

        report = dataset(cases).evaluate_sync(task, repeat=runs, max_concurrency=workers, progress=sys.stderr.isatty())
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    faults: dict[str, list[list[str]]] = defaultdict(list)
    for run in report.cases:
        judged = next(iter(run.assertions.values()), None)
        outcomes[run.inputs.name].append(run.output)
        faults[run.inputs.name].append([] if judged and judged.value else [str(judged and judged.reason)])
    if report.failures:
        raise EvalError(f"{report.failures[0].name}: {report.failures[0].error_message}")
    return [CaseResult(case, outcomes[case.name], faults[case.name]) for case in cases]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
