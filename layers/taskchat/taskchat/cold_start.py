"""What shortens a cold start: a function imports this before all else, and calls `keep_all` after all else."""

import gc

# What is made at import stays: to look for garbage among it takes a tenth of a cold start. All else comes after this.
gc.disable()

from pydantic import BaseModel  # noqa: E402

# FastAPI defines the models of OpenAPI whether there is such a page or not: let them be built when they are used.
BaseModel.model_config["defer_build"] = True
import fastapi  # noqa: E402, F401

# Our own are built at import, and not while the first request waits.
del BaseModel.model_config["defer_build"]

from taskchat.lazy_packages import enter_without_init  # noqa: E402

# All that the two SDKs know takes many times as long to import as what is used of them.
enter_without_init(
    {
        "mcp": {},
        "mcp.server": {},
        "openai": {
            "APIConnectionError": "._exceptions",
            "APITimeoutError": "._exceptions",
            "DefaultHttpxClient": "._base_client",
            "OpenAI": "._client",
            "omit": "._types",
        },
        "openai.lib": {},
        "openai.types": {},
        "openai.types.shared": {},
    }
)


def keep_all() -> None:
    """Collect garbage from now on, and only among what is yet to come (`gc.freeze`)."""
    gc.freeze()
    gc.enable()
