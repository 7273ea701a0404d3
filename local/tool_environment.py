"""Environments for tools whose dependencies do not fit beside the project's own."""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from local.toolchain import TOOLS, install


def tool_python(name: str, requirements: Path) -> Path:
    """Return the interpreter of an environment with these requirements, made at the first call in `.local`.

    Raises:
        subprocess.CalledProcessError: a package cannot be installed; uv has said why.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    home = TOOLS / f"{name}-python{version}-{digest}"
    if not home.exists():
        TOOLS.mkdir(exist_ok=True)
        # Made beside its final place and renamed, so that two first runs at once do no harm.
        with tempfile.TemporaryDirectory(dir=TOOLS) as scratch:
            target = Path(scratch) / home.name
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", target], check=True)
            packages = target / "lib" / f"python{version}" / "site-packages"
            install(packages, version, "--require-hashes", "-r", str(requirements))
            if not home.exists():
                target.rename(home)
    return home / "bin" / "python"
