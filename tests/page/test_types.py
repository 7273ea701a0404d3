"""The types of the page's modules, which stand in JSDoc."""

import subprocess

import pytest

from tests.conformance.node import BIN, environment
from tests.page.conftest import ROOT


@pytest.mark.skipif(not (BIN / "tsc").exists(), reason="TypeScript is not installed: make node")
def test_the_types_are_right() -> None:
    ended = subprocess.run(
        [BIN / "tsc", "-p", ROOT / "web" / "jsconfig.json"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
