"""The transcript is valid for every provider, whatever the history holds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskchat.agent import bounds, chat_completions, responses
from taskchat.agent.adaptation import Adaptation
from taskchat.agent.loop import function_tools
from taskchat.agent.prompt import INSTRUCTIONS, time_context
from taskchat.agent.provider import Prompt
from taskchat.agent.provider_settings import ProviderSettings
from taskchat.agent.transcript import NO_REPLY, AssistantMessage, UserMessage, WireIds, short_id, transcript
from tests.support.strict_transcripts import SHORT_ID, check_chat_messages, check_response_items

SETTINGS = ProviderSettings("key", "http://127.0.0.1:1/v1", "model")
OWN = {"origin": SETTINGS.origin}
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))


@dataclass(frozen=True)
class Said:
    """A recorded message."""

    role: str
    content: str
    tool_calls: Sequence[Mapping[str, Any]] | None = None
    model_context: Mapping[str, Any] | None = None


def called(call_id: str = "call_1", tool: str = "list_tasks", **outcome: Any) -> dict[str, Any]:
    return {"id": call_id, "tool": tool, "arguments": {}, "timestamp": "…", **(outcome or {"result": {}})}


texts = st.text(max_size=20)
values = st.recursive(st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner, max_size=2))
objects = st.dictionaries(texts, values, max_size=3)
ids = st.sampled_from(["call_1", "call_1", "", "a b", "x" * 70, "functions.list_tasks:0", "abcDEF123"]) | texts
contexts = st.sampled_from(
    [None, {}, OWN, {"origin": "elsewhere model"}, dict(time_context(NOON)), {"now": 7}, {"calls": [None]}]
)
calls = st.builds(
    lambda call_id, tool, arguments, outcome: {"id": call_id, "tool": tool, "arguments": arguments, **outcome},
    ids,
    st.sampled_from(["list_tasks", "", "send email!", "é" * 80]),
    objects,
    st.builds(lambda value: {"result": value}, objects)
    | st.just({"error": {"code": "not-found", "message": "There is no task 7."}}),
)
tool_calls = st.none() | st.lists(calls, max_size=3)
messages = st.builds(Said, st.sampled_from(["user", "assistant", "system"]), texts, tool_calls, contexts)
steps = st.builds(Said, st.just("assistant"), texts, st.lists(calls, min_size=1, max_size=3), contexts)


def chat_messages(prompt: Prompt, **adapted: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = chat_completions.request(prompt, SETTINGS, Adaptation(**adapted))["messages"]
    return sent


def prompt_of(history: Sequence[Said], message: str = "Hi", taken: Sequence[Said] = ()) -> Prompt:
    return Prompt(function_tools(), INSTRUCTIONS, bounds.bounded(transcript(history, message, taken)))


@given(st.lists(messages, max_size=8), st.lists(steps, max_size=3))
@settings(max_examples=150)
def test_any_history_gives_a_valid_transcript(history: list[Said], taken: list[Said]) -> None:
    prompt = prompt_of(history, "Hello", taken)
    own = [
        call["id"]
        for said in (*history, *taken)
        if (said.model_context or {}).get("origin") == SETTINGS.origin
        for call in said.tool_calls or ()
    ]
    check_chat_messages(chat_messages(prompt), own)
    check_chat_messages(chat_messages(prompt, short_ids=True))
    check_chat_messages(chat_messages(prompt, one_call_a_message=True), own)
    check_response_items(responses.request(prompt, SETTINGS, Adaptation())["input"])
    assert "Hello" in json.dumps(chat_messages(prompt))


@given(st.lists(messages, max_size=6))
@settings(max_examples=50)
def test_a_longer_history_only_adds_to_the_prompt(history: list[Said]) -> None:
    now = {**time_context(NOON)}
    before = chat_messages(Prompt((), "x", transcript([*history, Said("assistant", "Yes?")], "One", [])))
    after = chat_messages(
        Prompt(
            (),
            "x",
            transcript(
                [*history, Said("assistant", "Yes?"), Said("user", "One"), Said("assistant", "Done.", None, now)], "Two"
            ),
        )
    )
    assert after[: len(before)] == before


def test_a_result_is_followed_by_an_assistant_message() -> None:
    history = [Said("user", "Client called list_tasks."), Said("assistant", "", [called()])]
    assert transcript(history, "Hi")[2:] == [AssistantMessage(NO_REPLY), UserMessage("Hi")]


def test_messages_of_one_role_are_joined() -> None:
    history = [Said("user", "One"), Said("user", "Two"), Said("assistant", "A"), Said("assistant", "B")]
    assert transcript(history, "Three") == [
        UserMessage("One\n\nTwo"),
        AssistantMessage("A\n\nB"),
        UserMessage("Three"),
    ]


def test_a_beginning_without_a_user_message_is_dropped() -> None:
    history = [Said("assistant", "", [called()]), Said("assistant", "Done."), Said("user", "Hi")]
    assert transcript(history, "You there?") == [UserMessage("Hi\n\nYou there?")]


def test_each_message_keeps_the_time_of_its_turn() -> None:
    said = Said("user", "Tomorrow", model_context=time_context(NOON))
    (first, *_), line = transcript([said, Said("assistant", "Yes.")], "Now"), "Now: 2026-11-25T12:00+01:00"
    assert first == UserMessage(f"{line} (Europe/Berlin), Wednesday\n\nTomorrow")


@pytest.mark.parametrize("stored", ["call_1", "0193c5a2-7c1e-7d4e-9a53-0d5f7d0c1a11", "", "abcDEF12"])
def test_ids_from_elsewhere_become_nine_characters(stored: str) -> None:
    assert SHORT_ID.fullmatch(WireIds(None).next(stored, is_own=True))
    assert short_id(stored) == short_id(stored)


def test_an_id_of_nine_characters_stays() -> None:
    assert short_id("abcDEF123") == "abcDEF123"


def test_a_provider_gets_its_own_ids_back() -> None:
    history = [Said("user", "Hi"), Said("assistant", "", [called("call_1")], OWN), Said("assistant", "Done.")]
    assert chat_messages(prompt_of(history))[2]["tool_calls"][0]["id"] == "call_1"
    foreign = [Said("user", "Hi"), Said("assistant", "", [called("call_1")], {"origin": "b c"}), history[2]]
    assert chat_messages(prompt_of(foreign))[2]["tool_calls"][0]["id"] == short_id("call_1")
