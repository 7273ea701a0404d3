"""Lists that have one page."""

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PaginatedRequestParams


def refuse_cursor(params: PaginatedRequestParams | None) -> None:
    """Raise for a cursor, since none was handed out."""
    if params is not None and params.cursor is not None:
        raise MCPError(INVALID_PARAMS, "There is no such page: this list has only one.")
