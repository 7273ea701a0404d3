"""The security scanners: the report of pip-audit is read."""

import json

import pytest

from local.security import __main__ as scanners

CLEAN = {"name": "anyio", "version": "4.16.0", "vulns": []}
SKIPPED = {"name": "uvicorn", "skip_reason": "Dependency not found on PyPI and could not be audited: uvicorn (0.54.0)"}
KNOWN = {"name": "idna", "version": "3.6", "vulns": [{"id": "PYSEC-2024-60", "fix_versions": ["3.7"], "aliases": []}]}


@pytest.mark.parametrize(
    ("packages", "found"),
    [
        ([CLEAN, SKIPPED], []),
        ([CLEAN, KNOWN], ["idna 3.6: PYSEC-2024-60, fixed in 3.7"]),
        ([SKIPPED], None),
        ([], None),
    ],
)
def test_an_audit_without_a_looked_up_package_is_none(packages: list[object], found: list[str] | None) -> None:
    assert scanners.read_audit(json.dumps({"dependencies": packages, "fixes": []})) == found


@pytest.mark.parametrize("report", ["", "Traceback", "{}"])
def test_a_report_that_is_none_means_no_service(report: str) -> None:
    assert scanners.read_audit(report) is None
