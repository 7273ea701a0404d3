"""The contents that the conformance suite expects to get back."""

import json
import re

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    AudioContent,
    BlobResourceContents,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
"""One pixel."""
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
"""One sample."""

IMAGE = ImageContent(data=PNG, mime_type="image/png")
AUDIO = AudioContent(data=WAV, mime_type="audio/wav")


def text(words: str) -> TextContent:
    """Return words as a content block."""
    return TextContent(text=words)


def embedded(uri: str, words: str, mime_type: str = "text/plain") -> EmbeddedResource:
    """Return words as a resource inside a result."""
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=mime_type, text=words))


def resource(uri: str) -> TextResourceContents | BlobResourceContents:
    """Return the resource at a URI.

    Raises:
        MCPError: there is none.
    """
    if uri == "test://static-text":
        return TextResourceContents(uri=uri, mime_type="text/plain", text="The content of a static text resource.")
    if uri == "test://static-binary":
        return BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)
    if found := re.fullmatch("test://template/([^/]+)/data", uri):
        document = {"id": found[1], "templateTest": True, "data": f"Data for ID: {found[1]}"}
        return TextResourceContents(uri=uri, mime_type="application/json", text=json.dumps(document))
    raise MCPError(INVALID_PARAMS, "There is no such resource.", {"uri": uri})
