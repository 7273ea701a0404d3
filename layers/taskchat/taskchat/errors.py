"""What can go wrong, in the words of the domain. `taskchat.http.problems` alone knows the HTTP status of each."""

from collections.abc import Sequence
from dataclasses import dataclass


class TaskchatError(Exception):
    """Base of every error that a caller is told about."""


class RetryableError(TaskchatError):
    """Base of the errors after which the same request, sent again later, can succeed."""

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = max(1, retry_after_seconds)


class UnauthenticatedError(TaskchatError):
    """Raised when a request carries no claims that the gateway has verified."""


class NotFoundError(TaskchatError):
    """Raised for what does not exist and, word for word the same, for what belongs to someone else."""


@dataclass(frozen=True)
class InvalidField:
    """One field that a caller has to mend; `field` is a dotted path, as in `body.message`."""

    field: str
    message: str


class InvalidRequestError(TaskchatError):
    """Raised when a request does not have the form that the contract asks for."""

    def __init__(self, detail: str, fields: Sequence[InvalidField] = ()) -> None:
        super().__init__(detail)
        self.fields = tuple(fields)


class IdempotencyKeyReusedError(TaskchatError):
    """Raised when an idempotency key comes again with another request."""


class ConversationBusyError(RetryableError):
    """Raised when another turn of the same conversation is running."""


class TurnInProgressError(RetryableError):
    """Raised when another invocation holds a live lease on this very turn."""


class TurnSupersededError(TaskchatError):
    """Raised when this invocation lost its turn: to a newer attempt, a newer message, or a deletion."""


class TurnInterruptedError(RetryableError):
    """Raised when a turn stops before its end; the same request continues it."""


class ModelRateLimitedError(RetryableError):
    """Raised when the model's provider asks to slow down."""


class ModelFailedError(TaskchatError):
    """Raised when the model's provider fails or answers what cannot be used."""

    def __init__(self, detail: str, *, permanent: bool = False) -> None:
        super().__init__(detail)
        self.permanent = permanent


class DatabaseUnavailableError(RetryableError):
    """Raised when the database cannot be reached or does not answer in time."""
