"""The document and its reference: fresh, complete, and with examples that fit their schemas."""

from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

import jsonschema_rs
import pytest

from local.openapi.__main__ import DOCS, main
from local.openapi.document import document, operations
from local.openapi.page import page_of


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """Return the document."""
    return document()


def contents(whole: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the JSON bodies of all requests and successful responses, with a name for each."""
    for _, _, operation in operations(whole):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            yield operation["operationId"], content
        for status, response in operation["responses"].items():
            for content in response.get("content", {}).values():
                if status.startswith("2"):
                    yield f"{operation['operationId']} {status}", content


def test_the_files_are_fresh() -> None:
    assert main(["--check"]) == 0


def test_every_body_has_an_example_that_fits(whole: dict[str, Any]) -> None:
    for name, content in contents(whole):
        examples = content.get("examples", {})
        assert examples, name
        schema = {**content.get("schema", {}), "components": whole["components"]}
        for example in examples.values():
            jsonschema_rs.Draft202012Validator(schema).validate(example["value"])


def test_a_problem_of_a_request_with_a_key_names_the_key(whole: dict[str, Any]) -> None:
    keyed = [
        operation
        for _, _, operation in operations(whole)
        if "Idempotency-Key" in [parameter["name"] for parameter in operation.get("parameters", ())]
    ]
    assert len(keyed) == 5
    for operation in keyed:
        assert "Idempotency-Key" in operation["responses"]["422"]["headers"]


def test_a_query_never_holds_null(whole: dict[str, Any]) -> None:
    for _, _, operation in operations(whole):
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] != "query" or "null" not in str(parameter["schema"])


class Links(HTMLParser):
    """Collects the anchors of a page, and all that it refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: list[str] = []
        self.targets: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        self.anchors += [anchor] if (anchor := given.get("id")) else []
        self.targets += [target for name in ("href", "src") if (target := given.get(name))]


def test_the_reference_needs_no_network_and_no_script(whole: dict[str, Any]) -> None:
    links = Links()
    links.feed(page_of(whole))
    assert not {"script", "link", "img", "iframe"} & links.tags
    inside = [target.removeprefix("#") for target in links.targets if target.startswith("#")]
    assert set(inside) <= set(links.anchors)
    assert {target for target in links.targets if not target.startswith("#")} == {"openapi.json"}
    assert (DOCS / "openapi.json").exists()
