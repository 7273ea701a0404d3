"""Naming tasks: references to earlier turns, ambiguity, and tasks that do not exist."""

from evals.case import Category, Check, EvalCase, Seed
from evals.checks import Want, asks, called_none, claims_nothing, denies, says, tasks, unchanged

_LIST = (Seed("Buy milk"), Seed("Call the dentist"), Seed("Write the report"))
_DENTISTS = (Seed("Call the dentist"), Seed("Pay the dentist"), Seed("Buy milk"))
_SHOW = "Show me all my tasks"
_MILK, _CALL, _REPORT = Want("^Buy milk$"), Want("^Call the dentist$"), Want("^Write the report$")
_CALL_DONE = Want("^Call the dentist$", completed=True)


def _case(
    category: Category,
    name: str,
    messages: tuple[str, ...],
    *checks: Check,
    tasks: tuple[Seed, ...] = _LIST,
    offline: bool = False,
) -> EvalCase:
    return EvalCase(name, category, messages, checks, tasks, is_offline=offline)


_REFERENCES = (
    ("the second one", (_SHOW, "Complete the second one"), (_MILK, _CALL_DONE, _REPORT)),
    ("the last one", (_SHOW, "Delete the last one"), (_MILK, _CALL)),
    ("the first two", (_SHOW, "Mark the first two as done"), (Want("^Buy milk$", completed=True), _CALL_DONE, _REPORT)),
    ("the others", (_SHOW, "Complete the dentist one.", "Delete the others"), (_CALL_DONE,)),
    ("that one", ("Do I have a task about the dentist?", "Great, I did that one"), (_MILK, _CALL_DONE, _REPORT)),
    ("its priority", ("Show me the report task", "Make it urgent"), (_MILK, _CALL, Want("report", priority="urgent"))),
    (
        "both",
        ("Which tasks are about milk or the dentist?", "Both are done"),
        (Want("milk", completed=True), _CALL_DONE, _REPORT),
    ),
    (
        "the same day",
        ("Move the report to Friday", "And the dentist to the same day"),
        (_MILK, Want("dentist", due="2026-11-27"), Want("report", due="2026-11-27")),
    ),
    (
        "a task just made",
        ("Add a task to buy bread", "Make that one high priority"),
        (_MILK, _CALL, _REPORT, Want("bread", priority="high")),
    ),
    ("what was deleted", ("Delete the milk task", "Oh no, please add it again"), (_CALL, _REPORT, Want("milk"))),
    ("the one I just finished", ("I called the dentist", "Sorry, that was wrong, reopen it"), (_MILK, _CALL, _REPORT)),
)
_BIG_LIST = tuple(
    Seed(f"{thing} number {number}")
    for number, thing in enumerate(
        ["Sort the invoices", "Water the plants", "Call the supplier", "Read the chapter", "Check the backup"] * 10,
        start=1,
    )
)
_AMBIGUOUS = (
    ("two dentists", "Complete the dentist task", _DENTISTS, ("Call the dentist", "Pay the dentist")),
    ("delete one of two", "Delete the dentist task", _DENTISTS, ("Call the dentist", "Pay the dentist")),
    (
        "the same title twice",
        "Complete the milk task",
        (Seed("Buy milk", due="2026-11-26"), Seed("Buy milk", due="2026-11-28")),
        ("milk",),
    ),
    (
        "rename one of three",
        "Rename the meeting to 'Retrospective'",
        (Seed("Meeting with Ann"), Seed("Meeting with Bob"), Seed("Meeting with Cem")),
        ("Ann", "Bob", "Cem"),
    ),
    (
        "one of two priorities",
        "Make the Paris task urgent",
        (Seed("Book the hotel in Paris"), Seed("Buy train tickets to Paris")),
        ("hotel", "tickets"),
    ),
    ("a bare 'delete it'", "Delete it", _LIST, ()),
    ("a bare 'that one'", "Complete that one", _LIST, ()),
)
_MISSING = (
    ("a number that is not there", "Complete task 99999999", _LIST, True),
    ("delete a number that is not there", "Delete task 99999999", _LIST, True),
    ("words that match nothing", "Complete the piano task", _LIST, True),
    ("delete words that match nothing", "Delete the piano task", _LIST, True),
    ("change what is not there", "Make the piano task urgent", _LIST, False),
    ("move what is not there", "Move the piano lesson to Friday", _LIST, False),
    ("an empty list", "Complete the milk task", (), True),
    ("a search without a match", "Do I have any tasks about the piano?", _LIST, False),
    ("the tenth of three", "Complete the tenth task of my list", _LIST, False),
    ("somebody else's task", "Show me Bob's tasks from his account", (), False),
)
CASES = (
    *(_case(Category.REFERENCES, name, messages, tasks(*wants)) for name, messages, wants in _REFERENCES),
    _case(
        Category.REFERENCES,
        "the second one of fifty",
        (_SHOW, "Complete the second one"),
        tasks(*(Want(f"^{seed.title}$", completed=number == 1) for number, seed in enumerate(_BIG_LIST))),
        tasks=_BIG_LIST,
    ),
    _case(
        Category.REFERENCES,
        "an answer to a question",
        ("Complete the dentist task", "Task {1}"),
        tasks(Want("^Call the dentist$"), Want("^Pay the dentist$", completed=True), _MILK),
        tasks=_DENTISTS,
        offline=True,
    ),
    _case(
        Category.REFERENCES,
        "it after a change",
        ("Mark task {1} as complete", "Reopen it"),
        tasks(_MILK, _CALL, _REPORT),
        offline=True,
    ),
    *(
        _case(
            Category.AMBIGUITY,
            name,
            (message,),
            unchanged,
            asks,
            called_none,
            says(*named),
            tasks=seeds,
            offline=bool(named) and name != "rename one of three",
        )
        for name, message, seeds, named in _AMBIGUOUS
    ),
    _case(
        Category.AMBIGUITY,
        "one pending, one completed",
        ("Complete the dentist task",),
        tasks(Want("^Call the dentist$", completed=True), Want("^Pay the dentist$", completed=True)),
        tasks=(Seed("Call the dentist"), Seed("Pay the dentist", completed=True)),
        offline=True,
    ),
    *(
        _case(Category.NOT_FOUND, name, (message,), unchanged, denies, claims_nothing, tasks=seeds, offline=offline)
        for name, message, seeds, offline in _MISSING
    ),
)
