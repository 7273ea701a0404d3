"""The model behind any provider that speaks the Chat Completions protocol, through the openai SDK."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx2
from openai import APIConnectionError, APITimeoutError, DefaultHttpxClient, OpenAI, omit

from taskchat.agent.model import ChatMessage, Completion
from taskchat.agent.reply import FaultyReplyError, read_reply
from taskchat.errors import ModelFailedError, ModelRateLimitedError, TurnInterruptedError

CONNECT_TIMEOUT_SECONDS = 5.0
LONGEST_REPLY_BYTES = 1_000_000
DEFAULT_RETRY_AFTER_SECONDS = 5
LONGEST_RETRY_AFTER_SECONDS = 3_600
# Read once, at import, where nobody waits; httpx2 imports with it what it would import with the first client.
_CERTIFICATES = httpx2.create_ssl_context()
_OPENAI_HOST = "api.openai.com"
_logger = logging.getLogger(__name__)


class _PassingFaultError(Exception):
    """Raised for a fault that a second try, right away, often does not meet."""


class _StatusError(Exception):
    """Raised for a status that is no success, before anything of the body is read: it may have no end."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(f"it answered {response.status_code}")
        self.status = response.status_code
        self.retry_after = response.headers.get("retry-after", "")


@dataclass(frozen=True)
class Provider:
    """Where a model is, which one it is, and the key to it; without a `base_url` it is OpenAI's."""

    api_key: str
    base_url: str | None
    model: str
    reasoning_effort: str | None = None

    @property
    def effort(self) -> str | None:
        """Return the `reasoning_effort` to send: the setting, or `none` for OpenAI, or nothing for others.

        From GPT-5.4 on, OpenAI refuses function tools on Chat Completions unless the effort is `none`, also when the
        request does not name one: https://github.com/openai/openai-openapi/issues/541. Other providers may not know
        the parameter.
        """
        if self.reasoning_effort is not None:
            return self.reasoning_effort
        host = urlsplit(self.base_url).hostname if self.base_url else _OPENAI_HOST
        is_openai = host == _OPENAI_HOST or (host or "").endswith(f".{_OPENAI_HOST}")
        return "none" if is_openai else None


class ChatCompletionsModel:
    """A provider's model. The `provider` is asked for at the first call, and again after its key was refused."""

    def __init__(self, provider: Callable[[], Provider]) -> None:
        self._provider = provider
        self._connected: _ConnectedModel | None = None
        self._workers: ThreadPoolExecutor | None = None
        self._sends_effort = True

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
        if self._connected is not None:
            self._connected.close()
            self._connected = None
        if self._workers is not None:
            self._workers.shutdown(wait=False)
            self._workers = None

    def _ask(self, messages: Sequence[ChatMessage], tools: Sequence[dict[str, Any]], end: float) -> Completion:
        try:
            return read_reply(self._body(messages, tools, end), tools_offered=bool(tools))
        except (APITimeoutError, httpx2.TimeoutException) as error:
            raise _too_slow() from error
        except (APIConnectionError, httpx2.HTTPError) as error:
            raise _PassingFaultError("it cannot be reached") from error
        except _StatusError as error:
            if error.status == HTTPStatus.BAD_REQUEST and self._has_sent_effort():
                return self._ask_without_effort(messages, tools, end)
            raise self._fault_of(error) from error

    def _has_sent_effort(self) -> bool:
        return self._sends_effort and self._connected is not None and self._connected.effort is not None

    def _ask_without_effort(
        self, messages: Sequence[ChatMessage], tools: Sequence[dict[str, Any]], end: float
    ) -> Completion:
        """Ask without the reasoning effort, which models before GPT-5.1 refuse; if that helps, never send it again."""
        self._sends_effort = False
        try:
            completion = self._ask(messages, tools, end)
        except Exception:
            self._sends_effort = True
            raise
        _logger.warning("the provider refuses reasoning_effort; it is no longer sent")
        return completion

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
        if self._connected is None:
            self._connected = _ConnectedModel(self._provider())
        effort = self._connected.effort if self._sends_effort else None
        return self._connected.download(messages, tools, seconds, effort)


class _ConnectedModel:
    """A model with a kept connection to its provider."""

    def __init__(self, provider: Provider) -> None:
        self._model = provider.model
        self.effort = provider.effort
        self._client = OpenAI(
            api_key=provider.api_key, base_url=provider.base_url, max_retries=0, http_client=_http_client()
        )
        # A provider need not know on what machine this is, and six headers fewer are checked and sent.
        self._headers = dict.fromkeys(self._client.platform_headers(), omit)
        # Joined once: for a path the SDK does it at each call.
        base_url = self._client.base_url
        self._url = str(base_url.copy_with(raw_path=base_url.raw_path + b"chat/completions"))

    def download(
        self, messages: Sequence[ChatMessage], tools: Sequence[dict[str, Any]], seconds: float, effort: str | None
    ) -> bytes:
        """Return the raw answer: the SDK would neither bound its size nor check its shape."""
        said: dict[str, Any] = {"model": self._model, "messages": list(messages)}
        if tools:
            said["tools"] = list(tools)
        if effort is not None:
            said["reasoning_effort"] = effort
        # Not `chat.completions.create`: it walks through what it is given, looking for values to convert, and there are
        # none in what is JSON already; and its module, with all that it knows, takes long to import.
        asked = self._client.post(
            self._url,
            content=json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode(),
            cast_to=httpx2.Response,
            stream=True,
            options={
                "headers": self._headers,
                "timeout": httpx2.Timeout(seconds, connect=min(seconds, CONNECT_TIMEOUT_SECONDS)),
            },
        )
        end = time.monotonic() + seconds
        body = bytearray()
        with closing(asked):
            for chunk in asked.iter_bytes():
                body += chunk
                if time.monotonic() > end:
                    raise _too_slow()
                if len(body) > LONGEST_REPLY_BYTES:
                    raise FaultyReplyError("its answer is too long")
        return bytes(body)

    def close(self) -> None:
        self._client.close()


def _too_slow() -> TurnInterruptedError:
    return TurnInterruptedError("The model did not answer in time; send the request again.", retry_after_seconds=1)


def _http_client() -> httpx2.Client:
    return DefaultHttpxClient(verify=_CERTIFICATES, follow_redirects=False, event_hooks={"response": [_check_status]})


def _check_status(response: httpx2.Response) -> None:
    if not response.is_success:
        raise _StatusError(response)


def _seconds(retry_after: str) -> int:
    """Read the header's delay; its other form, a date, is rare enough to get the default (RFC 9110, 10.2.3)."""
    if not (retry_after.isascii() and retry_after.isdigit()):
        return DEFAULT_RETRY_AFTER_SECONDS
    return min(int(retry_after[:6]), LONGEST_RETRY_AFTER_SECONDS)
