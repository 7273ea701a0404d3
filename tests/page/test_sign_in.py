"""Sign-in by OpenID Connect, at panva's oidc-provider on loopback."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from local.gateway.events import Request
from local.gateway.page import Page as FilesOfPage
from local.gateway.template import read_template
from local.loopback import LoopbackServer
from tests.conformance.node import HOME, environment
from tests.page.conftest import LONGEST_WAIT_MS, ROOT, WIDE, Server, ask

HERE = Path(__file__).parent
PROVIDER = HOME / "node_modules" / "oidc-provider"
PERSON = "openid-ann"
LONGER_THAN_A_TOKEN_MS = 3500

pytestmark = pytest.mark.skipif(not PROVIDER.exists(), reason="oidc-provider is not installed: make node")


class DeployedPage(LoopbackServer):
    """Serves the page as CloudFront does for an issuer, and passes requests for the API on.

    It stands in for the JWT authorizer, too. The issuer's tokens are opaque here, and mean one person.
    """

    def __init__(self, api_url: str) -> None:
        self.api_url = api_url
        self.page: FilesOfPage | None = None
        self.tokens: list[str] = []
        super().__init__(DeployedPageHandler)


class DeployedPageHandler(BaseHTTPRequestHandler):
    """Serves one connection."""

    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Serve every method alike."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        """Answer with a file, or with the API's answer."""
        assert isinstance(self.server, DeployedPage)
        assert self.server.page is not None
        path, _, query = self.path.partition("?")
        request = Request(self.command, path, query, list(self.headers.items()), b"", "127.0.0.1", 0)
        file = self.server.page.answer(request)
        if file is None:
            self._pass_on(self.server)
        else:
            self._send(file.status, file.headers, file.body)

    def _pass_on(self, server: DeployedPage) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.tokens.append(self.headers["Authorization"].removeprefix("Bearer "))
        kept = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "accept-encoding"}}
        headers = {**kept, "Authorization": f"Bearer local:{PERSON}"}
        url = f"{server.api_url}{self.path}"
        request = urllib.request.Request(url, data=body or None, method=self.command, headers=headers)  # noqa: S310
        try:
            answer = urllib.request.urlopen(request, timeout=30)  # noqa: S310
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            of_interest = [item for item in answer.headers.items() if item[0].lower() in {"content-type", "etag"}]
            self._send(answer.status, of_interest, answer.read())

    def _send(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status not in {204, 304}:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the console quiet."""


@pytest.fixture(scope="module")
def deployed(server: Server) -> Iterator[DeployedPage]:
    """Return a served page that signs in at a provider."""
    program = HOME / "oidc_provider.mjs"
    # Node looks for packages beside the file.
    shutil.copy(HERE / "oidc_provider.mjs", program)
    with DeployedPage(server.url) as deployed:
        process = subprocess.Popen(
            ["node", str(program), f"{deployed.url}/"],  # noqa: S607
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert process.stdout is not None
            # The provider warns first that it keeps everything in memory.
            issuer = next(line.strip() for line in process.stdout if line.startswith("http"))
            config = {"sign_in": "openid", "issuer": issuer, "client_id": "page"}
            headers = dict(read_template(ROOT / "template.yaml").page_headers)
            name = "content-security-policy"
            headers[name] = headers[name].replace("connect-src 'self'", f"connect-src 'self' {issuer}")
            deployed.page = FilesOfPage(ROOT / "web", headers, json.dumps(config).encode())
            yield deployed
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def context(browser: Browser, deployed: DeployedPage) -> Iterator[BrowserContext]:
    """Return a browser that is not signed in."""
    deployed.tokens.clear()
    context = browser.new_context(base_url=deployed.url, viewport=WIDE, locale="en-GB")
    context.set_default_timeout(LONGEST_WAIT_MS)
    yield context
    context.close()


def _open(context: BrowserContext, place: str = "/") -> Page:
    page = context.new_page()
    page.goto(place)
    expect(page.get_by_label("Message", exact=True)).to_be_visible()
    return page


def test_the_page_signs_in_and_keeps_no_token(context: BrowserContext, deployed: DeployedPage) -> None:
    page = _open(context)
    assert "code=" not in page.url
    ask(page, "Add a task to buy milk")
    assert deployed.tokens
    kept = page.evaluate("JSON.stringify([localStorage, sessionStorage])")
    assert not [token for token in deployed.tokens if token in kept]
    assert page.evaluate("document.cookie") == ""


def test_a_reload_signs_in_again_at_the_same_place(context: BrowserContext) -> None:
    page = _open(context)
    ask(page, "Add a task to buy milk")
    place = page.url
    page.reload()
    expect(page.locator(".reply .text").first).to_be_visible()
    assert page.url == place


def test_a_token_is_renewed_without_leaving(context: BrowserContext, deployed: DeployedPage) -> None:
    page = _open(context)
    page.evaluate("window.stayed = true")
    page.wait_for_timeout(LONGER_THAN_A_TOKEN_MS)
    ask(page, "Add a task to buy milk")
    assert page.evaluate("window.stayed")
    assert len(set(deployed.tokens)) > 1
