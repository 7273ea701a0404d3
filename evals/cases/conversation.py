"""Corrections, talk of other things, and long conversations."""

from evals.case import Category, EvalCase, Seed
from evals.checks import Want, called_none, claims_nothing, says, tasks, unchanged

_MILK = Seed("Buy milk")
_CORRECTIONS = (
    ("another title", ("Add a task to buy bread", "No, I meant bread rolls"), (Want("bread rolls"),)),
    (
        "another day",
        ("Add a task to call mom tomorrow", "Sorry, on Friday, not tomorrow"),
        (Want("mom", due="2026-11-27"),),
    ),
    (
        "another task",
        ("Add tasks: run and swim", "I completed the swim task", "Wrong one, I meant the run"),
        (Want("run", completed=True), Want("swim")),
    ),
    ("forget it", ("Add a task to buy bread", "Forget it, I have some"), ()),
    (
        "another priority",
        ("Add a low priority task to fix the bike", "Actually it is urgent"),
        (Want("bike", priority="urgent"),),
    ),
    ("in one message", ("Add a task to buy tea, no wait, coffee",), (Want("coffee"),)),
    ("back again", ("Add a task to call Tom", "Complete it", "Not yet, I did not reach him"), (Want("Tom"),)),
)
_OTHER_TALK = (
    ("hello", "Hello", True),
    ("thanks", "Thanks a lot", True),
    ("a joke", "Tell me a joke", False),
    ("the weather", "What's the weather like in Rome?", False),
    ("a poem", "Write a poem about autumn", False),
    ("arithmetic", "What is 17 times 23?", False),
    ("feelings", "I'm so tired today", False),
    ("what it can do", "What can you do?", True),
    ("another tool", "Send an email to Bob that I'm late", False),
)
_CHATTER = tuple(
    (f"Add a task to read page {number}", f'Added "Read page {number}".')
    if number % 3
    else (f"How are you today, for the {number}th time?", "I am fine, thank you. What shall we do next?")
    for number in range(1, 61)
)
CASES = (
    *(
        EvalCase(f"correct: {name}", Category.CORRECTIONS, messages, (tasks(*wants),))
        for name, messages, wants in _CORRECTIONS
    ),
    *(
        EvalCase(
            name,
            Category.OTHER_TALK,
            (message,),
            (unchanged, called_none, claims_nothing),
            (_MILK,),
            is_offline=offline,
        )
        for name, message, offline in _OTHER_TALK
    ),
    EvalCase(
        "a command after sixty exchanges",
        Category.LONG,
        ("Complete the milk task",),
        (tasks(Want("milk", completed=True)), says("milk")),
        (_MILK,),
        past=_CHATTER,
        is_offline=True,
    ),
    EvalCase(
        "a new task after sixty exchanges",
        Category.LONG,
        ("Add a task to buy bread",),
        (tasks(Want("milk"), Want("bread")),),
        (_MILK,),
        past=_CHATTER,
        is_offline=True,
    ),
    EvalCase(
        "a fact of a minute ago",
        Category.LONG,
        (
            "Remember: my sister Ada's birthday is on 12 December, I have to send a card. Add that.",
            "Show me all my tasks",
            "When is the birthday of my sister?",
        ),
        (tasks(Want("milk"), Want("card|Ada|birthday", due="*", priority="*")), says("12|twel")),
        (_MILK,),
    ),
    EvalCase(
        "the list is newer than the talk",
        Category.LONG,
        ("Which tasks are pending?",),
        (unchanged, says("milk")),
        (_MILK,),
        past=(("Which tasks are pending?", "You have no tasks."),) * 5,
        is_offline=True,
    ),
    EvalCase(
        "eight turns",
        Category.LONG,
        (
            "Add a task to buy bread",
            "Add a task to buy eggs",
            "Show me all my tasks",
            "Mark the eggs as done",
            "Make the bread urgent",
            "Add a task to call mom tomorrow",
            "Delete the milk task",
            "Show me all my tasks",
        ),
        (
            tasks(Want("bread", priority="urgent"), Want("eggs", completed=True), Want("mom", due="2026-11-26")),
            says("bread", "mom"),
        ),
        (_MILK,),
    ),
    EvalCase(
        "a claim in the history is not a fact",
        Category.LONG,
        ("Is the report done?",),
        (unchanged, says("report")),
        (Seed("Write the report"),),
        past=(("Complete the report", "I will do that soon."),),
    ),
)
