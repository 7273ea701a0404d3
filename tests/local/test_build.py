"""A part of the build arrives in the folder that SAM names, whatever the path of that folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.conftest import ODD_NAME, ROOT

MAKE = shutil.which("make") or "make"
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def build_layer(artifacts: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MAKE, "build-TaskchatLayer"],
        cwd=ROOT / "layers" / "taskchat",
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "LAMBDA_PYTHON": THIS_PYTHON,
            "ARTIFACTS_DIR": artifacts,
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "variables", [{}, {"PYTHONPATH": "/no/such", "PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "error"}]
)
def test_a_layer_is_built_into_an_odd_folder(tmp_path: Path, variables: dict[str, str]) -> None:
    artifacts = tmp_path / ODD_NAME

    built = build_layer(str(artifacts), **variables)

    assert built.returncode == 0, built.stderr
    assert (artifacts / "python" / "taskchat" / "errors.py").is_file()
    assert list((artifacts / "python" / "taskchat" / "__pycache__").glob("errors.*.pyc"))


def test_a_build_without_a_folder_fails() -> None:
    built = build_layer("")
    assert built.returncode != 0
    assert "no folder is named" in built.stderr
