"""The offline model's words for the results of tools. Fields that it does not know are ignored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from local.model.clock import END_OF_DAY, Clock
from local.model.plans import Agenda, Tool, Words

_SENTENCES: dict[tuple[str, bool], str] = {
    (Tool.CREATE, False): 'Added "{title}" as task {id}{details}.',
    (Tool.COMPLETE, False): 'Marked task {id}, "{title}", as complete. Well done!',
    (Tool.COMPLETE, True): 'Task {id}, "{title}", was complete already.',
    (Tool.REOPEN, False): 'Reopened task {id}, "{title}": it is to do again.',
    (Tool.REOPEN, True): 'Task {id}, "{title}", was not complete; it is still to do.',
    (Tool.UPDATE, False): 'Changed task {id}: it is now "{title}"{details}.',
    (Tool.DELETE, False): 'Deleted task {id}, "{title}".',
    (Tool.GET, False): 'Task {id}, "{title}"{details}, {state}.{description}',
    (Tool.UNDO, False): "Took the last change back.",
}
"""By tool, and by whether there was nothing to change."""


@dataclass(frozen=True)
class Outcome:
    """One tool call that has been answered; `answer` is the tool's JSON object, a result or an `error`."""

    tool: str
    arguments: Mapping[str, Any]
    answer: Mapping[str, Any]

    @property
    def error(self) -> Mapping[str, Any] | None:
        """Return the tool's error, where it failed."""
        error = self.answer.get("error")
        return error if isinstance(error, Mapping) else None

    @property
    def tasks(self) -> list[Mapping[str, Any]]:
        """Return the tasks that the tool listed."""
        tasks = self.answer.get("tasks")
        return [task for task in tasks if isinstance(task, Mapping)] if isinstance(tasks, Sequence) else []


def report(outcomes: Sequence[Outcome], clock: Clock) -> str:
    """Return one sentence for each call, which tells what was done."""
    return "\n".join(_sentence(outcome, clock) for outcome in outcomes)


def which_one(words: Words, candidates: Sequence[Mapping[str, Any]], clock: Clock) -> str:
    """Ask which of several tasks is meant."""
    return (
        f'I found {len(candidates)} tasks that match "{words.text}":\n{_lines(candidates, clock)}\n'
        "Which one do you mean? Tell me its number."
    )


def none_found(words: Words, status: str) -> str:
    """Say plainly that nothing matches."""
    kind = "task" if status == "all" else f"{status} task"
    return f'I could not find a {kind} that matches "{words.text}".'


def agenda(plan: Agenda, found: Outcome, clock: Clock) -> str:
    """Tell what is due before the plan's moment, and what has no date."""
    if found.error is not None:
        return _trouble(found, found.error)
    due = [task for task in found.tasks if (moment := _due_at(task, clock)) is not None and moment < plan.before]
    undated = [task for task in found.tasks if _due_at(task, clock) is None]
    parts = [f"Due {plan.day}, or before:\n{_lines(due, clock)}" if due else f"Nothing is due {plan.day}."]
    if undated:
        parts.append(f"Without a date:\n{_lines(undated, clock)}")
    elif not due:
        parts.append("You have no tasks without a date either.")
    if found.answer.get("more"):
        parts.append("There are more.")
    return "\n".join(parts)


def how_to_delete(found: Outcome, most: int, clock: Clock) -> str:
    """Reply with the command that deletes all listed tasks. Nothing is deleted yet."""
    tasks = found.tasks[:most]
    numbers = ", ".join(str(task.get("id")) for task in tasks)
    noun, them = ("task", "it") if len(tasks) == 1 else ("tasks", "them")
    some = f" the first {most}" if len(found.tasks) > most else ""
    return (
        f"Nothing is deleted yet. These would go:\n{_lines(tasks, clock)}\n"
        f"To delete{some or f' {them}'}, type: Delete {noun} {numbers}"
    )


