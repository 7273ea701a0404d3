"""The cases as a data set of pydantic-evals, and the judge of their outcomes."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import EvaluationReason, Evaluator, EvaluatorContext

from evals.case import EvalCase, Outcome
from evals.runner import faults

Metadata: TypeAlias = dict[str, Any]


@dataclass
class Judge(Evaluator[EvalCase, Outcome, Metadata]):
    """Passes an outcome that all checks of its case accept."""

    def evaluate(self, ctx: EvaluatorContext[EvalCase, Outcome, Metadata]) -> EvaluationReason:
        """Return whether the case passed, and what is wrong if it did not."""
        wrong = faults(ctx.inputs, ctx.output)
        return EvaluationReason(value=not wrong, reason="; ".join(wrong) or None)


def dataset(cases: tuple[EvalCase, ...]) -> Dataset[EvalCase, Outcome, Metadata]:
    """Return the cases as a data set."""
    return Dataset(
        name="taskchat",
        cases=[Case(name=case.name, inputs=case, metadata={"category": str(case.category)}) for case in cases],
        evaluators=[Judge()],
    )
