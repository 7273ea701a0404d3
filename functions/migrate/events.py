"""The events that the function takes: one model for each action."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from functions.migrate.errors import InvalidEventError

Revision = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_@+-]+$")]
"""As Alembic takes it: an id or its beginning, `head`, `base`, or a relative one such as `-1`."""
RevisionRange = Annotated[str, Field(max_length=400, pattern=r"^[A-Za-z0-9_@+-]+(:[A-Za-z0-9_@+-]+)?$")]
"""A revision, or two with a colon between them: from the first to the second."""


class _Action(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Upgrade(_Action):
    """Apply the missing revisions up to `revision`, and check that the result keeps the contract."""

    action: Literal["upgrade"]
    revision: Revision = "head"


class Downgrade(_Action):
    """Undo revisions down to `revision`. Without `confirm`, tell what that would lose and fail."""

    action: Literal["downgrade"]
    revision: Revision
    confirm: bool = False


class Stamp(_Action):
    """Record `revision` as the one that the database is at, and change nothing else."""

    action: Literal["stamp"]
    revision: Revision


class Sql(_Action):
    """Show the statements that lead to `revision`, up or down, without connecting to a database."""

    action: Literal["sql"]
    revision: RevisionRange = "head"


class Current(_Action):
    """Tell the revision that the database is at."""

    action: Literal["current"]


class History(_Action):
    """List all revisions, oldest first."""

    action: Literal["history"]


class Check(_Action):
    """Fail unless the models, the contract and the database agree."""

    action: Literal["check"]


class Verify(_Action):
    """Fail unless the database keeps the contract: tables, indexes, triggers, policies and encoding."""

    action: Literal["verify"]


Change = Upgrade | Downgrade | Stamp
Question = Current | History | Check | Verify
Request = Change | Question | Sql

_REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="action")])


def read_request(event: object) -> Request:
    """Return the request of an event; an event without an action asks for an upgrade.

    Raises:
        InvalidEventError: the action does not exist, or a field is missing, unknown or invalid.
    """
    if not isinstance(event, dict):
        raise InvalidEventError("the event must be a JSON object")
    try:
        return _REQUEST.validate_python({"action": "upgrade"} | event)
    except ValidationError as error:
        faults = (
            f"{'.'.join(map(str, fault['loc'])) or 'event'}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise InvalidEventError("; ".join(faults)) from None
