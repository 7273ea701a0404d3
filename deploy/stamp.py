"""Stamp a built template with its release, so that every release publishes a new version of every function.

SAM publishes a version when a function's code, memory or literal environment changes. It misses a change of a layer,
of a parameter's value or of a time-out, and the alias `live` would go on serving the version before.
`AutoPublishCodeSha256` publishes whenever its text changes, so the build replaces the text by a digest of the release.

The stamp is text in the template and not a parameter: `sam deploy` keeps the previous value of a parameter that it is
not given, whatever its default says.
"""

import functools
import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

TEMPLATE = "template.yaml"
UNRELEASED = "unreleased"
"""The text in the source of a template, where a built one has its release."""
_STAMP = re.compile(r"(\b(?:AutoPublishCodeSha256|RELEASE): )\S+")
_DIGEST_CHARACTERS = 16


def release_of(builds: Sequence[Path], settings: bytes) -> str:
    """Return the name of a release: a digest of its build folders and of `settings`, what it is deployed with."""
    digest = hashlib.sha256()
    for build in builds:
        digest.update(stamped((build / TEMPLATE).read_text(encoding="utf-8"), UNRELEASED).encode())
        for part in sorted(entry for entry in build.iterdir() if entry.is_dir()):
            digest.update(f"\0{part.name}\0{content_digest(part)}".encode())
    digest.update(settings)
    return digest.hexdigest()[:_DIGEST_CHARACTERS]


@functools.cache
def content_digest(folder: Path) -> str:
    """Return a digest of the names in a folder, and of the files except bytecode.

    Compiling the same source twice may give different bytes, and would make another release of the same sources.
    """
    digest = hashlib.sha256()
    for name, path in files(folder):
        digest.update(f"{name}\0".encode())
        if not name.endswith(".pyc"):
            digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
    return digest.hexdigest()


def files(folder: Path) -> list[tuple[str, str]]:
    """Return name and path of each file below a folder, in the order of the names."""
    root = str(folder)
    found = [os.path.join(place, name) for place, _, names in os.walk(root) for name in names]  # noqa: PTH118 - thousands
    return sorted((path[len(root) + 1 :], path) for path in found)


def stamped(template: str, release: str) -> str:
    """Return the text of a template with `release` in place of whatever release it names."""
    return _STAMP.sub(rf"\g<1>{release}", template)
