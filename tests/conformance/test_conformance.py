"""The public conformance suite: what a server of each version must do.

The whole requirement sets run against the fixture server, which has the tools that scenarios ask for; scenarios
that need none run against Taskchat itself. What a server without sessions and streams cannot do stands, with the
reason, in the files of expected failures; an entry that no longer fails is an error.
"""

import json
from pathlib import Path

import pytest
import yaml

from tests.conformance.conftest import Run

EXPECTED = Path(__file__).parent / "expected_failures"
REVISIONS = ("2025-11-25", "2026-07-28")
EMPTY = {
    "server-session-lifecycle": "there is no session to end: DELETE answers 405, and the suite skips the rest",
    "server-sse-multiple-streams": "there are no streams: three answers in JSON, and the suite looks no further",
    "server-sse-polling": "there are no streams: the answer is JSON, and the suite looks no further",
    "server-stateless": "its five checks about subscriptions are skipped, since none are offered; the others count",
    "tasks-status-notifications": "the tasks extension is not offered, so that there is nothing to notify of",
}
"""Scenarios that pass or are skipped because their subject does not exist. They are not counted."""
OF_TASKCHAT = {
    "2025-11-25": (
        "server-initialize",
        "ping",
        "tools-list",
        "resources-list",
        "prompts-list",
        "dns-rebinding-protection",
    ),
    "2026-07-28": (
        "server-stateless",
        "tools-list",
        "resources-list",
        "prompts-list",
        "sep-2164-resource-not-found",
        "dns-rebinding-protection",
        "caching",
        "http-header-validation",
    ),
}


def stale_checks(baseline: Path, scenario: str, failed: list[str]) -> list[str]:
    """Return the single checks of a baseline that did not fail: the suite itself lets those pass that it skipped."""
    entries = [str(entry).partition(":") for entry in yaml.safe_load(baseline.read_text())["server"]]
    ids = {line.partition(":")[0] for line in failed}
    return [check for name, _, check in entries if name == scenario and check and check not in ids]


def failed_checks(results: Path) -> list[str]:
    """Return the checks that failed in a folder of results."""
    checks = [check for path in results.rglob("checks.json") for check in json.loads(path.read_text())]
    assert checks, "the suite left no results"
    return [f"{check['id']}: {check.get('errorMessage')}" for check in checks if check["status"] == "FAILURE"]


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_transport_meets_what_the_revision_requires(
    run: Run, fixture_url: str, tmp_path: Path, revision: str
) -> None:
    expected = ["--expected-failures", str(EXPECTED / f"fixture-{revision}.yaml")]
    done = run(
        "conformance", "server", "--url", fixture_url, "--requirements", revision, "-o", str(tmp_path), *expected
    )

    summary = done.stdout[done.stdout.find("=== SUMMARY ===") :]
    print(  # noqa: T201 - `make conformance` shows it
        summary, "Not counted:", *(f"  {name}: {reason}" for name, reason in EMPTY.items()), sep="\n"
    )
    assert done.returncode == 0, "\n".join([summary, done.stderr, *failed_checks(tmp_path)])


@pytest.mark.parametrize(
    ("revision", "scenario"), [(revision, name) for revision, names in OF_TASKCHAT.items() for name in names]
)
def test_taskchat_itself_passes_what_needs_no_fixture(
    run: Run, taskchat_url: str, tmp_path: Path, revision: str, scenario: str
) -> None:
    baseline = EXPECTED / f"taskchat-{revision}.yaml"
    expected = ["--expected-failures", str(baseline)]
    named = ["--scenario", scenario, "--spec-version", revision]
    done = run("conformance", "server", "--url", taskchat_url, *named, "-o", str(tmp_path), *expected)

    failed = failed_checks(tmp_path)
    assert done.returncode == 0, "\n".join([done.stderr, *failed])
    assert stale_checks(baseline, scenario, failed) == []


@pytest.mark.parametrize("path", sorted(EXPECTED.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_expected_failure_has_its_reason(path: Path) -> None:
    entries = [line for line in path.read_text().splitlines() if line.startswith("  - ")]

    assert [entry for entry in entries if " # " not in entry] == []
