"""The rendered reference: one HTML file without scripts and without a request to any host."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from local.openapi.document import operations

STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #888; --mark: #2563eb; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem 1rem 4rem; }
h2 { border-top: 1px solid var(--line); margin-top: 3rem; padding-top: 1rem; }
h3 { margin: 2.5rem 0 .25rem; } h3 code { overflow-wrap: anywhere; }
code, pre { font: .875rem/1.45 ui-monospace, monospace; }
pre { background: #8881; border-radius: .4rem; overflow: auto; padding: .75rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .75rem .35rem 0; text-align: left; vertical-align: top; }
.method { color: var(--mark); } .quiet { color: var(--quiet); } a { color: var(--mark); }
nav ul { columns: 18rem; list-style: none; padding: 0; }
"""


def page_of(whole: Mapping[str, Any]) -> str:
    """Return the reference of a document as HTML."""
    info = whole["info"]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])} API</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(info['title'])} API</h1><p>{_text(info['description'])}</p>",
        '<p class="quiet">Generated from <a href="openapi.json">openapi.json</a> (OpenAPI 3.1) by '
        "<code>make openapi</code>.</p>",
        *_contents(whole),
    ]
    for tag in whole["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2><p>{_text(tag['description'])}</p>")
        for path, method, operation in operations(whole):
            if tag["name"] in operation["tags"]:
                parts += _operation(path, method, operation)
    parts.append("<h2>Schemas</h2>")
    for name, schema in whole["components"]["schemas"].items():
        parts += _schema(name, schema)
    return "\n".join([*parts, "</body></html>", ""])


def _contents(whole: Mapping[str, Any]) -> Iterator[str]:
    yield "<nav><ul>"
    for path, method, operation in operations(whole):
        yield f'<li><a href="#{operation["operationId"]}"><code>{method} {escape(path)}</code></a></li>'
    yield "</ul></nav>"


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h3 id="{operation["operationId"]}"><code><span class="method">{method}</span> {escape(path)}</code></h3>'
    yield f"<p>{_text(operation['summary'])}. {_text(operation.get('description', ''))}</p>"
    if "security" not in operation:
        yield '<p class="quiet">Needs no token.</p>'
    if parameters := operation.get("parameters"):
        yield "<table><tr><th>parameter</th><th>in</th><th>type</th><th></th></tr>"
        for parameter in parameters:
            schema = parameter["schema"]
            words = parameter.get("description") or schema.get("description", "")
            yield _row(_code(parameter["name"]), parameter["in"], _type(schema), _text(words))
        yield "</table>"
    if body := operation.get("requestBody"):
        for media_type, content in body["content"].items():
            yield f"<p>Body: <code>{escape(media_type)}</code>, {_type(content['schema'])}</p>"
            yield from _examples(content)
    yield "<table><tr><th>status</th><th>answer</th><th>headers</th></tr>"
    for status, response in operation["responses"].items():
        yield _row(_code(status), _answer(response), ", ".join(map(_code, response.get("headers", ()))))
    yield "</table>"
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            for content in response.get("content", {}).values():
                yield from _examples(content)


def _answer(response: Mapping[str, Any]) -> str:
    codes = [code for content in response.get("content", {}).values() for code in content.get("examples", ())]
    codes = [code for code in codes if code != "example"]
    types = [_type(content["schema"]) for content in response.get("content", {}).values() if "schema" in content]
    words = _text(response["description"])
    return "<br>".join(part for part in (words, ", ".join(map(_code, codes)), " or ".join(types)) if part)


def _examples(content: Mapping[str, Any]) -> Iterator[str]:
    for example in content.get("examples", {}).values():
        yield f"<pre>{escape(json.dumps(example['value'], indent=2, ensure_ascii=False))}</pre>"


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h3 id="schema-{escape(name)}"><code>{escape(name)}</code></h3>'
    yield f"<p>{_text(schema.get('description', ''))}</p>"
    if "enum" in schema:
        yield f"<p>{_type(schema)}</p>"
    if properties := schema.get("properties"):
        required = schema.get("required", ())
        yield "<table><tr><th>member</th><th>type</th><th></th></tr>"
        for member, described in properties.items():
            optional = "" if member in required else ' <span class="quiet">optional</span>'
            yield _row(_code(member) + optional, _type(described), _text(described.get("description", "")))
        yield "</table>"


def _type(schema: Mapping[str, Any]) -> str:
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if choices := schema.get("anyOf"):
        return " or ".join(map(_type, choices))
    if values := schema.get("enum"):
        return ", ".join(_code(str(value)) for value in values)
    if schema.get("type") == "array":
        return f"array of {_type(schema.get('items', {}))}"
    limits = [
        f"{name} {schema[name]}"
        for name in ("format", "minLength", "maxLength", "minimum", "maximum", "default")
        if name in schema
    ]
    return escape(", ".join([str(schema.get("type", "any")), *limits]))


def _row(*cells: str) -> str:
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _text(text: str) -> str:
    """Return prose as HTML, with code between backquotes."""
    parts = escape(text, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
