"""Table 6: where the largest imports belong, with a whole processor and with the share that 512 MB gets."""

from collections.abc import Mapping, Sequence

from bench import builds
from bench.cold_start import EVENTS, Laboratory, cold_start, laboratory
from bench.figures import Section, medians, number
from bench.processes import FULL_PROCESSOR_MB, NoQuotaError, processor_share
from local.emulator import BuiltFunction

SHARES = {"1 vCPU": 1.0, "512 MB": 512 / FULL_PROCESSOR_MB}
FIRST_LINE = "from taskchat.cold_start import keep_all\n"
IMPORT = "from taskchat.agent.chat_completions import ChatCompletionsModel, Provider\n"
MODEL = "model = ChatCompletionsModel(provider)\n"
USE = "        model,\n"
LATE_MODEL = """

class _LateModel:
    def __init__(self):
        self._loaded = None

    def begin(self):
        if self._loaded is None:
            worker = ThreadPoolExecutor(max_workers=1)
            self._loaded = worker.submit(self._load)
            worker.shutdown(wait=False)
        return self

    def complete(self, *asked):
        return self.begin()._loaded.result().complete(*asked)

    def close(self):
        pass

    @staticmethod
    def _load():
        global Provider
        from taskchat.agent.chat_completions import ChatCompletionsModel, Provider
        return ChatCompletionsModel(provider)


model = _LateModel()
"""
LATE = {
    IMPORT: "from concurrent.futures import ThreadPoolExecutor\n",
    "-> Provider:": '-> "Provider":',
    MODEL: LATE_MODEL,
}
BESIDE = {USE: "        model.begin(),\n"}
WITH_INIT = {FIRST_LINE: f"import gc\n\ngc.disable()\nimport openai\n{FIRST_LINE}"}
LATE_SQLALCHEMY = {
    "from taskchat import conversations\n": "",
    "from taskchat.conversations import ConversationRecord, MessageRecord, Page\n": "",
    "from taskchat.database import database\n": "",
    "from taskchat.models import TITLE_CHARACTERS, Role\n": "TITLE_CHARACTERS, Role = 200, str\n",
    "from taskchat.snapshot import around_snapshot\n": "",
    "-> Page[ConversationRecord]:": "-> Any:",
    "-> Page[MessageRecord]:": "-> Any:",
    "-> ConversationRecord:": "-> Any:",
    "around_snapshot()\n": "",
    "    return database().transaction(\n        lambda connection: conversations.list_page(": (
        "    from taskchat import conversations\n    from taskchat.database import database\n"
        "    return database().transaction(\n        lambda connection: conversations.list_page("
    ),
}
NOTE = (
    "The same first requests as in table 1. Lambda gives init more than the share that a small function's invocations "
    "get, so what a client of a 512 MB function waits for lies near the init of the upper half and the first answer of "
    "the lower. With SnapStart the imports happen before the snapshot, wherever they are here."
)


def measure(runs: int) -> Sequence[Section]:
    """Measure the places at both shares."""
    with laboratory() as lab:
        return [
            _section("6. Where `import openai` belongs", lab, "ChatFunction", _places_of_openai(lab), runs),
            _section("6b. Where SQLAlchemy belongs", lab, "ConversationsFunction", _places_of_sqlalchemy(lab), runs),
        ]


def _places_of_openai(lab: Laboratory) -> Mapping[str, BuiltFunction]:
    changes = {
        "beside the first query, in a thread": LATE | BESIDE,
        "at the first use": LATE,
        "in init, with its `__init__`": WITH_INIT,
    }
    return {"in init (this build)": lab.functions["ChatFunction"][builds.OURS]} | {
        place: builds.changed(lab.build, "ChatFunction", f"chat-{number}", change)
        for number, (place, change) in enumerate(changes.items())
    }


def _places_of_sqlalchemy(lab: Laboratory) -> Mapping[str, BuiltFunction]:
    name = "ConversationsFunction"
    return {
        "in init (this build)": lab.functions[name][builds.OURS],
        "at the first use": builds.changed(lab.build, name, "conversations-late", LATE_SQLALCHEMY),
    }


def _section(title: str, lab: Laboratory, name: str, places: Mapping[str, BuiltFunction], runs: int) -> Section:
    section = Section(title, ["processor", "place", "init ms", "first answer ms", "both ms"], notes=[NOTE])
    for processor, share in SHARES.items():
        results: dict[str, list[dict[str, float]]] = {place: [] for place in places}
        for _ in range(runs):
            for place, function in places.items():
                try:
                    with processor_share(share) as group:
                        results[place].append(cold_start(function, EVENTS[name](), lab.environment, group))
                except NoQuotaError as error:
                    section.notes.insert(0, f"Skipped: {error}.")
                    return section
        for place, found in results.items():
            middle = medians(found)
            figures = (number(middle[figure]) for figure in ("init", "first", "both"))
            section.rows.append([processor, place, *figures])
    return section
