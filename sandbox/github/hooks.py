"""Webhooks of the organisation, which are really delivered, and events that others send.

Owns the hooks, their deliveries and the journal of repository_dispatch. A payload goes to an address
of loopback and nowhere else; GitHub is the other way round there, and refuses such an address. A
delivery that fails is not tried again by itself, as at GitHub; somebody has to ask for it. Never
decides who may ask: see ``api``.

Sources, at docs.github.com: "REST API endpoints for organization webhooks"; "Webhook events and
payloads" (delivery headers, ``repository``, ``ping``); "Validating webhook deliveries"; "Handling
failed webhook deliveries"; "Create a repository dispatch event".
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import itertools
import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from sandbox.github import documents
from sandbox.github.exchange import (
    Asked,
    Document,
    Endpoint,
    Told,
    encoded,
    invalid,
    missing,
    paged,
)
from sandbox.github.tokens import Need

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.github.organisation import Organisation, Repository

TIMEOUT = 10
"""Seconds in which a receiver has to answer ("Handling webhook deliveries")."""

MOST_PROPERTIES = 10
"""Properties of a dispatch's ``client_payload`` ("Create a repository dispatch event")."""

LONGEST_PAYLOAD = 64 * 1024
"""Characters of a dispatch's ``client_payload``, fewer than which it may have."""

LONGEST_EVENT = 100
"""Characters of a dispatch's event type."""

MOST_HOOKS = 20
"""Hooks that may be called by one event ("About webhooks")."""

EVENTS = frozenset({"*", "repository", "ping", "push", "member", "organization", "team"})
"""The events that may be asked for here; ``repository`` and ``ping`` are sent."""

