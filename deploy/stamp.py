"""Stamp a built template with its release, so that every release publishes a new version of every function.

SAM publishes a version when a function's code, memory or literal environment changes. It misses a change of a layer,
of a parameter's value or of a time-out, and the alias `live` would go on serving the version before.
`AutoPublishCodeSha256` publishes whenever its text changes, so the build replaces the text by a digest of the release.

The stamp is text in the template and not a parameter: `sam deploy` keeps the previous value of a parameter that it is
not given, whatever its default says.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

TEMPLATE = "template.yaml"
UNRELEASED = "unreleased"
"""The text in the source of a template, where a built one has its release."""
_STAMP = re.compile(r"(\b(?:AutoPublishCodeSha256|RELEASE): )\S+")
_DIGEST_CHARACTERS = 16


def release_of(builds: Sequence[Path], settings: bytes) -> str:
    """Return the name of a release: a digest of its build folders and of `settings`, what it is deployed with.

    The same sources and settings have the same name, so a second deployment of them changes nothing. Bytecode is
    left out, because compiling the same source twice may give different bytes.
    """
    digest = hashlib.sha256()
    for build in builds:
        for path in sorted(build.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                content = path.read_bytes()
                if path == build / TEMPLATE:
                    content = stamped(content.decode(), UNRELEASED).encode()
                _add(digest, str(path.relative_to(build)).encode(), content)
    _add(digest, settings)
    return digest.hexdigest()[:_DIGEST_CHARACTERS]


def stamped(template: str, release: str) -> str:
    """Return the text of a template with `release` in place of whatever release it names."""
    return _STAMP.sub(rf"\g<1>{release}", template)


def _add(digest: "hashlib._Hash", *parts: bytes) -> None:
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
