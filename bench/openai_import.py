"""Table 6: where `import openai` belongs, with a whole processor and with the share that 512 MB gets."""

from collections.abc import Sequence

from bench import builds
from bench.cold_start import EVENTS, cold_start, laboratory
from bench.figures import Section, medians, number
from bench.processes import FULL_PROCESSOR_MB, NoQuotaError, processor_share

SHARES = {"1 vCPU": 1.0, "512 MB": 512 / FULL_PROCESSOR_MB}
AT_INIT = "\nload_model()\n"
AT_THE_FIRST_USE = """

class _UnhurriedModel:
    complete = staticmethod(lambda *asked: _late().complete(*asked))


_late = model
model = _UnhurriedModel
"""
NOTE = (
    "The same first request as in table 1. Lambda gives init more than the share that a small function's invocations "
    "get, so what a client of a 512 MB function waits for lies near the init of the first line and the first answer of "
    "the second. With SnapStart the import happens before the snapshot, whichever it is here."
)


def measure(runs: int) -> Sequence[Section]:
    """Measure the three places at both shares."""
    section = Section(
        "6. Where `import openai` belongs",
        ["processor", "place", "init ms", "first answer ms", "both ms"],
        notes=[NOTE],
    )
    with laboratory() as lab:
        places = {
            "beside the first query, in a thread (this build)": lab.functions["ChatFunction"][builds.OURS],
            "at the first use": builds.changed_chat(lab.build, "at-first-use", AT_THE_FIRST_USE),
            "in init": builds.changed_chat(lab.build, "at-init", AT_INIT),
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
