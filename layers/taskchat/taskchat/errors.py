"""Domain errors. Each class carries the HTTP status, `code` and `title` of the problem that a caller gets.

`taskchat.http.problems` writes the problem document (RFC 9457), `functions.mcp` an error of its protocol.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID


class TaskchatError(Exception):
    """Base of every error that a caller is told about; its text is the problem's `detail`.

    A subclass states its problem type as class keywords, without which Python does not create it:

        class NotFoundError(TaskchatError, status=404, code="not-found", title="Not found"): ...

    `code` is stable, and callers compare it. `retryable` tells whether the same request can succeed if it is sent again
    unchanged and with the same `Idempotency-Key`. `turn_id` names the turn that the error stopped, if there is one.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    retryable: bool = False
    turn_id: UUID | None = None

    def __init_subclass__(cls, *, status: int, code: str, title: str) -> None:
        super().__init_subclass__()
        cls.status, cls.code, cls.title = status, code, title

    def members(self) -> Mapping[str, Any]:
        """Return the members of the problem document that only this type has (RFC 9457, section 3.2)."""
        return {}


class RetryableError(Exception):
    """Mixed into the errors after which the same request can succeed in `retry_after_seconds`."""

    retryable = True

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = max(1, retry_after_seconds)


class InternalError(TaskchatError, status=500, code="internal", title="Internal error"):
    """Stands for a defect: the caller learns nothing of its cause, and the log holds the stack trace."""


class UnauthenticatedError(TaskchatError, status=401, code="unauthenticated", title="Not signed in"):
    """Raised when a request carries no claims that the gateway has verified."""


class NotFoundError(TaskchatError, status=404, code="not-found", title="Not found"):
    """Raised for something that does not exist or belongs to someone else, with the same text in both cases."""


class MethodNotAllowedError(TaskchatError, status=405, code="method-not-allowed", title="Method not allowed"):
    """Raised when a path exists and the request's method does not."""


class PreconditionFailedError(TaskchatError, status=412, code="changed-since", title="Changed since"):
    """Raised when a record is no longer as `If-Match` names it; nothing is done."""


class TooLargeError(TaskchatError, status=413, code="too-large", title="Request too large"):
    """Raised when a request's body exceeds the limit."""


@dataclass(frozen=True)
class InvalidField:
    """One invalid field of a request; `field` is a dotted path, as in `body.message`."""

    field: str
    message: str


class InvalidRequestError(TaskchatError, status=422, code="invalid-request", title="Invalid request"):
    """Raised when a request does not have the form that the API asks for."""

    def __init__(self, detail: str, fields: Sequence[InvalidField] = ()) -> None:
        super().__init__(detail)
        self.fields = tuple(fields)

    def members(self) -> Mapping[str, Any]:
        """Return `fields`, if the fault lies in single fields."""
        return {"fields": [asdict(field) for field in self.fields]} if self.fields else {}


class IdempotencyKeyReusedError(
    TaskchatError, status=422, code="idempotency-key-reused", title="Idempotency key used for another request"
):
    """Raised when an idempotency key comes again with another request."""


class ConversationBusyError(
    RetryableError, TaskchatError, status=409, code="conversation-busy", title="Conversation busy"
):
    """Raised when another turn of the same conversation is running."""


class TurnInProgressError(RetryableError, TaskchatError, status=409, code="turn-in-progress", title="Turn in progress"):
    """Raised when another invocation holds a live lease on this very turn."""


class TurnSupersededError(TaskchatError, status=409, code="turn-superseded", title="Turn superseded"):
    """Raised when this invocation lost its turn to a newer attempt, a newer message or a deletion."""


class TurnCancelledError(TaskchatError, status=409, code="turn-cancelled", title="Turn cancelled"):
    """Raised when a request comes again whose turn the person has cancelled."""


class TurnFinishedError(TaskchatError, status=409, code="turn-finished", title="Turn finished"):
    """Raised when a turn has ended and can no longer be cancelled."""


class ChangedSinceError(TaskchatError, status=409, code="changed-since", title="Changed since"):
    """Raised when a record is no longer as a call left it, so that the call cannot be taken back.

    Each of `conflicts` has the record's `id` and the differing fields, as `expected` and as `found`. None in either
    place stands for a record that does not exist.
    """

    def __init__(self, detail: str, conflicts: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(detail)
        self.conflicts = tuple(conflicts)

    def members(self) -> Mapping[str, Any]:
        """Return `conflicts`."""
        return {"conflicts": self.conflicts}


class AlreadyUndoneError(TaskchatError, status=409, code="already-undone", title="Already undone"):
    """Raised when the changes of a turn have been taken back before."""


class NothingToUndoError(TaskchatError, status=409, code="nothing-to-undo", title="Nothing to undo"):
    """Raised when a turn changed nothing, or was recorded before changes could be taken back."""


class TooManyTasksError(TaskchatError, status=409, code="too-many-tasks", title="Too many tasks"):
    """Raised when a person has as many tasks as one person may have."""


class ConversationDeletedError(TaskchatError, status=410, code="conversation-deleted", title="Conversation deleted"):
    """Raised when a request comes again whose conversation was deleted; nothing is done."""


class TurnInterruptedError(
    RetryableError, TaskchatError, status=503, code="turn-interrupted", title="Turn interrupted"
):
    """Raised when a turn stops before its end; the same request continues it."""


class UsageLimitReachedError(
    RetryableError, TaskchatError, status=429, code="usage-limit-reached", title="Usage limit reached"
):
    """Raised when a person has used up what the deployment allows; names the limit and when there is room again."""

    def __init__(
        self, detail: str, *, limit: str, maximum: int, used: int, resets_at: datetime | None, retry_after_seconds: int
    ) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds)
        self.limit, self.maximum, self.used, self.resets_at = limit, maximum, used, resets_at

    def members(self) -> Mapping[str, Any]:
        resets_at = None if self.resets_at is None else self.resets_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"limit": self.limit, "maximum": self.maximum, "used": self.used, "resets_at": resets_at}


class ModelRateLimitedError(
    RetryableError, TaskchatError, status=429, code="model-rate-limited", title="Model rate limit reached"
):
    """Raised when the model's provider asks to slow down."""


class ModelFailedError(TaskchatError, status=502, code="model-failed", title="Model failed"):
    """Raised when the model's provider fails or sends an unusable answer; `permanent` if it would do so again."""

    def __init__(self, detail: str, *, permanent: bool = False) -> None:
        super().__init__(detail)
        self.permanent = permanent
        self.retryable = not permanent


class DatabaseUnavailableError(
    RetryableError, TaskchatError, status=503, code="database-unavailable", title="Database unavailable"
):
    """Raised when the database cannot be reached or does not answer in time."""


class DatabaseUnusableError(TaskchatError, status=503, code="database-unusable", title="Database not usable"):
    """Raised when the database answers, and an operator has to change it first: migrate it, or grant a privilege."""


class SecretUnavailableError(
    RetryableError, TaskchatError, status=503, code="secret-unavailable", title="Secret unavailable"
):
    """Raised when Secrets Manager does not return a secret that this function needs."""
