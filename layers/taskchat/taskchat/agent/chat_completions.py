"""The model behind any provider that speaks the Chat Completions protocol, through the openai SDK."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import httpx2
import openai
from openai import DefaultHttpxClient, OpenAI, Stream

from taskchat.agent.model import ChatMessage, Completion
from taskchat.agent.reply import FaultyReplyError, read_reply
from taskchat.errors import ModelFailedError, ModelRateLimitedError, TurnInterruptedError

CONNECT_TIMEOUT_SECONDS = 5.0
LONGEST_REPLY_BYTES = 1_000_000
DEFAULT_RETRY_AFTER_SECONDS = 5
LONGEST_RETRY_AFTER_SECONDS = 3_600


class _PassingFaultError(Exception):
    """Raised for a fault that a second try, right away, often does not meet."""


class _StatusError(Exception):
    """Raised for a status that is no success, before anything of the body is read: it may have no end."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(f"it answered {response.status_code}")
        self.status = response.status_code
        self.retry_after = response.headers.get("retry-after", "")


class ChatCompletionsModel:
    """A provider's model. `api_key` is asked for at the first call, and again after a key was refused."""

    def __init__(self, *, api_key: Callable[[], str], base_url: str | None, model: str) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._model = model
        self._client: OpenAI | None = None
        self._workers: ThreadPoolExecutor | None = None

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
        """Close the kept connection, and leave a thread that still waits to itself; the next call makes new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._workers is not None:
            self._workers.shutdown(wait=False)
            self._workers = None

    def _ask(self, messages: Sequence[ChatMessage], tools: Sequence[dict[str, Any]], end: float) -> Completion:
        try:
            return read_reply(self._body(messages, tools, end), tools_offered=bool(tools))
        except (openai.APITimeoutError, httpx2.TimeoutException) as error:
            raise _too_slow() from error
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            raise _PassingFaultError("it cannot be reached") from error
        except _StatusError as error:
            raise self._fault_of(error) from error

    def _fault_of(self, error: _StatusError) -> Exception:
        if error.status == HTTPStatus.TOO_MANY_REQUESTS:
            return ModelRateLimitedError(
                "The model's provider asks to slow down.", retry_after_seconds=_seconds(error.retry_after)
            )
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return _PassingFaultError(str(error))
        if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            self.close()
        return ModelFailedError(f"The model's provider refused the request ({error.status}).", permanent=True)

    def _body(self, messages: Sequence[ChatMessage], tools: Sequence[dict[str, Any]], end: float) -> bytes:
        """Return the raw answer, or stop waiting: the client's time-outs bound each read, not all of them."""
        seconds = end - time.monotonic()
        if seconds <= 0:
            raise _too_slow()
        if self._workers is None:
            self._workers = ThreadPoolExecutor(thread_name_prefix="model")
        try:
            return self._workers.submit(self._download, messages, tools, seconds).result(seconds)
        except TimeoutError as error:
            self.close()
            raise _too_slow() from error

    def _download(self, messages: Sequence[ChatMessage], tools: Sequence[dict[str, Any]], seconds: float) -> bytes:
        """Return the raw answer: the SDK would neither bound its size nor check its shape."""
        said: dict[str, Any] = {"model": self._model, "messages": list(messages)}
        # Not `chat.completions.create`: it walks through what it is given, looking for values to convert, and there are
        # none in what is JSON already; and its module, with all that it knows, takes long to import.
        asked = self._connected().post(
            "/chat/completions",
            body=said | ({"tools": list(tools)} if tools else {}),
            cast_to=object,
            stream=True,
            stream_cls=Stream[object],
            options={"timeout": httpx2.Timeout(seconds, connect=min(seconds, CONNECT_TIMEOUT_SECONDS))},
        )
        end = time.monotonic() + seconds
        body = bytearray()
        with asked as answer:
            for chunk in answer.response.iter_bytes():
                body += chunk
                if time.monotonic() > end:
                    raise _too_slow()
                if len(body) > LONGEST_REPLY_BYTES:
                    raise FaultyReplyError("its answer is too long")
        return bytes(body)

    def _connected(self) -> OpenAI:
        if self._client is None:
            transport = DefaultHttpxClient(follow_redirects=False, event_hooks={"response": [_check_status]})
            self._client = OpenAI(
                api_key=self._api_key(), base_url=self._base_url, max_retries=0, http_client=transport
            )
        return self._client


def _too_slow() -> TurnInterruptedError:
    return TurnInterruptedError("The model did not answer in time; send the request again.", retry_after_seconds=1)


def _check_status(response: httpx2.Response) -> None:
    if not response.is_success:
        raise _StatusError(response)


def _seconds(retry_after: str) -> int:
    """Read the header's delay; its other form, a date, is rare enough to get the default (RFC 9110, 10.2.3)."""
    if not (retry_after.isascii() and retry_after.isdigit()):
        return DEFAULT_RETRY_AFTER_SECONDS
    return min(int(retry_after[:6]), LONGEST_RETRY_AFTER_SECONDS)
