"""Build both stacks once, and stamp them with the release.

`python -m deploy.build` builds into .aws-sam, for the processor in LAMBDA_ARCHITECTURE.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy import console
from deploy.console import DeployError
from deploy.stage import CONFIG, Stage
from deploy.stamp import TEMPLATE, release_of, stamped
from local.toolchain import ROOT

BUILD = ROOT / ".aws-sam"
API, MIGRATE = "build", "migrate"
SOURCES = {API: ROOT / "template.yaml", MIGRATE: ROOT / "functions" / "migrate" / "template.yaml"}
_MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
"""For each architecture of Lambda, the name that compiled modules have in their file names."""


def build(folder: Path, architecture: str) -> None:
    """Build both stacks into a folder.

    Raises:
        DeployError: the build failed.
    """
    for name, template in SOURCES.items():
        command = [
            *(sys.executable, "-m", "samcli", "build", "--template-file", str(template)),
            # Each part is built from the lock and the migrations at the root, which a copy of its own folder lacks.
            *("--build-in-source", "--parallel", "--build-dir", str(folder / name)),
        ]
        settings = {
            "SAM_CLI_TELEMETRY": "0",
            "LAMBDA_ARCHITECTURE": architecture,
            "PYTHON": sys.executable,
        }
        built = subprocess.run(
            command,
            cwd=ROOT,
            # The build asks AWS for nothing, and a profile that is not there would stop it.
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if built.returncode != 0:
            raise DeployError(f"the build of {template.relative_to(ROOT)} failed:\n{built.stdout}", "correct it")


def stamp_for(folder: Path, stage: Stage) -> str:
    """Write the release into the built templates, and return its name.

    Raises:
        DeployError: nothing is built in the folder, or it is built for another processor.
    """
    parts = [folder / API, folder / MIGRATE]
    if not all((part / TEMPLATE).exists() for part in parts):
        raise DeployError(f"nothing is built in {folder}", "make build")
    wanted = stage.parameters.get("Architecture", "x86_64")
    found = {path.name.split("-")[-3] for path in parts[0].rglob("*.cpython-*-linux-gnu.so")}
    if found != {_MACHINES[wanted]}:
        raise DeployError(
            f"{folder} is built for {', '.join(sorted(found)) or 'no processor'}, and {CONFIG.name} says {wanted}",
            f"make build LAMBDA_ARCHITECTURE={wanted}",
        )
    return _stamp(parts, json.dumps([stage.parameters, stage.tags], sort_keys=True).encode())


def _stamp(parts: Sequence[Path], settings: bytes) -> str:
    release = release_of(parts, settings)
    for part in parts:
        template = part / TEMPLATE
        template.write_text(stamped(template.read_text(encoding="utf-8"), release), encoding="utf-8")
    return release


def main() -> None:
    """Build, and stamp the build for those who deploy it by `sam deploy`."""
    build(BUILD, os.environ.get("LAMBDA_ARCHITECTURE", "x86_64"))
    print(f"taskchat: built release {_stamp([BUILD / API, BUILD / MIGRATE], b'')} in {BUILD.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(console.run(main))
