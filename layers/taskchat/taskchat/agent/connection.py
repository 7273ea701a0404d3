"""Requests to a provider through the openai SDK, bounded in size and in time.

`client.post` with a path is the SDK's documented way to send any request. It allows fields that only some providers
know, and takes 1.0 ms with 50 messages. `create` converts every message first, which takes 8.6 ms on Chat Completions
and 16 ms on Responses.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx2
from openai import APIConnectionError, APITimeoutError, DefaultHttpxClient, OpenAI

from taskchat.agent.answers import FaultyAnswerError
from taskchat.agent.provider_settings import ProviderSettings
from taskchat.agent.refusals import Refusal, read_refusal
from taskchat.errors import TurnInterruptedError

CONNECT_TIMEOUT_SECONDS: Final = 5.0
LARGEST_ANSWER_BYTES: Final = 1_000_000
LARGEST_ERROR_BYTES: Final = 64_000
LONGEST_ERROR_SECONDS: Final = 1.0
"""Longest time to read the body of an error. The status alone is enough to act on."""
Result = TypeVar("Result")
_CERTIFICATES = httpx2.create_ssl_context()
"""Loaded at import, so that a SnapStart snapshot contains it."""


class RefusedError(Exception):
    """Raised for an answer with a status other than 2xx."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"it answered {refusal.status}")
        self.refusal = refusal


class UnreachableError(Exception):
    """Raised if the connection failed or broke. A second try often succeeds."""


class ProviderConnection:
    """A kept connection to a provider. `read_settings` is called for the first request and after `close`."""

    def __init__(self, read_settings: Callable[[], ProviderSettings]) -> None:
        self._read_settings = read_settings
        self._opened: _Opened | None = None
        self._workers: ThreadPoolExecutor | None = None

    def settings(self, end: float) -> ProviderSettings:
        """Open the connection if necessary, which may read a secret, and return its settings.

        Raises:
            TurnInterruptedError: it is later than `end`.
        """
        return (self._opened or self._within(end, self._open)).settings

    def post(self, path: str, body: Mapping[str, Any], end: float) -> bytes:
        """Send a request and return the raw answer; `end` is a reading of the monotonic clock.

        Raises:
            RefusedError: the provider answered with an error.
            UnreachableError: no answer came, or it broke off.
            FaultyAnswerError: the answer is too long.
            TurnInterruptedError: it is later than `end`.
        """
        try:
            return self._within(end, lambda: self._open().post(path, body, end))
        except (APITimeoutError, httpx2.TimeoutException) as error:
            raise too_slow() from error
        except (APIConnectionError, httpx2.HTTPError) as error:
            raise UnreachableError("it cannot be reached") from error

    def _within(self, end: float, work: Callable[[], Result]) -> Result:
        """Run work in another thread, and stop waiting for it at `end`.

        The client's time-outs bound each read and not their sum, and those of AWS are longer than an invocation.
        """
        seconds = end - time.monotonic()
        if seconds <= 0:
            raise too_slow()
        if self._workers is None:
            self._workers = ThreadPoolExecutor(thread_name_prefix="model")
        try:
            return self._workers.submit(work).result(seconds)
        except TimeoutError as error:
            self.close()
            raise too_slow() from error

    def close(self) -> None:
        """Close the connection without waiting for its thread. The next request opens another."""
        if self._opened is not None:
            self._opened.client.close()
            self._opened = None
        if self._workers is not None:
            self._workers.shutdown(wait=False)
            self._workers = None

    def _open(self) -> "_Opened":
        if self._opened is None:
            settings = self._read_settings()
            client = OpenAI(
                api_key=settings.api_key,
                base_url=settings.base_url,
                max_retries=0,
                http_client=DefaultHttpxClient(
                    verify=_CERTIFICATES, follow_redirects=False, event_hooks={"response": [_refuse]}
                ),
            )
            self._opened = _Opened(settings, client)
        return self._opened


@dataclass(frozen=True)
class _Opened:
    settings: ProviderSettings
    client: OpenAI

    def post(self, path: str, body: Mapping[str, Any], end: float) -> bytes:
        seconds = end - time.monotonic()
        if seconds <= 0:
            raise too_slow()
        response = self.client.post(
            path,
            body=body,
            cast_to=httpx2.Response,
            stream=True,
            options={"timeout": httpx2.Timeout(seconds, connect=min(seconds, CONNECT_TIMEOUT_SECONDS))},
        )
        received = bytearray()
        with closing(response):
            for chunk in response.iter_bytes():
                received += chunk
                if time.monotonic() > end:
                    raise too_slow()
                if len(received) > LARGEST_ANSWER_BYTES:
                    raise FaultyAnswerError("its answer is too long")
        return bytes(received)


def too_slow() -> TurnInterruptedError:
    """Return the error for a model that did not answer in time."""
    return TurnInterruptedError("The model did not answer in time; send the request again.", retry_after_seconds=1)


def _refuse(response: httpx2.Response) -> None:
    """Raise RefusedError before the SDK reads the body of an error, which may be endless."""
    if response.is_success:
        return
    body = bytearray()
    end = time.monotonic() + LONGEST_ERROR_SECONDS
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > LARGEST_ERROR_BYTES or time.monotonic() > end:
            break
    raise RefusedError(read_refusal(response.status_code, response.headers, bytes(body[:LARGEST_ERROR_BYTES])))
