"""Judgements about a case's outcome. They read the tasks exactly and the reply loosely: facts, not wording."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evals.case import Check, Outcome, TaskState

_QUESTION = re.compile("[?？؟;]")
_NEGATIONS = re.compile(
    r"\b(?:no|not|none|nothing|cannot|never|unable|without|isn't|nicht|kein\w*|nichts|aucune?|pas|rien|ningun\w*|"
    r"nada|não|nenhum\w*|niente|nessun\w*|non|нет|не|ничего|немає|yok|bulunamad\w*|nie|żadn\w*)\b|n't\b|n’t\b|"
    r"没|不|无|ない|ません|ありません|لا |ليس|لم ",
    re.IGNORECASE,
)
_CLAIMS = re.compile(
    r"\b(?:I(?:'ve| have)|I just) (?:\w+ )?(?:added|created|completed|marked|deleted|removed|updated|changed|moved|set|"
    r"reopened|renamed)\b|^(?:done|added|created|completed|deleted|marked|updated)\b",
    re.IGNORECASE,
)
_WORDS = {
    "en": "the and is you your task have with for are was it on of to",
    "de": "die der das und ist du dein deine aufgabe habe für mit auf wurde den keine nicht",
    "fr": "le la les et est vous votre tu ta tâche ai pour avec une des pas à",
    "es": "el la los y es tu tarea he para con una se ha que no del añadido",
    "pt": "o a os e é sua tarefa para com uma foi que não adicionei você da tem",
    "it": "il la le e è la tua attività ho per con una che non hai di aggiunto",
    "tr": "ve bir görev görevi için bu olarak eklendi ekledim sen var yok tamamlandı yarın",
    "pl": "i jest zadanie zadania dla na nie do się dodałem dodano twoje masz z oznaczono",
}
_SCRIPTS = {
    "ru": "[а-яё]",
    "uk": "[а-щьюяєіїґ]",
    "zh": "[一-鿿]",
    "ja": "[぀-ヿ]",
    "ar": "[؀-ۿ]",
    "hi": "[ऀ-ॿ]",
}
_LEAST_SHARE_OF_LETTERS = 0.25
"""Titles in another script may take the rest."""


@dataclass(frozen=True)
class Want:
    """A task that has to exist; the title has to match the pattern `title`, in any case.

    `due` is local: a date, or a date with a time. None means no due date, and `*` any.
    """

    title: str
    due: str | None = None
    priority: str = "normal"
    completed: bool = False
    description: str | None = "*"

    def fault(self, task: TaskState) -> str | None:
        """Return what is wrong with a task, or None."""
        due = task.due and task.due.strftime("%Y-%m-%dT%H:%M" if self.due and "T" in self.due else "%Y-%m-%d")
        checks = {
            "title": re.search(self.title, task.title, re.IGNORECASE) is not None,
            "due": self.due in ("*", due),
            "priority": self.priority in ("*", task.priority),
            "completed": task.completed is self.completed,
            "description": self.description == "*" or _has(self.description, task.description),
        }
        wrong = [name for name, is_right in checks.items() if not is_right]
        return f"{', '.join(wrong)} of {task}" if wrong else None


def tasks(*wants: Want) -> Check:
    """Require exactly these tasks, in any order."""

    def check(outcome: Outcome) -> str | None:
        left = list(outcome.after)
        for want in wants:
            found = next((task for task in left if want.fault(task) is None), None)
            if found is None:
                near = [fault for task in left if (fault := want.fault(task))]
                return f"no task is {want}; {near or 'none is left'}"
            left.remove(found)
        return f"tasks that should not be there: {left}" if left else None

    return check


def unchanged(outcome: Outcome) -> str | None:
    """Require all tasks to be as they were."""
    if list(outcome.after) == list(outcome.before):
        return None
    return f"the tasks changed to {outcome.after}"


def says(*patterns: str) -> Check:
    """Require each pattern in the last reply, in any case."""

    def check(outcome: Outcome) -> str | None:
        missing = [pattern for pattern in patterns if not re.search(pattern, outcome.reply, re.IGNORECASE)]
        return f"the reply lacks {missing}: {outcome.reply}" if missing else None

    return check


def says_not(*patterns: str) -> Check:
    """Require none of the patterns in the last reply."""

    def check(outcome: Outcome) -> str | None:
        found = [pattern for pattern in patterns if re.search(pattern, outcome.reply, re.IGNORECASE)]
        return f"the reply has {found}: {outcome.reply}" if found else None

    return check


def says_in_order(*patterns: str) -> Check:
    """Require the patterns in the last reply, one after the other."""
    return says(".*".join(f"(?s:{pattern})" for pattern in patterns).replace(".*", "(?s:.*)"))


def asks(outcome: Outcome) -> str | None:
    """Require a question, or the request to name one, in the last reply."""
    if _QUESTION.search(outcome.reply):
        return None
    return f"the reply asks nothing: {outcome.reply}"


def denies(outcome: Outcome) -> str | None:
    """Require the reply to say that something is not so, and to claim no change."""
    if not _NEGATIONS.search(outcome.reply):
        return f"the reply denies nothing: {outcome.reply}"
    return claims_nothing(outcome)


def claims_nothing(outcome: Outcome) -> str | None:
    """Require the last reply to claim no change of a task."""
    if claim := _CLAIMS.search(outcome.reply):
        return f"the reply claims {claim[0]!r}: {outcome.reply}"
    return None


def called(*names: str) -> Check:
    """Require each of these tools to be called, in any turn."""

    def check(outcome: Outcome) -> str | None:
        made = {call["tool"] for calls in outcome.calls for call in calls}
        missing = [name for name in names if name not in made]
        return f"never called: {missing}" if missing else None

    return check


def called_none(outcome: Outcome) -> str | None:
    """Require that no tool changed anything in the last turn; looking is fine."""
    last: Sequence[object] = [
        call["tool"] for call in (outcome.calls[-1] if outcome.calls else ()) if call["tool"] not in _LOOKING
    ]
    return f"called {last}" if last else None


_LOOKING = ("list_tasks", "get_task")


def speaks(language: str) -> Check:
    """Require the last reply in a language, by its script or its commonest words."""

    def check(outcome: Outcome) -> str | None:
        letters = [character for character in outcome.reply.lower() if character.isalpha()]
        if script := _SCRIPTS.get(language):
            share = len(re.findall(script, outcome.reply.lower())) / max(1, len(letters))
            is_right = share >= _LEAST_SHARE_OF_LETTERS
        else:
            words = re.findall(r"\w+", outcome.reply.lower())
            counts = {code: sum(word in common.split() for word in words) for code, common in _WORDS.items()}
            is_right = counts[language] > 0 and counts[language] >= max(counts["en"], 1)
        return None if is_right else f"the reply is not in {language}: {outcome.reply}"

    return check


def _has(pattern: str | None, text: str | None) -> bool:
    if pattern is None:
        return not text
    return re.search(pattern, text or "", re.IGNORECASE) is not None
