"""Settings of the provider, the model and the protocol, with defaults that depend on the provider."""

import enum
from dataclasses import dataclass
from urllib.parse import urlsplit

OPENAI_HOST = "api.openai.com"
DEFAULT_MAX_OUTPUT_TOKENS = 8_192


class Api(enum.StrEnum):
    """The protocols: https://developers.openai.com/api/docs/guides/migrate-to-responses."""

    RESPONSES = "responses"
    CHAT_COMPLETIONS = "chat-completions"


@dataclass(frozen=True)
class ProviderSettings:
    """A provider, its key and its model; without a `base_url` it is OpenAI."""

    api_key: str
    base_url: str | None
    model: str
    api: Api | None = None
    reasoning_effort: str | None = None
    max_output_tokens: int = DEFAULT_MAX_OUTPUT_TOKENS

    @property
    def host(self) -> str:
        """The provider's host, with a port if the URL names one."""
        return (urlsplit(self.base_url).netloc.rpartition("@")[2] if self.base_url else "") or OPENAI_HOST

    @property
    def is_openai(self) -> bool:
        """Whether this is OpenAI itself, one of its regions included."""
        host = self.host.partition(":")[0].lower()
        return host == OPENAI_HOST or host.endswith(f".{OPENAI_HOST}")

    @property
    def origin(self) -> str:
        """Host and model, which are stored with each answer as its origin."""
        return f"{self.host} {self.model}"

    @property
    def default_api(self) -> Api:
        """The setting, or Responses for OpenAI itself and Chat Completions for all others."""
        return self.api or (Api.RESPONSES if self.is_openai else Api.CHAT_COMPLETIONS)

    def effort(self, api: Api) -> str | None:
        """Return the reasoning effort to ask for: the setting, or a default for OpenAI, or None to leave it out.

        On Chat Completions OpenAI refuses function tools with any effort but `none`, also if the request names none:
        https://github.com/openai/openai-openapi/issues/541. On Responses `low` is enough to choose among a few tools,
        and its answer comes within the time that a request has; the models' own default is `medium`:
        https://developers.openai.com/api/docs/models/gpt-6.1-terra.
        """
        if self.reasoning_effort is not None or not self.is_openai:
            return self.reasoning_effort
        return "low" if api is Api.RESPONSES else "none"
