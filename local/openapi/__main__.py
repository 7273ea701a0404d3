"""`make openapi` writes docs/openapi.json and docs/api.html; with `--check`, tell whether they are fresh."""

import sys

from local.environment import ROOT
from local.openapi.document import document, text_of
from local.openapi.page import page_of

DOCS = ROOT / "docs"


def main(arguments: list[str]) -> int:
    """Write the files, or compare them; the exit status is 1 if one of them is not fresh."""
    whole = document()
    stale = False
    for name, content in (("openapi.json", text_of(whole)), ("api.html", page_of(whole))):
        path = DOCS / name
        if "--check" not in arguments:
            path.write_text(content, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != content:
            print(f"taskchat: docs/{name} is not fresh; run make openapi", file=sys.stderr)
            stale = True
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
