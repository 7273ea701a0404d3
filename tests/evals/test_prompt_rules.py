"""Every rule of the prompt has a case that turns red without it.

The model obeys the prompt's text only (`tests.evals.obedient_model`), so this shows that a case notices the loss of the
rule, not that a real model needs the rule.
"""

from collections.abc import Iterator

import pytest

from evals.case import Category, EvalCase
from evals.cases import BY_NAME
from evals.checks import Want, speaks, tasks
from evals.runner import described, faults, run_case
from taskchat.agent import loop
from taskchat.agent.prompt import RULES, instructions
from tests.evals.conftest import ChatWith
from tests.evals.obedient_model import HABITS, ObedientModel

pytestmark = pytest.mark.xdist_group("evals")
GERMAN = EvalCase(
    "de: add bread", Category.LANGUAGES, ("Füge Brot hinzu",), (tasks(Want("Brot")), speaks("de")), is_offline=True
)
"""A sentence that the obedient model understands, judged as the German cases are."""
CASES = {
    "no inventing": BY_NAME["create"],
    "create": BY_NAME["remember"],
    "list": BY_NAME["list pending"],
    "number": BY_NAME["complete by number"],
    "words": BY_NAME["complete by title"],
    "position": BY_NAME["the second one of fifty"],
    "several match": BY_NAME["two dentists"],
    "none match": BY_NAME["words that match nothing"],
    "only what was asked": BY_NAME["rename"],
    "errors": BY_NAME["a number that is not there"],
    "several wishes": BY_NAME["three tasks in one"],
    "other talk": BY_NAME["hello"],
    "data": BY_NAME["an order in a title"],
    "reply": BY_NAME["create"],
    "language": GERMAN,
    "now": BY_NAME["tomorrow in Auckland"],
    "dates": BY_NAME["tomorrow"],
}


@pytest.fixture(scope="module", autouse=True)
def obedient_chat(chat_with: ChatWith) -> Iterator[None]:
    """Let the obedient model answer."""
    with ObedientModel("obedient") as model, chat_with(model.base_url):
        yield


def test_every_rule_has_a_case_and_a_habit() -> None:
    assert RULES.keys() == CASES.keys() == HABITS.keys()


@pytest.mark.parametrize("rule", RULES)
def test_a_case_passes_with_all_rules(rule: str) -> None:
    outcome = run_case(CASES[rule])
    assert faults(CASES[rule], outcome) == [], described(outcome)


@pytest.mark.parametrize("rule", RULES)
def test_a_case_turns_red_without_the_rule(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rest = {name: text for name, text in RULES.items() if name != rule}
    monkeypatch.setattr(loop, "INSTRUCTIONS", instructions(rest))
    outcome = run_case(CASES[rule])
    assert outcome.error is None
    assert faults(CASES[rule], outcome) != [], described(outcome)
