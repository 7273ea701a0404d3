"""Choose which settings of a developer's shell and home pip and uv get to see.

An index, a proxy, a certificate or a time-out is how this machine reaches the network, so it is kept. Anything else,
such as `PIP_USER` or `UV_NO_DEV`, belongs to the developer's other projects and would change or break the environment.

This module runs on any `python3` of a fresh machine, so it imports the standard library alone.
"""

import ast
import json
import os
import re
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_PIP_SETTINGS = frozenset(
    {
        *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host"),
        *("proxy", "cert", "client-cert", "keyring-provider", "timeout", "default-timeout", "retries"),
    }
)
_UV_SETTINGS = frozenset(
    {
        *("index", "index-url", "extra-index-url", "find-links", "no-index", "index-strategy", "allow-insecure-host"),
        *("http-proxy", "https-proxy", "no-proxy", "native-tls", "system-certs", "keyring-provider"),
        *("python-install-mirror", "python-downloads-json-url"),
    }
)
_UV_VARIABLES = re.compile(
    "UV_(DEFAULT_INDEX|INDEX.*|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|INSECURE_HOST|.*_PROXY|NATIVE_TLS|SYSTEM_CERTS"
    "|KEYRING_PROVIDER|HTTP_.*|REQUEST_TIMEOUT|PYTHON_INSTALL_MIRROR|PYTHON_DOWNLOADS_JSON_URL)"
)
_FOREIGN = re.compile("(PIP_|UV_|PYTHON|CONDA_|VIRTUAL_ENV).*")
_CERTIFICATE_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "AWS_CA_BUNDLE")
"""Variables that name a file, or a folder, to requests and to programs that build on it."""

_SYSTEM_CERTIFICATES = (
    *("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"),
    *("/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"),
)


def pip_environment(environment: Mapping[str, str], python: str = sys.executable) -> dict[str, str]:
    """Return the variables to run the pip of an interpreter with; no configuration file reaches it any more."""
    given = dict(_pip_configuration(environment, python))
    given |= {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in environment.items()
        if name.startswith("PIP_") and value
    }
    return {
        **_without_foreign(environment),
        **{f"PIP_{name.upper().replace('-', '_')}": given[name] for name in sorted(_PIP_SETTINGS & given.keys())},
        # With the null device, pip reads no configuration file at all.
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_INPUT": "1",
    }


def uv_environment(environment: Mapping[str, str], root: Path) -> dict[str, str]:
    """Return the variables to run uv with; it keeps all that it writes below `root`/.local.

    uv is told of one configuration file, which holds the network settings of those that it would have read.
    """
    state = root / ".local"
    configuration = state / "uv.toml"
    configuration.write_text(_toml(_uv_configuration(environment, root)), encoding="utf-8")
    return {
        # uv brings certificates of its own, which lack the authority of a company's proxy.
        **({"UV_SYSTEM_CERTS": "1"} if any(Path(bundle).exists() for bundle in _SYSTEM_CERTIFICATES) else {}),
        **_without_foreign(environment),
        **{name: value for name, value in environment.items() if _UV_VARIABLES.fullmatch(name) and value},
        "UV_CONFIG_FILE": str(configuration),
        "UV_CACHE_DIR": str(state / "cache" / "uv"),
        "UV_CREDENTIALS_DIR": str(state / "cache" / "uv-credentials"),
        "UV_PYTHON_INSTALL_DIR": str(state / "python"),
        "UV_NO_ENV_FILE": "1",
    }


def unusable_certificates(environment: Mapping[str, str]) -> dict[str, str]:
    """Return each variable that names certificates which cannot be loaded, with the reason.

    A blank variable counts as not set.
    """
    named = [("SSL_CERT_FILE", environment.get("SSL_CERT_FILE", ""), _fault_of_file)]
    named += [
        ("SSL_CERT_DIR", path, _fault_of_folder) for path in environment.get("SSL_CERT_DIR", "").split(os.pathsep)
    ]
    for name in _CERTIFICATE_BUNDLES:
        path = environment.get(name, "").strip()
        named.append((name, path, _fault_of_folder if os.path.isdir(path) else _fault_of_file))  # noqa: PTH112 - a Path has no trailing blank or slash
    return {
        name: f"{name} names {path}, which {fault}"
        for name, path, fault_of in named
        if path.strip() and (fault := fault_of(path.strip()))
    }


def without_credentials(url: str) -> str:
    """Return a URL, or an address without a scheme, without the user and password that may stand before its host."""
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _fault_of_file(path: str) -> str | None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return "holds no certificates"
    except (OSError, ValueError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    return None


def _fault_of_folder(path: str) -> str | None:
    try:
        os.listdir(path)  # noqa: PTH208 - it is opened, which is what fails
    except (OSError, ValueError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    return None


def _without_foreign(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not _FOREIGN.fullmatch(name)}


def _pip_configuration(environment: Mapping[str, str], python: str) -> Iterator[tuple[str, str]]:
    """Yield the settings of pip's configuration files, as pip itself finds them, the strongest last."""
    inherited = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
    command = [python, "-Es", "-m", "pip", "config", "list"]
    listed = subprocess.run(command, env=inherited, capture_output=True, text=True, errors="replace", check=False)
    for line in listed.stdout.splitlines():
        found = re.fullmatch(r"(global|install)\.([\w-]+)=(.*)", line)
        if found:
            try:
                value = str(ast.literal_eval(found[3]))
            except (SyntaxError, ValueError):
                continue
            # Several values stand on lines of their own in a file, and beside each other in a variable.
            yield found[2], " ".join(value.split())


def _uv_configuration(environment: Mapping[str, str], root: Path) -> dict[str, Any]:
    """Return the network settings of uv's configuration files, the project's own over the user's over the system's."""
    settings: dict[str, Any] = {}
    for path in _uv_files(environment, root):
        try:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        for table in (given, given.get("pip", {})):
            settings |= {name: value for name, value in table.items() if name in _UV_SETTINGS}
    return settings


def _uv_files(environment: Mapping[str, str], root: Path) -> Sequence[Path]:
    if named := environment.get("UV_CONFIG_FILE"):
        return [Path(named)]
    if environment.get("UV_NO_CONFIG"):
        return []
    home = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", os.devnull)) / ".config"
    return [Path("/etc/uv/uv.toml"), Path(home) / "uv" / "uv.toml", root / "uv.toml"]


def _toml(settings: Mapping[str, Any]) -> str:
    return "".join(f"{line}\n" for line in _toml_pairs(settings))


def _toml_pairs(settings: Mapping[str, Any]) -> Iterator[str]:
    for name, value in settings.items():
        yield f"{json.dumps(name, ensure_ascii=False)} = {_toml_value(value)}"


def _toml_value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(_toml_pairs(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(each) for each in value) + "]"
    # JSON writes strings, numbers and booleans as TOML does.
    return json.dumps(value, ensure_ascii=False)
