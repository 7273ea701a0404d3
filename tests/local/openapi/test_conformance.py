"""Requests that schemathesis derives from the document, sent to `make run`: the answers are as the document says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.openapi.__main__ import DOCS
from tests.local.conftest import Start

NOT_CHECKED = (
    # `make run` signs a request without a token in as "me".
    "ignored_auth",
    "missing_required_header",
    # API Gateway answers 404 for a method without a route.
    "unsupported_method",
    # No schema tells which cursors and entity tags exist, so a request that fits may be refused.
    "positive_data_acceptance",
)
EXAMPLES = 5
LONGEST_RUN_SECONDS = 120

pytestmark = pytest.mark.xdist_group("make run")


def test_answers_are_as_the_document_says(start: Start, sqlite_template: Path, tmp_path: Path) -> None:
    database = tmp_path / "taskchat.sqlite3"
    database.write_bytes(sqlite_template.read_bytes())
    running = start(DATABASE_URL=f"sqlite:///{database}")
    report = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            str(DOCS / "openapi.json"),
            f"--url={running.url}",
            # Messages of MCP are described by their own protocol and have a conformance suite of their own.
            "--exclude-path=/mcp",
            f"--exclude-checks={','.join(NOT_CHECKED)}",
            "--phases=examples,coverage,fuzzing",
            f"--max-examples={EXAMPLES}",
            "--generation-deterministic",
            "--header=Authorization: Bearer local:schemathesis",
            "--warnings=off",
            "--no-color",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=LONGEST_RUN_SECONDS,
        check=False,
    )
    assert report.returncode == 0, report.stdout + report.stderr
