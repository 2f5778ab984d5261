"""Control of an embedded GitHub that runs in another process.

Owns nothing; each method is one request to a control endpoint. Reads no setting and no environment:
``http.client`` goes to loopback directly, whatever proxy is set. Never speaks to the GitHub API.
"""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from sandbox.github.organisation import Facts, Visibility


class ControlError(RuntimeError):
    """The embedded GitHub refused a command, or is not there; the message says why."""


class GitHubControl:
    """The commands, for the embedded GitHub at ``url``. A change returns the changed repository."""

    def __init__(self, url: str) -> None:
        self.url = url

    def add(self, name: str, **facts: Unpack[Facts]) -> dict[str, Any]:
        """Create a repository."""
        return self._change("add", name=name, **facts)

    def rename(self, name: str, to: str) -> dict[str, Any]:
        """Rename a repository."""
        return self._change("rename", name=name, to=to)

    def delete(self, name: str) -> dict[str, Any]:
        """Delete a repository."""
        return self._change("delete", name=name)

    def archive(self, name: str) -> dict[str, Any]:
        """Archive a repository."""
        return self._change("archive", name=name)

    def unarchive(self, name: str) -> dict[str, Any]:
        """Unarchive a repository."""
        return self._change("unarchive", name=name)

    def advise(self, name: str) -> dict[str, Any]:
        """Begin a temporary private fork of a repository, for a security advisory."""
        return self._change("advise", name=name)

    def transfer_out(self, name: str, to: str = "another-owner") -> dict[str, Any]:
        """Move a repository to another owner."""
        return self._change("transfer_out", name=name, to=to)

    def transfer_back(self, name: str) -> dict[str, Any]:
        """Take a transferred repository back."""
        return self._change("transfer_back", name=name)

    def set_visibility(self, name: str, visibility: Visibility) -> dict[str, Any]:
        """Make a repository public, private or internal."""
        return self._change("set_visibility", name=name, visibility=visibility)

    def set_properties(self, name: str, properties: Mapping[str, str]) -> dict[str, Any]:
        """Replace a repository's custom property values."""
        return self._change("set_properties", name=name, properties=dict(properties))

    def set_topics(self, name: str, topics: Sequence[str]) -> dict[str, Any]:
        """Replace a repository's topics."""
        return self._change("set_topics", name=name, topics=list(topics))

    def rename_organisation(self, login: str) -> dict[str, Any]:
        """Return the organisation another login."""
        return self._change("rename_organisation", login=login)

    def state(self) -> dict[str, Any]:
        """Return the organisation, its repositories, those transferred out, and the armed faults."""
        state: dict[str, Any] = self._request("GET", "state")
        return state

    def issue(self, kind: str, **what: Any) -> str:  # noqa: ANN401 - JSON
        """Make a token and return it; ``what`` is as in ``server.EmbeddedGitHub.issue``."""
        issued: dict[str, str] = self._request("POST", "tokens", {"kind": kind, **what})
        return issued["token"]

    def dispatches(self) -> list[dict[str, Any]]:
        """Return the events of repository_dispatch that were taken."""
        taken: list[dict[str, Any]] = self._request("GET", "dispatches")
        return taken

    def calls(self) -> list[dict[str, Any]]:
        """Return the API requests served: method, path, query, status, fault."""
        calls: list[dict[str, Any]] = self._request("GET", "calls")["calls"]
        return calls

    def forget_calls(self) -> None:
        """Start the record of calls anew."""
        self._request("DELETE", "calls")

    def catalogue(self) -> list[dict[str, Any]]:
        """Return the faults there are: name, line, options with their defaults."""
        catalogue: list[dict[str, Any]] = self._request("GET", "faults")
        return catalogue

    def arm(self, fault: str, **how: Any) -> dict[str, Any]:  # noqa: ANN401 - see Faults.arm
        """Arm a fault; ``how`` is what ``faults.Faults.arm`` takes."""
        armed: dict[str, Any] = self._request("POST", "faults", {"fault": fault, **how})
        return armed

    def disarm(self) -> None:
        """Disarm all faults."""
        self._request("DELETE", "faults")

    def _change(self, change: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        changed: dict[str, Any] = self._request(
            "POST", "repositories", {"change": change, **arguments}
        )
        return changed

    def _request(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc)
        try:
            connection.request(method, f"/_sandbox/{path}", json.dumps(body) if body else None)
            response = connection.getresponse()
            document = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ControlError(f"No embedded GitHub answers at {self.url}: {error!r}") from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise ControlError(document["error"])
        return document
