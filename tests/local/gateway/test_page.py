"""The page's files: types, headers, validators, and the way from an address to a file."""

import gzip
from pathlib import Path

import pytest

from local.gateway.events import Request
from local.gateway.page import Page
from local.gateway.template import read_template

ROOT = Path(__file__).parents[3]


@pytest.fixture
def page(tmp_path: Path) -> Page:
    folder = tmp_path / "web"
    (folder / "view").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "view" / "a.js").write_text("export {}")
    (folder / "notes.md").write_text("not for the public")
    (tmp_path / "secret.js").write_text("secret")
    return Page(folder, {"x-test": "yes"})


def get(path: str, method: str = "GET", **headers: str) -> Request:
    given = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Request(method, path, "", given, b"", "127.0.0.1", 3000)


def test_files_have_types_and_headers(page: Page) -> None:
    for path, kind in (("/", "text/html"), ("/view/a.js", "text/javascript"), ("/config.json", "application/json")):
        answer = page.answer(get(path))
        assert answer is not None
        headers = dict(answer.headers)
        assert headers["content-type"].startswith(kind)
        assert (headers["x-test"], headers["cache-control"]) == ("yes", "no-cache")


def test_a_known_file_is_not_sent_again(page: Page) -> None:
    first = page.answer(get("/"))
    assert first is not None
    again = page.answer(get("/", if_none_match=dict(first.headers)["etag"]))
    assert again is not None
    assert (again.status, again.body) == (304, b"")


def test_files_are_compressed(page: Page) -> None:
    answer = page.answer(get("/view/a.js", accept_encoding="gzip, br"))
    assert answer is not None
    assert dict(answer.headers)["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == b"export {}"


@pytest.mark.parametrize(
    "path",
    [
        "/secret.js",
        "/../secret.js",
        "/%2e%2e/secret.js",
        "/view/%2e%2e/%2e%2e/secret.js",
        "/view",
        "/notes.md",
        "/a%00.js",
    ],
)
def test_nothing_else_is_served(page: Page, path: str) -> None:
    assert page.answer(get(path)) is None


def test_only_reading_is_answered(page: Page) -> None:
    assert page.answer(get("/", "POST")) is None
    assert page.answer(get("/", "HEAD")) is not None


def test_the_templates_policy_lets_in_nothing_from_elsewhere() -> None:
    headers = read_template(ROOT / "template.yaml").page_headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "connect-src 'self';" in policy
    assert "unsafe" not in policy
    assert "$" not in policy
    assert headers["x-content-type-options"] == "nosniff"
