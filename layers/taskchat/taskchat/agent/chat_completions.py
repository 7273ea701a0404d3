"""The model behind any provider that speaks the Chat Completions protocol, through the openai SDK."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import openai
from openai import OpenAI

from taskchat.agent.model import ChatMessage, Completion
from taskchat.agent.reply import FaultyReplyError, read_reply
from taskchat.errors import ModelFailedError, ModelRateLimitedError, TurnInterruptedError

CONNECT_TIMEOUT_SECONDS = 5.0
LONGEST_REPLY_BYTES = 1_000_000
DEFAULT_RETRY_AFTER_SECONDS = 5
LONGEST_RETRY_AFTER_SECONDS = 3_600


class _PassingFaultError(Exception):
    """Raised for a fault that a second try, right away, often does not meet."""


class ChatCompletionsModel:
    """A provider's model. `api_key` is asked for at the first call, and again after a key was refused."""

    def __init__(self, *, api_key: Callable[[], str], base_url: str | None, model: str) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._model = model
        self._client: OpenAI | None = None

    def complete(
        self, messages: Sequence[ChatMessage], tools: Sequence[dict[str, Any]], timeout_seconds: float
    ) -> Completion:
        """Ask, and once more after a passing fault; both within `timeout_seconds`."""
        end = time.monotonic() + timeout_seconds
        try:
            return self._ask(messages, tools, end)
        except (_PassingFaultError, FaultyReplyError):
            try:
                return self._ask(messages, tools, end)
            except (_PassingFaultError, FaultyReplyError) as fault:
                raise ModelFailedError(f"The model's provider failed: {fault}.") from fault

    def close(self) -> None:
        """Close the kept connection; the next call opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _ask(self, messages: Sequence[ChatMessage], tools: Sequence[dict[str, Any]], end: float) -> Completion:
        try:
            return read_reply(self._body(messages, tools, end), tools_offered=bool(tools))
        except (openai.APITimeoutError, httpx2.TimeoutException) as error:
            raise _too_slow() from error
        except openai.RateLimitError as error:
            raise ModelRateLimitedError(
                "The model's provider asks to slow down.", retry_after_seconds=_retry_after_seconds(error)
            ) from error
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            raise _PassingFaultError("it cannot be reached") from error
        except openai.APIStatusError as error:
            if error.status_code >= 500:
                raise _PassingFaultError(f"it answered {error.status_code}") from error
            if error.status_code in (401, 403):
                self.close()
            raise ModelFailedError(
                f"The model's provider refused the request ({error.status_code}).", permanent=True
            ) from error

    def _body(self, messages: Sequence[ChatMessage], tools: Sequence[dict[str, Any]], end: float) -> bytes:
        """Return the raw answer: the SDK neither bounds its size and duration nor checks its shape."""
        seconds = end - time.monotonic()
        if seconds <= 0:
            raise _too_slow()
        said: dict[str, Any] = {"messages": list(messages)} | ({"tools": list(tools)} if tools else {})
        request = self._connected().chat.completions.with_streaming_response.create(
            model=self._model,
            # The SDK walks through what it is given as a parameter, looking for values to convert. There are none
            # in what is JSON already, and the walk takes longer than all the rest of a turn.
            messages=[],
            extra_body=said,
            timeout=httpx2.Timeout(seconds, connect=min(seconds, CONNECT_TIMEOUT_SECONDS)),
        )
        body = bytearray()
        with request as response:
            for chunk in response.iter_bytes():
                body += chunk
                if time.monotonic() > end:
                    raise _too_slow()
                if len(body) > LONGEST_REPLY_BYTES:
                    raise FaultyReplyError("its answer is too long")
        return bytes(body)

    def _connected(self) -> OpenAI:
        if self._client is None:
            self._client = OpenAI(api_key=self._api_key(), base_url=self._base_url, max_retries=0)
        return self._client


def _too_slow() -> TurnInterruptedError:
    return TurnInterruptedError("The model did not answer in time; send the request again.", retry_after_seconds=1)


def _retry_after_seconds(error: openai.RateLimitError) -> int:
    """Read the header's delay; its other form, a date, is rare enough to get the default (RFC 9110, 10.2.3)."""
    value = error.response.headers.get("retry-after", "")
    if not (value.isascii() and value.isdigit()):
        return DEFAULT_RETRY_AFTER_SECONDS
    return min(int(value[:6]), LONGEST_RETRY_AFTER_SECONDS)
