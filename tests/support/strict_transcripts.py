"""Checkers that accept a transcript only if every provider would: the union of what each of them refuses."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

NAME = re.compile("[A-Za-z0-9_-]{1,64}")
SHORT_ID = re.compile("[A-Za-z0-9]{9}")


def check_chat_messages(messages: Sequence[Mapping[str, Any]], own_ids: Sequence[str] = ()) -> None:
    """Check the messages of a Chat Completions request.

    `own_ids` are those that the provider itself made; all others have to have nine letters and digits (Mistral).
    """
    first, *rest = messages
    assert first["role"] == "system"
    assert first["content"]
    roles = [message["role"] for message in rest]
    assert set(roles) <= {"user", "assistant", "tool"}, "a system message stands first or nowhere"
    assert roles[0] == "user"
    assert roles[-1] in ("user", "tool")
    for before, after in pairwise(rest):
        pair = before["role"], after["role"]
        assert pair != ("user", "user"), "strict templates want roles to alternate"
        assert pair != ("tool", "user"), "Mistral wants an assistant message after results"
        if pair == ("assistant", "assistant"):
            raise AssertionError("an assistant message without results is followed by another")
    _check_calls(rest, own_ids)
    for message in rest:
        _check_content(message)


def _check_calls(messages: Sequence[Mapping[str, Any]], own_ids: Sequence[str]) -> None:
    seen: set[str] = set()
    place = 0
    while place < len(messages):
        message = messages[place]
        place += 1
        if message["role"] == "tool":
            raise AssertionError("a result stands without its call")
        assert "tool_calls" not in message or message["tool_calls"], "an empty list of calls"
        for call in message.get("tool_calls", ()):
            assert messages[place]["role"] == "tool", "a call without its result"
            assert messages[place]["tool_call_id"] == call["id"], "results stand in the order of their calls"
            assert call["type"] == "function"
            assert NAME.fullmatch(call["function"]["name"])
            assert isinstance(json.loads(call["function"]["arguments"]), dict)
            assert isinstance(json.loads(messages[place]["content"]), dict)
            assert call["id"] not in seen, "an id is used twice"
            assert SHORT_ID.fullmatch(call["id"]) or call["id"] in own_ids, "Mistral refuses this id"
            seen.add(call["id"])
            place += 1


def _check_content(message: Mapping[str, Any]) -> None:
    content = message["content"]
    if message["role"] == "assistant" and message.get("tool_calls"):
        assert content is None or content.strip()
    else:
        assert isinstance(content, str)
        assert content.strip()


def check_response_items(items: Sequence[Mapping[str, Any]]) -> None:
    """Check the input of a Responses request."""
    assert items[0]["role"] == "user"
    assert items[-1].get("role") == "user" or items[-1]["type"] == "function_call_output"
    called: list[str] = []
    answered: list[str] = []
    for item, after in zip(items, [*items[1:], None], strict=True):
        kind = item.get("type", "message")
        if kind == "message":
            assert item["role"] in ("user", "assistant")
            assert item["content"].strip()
        elif kind == "reasoning":
            assert item["encrypted_content"]
            assert after is not None
            assert after.get("type") in ("reasoning", "function_call") or after.get("role") == "assistant"
        elif kind == "function_call":
            assert NAME.fullmatch(item["name"])
            assert NAME.fullmatch(item["call_id"])
            assert isinstance(json.loads(item["arguments"]), dict)
            called.append(item["call_id"])
        else:
            assert kind == "function_call_output"
            assert isinstance(json.loads(item["output"]), dict)
            answered.append(item["call_id"])
    assert called == answered
    assert len(set(called)) == len(called)
