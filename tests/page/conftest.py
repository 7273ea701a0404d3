"""The page in a real browser: one `make run` and one Chromium for all tests, a person of its own for each."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from local.loopback import LoopbackServer
from local.model.server import OfflineModelHandler
from tests.local.conftest import environment, instances

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ZONE = "Europe/Berlin"
WIDE: ViewportSize = {"width": 1440, "height": 900}
LONGEST_START_SECONDS = 60.0
LONGEST_HOLD_SECONDS = 60.0
LONGEST_WAIT_MS = 40_000


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of this folder on one worker, and skip them without Chromium."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("page"))
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip("there is no chromium: apt-get install chromium"))


class Pace:
    """Holds back the answers of the model, so that a test can look at a turn that is under way."""

    def __init__(self) -> None:
        self._answers = threading.Semaphore(0)
        self._is_held = False

    def hold(self) -> None:
        """Let the model wait before each answer."""
        self._is_held = True

    def step(self) -> None:
        """Let it give one answer."""
        self._answers.release()

    def free(self) -> None:
        """Let it answer at once again."""
        self._is_held = False
        self._answers.release(100)
        self._answers = threading.Semaphore(0)

    def wait(self) -> None:
        """Wait for the word to answer."""
        if self._is_held:
            self._answers.acquire(timeout=LONGEST_HOLD_SECONDS)


@dataclass(frozen=True)
class Server:
    """A running Taskchat."""

    url: str
    database: Path
    process: "subprocess.Popen[str]"
    pace: Pace

    def call(self, person: str, method: str, path: str, body: object = None) -> Any:
        """Call the API as a person and return the JSON of the answer."""
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.url}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"Bearer local:{person}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")

    def kill_instances(self) -> None:
        """Kill the process of each function, as Lambda may at any moment."""
        for process_id in instances(self.process.pid):
            os.kill(process_id, signal.SIGKILL)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a running Taskchat with a model that can be held."""
    folder = tmp_path_factory.mktemp("page")
    database = folder / "page.sqlite3"
    pace = Pace()

    class HeldModelHandler(OfflineModelHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name that the base class calls
            pace.wait()
            super().do_POST()

    with LoopbackServer(HeldModelHandler) as model:
        variables = {
            "DATABASE_URL": f"sqlite:///{database}",
            "OPENAI_BASE_URL": f"{model.url}/v1",
            "OPENAI_API": "responses",
            "OPENAI_API_KEY": "offline",
            "OPENAI_MODEL": "offline",
        }
        log = folder / "output.log"
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                [sys.executable, "-u", "-m", "local"],
                cwd=ROOT,
                env=environment(**variables),
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        try:
            yield Server(_url(process, log), database, process, pace)
        finally:
            pace.free()
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)


def _url(process: "subprocess.Popen[str]", log: Path) -> str:
    """Wait until the server answers, and return where."""
    end = time.monotonic() + LONGEST_START_SECONDS
    while "answers at" not in (said := log.read_text(encoding="utf-8")):
        assert process.poll() is None, said
        assert time.monotonic() < end, said
        time.sleep(0.05)
    return said.split()[3]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Return Debian's Chromium."""
    # An expectation ends as soon as it is met, so patience with a busy machine costs nothing.
    expect.set_options(timeout=LONGEST_WAIT_MS)
    with sync_playwright() as playwright:
        # Not closed here: that waits for Chromium without an end, and the driver ends it within 30 s when it stops.
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


@pytest.fixture
def person() -> str:
    """Return the name of a person of whom nothing is stored."""
    return f"person-{uuid.uuid4().hex[:12]}"


OpenContext = Callable[..., BrowserContext]


@pytest.fixture
def open_context(browser: Browser, server: Server) -> Iterator[OpenContext]:
    """Return a function that opens a browser of a person; errors in it fail the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_one(person: str, **options: Any) -> BrowserContext:
        given = {"base_url": server.url, "viewport": WIDE, "locale": "en-GB", "timezone_id": ZONE, **options}
        context = browser.new_context(**given)
        context.set_default_timeout(LONGEST_WAIT_MS)
        name = json.dumps(person)
        # An empty page has no storage.
        script = f"if (origin !== 'null') localStorage.setItem('taskchat name', {name})"
        context.add_init_script(script)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda message: _note(complaints, message.text))
        contexts.append(context)
        return context

    yield open_one
    server.pace.free()
    for context in contexts:
        context.close()
    assert not complaints


def _note(complaints: list[str], text: str) -> None:
    if "Content Security Policy" in text or "Trusted" in text:
        complaints.append(text)


@pytest.fixture
def page(open_context: OpenContext, person: str) -> Page:
    """Return the page, opened by a new person."""
    opened = open_context(person).new_page()
    opened.goto("/")
    return opened


def send(page: Page, message: str) -> None:
    """Send a message."""
    page.get_by_label("Message", exact=True).fill(message)
    page.keyboard.press("Enter")


def ask(page: Page, message: str) -> None:
    """Send a message and wait for its answer."""
    before = page.locator(".reply .text").count()
    send(page, message)
    expect(page.locator(".reply .text")).to_have_count(before + 1)
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()
