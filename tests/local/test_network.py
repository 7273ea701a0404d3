"""Proxies and certificates of a shell: kept if they work, refused or dropped if not, never used for loopback."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from local.environment import StartError
from local.network import is_loopback, prepare_network, proxy_for

REMOTE = "https://api.example.com/v1"
LOCAL = "http://127.0.0.1:11434/v1"
UNUSABLE = ["socks5://127.0.0.1:1080", "socks4://127.0.0.1:1080", "http://…:3128", "http://host:port", "gopher://host"]
PROXY_NAMES = [name for each in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY") for name in (each, each.lower())]


@pytest.fixture
def proxy() -> Iterator[str]:
    """Return the address of something that accepts connections, as a proxy does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed_port() -> int:
    """Return a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def use_environment(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name in (*PROXY_NAMES, "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("name", PROXY_NAMES)
@pytest.mark.parametrize("value", UNUSABLE)
def test_a_local_model_needs_no_usable_proxy(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment = {name: value}

    prepare_network(environment, LOCAL)

    use_environment(monkeypatch, environment)
    httpx2.Client().close()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "tasks.localhost", "[::1]"])
@pytest.mark.parametrize("name", ["ALL_PROXY", "HTTP_PROXY", "http_proxy"])
def test_loopback_goes_through_no_proxy(
    monkeypatch: pytest.MonkeyPatch, closed_port: int, name: str, host: str
) -> None:
    url = f"http://{host}:{closed_port}/v1"
    environment = {name: "http://192.0.2.1:3128", "NO_PROXY": "example.org"}

    prepare_network(environment, url)

    assert "example.org" in environment["NO_PROXY"]
    assert environment["NO_PROXY"] == environment["no_proxy"]
    assert proxy_for(environment, urlsplit(url)) is None
    # Asked through the proxy, whose address is not routed, it would wait for the time-out.
    use_environment(monkeypatch, environment)
    with httpx2.Client(timeout=0.5) as client, pytest.raises(httpx2.ConnectError):
        client.get(url)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("value", UNUSABLE)
def test_a_provider_behind_an_unusable_proxy_is_refused(name: str, value: str) -> None:
    with pytest.raises(StartError, match=f"^{name.upper()} is .*; unset it"):
        prepare_network({name: value}, REMOTE)


def test_a_proxy_that_does_not_answer_is_refused(closed_port: int) -> None:
    with pytest.raises(StartError, match="where no proxy answers") as caught:
        prepare_network({"HTTPS_PROXY": f"http://ann:sesame@127.0.0.1:{closed_port}"}, REMOTE)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_usable_proxy_is_kept(proxy: str, scheme: str) -> None:
    environment = {"HTTPS_PROXY": scheme + proxy}

    prepare_network(environment, REMOTE)

    assert environment["HTTPS_PROXY"] == scheme + proxy
    assert proxy_for(environment, urlsplit(REMOTE)) == "HTTPS_PROXY"


@pytest.mark.parametrize(
    "bypass", ["api.example.com", "example.com", ".example.com", "*.example.com", "*", "a, Example.com"]
)
def test_an_unusable_proxy_that_is_bypassed_is_dropped(bypass: str) -> None:
    environment = {"ALL_PROXY": UNUSABLE[0], "NO_PROXY": bypass}

    prepare_network(environment, REMOTE)

    assert "ALL_PROXY" not in environment


def test_a_proxy_for_another_scheme_is_dropped(proxy: str) -> None:
    environment = {"HTTP_PROXY": UNUSABLE[0], "HTTPS_PROXY": f"http://{proxy}"}

    prepare_network(environment, REMOTE)

    assert "HTTP_PROXY" not in environment


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"])
@pytest.mark.parametrize("base_url", ["http://127.0.0.1:11434/v1", "https://localhost/v1", "http://example.com/v1"])
def test_stale_certificates_are_dropped_if_not_needed(name: str, base_url: str) -> None:
    environment = {name: "/no/such/certificates"}

    prepare_network(environment, base_url)

    assert name not in environment


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_stale_certificates_of_a_provider_are_named(name: str) -> None:
    with pytest.raises(StartError, match=f"^{name} names /no/such/certificates, .*unset {name}"):
        prepare_network({name: "/no/such/certificates"}, REMOTE)


def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    file = tmp_path / "certificates.pem"
    file.write_text("none\n", encoding="utf-8")
    with pytest.raises(StartError, match="holds no certificates"):
        prepare_network({"SSL_CERT_FILE": str(file)}, REMOTE)
    with pytest.raises(StartError, match="cannot be read"):
        prepare_network({"SSL_CERT_FILE": str(tmp_path)}, REMOTE)


def test_certificates_for_secrets_are_checked_too() -> None:
    with pytest.raises(StartError, match=r"^AWS_CA_BUNDLE names"):
        prepare_network({"DATABASE_URL_SECRET": "name", "AWS_CA_BUNDLE": "/no/such/certificates"}, LOCAL)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.1", True),
        ("127.200.3.4", True),
        ("0.0.0.0", True),  # noqa: S104 - nothing is bound
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST.", True),
        ("a.localhost", True),
        ("192.168.0.1", False),
        ("localhost.example.com", False),
        ("fe80::1", False),
        ("", False),
    ],
)
def test_loopback_hosts_are_known(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected
