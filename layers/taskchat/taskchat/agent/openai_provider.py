"""Any provider that speaks one of OpenAI's two protocols: retries, remedies, and errors that say what to do."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final, NoReturn

from taskchat.agent import chat_completions, responses
from taskchat.agent.adaptation import Adaptation, adapt
from taskchat.agent.answers import FaultyAnswerError
from taskchat.agent.connection import ProviderConnection, RefusedError, UnreachableError, too_slow
from taskchat.agent.provider import Completion, ContentRefusedError, Prompt, PromptTooLongError
from taskchat.agent.provider_settings import Api, ProviderSettings
from taskchat.agent.refusals import Refusal, redacted
from taskchat.agent.transcript import AssistantMessage
from taskchat.errors import ModelFailedError, ModelRateLimitedError

MOST_REQUESTS: Final = 10
"""Requests that one call of the model may take, remedies and the retry included."""
DEFAULT_RETRY_AFTER_SECONDS: Final = 5
LONGEST_PAUSE_SECONDS: Final = 2.0
"""A longer Retry-After is handed to the caller instead of being waited for."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Protocol:
    path: str
    request: Callable[[Prompt, ProviderSettings, Adaptation], dict[str, Any]]
    read: Callable[[bytes, Prompt, ProviderSettings], Completion | Refusal]


_PROTOCOLS: Final = {
    Api.RESPONSES: _Protocol(responses.PATH, responses.request, responses.read),
    Api.CHAT_COMPLETIONS: _Protocol(chat_completions.PATH, chat_completions.request, chat_completions.read),
}


class OpenAIProvider:
    """OpenAI, or another provider that speaks Responses or Chat Completions.

    `read_settings` is called for the first request, and again after the key was refused. The adaptation to a provider
    is kept until the settings change.
    """

    def __init__(self, read_settings: Callable[[], ProviderSettings]) -> None:
        self._connection = ProviderConnection(read_settings)
        self._adaptation = Adaptation()
        self._settings: ProviderSettings | None = None

    def complete(self, prompt: Prompt, timeout_seconds: float) -> Completion:
        """Call the model, with one retry after a passing fault; see `Provider.complete`."""
        end = time.monotonic() + timeout_seconds
        is_retried = False
        for _ in range(MOST_REQUESTS):
            try:
                return self._ask(prompt, end)
            except RefusedError as refused:
                refusal = refused.refusal
                if prompt.provider_state and responses.is_state_refused(refusal):
                    _logger.warning("the provider cannot read its encrypted reasoning; the turn goes on without it")
                    prompt = replace(prompt, provider_state=None)
                elif (change := self._adapt(refusal, prompt, end)) is not None:
                    _logger.warning("the provider refused a request, so from now on %s", change)
                elif is_retried or not refusal.is_passing:
                    self._raise(refusal, prompt, end, refused)
                else:
                    is_retried = True
                    self._pause(refusal, end)
            except (UnreachableError, FaultyAnswerError) as fault:
                if is_retried:
                    raise ModelFailedError(f"The model's provider failed: {fault}.") from fault
                is_retried = True
        raise ModelFailedError("The model's provider refused every form of the request.", permanent=True)

    def close(self) -> None:
        """Close the kept connection; the next call opens another."""
        self._connection.close()

    def _ask(self, prompt: Prompt, end: float) -> Completion:
        settings = self._read_settings(end)
        protocol = _PROTOCOLS[self._api(settings)]
        body = protocol.request(prompt, settings, self._adaptation)
        answer = protocol.read(self._connection.post(protocol.path, body, end), prompt, settings)
        if isinstance(answer, Refusal):
            raise RefusedError(answer)
        return answer

    def _read_settings(self, end: float) -> ProviderSettings:
        settings = self._connection.settings(end)
        if settings != self._settings:
            self._adaptation = Adaptation(may_switch_protocol=settings.api is None)
            self._settings = settings
        return settings

    def _api(self, settings: ProviderSettings) -> Api:
        return Api.RESPONSES if self._adaptation.wants_responses else settings.default_api

    def _adapt(self, refusal: Refusal, prompt: Prompt, end: float) -> str | None:
        settings = self._read_settings(end)
        body = _PROTOCOLS[self._api(settings)].request(prompt, settings, self._adaptation)
        return adapt(self._adaptation, refusal, body)

    def _pause(self, refusal: Refusal, end: float) -> None:
        seconds = refusal.retry_after_seconds
        if seconds is None:
            return
        if seconds > LONGEST_PAUSE_SECONDS:
            raise _slow_down("The model's provider is overloaded.", refusal)
        if time.monotonic() + seconds >= end:
            raise too_slow()
        time.sleep(seconds)

    def _raise(self, refusal: Refusal, prompt: Prompt, end: float, cause: Exception) -> NoReturn:
        """Log the provider's reason, and raise the error for the caller."""
        settings = self._read_settings(end)
        if refusal.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            # The key may have been rotated.
            self.close()
        said = _said(prompt)
        code, param, reason = (
            redacted(text, said, (settings.api_key,)) or "-" for text in (refusal.code, refusal.param, refusal.reason)
        )
        _logger.warning(
            "the provider refused: status %s, code %s, parameter %s: %s", refusal.status, code, param, reason
        )
        raise _error(refusal, settings, self._api(settings)) from cause


