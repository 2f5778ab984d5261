"""GitHub Apps of the embedded GitHub: made from a manifest, installed, and given tokens for a signature.

Owns the apps, their keys and installations. What an owner does in a browser, pressing the button of a manifest
and installing an app, is a method here: no API does it. Adds the tokens that it gives to those that are known.

Sources, at docs.github.com: "Registering a GitHub App from a manifest"; "Generating a JSON Web Token (JWT) for
a GitHub App"; "REST API endpoints for GitHub Apps" (installation access tokens, permissions of one); "REST API
endpoints for organizations" (installations).
"""

from __future__ import annotations

import base64
import itertools
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.github.exchange import Asked, Document, Endpoint, RefusedError, Told, invalid, missing
from sandbox.github.tokens import Need, Token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.github.organisation import Organisation

LIFE = 3_600
"""Seconds for which an installation's token is good."""

LONGEST_CLAIM = 600
"""Seconds that an app's own token may be good for."""

CODE_LIFE = 3_600
"""Seconds in which a manifest's code has to be exchanged."""

_READ_INSTALLATIONS = Need("organization_administration", "read", ("admin:org", "read:org"))


@dataclass
class App:
    """An app: its client id, its key, what it may ask for, and the number of its installation."""

    client_id: str
    name: str
    key: rsa.RSAPrivateKey
    permissions: Mapping[str, Any]
    installation: int | None = None
    repositories: frozenset[int] | None = None


@dataclass
class Apps:
    """The apps and the codes that wait to be exchanged."""

    organisation: Organisation
    tokens: list[Token]
    base: str
    held: dict[str, App] = field(default_factory=dict)
    _codes: dict[str, tuple[App, float]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(80_001))

    # What an owner does in a browser

    def pressed(self, manifest: Mapping[str, Any]) -> str:
        """Make an app of a manifest, as its button does, and return the code of the address it leads back to."""
        if self.organisation.login not in str(manifest["url"]):
            raise invalid("the manifest is of another organisation")
        if any(app.name == manifest["name"] for app in self.held.values()):
            raise invalid("Name is already taken")
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        client = f"Iv23li{secrets.token_hex(7)}"
        app = App(client, manifest["name"], key, manifest["default_permissions"])
        self.held[client] = app
        code = secrets.token_hex(20)
        self._codes[code] = (app, time.time() + CODE_LIFE)
        return code

    def install(self, client_id: str, repositories: frozenset[int] | None = None) -> None:
        """Install an app, for all repositories or for those of these ids."""
        app = self.held[client_id]
        app.installation, app.repositories = next(self._numbers), repositories

    # The API

    def conversion(self, _: Asked, code: str) -> Told:
        """Exchange a code, once, for the app and its private key."""
        app, until = self._codes.pop(code, (None, 0.0))
        if app is None or until < time.time():
            raise missing()
        pem = app.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        told = {
            **self._app(app),
            "client_secret": secrets.token_hex(20),
            "webhook_secret": None,
            "pem": pem.decode(),
        }
        return Told(told, 201)

    def installations(self, _: Asked) -> Told:
        """List the organisation's installations, each with its app's client id."""
        rows = [self._installation(app) for app in self.held.values() if app.installation]
        return Told({"total_count": len(rows), "installations": rows})

    def own(self, asked: Asked) -> Told:
        """Tell an app its installation in the organisation."""
        app = self._signed(asked)
        if app.installation is None:
            raise missing()
        return Told(self._installation(app))

    def access_token(self, asked: Asked, installation: str) -> Told:
        """Give an app a token of its installation, for no more than the app may."""
        app = self._signed(asked)
        if app.installation != int(installation):
            raise missing()
        said = asked.request.said()
        permissions = dict(said.get("permissions", app.permissions))
        order = {"read": 1, "write": 2}
        for name, level in permissions.items():
            if order.get(level, 3) > order.get(app.permissions.get(name, ""), 0):
                raise invalid("The permissions requested are not granted to this installation.")
        reaches = app.repositories
        if "repositories" in said:
            found = [self.organisation.find(each)[0] for each in said["repositories"]]
            chosen = frozenset(each.id for each in found if each is not None)
            if len(chosen) < len(said["repositories"]) or (
                reaches is not None and not chosen <= reaches
            ):
                raise invalid(
                    "There is at least one repository that does not exist or is not accessible to the parent "
                    "installation."
                )
            reaches = chosen
        value = f"ghs_{secrets.token_hex(18)}"
        self.tokens.append(
            Token(value, "installation", permissions=permissions, repositories=reaches)
        )
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + LIFE))
        return Told({"token": value, "expires_at": until, "permissions": permissions}, 201)

    def _signed(self, asked: Asked) -> App:
        """Return the app whose key has signed. Raises RefusedError where none has."""
        refused = RefusedError(401, "A JSON web token could not be decoded")
        text = asked.request.authorization.partition(" ")[2]
        unsigned, _, signature = text.rpartition(".")
        try:
            claims = json.loads(_decoded(unsigned.partition(".")[2]))
            app = self.held[str(claims["iss"])]
            signed = _decoded(signature)
            app.key.public_key().verify(
                signed, unsigned.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (ValueError, KeyError, TypeError, InvalidSignature):
            raise refused from None
        now = time.time()
        if not claims["iat"] <= now < claims["exp"] <= now + LONGEST_CLAIM:
            raise RefusedError(401, "'Expiration time' claim ('exp') is too far in the future")
        return app

    def _app(self, app: App) -> Document:
        page = f"{self.base}apps/{app.name}"
        return {"client_id": app.client_id, "slug": app.name, "name": app.name, "html_url": page}

    def _installation(self, app: App) -> Document:
        return {
            "id": app.installation,
            "client_id": app.client_id,
            "app_slug": app.name,
            "repository_selection": "all" if app.repositories is None else "selected",
            "permissions": dict(app.permissions),
        }


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def of_organisation(apps: Apps) -> tuple[Endpoint, ...]:
    """Return the endpoints of the organisation."""
    return (Endpoint("GET", "/installations", apps.installations, _READ_INSTALLATIONS),)


def signed(apps: Apps) -> tuple[tuple[str, Endpoint], ...]:
    """Return the endpoints that an app calls by its own signature, or that a code is enough for."""
    login = apps.organisation.login
    return (
        ("signed", Endpoint("POST", r"/app/installations/(?P<installation>[0-9]+)/access_tokens",
                            apps.access_token)),
        ("signed", Endpoint("GET", f"/orgs/{login}/installation", apps.own)),
        ("open", Endpoint("POST", r"/app-manifests/(?P<code>[0-9a-f]+)/conversions", apps.conversion)),
    )  # fmt: skip
