"""The environment, read once, typed and validated. A secret is read when it is needed."""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from taskchat.limits import Limits
from taskchat.secrets_manager import read_secret


class SettingsError(Exception):
    """Raised when a setting is missing or not valid. The message names the variable and never shows its value."""


def _listed(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Settings(BaseModel):
    """The settings of a function. Each field is the environment variable of the same name."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    database_url: SecretStr | None = None
    database_url_secret: str | None = None
    database_url_unpooled: SecretStr | None = None
    database_url_unpooled_secret: str | None = None
    openai_api_key: SecretStr | None = None
    openai_api_key_secret: str | None = None
    openai_base_url: str | None = None
    openai_model: str = "gpt-6.1-terra"
    openai_api: Literal["responses", "chat-completions"] | None = None
    openai_reasoning_effort: str | None = None
    openai_max_output_tokens: int = Field(default=8_192, ge=256, le=128_000)
    model_timeout_seconds: float = Field(default=20.0, ge=3, le=55)
    history_messages: int = Field(default=50, ge=2, le=500)
    history_tokens: int = Field(default=8_000, ge=500, le=200_000)
    user_tokens_per_day: int = Field(default=1_000_000, ge=1)
    user_turns_per_minute: int = Field(default=60, ge=1)
    user_turns_in_flight: int = Field(default=5, ge=1)
    database_deadline_seconds: float = Field(default=8.0, gt=0, le=25)
    retention_days: int = Field(default=0, ge=0, le=36_500)
    """Days without activity after which a conversation is deleted. 0 keeps all of them."""
    turn_queue_url: str | None = None
    jwt_issuer: str | None = None
    mcp_hosts: Names = ("127.0.0.1:*", "localhost:*")
    mcp_origins: Names = ("http://127.0.0.1:*", "http://localhost:*")

    def resolve_database_url(self) -> str:
        """Return the database's URL, from DATABASE_URL or the secret that DATABASE_URL_SECRET names.

        Raises:
            SecretUnavailableError: Secrets Manager does not return the secret.
            SettingsError: neither variable is set.
        """
        return _resolve("DATABASE_URL", self.database_url, self.database_url_secret)

    def resolve_migration_url(self) -> str:
        """Return the URL to migrate with: DATABASE_URL_UNPOOLED where it is set, else DATABASE_URL."""
        if self.database_url_unpooled or self.database_url_unpooled_secret:
            return _resolve("DATABASE_URL_UNPOOLED", self.database_url_unpooled, self.database_url_unpooled_secret)
        return self.resolve_database_url()

    def resolve_openai_api_key(self) -> str:
        """Return the key of the model's provider, from OPENAI_API_KEY or OPENAI_API_KEY_SECRET."""
        return _resolve("OPENAI_API_KEY", self.openai_api_key, self.openai_api_key_secret)

    @property
    def limits(self) -> Limits:
        """The limits of one person."""
        return Limits(self.user_tokens_per_day, self.user_turns_per_minute, self.user_turns_in_flight)

    @property
    def names_a_secret(self) -> bool:
        """Whether the database's URL or the provider's key is a secret that has to be read."""
        return bool(self.database_url_secret or self.openai_api_key_secret)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Validate an environment; a variable that is blank is not set.

    Raises:
        SettingsError: a value does not fit; the message names the variable and the reason, not the value.
    """
    given = {name: environment.get(name.upper(), "").strip() for name in Settings.model_fields}
    try:
        return Settings.model_validate({name: value for name, value in given.items() if value})
    except ValidationError as error:
        faults = "; ".join(f"{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors())
        raise SettingsError(faults) from None


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process."""
    return read_settings(os.environ)


def _resolve(variable: str, value: SecretStr | None, secret_name: str | None) -> str:
    if value is not None:
        return value.get_secret_value()
    if secret_name is None:
        raise SettingsError(f"set {variable} or {variable}_SECRET")
    return read_secret(secret_name, variable)