def how_to_undo(change: Outcome | None) -> str:
    """Reply with the command that takes a change back."""
    if change is None:
        return "I have changed nothing in this conversation, so there is nothing to take back."
    answer = change.answer
    task_id, title = answer.get("id"), answer.get("title")
    typed = {
        Tool.CREATE: f"Delete task {task_id}",
        Tool.COMPLETE: f"Reopen task {task_id}",
        Tool.REOPEN: f"Mark task {task_id} as complete",
        Tool.DELETE: f"Add a task to {title}",
        Tool.UPDATE: f"Change task {task_id} to '{title}', with the words that it had before",
    }.get(Tool(change.tool) if change.tool in list(Tool) else Tool.GET, f"Show task {task_id}")
    return f"I cannot take a change back by myself. To do it, type: {typed}"


def spoken(moment: datetime, clock: Clock) -> str:
    """Return a moment in the caller's words: `tomorrow at 17:00 (Monday 8 December)`."""
    local = moment.astimezone(clock.zone)
    named = {0: "today", 1: "tomorrow", -1: "yesterday"}.get((local.date() - clock.now.date()).days)
    year = f" {local.year}" if local.year != clock.now.year else ""
    day = f"{local:%A} {local.day} {local:%B}{year}"
    ends_the_day = time(local.hour, local.minute) == END_OF_DAY
    at = "" if ends_the_day else f" at {local:%H:%M}"
    return f"{named}{at} ({day})" if named else f"{day}{at}"


def _sentence(outcome: Outcome, clock: Clock) -> str:
    if outcome.error is not None:
        return _trouble(outcome, outcome.error)
    if outcome.tool == Tool.LIST:
        return _listed(outcome, clock)
    answer = outcome.answer
    form = _SENTENCES.get((outcome.tool, _changed_nothing(answer)), "Done.")
    return form.format(
        id=answer.get("id"),
        title=answer.get("title"),
        details=_details(answer, clock),
        state="complete" if answer.get("completed") else "to do",
        description=f"\n{answer['description']}" if answer.get("description") else "",
    )


def _changed_nothing(answer: Mapping[str, Any]) -> bool:
    return bool(answer.get("already_completed") or answer.get("already_pending"))


def _trouble(outcome: Outcome, error: Mapping[str, Any]) -> str:
    task_id = outcome.arguments.get("task_id")
    if error.get("code") == "not-found" and task_id is not None:
        return f"I could not find a task {task_id}."
    return f"That did not work: {error.get('message') or 'the tool gave no reason'}"


def _listed(outcome: Outcome, clock: Clock) -> str:
    status = outcome.arguments.get("status", "all")
    adjective = "" if status == "all" else f" {status}"
    about = outcome.arguments.get("text")
    matching = f' that match "{about}"' if about else ""
    before = _moment(outcome.arguments.get("due_before"), clock)
    if before is not None:
        matching += f" due before {spoken(before, clock)}"
    tasks = outcome.tasks
    if not tasks:
        return f"You have no{adjective} tasks{matching}."
    noun = "task" if len(tasks) == 1 else "tasks"
    more = "\nThere are more." if outcome.answer.get("more") else ""
    return f"You have {len(tasks)}{adjective} {noun}{matching}:\n{_lines(tasks, clock)}{more}"


def _lines(tasks: Sequence[Mapping[str, Any]], clock: Clock) -> str:
    return "\n".join(
        f"- task {task.get('id')}: {task.get('title')}{_details(task, clock)}{' ✓' if task.get('completed') else ''}"
        for task in tasks
    )


def _details(task: Mapping[str, Any], clock: Clock) -> str:
    priority = task.get("priority")
    details = "" if priority in {None, "normal"} else f", {priority} priority"
    due_at = _due_at(task, clock)
    return details if due_at is None else f"{details}, due {spoken(due_at, clock)}"


def _due_at(task: Mapping[str, Any], clock: Clock) -> datetime | None:
    return _moment(task.get("due_at"), clock)


def _moment(text: object, clock: Clock) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=clock.zone)
