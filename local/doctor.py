"""`make doctor`: does the model's provider work with Taskchat, and if not, which setting has to change?

It lists the provider's models and sends two small requests, which are those of a turn with one tool call.
"""

import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime

import openai
from openai.types import Model

from local.checks import check_settings
from local.environment import StartError, describe_model, use_offline_model, wants_offline_model
from local.model.server import offline_model
from taskchat.agent import (
    Completion,
    ContentRefusedError,
    OpenAIProvider,
    Prompt,
    PromptTooLongError,
    ProviderSettings,
    function_tools,
)
from taskchat.agent.loop import Step
from taskchat.agent.prompt import INSTRUCTIONS
from taskchat.agent.transcript import transcript
from taskchat.errors import TaskchatError
from taskchat.process import provider_settings
from taskchat.settings import SettingsError, settings

MESSAGE = "Show me all my tasks. Call list_tasks once, then answer in one short sentence."
REQUEST_SECONDS = 30.0
SMALLEST_CACHED_TOKENS = 1_024
"""Providers cache no shorter prompts: https://developers.openai.com/api/docs/guides/prompt-caching."""
_POINTLESS_WITHOUT = ("key", "provider")
"""Subjects of faults that every request would meet again."""
_PROVIDER_LOGGER = "taskchat.agent.openai_provider"
_TASKS = {"id": "", "tool": "list_tasks", "arguments": {}, "result": {"tasks": [], "count": 0, "more": False}}


@dataclass(frozen=True)
class Finding:
    """One line of the report; `is_fault` says that something has to change before Taskchat works."""

    subject: str
    text: str
    is_fault: bool = False


def main() -> int:
    """Print what was found; return 1 if something has to change, else 0."""
    findings = []
    with ExitStack() as stack:
        for finding in _findings(stack):
            findings.append(finding)
            mark = "!" if finding.is_fault else " "
            print(f"{mark} {finding.subject:<11}{finding.text}", flush=True)
    is_fault = any(finding.is_fault for finding in findings)
    print("Something has to change: see the lines that begin with !." if is_fault else "The provider works.")
    return int(is_fault)


def _findings(stack: ExitStack) -> Iterator[Finding]:
    try:
        known = _settings(stack)
    except (StartError, SettingsError, TaskchatError) as error:
        yield Finding("settings", str(error), is_fault=True)
        return
    api = "Responses" if known.default_api.value == "responses" else "Chat Completions"
    yield Finding("provider", f"{known.host}, by the protocol {api} (OPENAI_BASE_URL, OPENAI_API)")
    for finding in _check_model(known):
        yield finding
        if finding.subject in _POINTLESS_WITHOUT:
            return
    yield from _check_requests(known)


def _settings(stack: ExitStack) -> ProviderSettings:
    if wants_offline_model(os.environ):
        server = stack.enter_context(offline_model())
        use_offline_model(os.environ, f"{server.url}/v1")
        print("No provider is set, so this checks the offline model. Set OPENAI_API_KEY or OPENAI_BASE_URL.")
    else:
        describe_model(os.environ)
    check_settings(os.environ)
    settings.cache_clear()
    return provider_settings()


def _check_model(known: ProviderSettings) -> Iterator[Finding]:
    try:
        with openai.OpenAI(api_key=known.api_key, base_url=known.base_url, timeout=REQUEST_SECONDS) as client:
            listed: Sequence[Model] = client.models.list().data or []
    except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
        text = f"the provider refused the key ({error.status_code}): check OPENAI_API_KEY"
        yield Finding("key", text, is_fault=True)
        return
    except openai.APIConnectionError:
        text = "the provider cannot be reached: check OPENAI_BASE_URL, the network and the proxy"
        yield Finding("provider", text, is_fault=True)
        return
    except openai.OpenAIError:
        yield Finding("model", f"{known.model}: the provider has no list of models to check this against")
        return
    # OpenRouter and servers on this machine list their models to everybody; the requests below show whether the key is
    # good.
    yield from _check_listed(known.model, {model.id: model for model in listed})


def _check_listed(name: str, listed: dict[str, Model]) -> Iterator[Finding]:
    model = listed.get(name) or listed.get(f"models/{name}")
    if model is None:
        family = name.split("-", maxsplit=1)[0]
        near = sorted(other for other in listed if other.split("-")[0] == family)[:5]
        hint = f"; it has {', '.join(near)}" if near else ""
        yield Finding("model", f"{name} is not in the provider's list{hint}. Check OPENAI_MODEL if requests fail")
        return
    shutdown = _shutdown_date(model)
    if shutdown is None:
        yield Finding("model", f"{name}: the provider has it and has not announced its end")
        return
    days = (shutdown - datetime.now(UTC).date()).days
    text = f"{name} shuts down on {shutdown:%d %B %Y}, in {days} days. Choose another with OPENAI_MODEL"
    yield Finding("model", text, is_fault=days <= 30)


def _shutdown_date(model: Model) -> date | None:
    """Read OpenAI's `shutdown_date`: https://developers.openai.com/api/docs/deprecations."""
    try:
        return date.fromisoformat(str(model.shutdown_date))
    except ValueError:
        return None


def _check_requests(known: ProviderSettings) -> Iterator[Finding]:
    with closing(OpenAIProvider(lambda: known)) as provider, _warnings() as learned:
        try:
            first, seconds = _timed(provider, Prompt(function_tools(), INSTRUCTIONS, transcript([], MESSAGE)))
            if not first.requests:
                yield Finding(
                    "tool calls", f"none: the model answered in words ({first.content[:60]!r})", is_fault=True
                )
                return
            calls = [{**_TASKS, "id": request.id, "tool": request.tool} for request in first.requests]
            steps = [Step(first.content, calls, first.model_context)]
            messages = transcript([], MESSAGE, steps)
            state = first.provider_state
            second, more = _timed(
                provider, Prompt(function_tools(), INSTRUCTIONS, messages, may_call_tools=False, provider_state=state)
            )
        except (TaskchatError, PromptTooLongError, ContentRefusedError) as error:
            yield Finding("requests", str(error), is_fault=True)
            return
        finally:
            yield from (Finding("learned", text) for text in learned)
    yield Finding("tool calls", f"work; two requests took {seconds:.1f} s and {more:.1f} s")
    yield _caching(second)


def _timed(provider: OpenAIProvider, prompt: Prompt) -> tuple[Completion, float]:
    begin = time.monotonic()
    return provider.complete(prompt, REQUEST_SECONDS), time.monotonic() - begin


def _caching(second: Completion) -> Finding:
    usage = second.usage
    if not usage.input_tokens:
        return Finding("caching", "the provider reports no tokens, so limits on tokens cannot work with it")
    share = f"{usage.cached_tokens:,} of {usage.input_tokens:,} input tokens of the second request"
    if usage.cached_tokens:
        return Finding("caching", f"works: {share} came from the cache")
    if usage.input_tokens < SMALLEST_CACHED_TOKENS:
        return Finding("caching", f"not seen: the prompt has {usage.input_tokens:,} tokens, and caches begin at 1,024")
    return Finding("caching", f"not seen: {share}. Every turn is paid in full, or the provider does not report it")


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect the warnings about parameters that the provider refuses, in place of logging them."""
    texts: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(record.getMessage())

    logger = logging.getLogger(_PROVIDER_LOGGER)
    handler = Collector()
    logger.addHandler(handler)
    try:
        yield texts
    finally:
        logger.removeHandler(handler)


if __name__ == "__main__":
    sys.exit(main())
