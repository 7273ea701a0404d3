"""The imports of each function, in a process of its own. Without SnapStart, a cold start waits for all of them."""

import pytest

from tests.support.fresh_process import result_of

SDK = {"openai", "httpx2"}
AWS = {"boto3", "botocore.session", "botocore.client", "aws_xray_sdk"}
HTTP = {"fastapi", "starlette", "mangum"}
MIGRATIONS = {"alembic", "mako"}
FOR_DEVELOPERS = {"pytest", "requests", "uvicorn", "jinja2", "email_validator", "multipart", "yaml"}

NOT_IMPORTED = {
    "functions.chat.app": AWS | MIGRATIONS | FOR_DEVELOPERS,
    "functions.conversations.app": SDK | AWS | MIGRATIONS | FOR_DEVELOPERS | {"taskchat.agent", "taskchat.tools"},
    "functions.tasks.app": SDK | AWS | MIGRATIONS | FOR_DEVELOPERS | {"taskchat.agent", "taskchat.turns"},
    "functions.worker.app": AWS | HTTP | MIGRATIONS | FOR_DEVELOPERS,
    # The MCP SDK imports an HTTP client, and a server if there is one, which is not shipped.
    "functions.mcp.app": {"openai"} | AWS | MIGRATIONS | {"pytest", "jinja2", "yaml"},
    "functions.migrate.app": SDK | AWS | HTTP | FOR_DEVELOPERS | {"taskchat.agent", "taskchat.tools"},
}


@pytest.mark.parametrize("function", NOT_IMPORTED)
def test_a_function_imports_only_its_own_dependencies(function: str) -> None:
    imported = set(result_of(f"import json, sys, {function}; print(json.dumps(sorted(sys.modules)))"))

    assert "taskchat.database" in imported
    assert imported & NOT_IMPORTED[function] == set()
