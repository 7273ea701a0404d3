"""What the function can be asked for: one shape for each action."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from functions.migrate.errors import InvalidEventError

Revision = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_@+-]+$")]
"""As Alembic takes it: an id or its beginning, `head`, `base`, or relative, as in `-1`."""
RevisionRange = Annotated[str, Field(max_length=400, pattern=r"^[A-Za-z0-9_@+-]+(:[A-Za-z0-9_@+-]+)?$")]
"""A revision, or two with a colon between: from the first to the second."""


def _be_true(confirm: bool) -> bool:
    # Not `Literal[True]`, which lets 1 pass.
    if not confirm:
        raise ValueError("a downgrade is done only where this is true")
    return confirm


class _Action(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Upgrade(_Action):
    """Apply what is missing, up to `revision`."""

    action: Literal["upgrade"]
    revision: Revision = "head"


class Downgrade(_Action):
    """Undo down to `revision`. Columns and tables go, with what is in them: hence `confirm`."""

    action: Literal["downgrade"]
    revision: Revision
    confirm: Annotated[bool, AfterValidator(_be_true)]


class Stamp(_Action):
    """Record `revision` as where the database stands, and touch nothing else."""

    action: Literal["stamp"]
    revision: Revision


class Sql(_Action):
    """Show the statements that lead to `revision`, up or down. No database is asked."""

    action: Literal["sql"]
    revision: RevisionRange = "head"


class Current(_Action):
    """Tell where the database stands."""

    action: Literal["current"]


class History(_Action):
    """List all revisions, oldest first."""

    action: Literal["history"]


class Check(_Action):
    """Fail unless the models and the database agree."""

    action: Literal["check"]


class Verify(_Action):
    """Fail unless tables, indexes and triggers stand as the contract says."""

    action: Literal["verify"]


Change = Upgrade | Downgrade | Stamp
Question = Current | History | Check | Verify
Request = Change | Question | Sql

_REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="action")])


def read_request(event: object) -> Request:
    """Return what the event asks for; an event without an action asks for an upgrade.

    Raises:
        InvalidEventError: it names an action that does not exist, or lacks a field, or has one too many.
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
