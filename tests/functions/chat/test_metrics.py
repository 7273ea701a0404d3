"""The metrics of a turn, as CloudWatch reads them from the log."""

import json
from typing import Any

import pytest

from tests.functions.conftest import Post
from tests.support.scripted_model import ScriptedModel, Usage, calls, hangs_up, says

HELLO = {"message": "hello"}


def metrics(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    return [line for line in lines if "InputTokens" in line]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_turn_is_counted_with_its_tokens_and_seconds(
    post_chat: Post, scripted_model: ScriptedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted_model.script(calls(("list_tasks", {}), usage=Usage(100, 10)), says("None.", usage=Usage(120, 5)))
    post_chat(HELLO)
    (line,) = metrics(capsys)

    directive = line["_aws"]["CloudWatchMetrics"][0]
    assert (directive["Namespace"], directive["Dimensions"]) == ("Taskchat", [["service"]])
    assert (line["Turns"], line["InputTokens"], line["OutputTokens"]) == ([1.0], [220.0], [15.0])
    assert 0 < line["ModelSeconds"][0] <= line["TurnSeconds"][0]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_failed_turn_counts_its_tokens_and_no_turn(
    post_chat: Post, scripted_model: ScriptedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted_model.script(calls(("list_tasks", {}), usage=Usage(100, 10)), *[hangs_up()] * 5)
    answer = post_chat(HELLO)
    (line,) = metrics(capsys)

    assert answer.status >= 500
    assert line["InputTokens"] == [100.0]
    assert not {"Turns", "TurnSeconds"} & line.keys()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_replayed_turn_counts_nothing(
    post_chat: Post, scripted_model: ScriptedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted_model.script(says("Hello."))
    post_chat(HELLO, headers={"idempotency-key": "once"})
    metrics(capsys)
    post_chat(HELLO, headers={"idempotency-key": "once"})

    assert metrics(capsys) == []
