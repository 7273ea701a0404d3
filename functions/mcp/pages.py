"""Lists of one page."""

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PaginatedRequestParams


def refuse_cursor(params: PaginatedRequestParams | None) -> None:
    """Raise MCPError for a cursor: a list of one page has none."""
    if params is not None and params.cursor is not None:
        raise MCPError(INVALID_PARAMS, "The cursor is not valid: this list has only one page.")
