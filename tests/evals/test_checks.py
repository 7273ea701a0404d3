"""The judgements of the evals, on outcomes that are right and on ones that are wrong."""

from datetime import UTC, datetime

import pytest

from evals import checks
from evals.case import Check, Outcome, TaskState
from evals.cases import CASES
from evals.checks import Want
from evals.dataset import dataset

MILK = TaskState(1, "Buy milk", None, "normal", None, completed=False)
RENT = TaskState(2, "Pay rent", "to Ann", "high", datetime(2026, 11, 27, 17, tzinfo=UTC), completed=True)


def outcome(reply: str = "", *after: TaskState, calls: tuple[str, ...] = ()) -> Outcome:
    made = [{"tool": tool} for tool in calls]
    return Outcome(before=[MILK], after=list(after), replies=[reply], calls=[made])


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (checks.unchanged, outcome("", MILK), outcome("", RENT)),
        (checks.tasks(Want("milk")), outcome("", MILK), outcome("", MILK, RENT)),
        (
            checks.tasks(Want("milk"), Want("rent", "2026-11-27T17:00", "high", True)),
            outcome("", RENT, MILK),
            outcome(),
        ),
        (checks.tasks(Want("rent", "2026-11-27", "*", True)), outcome("", RENT), outcome("", MILK)),
        (checks.tasks(Want("milk", description=None)), outcome("", MILK), outcome("", RENT)),
        (checks.says("milk"), outcome("Buy MILK"), outcome("Bread")),
        (checks.says_not("milk"), outcome("Bread"), outcome("Buy MILK")),
        (checks.says_in_order("a", "b"), outcome("a\nb"), outcome("b a")),
        (checks.asks, outcome("Which one?"), outcome("Done.")),
        (checks.denies, outcome("I couldn\u2019t find it."), outcome("Done.")),
        (checks.denies, outcome("Es gibt keine solche Aufgabe."), outcome("I have deleted it, not that one.")),
        (checks.claims_nothing, outcome("There is none."), outcome("I've added it.")),
        (checks.called("list_tasks"), outcome(calls=("list_tasks",)), outcome()),
        (checks.called_none, outcome(calls=("list_tasks",)), outcome(calls=("delete_task",))),
        (checks.speaks("de"), outcome("Die Aufgabe ist jetzt auf der Liste."), outcome("The task is on your list.")),
        (checks.speaks("fr"), outcome("La tâche est ajoutée à votre liste."), outcome("The task is on your list.")),
        (checks.speaks("ru"), outcome("Задача «Buy milk» добавлена."), outcome("The task is on your list.")),
        (checks.speaks("zh"), outcome("已添加任务 milk"), outcome("The task 面包 is on your list of tasks.")),
    ],
)
def test_a_check_tells_right_from_wrong(check: Check, right: Outcome, wrong: Outcome) -> None:
    assert check(right) is None
    assert check(wrong) is not None


def test_there_are_at_least_120_cases_of_every_category() -> None:
    assert len(CASES) >= 120
    assert len({case.name for case in CASES}) == len(CASES)
    assert len({case.category for case in CASES}) == 12


@pytest.mark.parametrize("is_right", [True, False])
def test_the_data_set_judges_by_the_checks(is_right: bool) -> None:
    [case] = [case for case in CASES if case.name == "list when empty"]

    async def answer(_case: object) -> Outcome:
        return Outcome([], [], ["You have no tasks."], [[{"tool": "list_tasks" if is_right else "get_task"}]])

    report = dataset((case,)).evaluate_sync(answer, repeat=2, progress=False)
    assert [run.assertions["Judge"].value for run in report.cases] == [is_right, is_right]
