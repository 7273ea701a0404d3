"""Check the proxies and certificates of a shell before the functions inherit them.

Nothing on this machine is reached through a proxy or needs a certificate. A real provider may need both, so a variable
that cannot be used is refused at the start instead of failing every message.
"""

import ipaddress
import socket
from collections.abc import Mapping, MutableMapping, Sequence
from urllib.parse import SplitResult, urlsplit

import httpx2

from local.environment import StartError, is_set
from local.installers import unusable_certificates, without_credentials

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PROXY_VARIABLES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")
_CONNECT_SECONDS = 5.0
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OF_THE_MODEL = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""The certificate variables that the model's client reads, the first that is set; the AWS SDK reads the others."""
_SECRETS = ("DATABASE_URL_SECRET", "DATABASE_URL_UNPOOLED_SECRET", "OPENAI_API_KEY_SECRET")


def prepare_network(environment: MutableMapping[str, str], provider_url: str) -> None:
    """Leave in `environment` only proxies and certificates that work, none of them for this machine itself.

    Raises:
        StartError: the provider is to be reached through a proxy, or with certificates, that cannot be used.
    """
    provider = urlsplit(provider_url)
    host = provider.hostname or ""
    bypassed = [*LOOPBACK, host] if is_loopback(host) and host not in LOOPBACK else LOOPBACK
    _bypass_proxies(environment, bypassed)
    _sort_out_proxies(environment, provider)
    _sort_out_certificates(environment, provider)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, as 127.0.0.2 or `localhost` is."""
    if host.lower().rstrip(".").rpartition(".")[2] == "localhost":
        return True
    try:
        # Unlike `ipaddress`, it also understands 127.1, as the resolver does.
        address = ipaddress.ip_address(host if ":" in host else socket.inet_aton(host))
    except (OSError, ValueError):
        return False
    return address.is_loopback or address.is_unspecified


def proxy_for(environment: Mapping[str, str], url: SplitResult) -> str | None:
    """Return the name of the variable whose proxy is used for a URL, or None."""
    for bypassed in _value(environment, "NO_PROXY").split(","):
        domain = bypassed.strip().lower().lstrip("*.")
        if bypassed.strip() == "*" or (domain and f".{url.hostname}".endswith(f".{domain}")):
            return None
    names = (f"{url.scheme.upper()}_PROXY", "ALL_PROXY")
    return next((name for name in names if _value(environment, name)), None)


def _sort_out_proxies(environment: MutableMapping[str, str], provider: SplitResult) -> None:
    used = proxy_for(environment, provider)
    for name in _PROXY_VARIABLES:
        proxy = _value(environment, name)
        fault = _fault_of_proxy(proxy, connect=name == used) if proxy else None
        if fault is None:
            continue
        if name == used:
            raise StartError(
                f"{name} is {without_credentials(proxy)}, {fault}; unset it, name an HTTP proxy, "
                f"or add {provider.hostname} to NO_PROXY."
            )
        # The model's client refuses to start with a proxy that it does not understand, used or not.
        for spelling in (name, name.lower()):
            environment.pop(spelling, None)


def _sort_out_certificates(environment: MutableMapping[str, str], provider: SplitResult) -> None:
    needs_secrets = any(is_set(environment, name) for name in _SECRETS)
    is_encrypted = provider.scheme == "https" and not is_loopback(provider.hostname or "")
    used_by_model = next((name for name in _OF_THE_MODEL if is_set(environment, name)), None)
    for name, fault in unusable_certificates(environment).items():
        is_needed = is_encrypted and name == used_by_model if name in _OF_THE_MODEL else needs_secrets
        if is_needed:
            raise StartError(f"{fault}; correct the path, or unset {name}.")
        environment.pop(name)


def _bypass_proxies(environment: MutableMapping[str, str], hosts: Sequence[str]) -> None:
    given = [host.strip() for name in ("NO_PROXY", "no_proxy") for host in environment.get(name, "").split(",")]
    bypassed = ",".join(dict.fromkeys([*filter(None, given), *hosts]))
    environment.update(NO_PROXY=bypassed, no_proxy=bypassed)


def _value(environment: Mapping[str, str], name: str) -> str:
    # As in urllib and httpx: the lower-case name wins, and if it is empty, it unsets the other.
    return environment.get(name.lower(), environment.get(name, "")).strip()


def _fault_of_proxy(proxy: str, *, connect: bool) -> str | None:
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme, 1080)
        # Without certificates: those are looked at apart.
        httpx2.HTTPTransport(verify=False, proxy=httpx2.Proxy(url)).close()
    except ImportError:
        return "a SOCKS proxy, which the model's client does not support"
    except (ValueError, httpx2.InvalidURL):
        return "which is not the URL of a proxy"
    if connect:
        try:
            socket.create_connection((host or "", port), _CONNECT_SECONDS).close()
        except OSError as error:
            return f"where no proxy answers ({error.strerror or error})"
    return None
