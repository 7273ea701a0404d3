"""Every kind of command, alone and several in one message."""

from evals.case import Category, Check, EvalCase, Seed
from evals.checks import Want, called, claims_nothing, says, says_in_order, says_not, tasks, unchanged

_MILK, _MOM, _REPORT = Seed("Buy milk"), Seed("Call mom", due="2026-11-27T17:00"), Seed("Write report", priority="high")
_THREE = (_MILK, _MOM, _REPORT)
_KEPT_MILK, _KEPT_MOM = Want("^Buy milk$"), Want("^Call mom$", due="2026-11-27T17:00")
_KEPT_REPORT = Want("^Write report$", priority="high")


def _command(name: str, says_: str, *checks: Check, tasks: tuple[Seed, ...] = _THREE, offline: bool = True) -> EvalCase:
    return EvalCase(name, Category.COMMANDS, (says_,), checks, tasks, is_offline=offline)


def _several(name: str, says_: str, *checks: Check, tasks: tuple[Seed, ...] = _THREE, offline: bool = True) -> EvalCase:
    return EvalCase(name, Category.SEVERAL_WISHES, (says_,), checks, tasks, is_offline=offline)


_COMMANDS = (
    _command("create", "Add a task to buy groceries", tasks(Want("buy groceries")), says("groceries"), tasks=()),
    _command(
        "create with a priority",
        "Add a high priority task to pay rent",
        tasks(Want("pay rent", priority="high")),
        tasks=(),
    ),
    _command("create urgent", "Urgent: call the bank", tasks(Want("call the bank", priority="urgent")), tasks=()),
    _command(
        "create with a date",
        "Add a task to return the books tomorrow",
        tasks(Want("return the books", due="2026-11-26")),
        tasks=(),
    ),
    _command("remember", "I need to remember to pay the bills", tasks(Want("pay the bills")), tasks=()),
    _command("remind me", "Remind me to water the plants", tasks(Want("water the plants")), tasks=()),
    _command(
        "create with a description",
        "New task: plan the party. In the description write that 12 people come and Tom brings the music.",
        tasks(Want("party", description="12")),
        called("create_task"),
        tasks=(),
        offline=False,
    ),
    _command(
        "create low",
        "Add a low priority task to sort the photos",
        tasks(Want("sort the photos", priority="low")),
        tasks=(),
    ),
    _command(
        "create keeps names", "Add a task to email Zoë about the Q4 budget", tasks(Want("Zoë.*Q4 budget")), tasks=()
    ),
    _command("list all", "Show me all my tasks", unchanged, says("milk", "mom", "report"), called("list_tasks")),
    _command(
        "list pending",
        "What's pending?",
        unchanged,
        says("milk"),
        says_not("Sweep"),
        tasks=(_MILK, Seed("Sweep the floor", completed=True)),
    ),
    _command(
        "list completed",
        "What have I completed?",
        unchanged,
        says("Sweep"),
        says_not("milk"),
        tasks=(_MILK, Seed("Sweep the floor", completed=True)),
    ),
    _command("list by priority", "Show my high priority tasks", unchanged, says("report"), says_not("milk")),
    _command("list when empty", "Show me all my tasks", unchanged, called("list_tasks"), claims_nothing, tasks=()),
    _command("search", "Find tasks about mom", unchanged, says("Call mom"), says_not("milk")),
    _command(
        "count",
        "How many pending tasks do I have?",
        unchanged,
        says("3|three"),
        called("list_tasks"),
    ),
    _command(
        "complete by number",
        "Mark task {0} as complete",
        tasks(Want("milk", completed=True), _KEPT_MOM, _KEPT_REPORT),
        says("milk"),
    ),
    _command(
        "complete by words",
        "I finished buying milk",
        tasks(Want("milk", completed=True), _KEPT_MOM, _KEPT_REPORT),
        offline=False,
    ),
    _command(
        "complete by title",
        "Complete the report task",
        tasks(_KEPT_MILK, _KEPT_MOM, Want("report", priority="high", completed=True)),
    ),
    _command("reopen", "Reopen the milk task", tasks(Want("milk")), tasks=(Seed("Buy milk", completed=True),)),
    _command(
        "reopen in other words",
        "I have not bought the milk after all, put it back on my list",
        tasks(Want("^Buy milk$")),
        tasks=(Seed("Buy milk", completed=True),),
        offline=False,
    ),
    _command("delete by number", "Delete task {1}", tasks(_KEPT_MILK, _KEPT_REPORT), says("mom")),
    _command("delete by words", "Delete the milk task", tasks(_KEPT_MOM, _KEPT_REPORT), says("milk")),
    _command("rename", "Change task {0} to 'Buy oat milk'", tasks(Want("^Buy oat milk$"), _KEPT_MOM, _KEPT_REPORT)),
    _command(
        "raise a priority",
        "Set the priority of task {0} to urgent",
        tasks(Want("milk", priority="urgent"), _KEPT_MOM, _KEPT_REPORT),
    ),
    _command(
        "lower a priority",
        "The report is not that important, make it low priority",
        tasks(_KEPT_MILK, _KEPT_MOM, Want("report", priority="low")),
        offline=False,
    ),
    _command(
        "move a date",
        "Move task {1} to saturday at 5pm",
        tasks(_KEPT_MILK, Want("mom", due="2026-11-28T17:00"), _KEPT_REPORT),
    ),
    _command(
        "move to another date",
        "Move task {1} to tomorrow",
        tasks(_KEPT_MILK, Want("mom", due="2026-11-26"), _KEPT_REPORT),
    ),
    _command(
        "remove a date",
        "The call with mom has no deadline any more, remove the date",
        tasks(_KEPT_MILK, Want("mom"), _KEPT_REPORT),
        offline=False,
    ),
    _command(
        "describe",
        "Add a description to task {2}: include the sales figures",
        tasks(_KEPT_MILK, _KEPT_MOM, Want("report", priority="high", description="sales figures")),
        offline=False,
    ),
    _command(
        "show one",
        "Show task {3}",
        unchanged,
        says("Book flights", "window seat"),
        tasks=(*_THREE, Seed("Book flights", description="window seat, two bags")),
    ),
    _command(
        "complete all",
        "Mark all done",
        tasks(
            Want("milk", completed=True),
            Want("mom", due="2026-11-27T17:00", completed=True),
            Want("report", priority="high", completed=True),
        ),
    ),
    _command(
        "a polite command",
        "Hi there, could you please add a task to feed the cat, thanks!",
        tasks(Want("feed the cat")),
        tasks=(),
    ),
    _command("a typo", "ad a tsk to buy bred", tasks(Want("br[e]+a?d")), tasks=(), offline=False),
    _command(
        "sorted by date",
        "List my pending tasks, the soonest due first",
        unchanged,
        says_in_order("mom", "milk"),
        tasks=(_MILK, _MOM),
        offline=False,
    ),
    _command(
        "complete what is complete",
        "Complete task {0}",
        unchanged,
        says("already"),
        tasks=(Seed("Buy milk", completed=True),),
    ),
)
_SEVERAL = (
    _several(
        "three tasks in one",
        "Add milk, bread and call mom",
        tasks(Want("milk"), Want("bread"), Want("call mom")),
        tasks=(),
    ),
    _several(
        "three tasks with a colon",
        "Add tasks: water plants, feed cat and sweep",
        tasks(Want("water"), Want("cat"), Want("sweep")),
        tasks=(),
    ),
    _several(
        "complete two",
        "Complete tasks {0} and {1}",
        tasks(Want("milk", completed=True), Want("mom", due="2026-11-27T17:00", completed=True), _KEPT_REPORT),
    ),
    _several("delete two", "Delete tasks {0} and {2}", tasks(_KEPT_MOM)),
    _several(
        "two kinds of command",
        "Complete the milk task and delete the report task",
        tasks(Want("milk", completed=True), _KEPT_MOM),
        offline=False,
    ),
    _several(
        "create and list",
        "Add a task to buy eggs, then show me everything that is pending",
        tasks(_KEPT_MILK, _KEPT_MOM, _KEPT_REPORT, Want("eggs")),
        says("eggs", "milk", "report"),
        offline=False,
    ),
    _several(
        "different priorities",
        "Add two tasks: fix the sink, which is urgent, and paint the fence with low priority",
        tasks(Want("sink", priority="urgent"), Want("fence", priority="low")),
        tasks=(),
        offline=False,
    ),
    _several(
        "different dates",
        "Tomorrow I have to see the doctor and on Friday I must hand in the form, put both on my list",
        tasks(Want("doctor", due="2026-11-26"), Want("form", due="2026-11-27")),
        tasks=(),
        offline=False,
    ),
    _several(
        "five at once",
        "Put these on my list: apples, pears, plums, grapes, figs",
        tasks(*(Want(fruit) for fruit in ("apple", "pear", "plum", "grape", "fig"))),
        tasks=(),
        offline=False,
    ),
    _several(
        "change two fields",
        "Make the milk task urgent and due tomorrow",
        tasks(Want("milk", priority="urgent", due="2026-11-26"), _KEPT_MOM, _KEPT_REPORT),
        offline=False,
    ),
    _several(
        "all but one",
        "Complete everything except the report",
        tasks(Want("milk", completed=True), Want("mom", due="2026-11-27T17:00", completed=True), _KEPT_REPORT),
        offline=False,
    ),
)
CASES = _COMMANDS + _SEVERAL
