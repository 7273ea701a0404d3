"""Routes of everything that a person owns: the export, and the deletion of the account."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from taskchat import account
from taskchat.account import ExportPage
from taskchat.database import database
from taskchat.errors import InvalidField, InvalidRequestError
from taskchat.http import Body, CallerDep
from taskchat.http.openapi import COMMON_ERRORS, TOKEN, problems

CONFIRMATION = "delete everything"
CONFIRM_PARAMETER = {
    "name": "Confirm",
    "in": "header",
    "required": True,
    "description": f"The words `{CONFIRMATION}`, so that no other request is taken for this one.",
    "schema": {"type": "string", "const": CONFIRMATION},
}

router = APIRouter()


class ExportQuery(Body):
    """A page of the export: the cursor that the page before gave."""

    cursor: Annotated[str, Field(max_length=2_000)] | None = None


class ExportItemBody(BaseModel):
    """A row: the name of its table, and its columns."""

    model_config = ConfigDict(from_attributes=True)

    table: str
    data: Mapping[str, Any]


class ExportPageBody(BaseModel):
    """Rows of one table, newest first, and the cursor of the next page; null on the last page. A page may be empty."""

    model_config = ConfigDict(from_attributes=True)

    items: Sequence[ExportItemBody]
    next_cursor: str | None


@router.get("/export", response_model=ExportPageBody, responses=problems(*COMMON_ERRORS), openapi_extra=TOKEN)
async def get_export(*, query: Annotated[ExportQuery, Query()], caller: CallerDep) -> ExportPage:
    """Return everything that is stored about the caller, page by page."""
    return database().transaction(
        caller.user_id,
        lambda connection: account.export_page(connection, caller.user_id, query.cursor),
        seconds_left=caller.seconds_left,
    )


@router.delete(
    "/account",
    status_code=204,
    responses=problems(*COMMON_ERRORS),
    openapi_extra={**TOKEN, "parameters": [CONFIRM_PARAMETER]},
)
async def delete_account(*, request: Request, caller: CallerDep) -> None:
    """Delete everything that is stored about the caller. Turns that are under way can write nothing any more."""
    if request.headers.get("Confirm") != CONFIRMATION:
        field = InvalidField("header.Confirm", f"Send the words `{CONFIRMATION}`")
        raise InvalidRequestError("The deletion is not confirmed; see `fields`.", [field])
    database().transaction(
        caller.user_id,
        lambda connection: account.delete_account(connection, caller.user_id),
        seconds_left=caller.seconds_left,
    )
