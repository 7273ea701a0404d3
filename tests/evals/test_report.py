"""The table of results."""

from evals.case import Category, EvalCase, Outcome
from evals.report import CaseResult, failures, table

ONCE = Outcome([], [], ["Hi"], [[]], input_tokens=1_000, cached_tokens=500, output_tokens=10, seconds=1.5)


def result(name: str, category: Category, *faults: list[str]) -> CaseResult:
    return CaseResult(EvalCase(name, category, ("Hi",), ()), [ONCE] * len(faults), faults)


def test_a_case_that_fails_once_does_not_pass_all_runs() -> None:
    results = [
        result("first", Category.COMMANDS, [], []),
        result("second", Category.COMMANDS, [], ["it was\nwrong"]),
        result("third", Category.DATES, [], []),
    ]
    rows = table(results, 2).splitlines()
    assert "all of 2" in rows[0]
    assert rows[2] == "| commands | 2 | 75% | 50% | 1,000 | 50% | 10 | 1.5 |"
    assert rows[3].startswith("| dates and time zones | 1 | 100% | 100% |")
    assert rows[4].startswith("| all | 3 | 83% | 67% |")
    assert failures(results) == "- commands, second: 1 of 2. it was wrong"