_READ = Need("organization_hooks", "read", ("admin:org_hook",))
_WRITE = Need("organization_hooks", "write", ("admin:org_hook",))
_DISPATCH = Need("contents", "write", ("repo",))
_AT = "2026-11-22T00:00:00Z"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass
class Hooks:
    """The hooks and what was sent. Safe in many threads."""

    organisation: Organisation
    base: str
    started: Callable[[str], object] = lambda _: None
    _hooks: dict[int, Document] = field(default_factory=dict)
    _secrets: dict[int, str] = field(default_factory=dict)
    _deliveries: dict[int, list[Document]] = field(default_factory=dict)
    _dispatches: list[Document] = field(default_factory=list)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(500_001))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # The hooks

    def every(self, asked: Asked) -> Told:
        """List the hooks."""
        return Told(paged(asked.request, list(self._hooks.values())))

    def one(self, _: Asked, hook: str) -> Told:
        """Tell one hook; its secret is never told."""
        return Told(self._one(hook))

    def new(self, asked: Asked) -> Told:
        """Create a hook, and send it a ping."""
        said = asked.request.said()
        if said.get("name") != "web":
            raise invalid("Validation Failed: name must be web")
        with self._lock:
            if len(self._hooks) >= MOST_HOOKS:
                raise invalid(f"An event calls at most {MOST_HOOKS} hooks")
            identity = next(self._ids)
            document = self._checked(said, identity)
            config = document["config"]
            if any(held["config"] == config for held in self._hooks.values()):
                raise invalid("Validation Failed: Hook already exists on this organization")
            self._hooks[identity] = document
            self._deliveries[identity] = []
        self._ping(document)
        return Told(document, 201)

    def change(self, asked: Asked, hook: str) -> Told:
        """Change a hook."""
        with self._lock:
            held = self._one(hook)
            said = asked.request.said()
            given = {**held, **said, "config": {**held["config"], **said.get("config", {})}}
            if given["config"].get("secret") == _HIDDEN:
                given["config"]["secret"] = self._secrets[held["id"]]
            self._hooks[held["id"]] = document = self._checked(given, held["id"])
        return Told(document)

    def end(self, _: Asked, hook: str) -> Told:
        """Delete a hook."""
        with self._lock:
            identity = self._one(hook)["id"]
            del self._hooks[identity], self._deliveries[identity]
            self._secrets.pop(identity, None)
        return Told(None, 204)

    def ping(self, _: Asked, hook: str) -> Told:
        """Send a hook a ping."""
        self._ping(self._one(hook))
        return Told(None, 204)

    def deliveries(self, asked: Asked, hook: str) -> Told:
        """List what was sent to a hook, the latest first."""
        identity = self._one(hook)["id"]
        rows = [
            {key: row[key] for key in row if key not in {"request", "response", "url"}}
            for row in reversed(self._deliveries[identity])
        ]
        return Told(paged(asked.request, rows))

    def delivery(self, _: Asked, hook: str, delivery: str) -> Told:
        """Tell one delivery, with what was sent and what came back."""
        return Told(self._delivery(hook, delivery))

    def again(self, _: Asked, hook: str, delivery: str) -> Told:
        """Send a delivery once more, under the same GUID."""
        held, sent = self._one(hook), self._delivery(hook, delivery)
        self._deliver(held, sent["event"], sent["request"]["payload"], guid=sent["guid"])
        return Told({}, 202)

    # What is sent

    def happened(self, action: str, repository: Repository, **more: Any) -> None:  # noqa: ANN401 - JSON
        """Send the event ``repository`` to every active hook that asks for it."""
        with self._lock:
            hooks = [
                hook
                for hook in self._hooks.values()
                if hook["active"] and not {"*", "repository"}.isdisjoint(hook["events"])
            ]
        payload = {
            "action": action,
            **more,
            "repository": self._document(repository),
            "organization": documents.organization_row(self.organisation, self.base),
            "sender": documents.account(
                "sandbox-user", self.organisation.id + 2, self.base, "User"
            ),
        }
        for hook in hooks:
            self._deliver(hook, "repository", payload)

    def dispatch(self, asked: Asked) -> Told:
        """Take an event for a repository's workflows, which run nowhere here, and keep it."""
        said = asked.request.said()
        event, payload = said.get("event_type"), said.get("client_payload", {})
        if not isinstance(event, str) or not 1 <= len(event) <= LONGEST_EVENT:
            raise invalid(f"event_type is a text of at most {LONGEST_EVENT} characters")
        if not isinstance(payload, dict) or len(payload) > MOST_PROPERTIES:
            raise invalid(f"No more than {MOST_PROPERTIES} properties are allowed; client_payload")
        if len(encoded(payload)) >= LONGEST_PAYLOAD:
            raise invalid("client_payload is too large")
        with self._lock:
            self._dispatches.append(
                {
                    "repository": asked.repository.name,
                    "event_type": event,
                    "client_payload": payload,
                    "token": asked.token.kind,
                }
            )
        self.started("repository_dispatch")
        return Told(None, 204)

    def dispatches(self) -> list[Document]:
        """Return the events that were taken: repository, event_type, client_payload, kind of token."""
        with self._lock:
            return list(self._dispatches)

    # How

    def _document(self, repository: Repository) -> Document:
        row = documents.repository(self.organisation, repository, self.base, admin=False)
        # A webhook tells times as ever, and not the facts that only a request by itself tells.
        return {key: row[key] for key in row if key not in {"network_count", "subscribers_count"}}

    def _one(self, hook: str) -> Document:
        with self._lock:
            held = self._hooks.get(int(hook))
        if held is None:
            raise missing()
        return held

    def _delivery(self, hook: str, delivery: str) -> Document:
        rows = self._deliveries[self._one(hook)["id"]]
        found = next((row for row in rows if row["id"] == int(delivery)), None)
        if found is None:
            raise missing()
        return found

    def _checked(self, said: Document, identity: int) -> Document:
        config, events = said.get("config"), said.get("events", ["push"])
        if not isinstance(config, dict) or not isinstance(config.get("url"), str):
            raise invalid("Validation Failed: config.url is missing")
        if urlsplit(config["url"]).hostname not in _LOOPBACK:
            raise invalid(
                "Sorry, the URL host is not loopback, and this GitHub sends nothing elsewhere"
            )
        kind = config.get("content_type", "form")
        if kind not in {"json", "form"}:
            raise invalid("Validation Failed: config.content_type is json or form")
        if not isinstance(events, list) or not events or not EVENTS.issuperset(events):
            raise invalid("Validation Failed: events has one that there is not")
        if config.get("secret"):
            self._secrets[identity] = str(config["secret"])
        api = f"{self.base}api/v3/orgs/{self.organisation.login}/hooks/{identity}"
        return {
            "id": identity,
            "type": "Organization",
            "url": api,
            "ping_url": f"{api}/pings",
            "deliveries_url": f"{api}/deliveries",
            "name": "web",
            "events": list(events),
            "active": said.get("active", True) is True,
            "config": {
                "url": config["url"],
                "content_type": kind,
                "insecure_ssl": str(config.get("insecure_ssl", "0")),
                **({"secret": _HIDDEN} if config.get("secret") else {}),
            },
            "created_at": _AT,
            "updated_at": _AT,
        }

    def _ping(self, hook: Document) -> None:
        payload = {
            "zen": "Anything added dilutes everything else.",
            "hook_id": hook["id"],
            "hook": hook,
            "organization": documents.organization_row(self.organisation, self.base),
        }
        self._deliver(hook, "ping", payload)

    def _deliver(
        self, hook: Document, event: str, payload: Document, *, guid: str | None = None
    ) -> None:
        """Send a payload and write down what came back; a receiver that fails is no error here."""
        config, text = hook["config"], json.dumps(payload)
        form = config["content_type"] == "form"
        body = (urlencode({"payload": text}) if form else text).encode()
        headers = {
            "Accept": "*/*",
            "User-Agent": f"GitHub-Hookshot/{hook['id']:07x}",
            "Content-Type": "application/x-www-form-urlencoded" if form else "application/json",
            "X-GitHub-Hook-ID": str(hook["id"]),
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": guid or str(uuid.uuid4()),
            "X-GitHub-Hook-Installation-Target-Type": "organization",
            "X-GitHub-Hook-Installation-Target-ID": str(self.organisation.id),
        }
        if secret := self._secrets.get(hook["id"]):
            for name, digest in (("", hashlib.sha1), ("-256", hashlib.sha256)):
                signed = hmac.new(secret.encode(), body, digest).hexdigest()
                headers[f"X-Hub-Signature{name}"] = f"{'sha256' if name else 'sha1'}={signed}"
        began = time.monotonic()
        status, answer = _posted(config["url"], body, headers)
        delivery = {
            "id": next(self._ids),
            "guid": headers["X-GitHub-Delivery"],
            "delivered_at": _AT,
            "redelivery": guid is not None,
            "duration": round(time.monotonic() - began, 3),
            "status": "OK" if 200 <= status < 300 else answer,  # noqa: PLR2004 - HTTP's own numbers
            "status_code": status,
            "event": event,
            "action": payload.get("action"),
            "installation_id": None,
            "repository_id": payload.get("repository", {}).get("id"),
            "throttled_at": None,
            "url": config["url"],
            "request": {"headers": headers, "payload": payload},
            "response": {"headers": {}, "payload": answer},
        }
        with self._lock:
            self._deliveries.setdefault(hook["id"], []).append(delivery)


