"""What shortens a cold start: a function imports this before all else, and calls `keep_all` after all else."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# What is made at import stays: to look for garbage among it takes a tenth of a cold start.
gc.disable()

# Pydantic and FastAPI come after that line, too.
from pydantic import BaseModel  # noqa: E402

# FastAPI defines the models of OpenAPI whether there is such a page or not: let them be built when they are used.
BaseModel.model_config["defer_build"] = True
import fastapi  # noqa: E402, F401

# Our own are built at import, and not while the first request waits.
del BaseModel.model_config["defer_build"]


def keep_all() -> None:
    """Collect garbage from now on, and only among what is yet to come (`gc.freeze`)."""
    gc.freeze()
    gc.enable()


@contextmanager
def late_import() -> Iterator[None]:
    """Import something at its first use as the rest is imported at start."""
    gc.disable()
    try:
        yield
    finally:
        keep_all()
