"""Reading a provider's error: what was refused, in whichever of the many forms an error has."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from taskchat.agent.answers import mapping, sequence, word

LONGEST_REASON_CHARACTERS = 300
LONGEST_RETRY_AFTER_SECONDS = 3_600
_LONGEST_TEXT_CHARACTERS = 4_000
_REDACTED = "[…]"
_REDACTED_CHARACTERS = 8
_OVERLOADED = 529
"""Anthropic's status for an overload: https://platform.claude.com/docs/en/api/errors."""
_PASSING = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_EARLY,
}
_RETRY_IN = re.compile(r"(?:retry|try again) (?:in|after) (?:(\d+)m)?(\d+(?:\.\d+)?)(ms|s\b| ?seconds)")
_KEY = re.compile(r"\b(?:sk|gsk|xai|pk)-\S+|\S*\*{3,}\S*")
"""The form of a key. OpenAI's own message about a wrong key shows the key's beginning and end."""
_QUOTED = re.compile(r"'([^']+)'|\"([^\"]+)\"|`([^`]+)`")

# Words by which providers say that the prompt does not fit: OpenAI and vLLM, llama.cpp and LM Studio, Gemini, Anthropic
# and Bedrock, Mistral, Groq.
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|context (?:length|window|size)"
    r"|input token count|prompt is too long|input is too long|too many (?:input )?tokens|prompt contains \d+ tokens"
    r"|request too large|reduce the length|tokens exceed"
)
_FILTERED = re.compile(
    r"content_filter|content[ _]policy|content management policy|responsibleaipolicy|usage polic|safety system"
    r"|flagged|moderation|prohibited_content"
)
_QUOTA = re.compile(r"insufficient_quota|billing|credit balance|credits|payment|current quota|spend(?:ing)? limit")
_NO_TOOLS = re.compile(
    r"does not support tools|tool use is not supported|support tool use|enable-auto-tool-choice|tool-call-parser"
    r"|does not support function|tools are not supported|doesn't support tool"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of a provider; `text` is all that it says, in lower case, and `reason` its message as written."""

    status: int
    code: str = ""
    param: str = ""
    reason: str = ""
    text: str = ""
    retry_after_seconds: float | None = None

    @property
    def is_passing(self) -> bool:
        """Whether the same request, sent right away, often succeeds."""
        is_passing = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status in _PASSING
        return (is_passing or self.is_bad_generation) and not self.is_too_long

    @property
    def is_bad_generation(self) -> bool:
        """Whether the model wrote a call that the provider could not read, as Groq says with status 400.

        https://console.groq.com/docs/tool-use
        """
        return "tool_use_failed" in self.text or "failed to call a function" in self.text

    @property
    def is_rate_limit(self) -> bool:
        """Whether the provider asks to send less, so that waiting helps."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS and not self.is_quota

    @property
    def is_overload(self) -> bool:
        """Whether the provider has too much to do, whoever asks."""
        return self.status in (HTTPStatus.SERVICE_UNAVAILABLE, _OVERLOADED)

    @property
    def is_too_long(self) -> bool:
        """Whether the prompt is longer than the model or the plan takes."""
        if self.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return True
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            # "Too many tokens" is a rate here; Groq and OpenAI call a single request "too large".
            return "request too large" in self.text
        return self.status in (400, 422, 500) and bool(_TOO_LONG.search(self.text))

    @property
    def is_filtered(self) -> bool:
        """Whether a content filter refused the prompt."""
        return self.status in (400, 403, 422, 451) and bool(_FILTERED.search(self.text))

    @property
    def is_quota(self) -> bool:
        """Whether money or a plan is used up, so that waiting does not help.

        Gemini words its rate limits in the same way, but tells when to retry.
        """
        if self.status == HTTPStatus.PAYMENT_REQUIRED or "insufficient_quota" in self.text:
            return True
        return (
            self.status == HTTPStatus.TOO_MANY_REQUESTS
            and self.retry_after_seconds is None
            and bool(_QUOTA.search(self.text))
        )

    @property
    def is_no_tools(self) -> bool:
        """Whether the model or the server cannot call tools."""
        return bool(_NO_TOOLS.search(self.text))

    @property
    def is_malformed(self) -> bool:
        """Whether the request's form may have been refused, so that another form may be taken."""
        is_possible = self.status in (400, 404, 422, 500)
        return is_possible and not (self.is_filtered or self.is_bad_generation or self.is_too_long)


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read an error's status, headers and body, which need not be JSON."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = body[:_LONGEST_TEXT_CHARACTERS].decode(errors="replace")
    return refusal_of(document, status, headers)


def refusal_of(document: object, status: int, headers: Mapping[str, str] | None = None) -> Refusal:
    """Read an error document: OpenAI's form, FastAPI's `detail`, a bare `message`, or Gemini's list of one."""
    error = _error(document)
    details = " ".join(_strings(error))[:_LONGEST_TEXT_CHARACTERS]
    text = details.lower()
    reason = word(error.get("message")) or details
    param = word(error.get("param")) or _location(error)
    code = word(error.get("code")) or word(error.get("type"))
    seconds = _header_seconds(headers or {})
    return Refusal(status, code, param, reason, text, _text_seconds(text) if seconds is None else seconds)


def redacted(reason: str, said: str, secrets: tuple[str, ...]) -> str:
    """Return a reason as it may be logged: short, without a secret, and without what the conversation says.

    A run of eight characters that the conversation has too is struck, and so is a quoted word of any length.
    """
    for secret in secrets:
        if secret:
            reason = reason.replace(secret, _REDACTED)
    reason = _KEY.sub(_REDACTED, reason)
    reason = " ".join(reason[:LONGEST_REASON_CHARACTERS].split())
    heard = " ".join(said.lower().split())
    lowered = reason.lower()
    if len(lowered) != len(reason):
        return _REDACTED
    struck = [False] * len(reason)
    for start in range(len(reason) - _REDACTED_CHARACTERS + 1):
        if lowered[start : start + _REDACTED_CHARACTERS] in heard:
            struck[start : start + _REDACTED_CHARACTERS] = [True] * _REDACTED_CHARACTERS
    for quoted in _QUOTED.finditer(lowered):
        group = quoted.lastindex or 1
        if quoted[group] in heard:
            struck[quoted.start(group) : quoted.end(group)] = [True] * len(quoted[group])
    kept = "".join("\0" if is_struck else letter for letter, is_struck in zip(reason, struck, strict=True))
    return re.sub("\0+", _REDACTED, kept)


def _error(document: object) -> Mapping[str, Any]:
    if isinstance(document, list) and document:
        return _error(document[0])
    if isinstance(document, str):
        return {"message": document}
    outer = mapping(document)
    inner = outer.get("error")
    if isinstance(inner, str):
        return {**outer, "message": inner}
    return mapping(inner) or outer


def _strings(value: object, depth: int = 0) -> Iterator[str]:
    """Yield all strings of a document; one that is a document itself, as OpenRouter's `raw`, is text enough."""
    if isinstance(value, str):
        yield value
    elif depth < 6:
        for item in mapping(value).values() if isinstance(value, dict) else sequence(value):
            yield from _strings(item, depth + 1)


def _location(error: Mapping[str, Any]) -> str:
    """Return the field that FastAPI's form of an error names, as Mistral's and vLLM's do."""
    first = next(iter(sequence(error.get("detail"))), None)
    location = sequence(mapping(first).get("loc"))
    return ".".join(str(part) for part in location if part != "body")


def _header_seconds(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After in seconds or as a date (RFC 9110, section 10.2.3), or OpenAI's in milliseconds."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    given = headers.get("retry-after", "").strip()
    seconds = _number(given)
    if seconds is not None:
        return _bounded(seconds)
    try:
        moment = parsedate_to_datetime(given)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - datetime.now(UTC)).total_seconds()
    # A date in the past tells more of the clocks than of the provider.
    return _bounded(seconds) if seconds > 0 else None


def _text_seconds(text: str) -> float | None:
    found = _RETRY_IN.search(text)
    if found is None:
        return None
    seconds = float(found[2]) / 1000 if found[3] == "ms" else float(found[2])
    return _bounded(seconds + 60 * float(found[1] or 0))


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text[:12]) if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text) and text.isascii() else None


def _bounded(seconds: float) -> float:
    return min(seconds, LONGEST_RETRY_AFTER_SECONDS)
