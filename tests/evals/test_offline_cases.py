"""The cases that the offline model has to pass."""

from collections.abc import Iterator

import pytest

from evals.case import EvalCase
from evals.cases import CASES
from evals.runner import described, faults, run_case
from local.model.server import offline_model
from tests.evals.conftest import ChatWith

# One worker runs all of them, over one database.
pytestmark = pytest.mark.xdist_group("evals")
OFFLINE = [case for case in CASES if case.is_offline]


@pytest.fixture(scope="module", autouse=True)
def offline_chat(chat_with: ChatWith) -> Iterator[None]:
    """Let the offline model answer."""
    with offline_model() as server, chat_with(f"{server.url}/v1"):
        yield


@pytest.mark.parametrize("case", OFFLINE, ids=lambda case: case.name)
def test_the_offline_model_passes(case: EvalCase) -> None:
    outcome = run_case(case)
    assert faults(case, outcome) == [], described(outcome)
