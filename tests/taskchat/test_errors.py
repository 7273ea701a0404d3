"""Error classes, each with the problem type that callers see."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskchat.errors import (
    ConversationBusyError,
    InvalidField,
    InvalidRequestError,
    ModelFailedError,
    NotFoundError,
    SecretUnavailableError,
    TaskchatError,
    TurnSupersededError,
)


def subclasses(of: type[TaskchatError] = TaskchatError) -> Iterator[type[TaskchatError]]:
    """Return every error class that the package defines."""
    for error in of.__subclasses__():
        if error.__module__.startswith("taskchat."):
            yield error
        yield from subclasses(error)


def test_an_error_class_without_a_status_cannot_exist() -> None:
    with pytest.raises(TypeError, match="status"):
        type("NoStatusError", (TaskchatError,), {}, code="no-status", title="No status")
    with pytest.raises(TypeError, match="code"):
        type("NoCodeError", (NotFoundError,), {}, status=404, title="No code")


@pytest.mark.parametrize("error", list(subclasses()))
def test_a_problem_type_is_well_formed(error: type[TaskchatError]) -> None:
    assert 400 <= error.status <= 599
    assert re.fullmatch("[a-z]+(-[a-z]+)*", error.code)
    assert error.title


def test_every_status_and_code_belong_to_one_class() -> None:
    codes = [(error.status, error.code) for error in subclasses()]
    assert len(codes) == len(set(codes)) >= 15


@pytest.mark.parametrize(
    ("error", "retryable", "seconds"),
    [
        (ConversationBusyError("x", retry_after_seconds=7), True, 7),
        (SecretUnavailableError("x", retry_after_seconds=0), True, 1),
        (ModelFailedError("x"), True, None),
        (ModelFailedError("x", permanent=True), False, None),
        (TurnSupersededError("x"), False, None),
        (NotFoundError("x"), False, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_says_whether_to_repeat(error: TaskchatError, *, retryable: bool, seconds: int | None) -> None:
    assert (error.retryable, getattr(error, "retry_after_seconds", None), str(error)) == (retryable, seconds, "x")


def test_invalid_fields_are_a_member_of_the_problem() -> None:
    error = InvalidRequestError("x", [InvalidField("body.message", "too long")])
    assert error.members() == {"fields": [{"field": "body.message", "message": "too long"}]}
    assert InvalidRequestError("x").members() == {}


def test_the_documentation_lists_every_code() -> None:
    text = (Path(__file__).parents[2] / "docs" / "problems.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \| (yes|no|unless permanent) \|", text, re.MULTILINE)
    retryable = {True: "yes", False: "no"}
    expected = {(str(error.status), error.code, retryable[error.retryable]) for error in subclasses()}
    expected -= {("502", "model-failed", "no")}
    assert set(rows) == expected | {("502", "model-failed", "unless permanent")}
    assert rows == sorted(rows, key=lambda row: row[0])
