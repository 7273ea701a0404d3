"""Keep the settings of a developer's shell, such as a provider's key or a proxy, out of the tests."""

import re
from collections.abc import MutableMapping

from local.network import prepare_network
from taskchat.settings import Settings

_FOREIGN = re.compile("(OPENAI|AWS|POWERTOOLS)_.*|PG[A-Z]+|PORT|PYTHON(PATH|HOME|SAFEPATH|WARNINGS|OPTIMIZE|INSPECT)")
LOOPBACK_URL = "http://127.0.0.1"


def forget_settings(environment: MutableMapping[str, str]) -> None:
    """Remove what a test must not inherit; proxies and certificates that work stay, because builds download."""
    ours = {name.upper() for name in Settings.model_fields}
    for name in tuple(environment):
        if name in ours or _FOREIGN.fullmatch(name):
            del environment[name]
    prepare_network(environment, LOOPBACK_URL)