_HIDDEN = "********"


def _posted(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    """Post to an address of loopback; 0 is no answer, with GitHub's word for why."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT)
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except TimeoutError:
        return 0, "timed out"
    except (OSError, http.client.HTTPException):
        return 0, "failed to connect to host"
    finally:
        connection.close()


def of_repositories(hooks: Hooks) -> tuple[Endpoint, ...]:
    """Return the endpoints of a repository."""
    return (Endpoint("POST", "/dispatches", hooks.dispatch, _DISPATCH),)


def of_organisation(hooks: Hooks) -> tuple[Endpoint, ...]:
    """Return the endpoints of the organisation."""
    one = r"/hooks/(?P<hook>[0-9]+)"
    delivery = rf"{one}/deliveries/(?P<delivery>[0-9]+)"
    return (
        Endpoint("GET", "/hooks", hooks.every, _READ),
        Endpoint("POST", "/hooks", hooks.new, _WRITE),
        Endpoint("GET", one, hooks.one, _READ),
        Endpoint("PATCH", one, hooks.change, _WRITE),
        Endpoint("DELETE", one, hooks.end, _WRITE),
        Endpoint("POST", f"{one}/pings", hooks.ping, _WRITE),
        Endpoint("GET", f"{one}/deliveries", hooks.deliveries, _READ),
        Endpoint("GET", delivery, hooks.delivery, _READ),
        Endpoint("POST", f"{delivery}/attempts", hooks.again, _WRITE),
    )
