"""Decide the offline model's next reply or tool calls from the messages of a request."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from local.model import replies
from local.model.clock import Clock, read_clock, without_now
from local.model.intents import abilities, understand
from local.model.phrases import plain, target
from local.model.plans import (
    Agenda,
    CallTool,
    CallTools,
    Ids,
    Mentioned,
    OnAll,
    OnTask,
    Plan,
    Say,
    Tool,
    Undo,
    Words,
)
from local.model.replies import Outcome

Message: TypeAlias = Mapping[str, Any]
"""A message in the form of the Chat Completions protocol."""

_WHICH = "Which task do you mean? Tell me its number, such as: task 3."
_NO_TOOLS = "I cannot do that right now. Please ask me again."
_MOST_AT_ONCE = 20
"""Tasks that one sentence changes; the agent runs 32 calls of one reply."""
_LISTED = 100
"""The most tasks that one call lists."""
_TASK_NUMBER = re.compile(r"\btask (\d+)", re.IGNORECASE)
_SEARCHED_STATUS = {Tool.COMPLETE: "pending", Tool.REOPEN: "completed"}


Move: TypeAlias = Say | CallTools


def next_move(messages: Sequence[Message], tools: frozenset[str]) -> Move:
    """Return the reply, or calls of the offered tools."""
    clock = read_clock(
        "\n".join(_text(message) for message in messages if message.get("role") in {"system", "developer", "user"})
    )
    said = [index for index, message in enumerate(messages) if message.get("role") == "user"]
    if not said:
        return Say(_introduction())
    before, message, after = messages[: said[-1]], messages[said[-1]], messages[said[-1] + 1 :]
    plan = _plan(without_now(_text(message)), before, clock)
    if isinstance(plan, Undo) and Tool.UNDO in tools:
        plan = CallTools((CallTool(Tool.UNDO),))
    outcomes = _outcomes(after)
    move = _follow(plan, outcomes, before, clock)
    if isinstance(move, CallTools) and not tools.issuperset(call.tool for call in move.calls):
        return Say(replies.report(outcomes, clock) or _NO_TOOLS)
    return move


def _plan(text: str, before: Sequence[Message], clock: Clock) -> Plan:
    answer = target(plain(text))
    question = _open_question(before, clock)
    if question and isinstance(answer, Ids):
        return OnTask(question.tool, answer, question.arguments)
    return understand(text, clock) or Say(_introduction())


def _open_question(before: Sequence[Message], clock: Clock) -> OnTask | None:
    """Return the plan about which the last reply asked, "Which one do you mean?"."""
    users = [without_now(_text(message)) for message in before if message.get("role") == "user"]
    if not users or "Which " not in _last_reply(before):
        return None
    plan = understand(users[-1], clock)
    return plan if isinstance(plan, OnTask) else None


def _follow(plan: Plan, outcomes: Sequence[Outcome], before: Sequence[Message], clock: Clock) -> Move:
    move: Move
    match plan:
        case Agenda():
            move = Say(replies.agenda(plan, outcomes[-1], clock)) if outcomes else _listing("pending")
        case OnAll():
            move = _on_all(plan, outcomes, clock)
        case OnTask(target=Words() as words) if outcomes and outcomes[-1].tool == Tool.LIST != plan.tool:
            move = _act_on_found(plan, words, outcomes[-1], clock)
        case CallTools() | OnTask() if outcomes:
            move = Say(replies.report(_acts(outcomes), clock))
        case Say() | CallTools():
            move = plan
        case OnTask(target=Words() as words):
            search = {"status": _searched_status(plan), "text": words.text}
            move = CallTools((CallTool(Tool.LIST, search),))
        case OnTask():
            ids = _ids(plan, before)
            move = CallTools(tuple(_on(plan, task_id) for task_id in ids)) if ids else Say(_WHICH)
        case Undo():
            move = Say(_how_to_undo(before))
    return move


def _listing(status: str) -> CallTools:
    return CallTools((CallTool(Tool.LIST, {"status": status, "limit": _LISTED}),))


def _on_all(plan: OnAll, outcomes: Sequence[Outcome], clock: Clock) -> Move:
    """List the tasks, then change them; deleting them all is left to a second sentence of the person."""
    if not outcomes:
        return _listing(plan.status)
    found, *acts = outcomes
    ids = [task.get("id") for task in found.tasks]
    if acts:
        rest = f"\nThere are more. Say it again for the next {_MOST_AT_ONCE}." if len(ids) > len(acts) else ""
        return Say(replies.report(acts, clock) + rest)
    if not ids or found.error is not None:
        return Say(replies.report(outcomes, clock))
    if plan.tool is Tool.DELETE:
        return Say(replies.how_to_delete(found, _MOST_AT_ONCE, clock))
    return CallTools(tuple(CallTool(plan.tool, {"task_id": task_id}) for task_id in ids[:_MOST_AT_ONCE]))


def _how_to_undo(before: Sequence[Message]) -> str:
    """Reply with the command that takes back the last change of the conversation."""
    changes = [outcome for outcome in _outcomes(before) if outcome.tool not in (Tool.LIST, Tool.GET)]
    done = [outcome for outcome in changes if outcome.error is None]
    return replies.how_to_undo(done[-1] if done else None)


def _act_on_found(plan: OnTask, words: Words, found: Outcome, clock: Clock) -> Move:
    if found.error is not None:
        return Say(replies.report([found], clock))
    exact = [task for task in found.tasks if str(task.get("title")).casefold() == words.text.casefold()]
    candidates = exact if len(exact) == 1 else found.tasks
    if not candidates:
        return Say(replies.none_found(words, _searched_status(plan)))
    if len(candidates) > 1:
        return Say(replies.which_one(words, candidates, clock))
    return CallTools((_on(plan, candidates[0].get("id")),))


def _acts(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """Return the outcomes to report, without the search that came before a change."""
    return [outcome for outcome in outcomes if outcome.tool != Tool.LIST] or outcomes


def _searched_status(plan: OnTask) -> str:
    return _SEARCHED_STATUS.get(plan.tool, "all")


def _on(plan: OnTask, task_id: Any) -> CallTool:
    return CallTool(plan.tool, {"task_id": task_id, **plan.arguments})


def _ids(plan: OnTask, before: Sequence[Message]) -> Sequence[int]:
    match plan.target:
        case Ids(ids):
            return ids
        case Mentioned():
            mentioned = {int(number) for number in _TASK_NUMBER.findall(_last_reply(before))}
            return tuple(mentioned) if len(mentioned) == 1 else ()
        case Words():
            return ()


def _last_reply(before: Sequence[Message]) -> str:
    spoken = [_text(message) for message in before if message.get("role") == "assistant" and _text(message)]
    return spoken[-1] if spoken else ""


def _outcomes(after: Sequence[Message]) -> list[Outcome]:
    """Pair the tool calls of this turn with their results."""
    answers = {
        message.get("tool_call_id"): _object(_text(message)) for message in after if message.get("role") == "tool"
    }
    return [
        Outcome(call["function"]["name"], _object(call["function"].get("arguments") or ""), answers[call.get("id")])
        for message in after
        for call in message.get("tool_calls") or ()
        if call.get("id") in answers
    ]


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _introduction() -> str:
    return (
        "I am the offline model: no network, no weights, and no more than a few commands. You can say:\n"
        f"{abilities()}\n"
        "For a real model, start again with OPENAI_API_KEY set, or with OPENAI_BASE_URL for another provider."
    )
