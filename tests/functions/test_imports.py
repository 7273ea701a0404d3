"""What each function imports before its first request, in a process of its own: a cold start waits for all of it."""

import pytest

from tests.support.fresh_process import result_of

SDK = {"openai", "httpx2"}
NOT_USED_OF_THE_SDK = {"openai.types.chat", "openai.types.responses", "openai.resources", "openai.lib.azure"}
AWS = {"boto3", "botocore.session", "botocore.client", "aws_xray_sdk"}
HTTP = {"fastapi", "starlette", "mangum"}
MIGRATIONS = {"alembic", "mako"}
FOR_DEVELOPERS = {"pytest", "requests", "uvicorn", "jinja2", "email_validator", "multipart", "yaml"}

NOT_IMPORTED = {
    "functions.chat.app": NOT_USED_OF_THE_SDK | AWS | MIGRATIONS | FOR_DEVELOPERS,
    "functions.conversations.app": SDK | AWS | MIGRATIONS | FOR_DEVELOPERS | {"taskchat.agent", "taskchat.tools"},
    # The SDK imports an HTTP client, which cannot be helped, and a server where there is one, which is not shipped.
    "functions.mcp.app": {"openai", "mcp.client", "mcp.server.mcpserver", "cryptography"}
    | AWS
    | MIGRATIONS
    | {"pytest", "jinja2", "yaml"},
    "functions.migrate.app": SDK | AWS | HTTP | FOR_DEVELOPERS | {"taskchat.agent", "taskchat.tools"},
}


@pytest.mark.parametrize("function", NOT_IMPORTED)
def test_a_function_imports_only_its_own_dependencies(function: str) -> None:
    imported = set(result_of(f"import json, sys, {function}; print(json.dumps(sorted(sys.modules)))"))

    assert "taskchat.database" in imported
    assert imported & NOT_IMPORTED[function] == set()