def _said(prompt: Prompt) -> str:
    """Return all that people and models wrote, which must not be logged."""
    parts = []
    for message in prompt.messages:
        parts.append(message.text)
        if isinstance(message, AssistantMessage):
            parts += [text for use in message.uses for text in (use.arguments, use.result)]
    said = "\n".join(parts)
    unescaped = said.replace("\\n", " ").replace('\\"', '"')
    return f"{said}\n{unescaped}"


def _slow_down(detail: str, refusal: Refusal) -> ModelRateLimitedError:
    seconds = refusal.retry_after_seconds
    whole = DEFAULT_RETRY_AFTER_SECONDS if seconds is None else math.ceil(seconds)
    return ModelRateLimitedError(detail, retry_after_seconds=whole)


def _error(refusal: Refusal, settings: ProviderSettings, api: Api) -> Exception:
    if refusal.is_too_long:
        return PromptTooLongError("The conversation is longer than the model takes.")
    if refusal.is_rate_limit:
        return _slow_down("The model's provider asks to slow down.", refusal)
    if refusal.is_overload and refusal.retry_after_seconds is not None:
        return _slow_down("The model's provider is overloaded.", refusal)
    if refusal.is_passing:
        return ModelFailedError(f"The model's provider failed: it answered {refusal.status}.")
    if refusal.is_filtered:
        detail = "The model's provider refused the message because of its content. Please word it differently."
        return ContentRefusedError(detail)
    advice = _advice(refusal, settings, api)
    return ModelFailedError(f"The model's provider refused the request ({refusal.status}): {advice}.", permanent=True)


def _advice(refusal: Refusal, settings: ProviderSettings, api: Api) -> str:
    """Tell the operator which setting to look at."""
    advice = "the reason is in the log. The operator should check OPENAI_MODEL and OPENAI_REASONING_EFFORT"
    if refusal.is_quota:
        advice = "the quota or credit of the account is used up. The operator should check its billing"
    elif refusal.status == HTTPStatus.UNAUTHORIZED:
        advice = "the operator should check OPENAI_API_KEY"
    elif refusal.status == HTTPStatus.FORBIDDEN:
        advice = "the operator should check OPENAI_API_KEY, and whether it may use the model that OPENAI_MODEL names"
    elif refusal.is_no_tools:
        advice = "the model cannot call tools. The operator should choose another with OPENAI_MODEL"
    elif "v1/responses" in refusal.text and api is Api.CHAT_COMPLETIONS:
        advice = "the model wants the other protocol. The operator should set OPENAI_API=responses"
    elif refusal.status == HTTPStatus.NOT_FOUND:
        other = " and OPENAI_API" if api is Api.RESPONSES and not settings.is_openai else ""
        advice = f"the operator should check OPENAI_MODEL and OPENAI_BASE_URL{other}"
    elif refusal.status < HTTPStatus.BAD_REQUEST:
        advice = "it redirects elsewhere. The operator should check OPENAI_BASE_URL"
    return advice
