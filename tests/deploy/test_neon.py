"""Branches of a Neon project, against a server that speaks the part of Neon's API that is used."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy import neon as module
from deploy import preview
from deploy.console import DeployError
from deploy.neon import Neon
from deploy.stage import read_stage
from local.loopback import LoopbackServer


class Project(BaseHTTPRequestHandler):
    """The project `p` with its branches, which every so often is locked for one request."""

    branches: dict[str, str]
    requests: list[tuple[str, str, Any]]
    is_locked: bool

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _handle(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body: Any = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or "{}")
        cls = type(self)
        cls.requests.append((self.command, url.path, body or query))
        if self.headers["Authorization"] != "Bearer key":
            self._answer(401, {"message": "not authenticated"})
        elif cls.is_locked:
            cls.is_locked = False
            self._answer(423, {"message": "project already has running operations"})
        else:
            self._answer(200, cls.answer(self.command, url.path.removeprefix("/projects/p"), query, body))

    @classmethod
    def answer(cls, method: str, path: str, query: dict[str, str], body: Any) -> object:
        match method, path:
            case "GET", "/branches":
                found = [{"id": i, "name": name} for i, name in cls.branches.items() if query["search"] in name]
                return {"branches": found}
            case "POST", "/branches":
                cls.branches["br-1"] = body["branch"]["name"]
                return {"branch": {"id": "br-1", "name": body["branch"]["name"]}}
            case "GET", "/connection_uri":
                pooler = "-pooler" if query["pooled"] == "true" else ""
                return {"uri": f"postgresql://{query['role_name']}@x{pooler}/{query['database_name']}"}
        assert method == "DELETE"
        del cls.branches[path.removeprefix("/branches/")]
        return {}

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Project]]:
    """Return the project, empty, and the pause between attempts taken out."""
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0)
    handler = type("Handler", (Project,), {"branches": {}, "requests": [], "is_locked": False})
    with LoopbackServer(handler) as server:
        monkeypatch.setenv("NEON_API", server.url)
        yield handler


@pytest.fixture
def neon(project: type[Project], monkeypatch: pytest.MonkeyPatch) -> Neon:
    """Return a client of the project."""
    assert project.branches == {}
    monkeypatch.setenv("NEON_PROJECT_ID", "p")
    monkeypatch.setenv("NEON_API_KEY", "key")
    return preview._neon(read_stage("pr-12"))


def test_a_branch_is_made_once_with_a_compute(neon: Neon, project: type[Project]) -> None:
    assert neon.make_branch("pr-12", "br-parent") == neon.make_branch("pr-12", "br-parent") == "br-1"

    made = [body for method, _, body in project.requests if method == "POST"]
    assert made == [{"branch": {"name": "pr-12", "parent_id": "br-parent"}, "endpoints": [{"type": "read_write"}]}]


def test_a_branch_of_a_longer_name_is_another(neon: Neon, project: type[Project]) -> None:
    project.branches = {"br-9": "pr-123"}
    assert neon.find_branch("pr-12") is None


def test_a_branch_has_a_pooled_and_a_direct_connection(neon: Neon) -> None:
    pooled = neon.connection_uri("br-1", "neondb", "owner", pooled=True)
    direct = neon.connection_uri("br-1", "neondb", "owner", pooled=False)
    assert (pooled, direct) == ("postgresql://owner@x-pooler/neondb", "postgresql://owner@x/neondb")


def test_a_locked_project_is_asked_again(neon: Neon, project: type[Project]) -> None:
    project.branches, project.is_locked = {"br-1": "pr-12"}, True
    neon.delete_branch("br-1")
    assert project.branches == {}


def test_a_refusal_says_what_to_check(neon: Neon) -> None:
    with pytest.raises(DeployError, match="Neon refuses GET /branches: 401") as error:
        Neon(neon.project_id, "another key", neon.api).find_branch("pr-12")
    assert "NEON_API_KEY" in error.value.what_next
    assert "another key" not in str(error.value)


def test_only_a_pull_request_has_a_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeployError, match="dev is no preview"):
        preview.delete(read_stage("dev"))
    monkeypatch.delenv("NEON_PROJECT_ID", raising=False)
    with pytest.raises(DeployError, match="NEON_PROJECT_ID is not set"):
        preview.delete(read_stage("pr-12"))
