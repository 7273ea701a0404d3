"""Table 6: where `import openai` belongs, with a whole processor and with the share that 512 MB gets."""

from collections.abc import Sequence

from bench import builds
from bench.cold_start import EVENTS, cold_start, laboratory
from bench.figures import Section, medians, number
from bench.processes import FULL_PROCESSOR_MB, NoQuotaError, processor_share

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
WITH_INIT = {FIRST_LINE: f"import openai\n{FIRST_LINE}"}
NOTE = (
    "The same first request as in table 1. Lambda gives init more than the share that a small function's invocations "
    "get, so what a client of a 512 MB function waits for lies near the init of the first line and the first answer of "
    "those below it. With SnapStart the import happens before the snapshot, whichever it is here."
)


def measure(runs: int) -> Sequence[Section]:
    """Measure the places at both shares."""
    section = Section(
        "6. Where `import openai` belongs",
        ["processor", "place", "init ms", "first answer ms", "both ms"],
        notes=[NOTE],
    )
    with laboratory() as lab:
        places = {
            "in init (this build)": lab.functions["ChatFunction"][builds.OURS],
            "beside the first query, in a thread": builds.changed_chat(lab.build, "beside", LATE | BESIDE),
            "at the first use": builds.changed_chat(lab.build, "at-first-use", LATE),
            "in init, with its `__init__`": builds.changed_chat(lab.build, "with-init", WITH_INIT),
        }
        for processor, share in SHARES.items():
            results: dict[str, list[dict[str, float]]] = {place: [] for place in places}
            for _ in range(runs):
                for place, function in places.items():
                    try:
                        with processor_share(share) as group:
                            event = EVENTS["ChatFunction"]()
                            results[place].append(cold_start(function, event, lab.environment, group))
                    except NoQuotaError as error:
                        section.notes.insert(0, f"Skipped: {error}.")
                        return [section]
            for place, found in results.items():
                middle = medians(found)
                figures = (number(middle[figure]) for figure in ("init", "first", "both"))
                section.rows.append([processor, place, *figures])
    return [section]
