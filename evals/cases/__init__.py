"""All cases. To add one, append it to the tuple of its category's file."""

from evals.case import EvalCase
from evals.cases import commands, conversation, dates, guarding, languages, naming

CASES: tuple[EvalCase, ...] = (
    *commands.CASES,
    *naming.CASES,
    *dates.CASES,
    *languages.CASES,
    *conversation.CASES,
    *guarding.CASES,
)
BY_NAME = {case.name: case for case in CASES}
