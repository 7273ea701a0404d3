"""Branches of a Neon project, through its API.

Source: https://api-docs.neon.tech/reference/getting-started-with-neon-api
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from deploy.console import DeployError

API = "https://console.neon.tech/api/v2"
TIMEOUT_SECONDS = 30
LOCKED = 423
"""Status while another operation of the project is running."""
ATTEMPTS = 30
PAUSE_SECONDS = 2.0


@dataclass(frozen=True)
class Neon:
    """A project. `api` is another address in tests."""

    project_id: str
    key: str
    api: str = API

    def make_branch(self, name: str, parent_id: str) -> str:
        """Make a branch with a compute, unless it is there; return its id."""
        known = self.find_branch(name)
        if known is not None:
            return known
        body = {"branch": {"name": name, "parent_id": parent_id}, "endpoints": [{"type": "read_write"}]}
        return str(self._request("POST", "/branches", body)["branch"]["id"])

    def find_branch(self, name: str) -> str | None:
        """Return the id of the branch of this name, None if there is none."""
        found = self._request("GET", f"/branches?{urlencode({'search': name})}")["branches"]
        return next((str(branch["id"]) for branch in found if branch["name"] == name), None)

    def delete_branch(self, branch_id: str) -> None:
        """Delete a branch with its compute and its data."""
        self._request("DELETE", f"/branches/{quote(branch_id)}")

    def connection_uri(self, branch_id: str, database: str, role: str, *, pooled: bool) -> str:
        """Return a connection string with its password."""
        query = {
            "branch_id": branch_id,
            "database_name": database,
            "role_name": role,
            "pooled": str(pooled).lower(),
        }
        return str(self._request("GET", f"/connection_uri?{urlencode(query)}")["uri"])

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        url = f"{self.api}/projects/{quote(self.project_id)}{path}"
        headers = {"Authorization": f"Bearer {self.key}", "Accept": "application/json"}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        for attempt in range(ATTEMPTS):
            request = urllib.request.Request(url, data=data, method=method, headers=headers)  # noqa: S310 - our own URL
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # nosec B310 # noqa: S310 - our own URL
                    return json.loads(answer.read() or b"{}")
            except urllib.error.HTTPError as error:
                with error:
                    detail = error.read().decode(errors="replace")[:300]
                if error.code == LOCKED and attempt < ATTEMPTS - 1:
                    time.sleep(PAUSE_SECONDS)
                    continue
                raise DeployError(
                    f"Neon refuses {method} {path.partition('?')[0]}: {error.code} {detail}",
                    "check NEON_API_KEY, NEON_PROJECT_ID and NEON_PARENT_BRANCH_ID",
                ) from error
            except OSError as error:
                raise DeployError(f"Neon cannot be reached: {error}", "try again") from error
        raise AssertionError("the last attempt returns or raises")
