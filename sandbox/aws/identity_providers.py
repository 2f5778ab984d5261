"""Identity providers of the embedded IAM as far as moto lacks them: their audiences change, and they have thumbprints.

Owns the two requests about audiences, and the thumbprint that IAM finds by itself where nobody gives one. Reads and
changes moto's IAM as long as a context lasts.

Sources: IAM API Reference, AddClientIDToOpenIDConnectProvider, RemoveClientIDFromOpenIDConnectProvider and
CreateOpenIDConnectProvider.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from moto.core.responses import EmptyResult
from moto.iam.models import IAMBackend
from moto.iam.responses import IamResponse

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def changing_providers() -> Iterator[None]:
    """Let audiences come and go, and each provider have a thumbprint, while the context lasts."""
    create = IAMBackend.create_open_id_connect_provider

    def create_open_id_connect_provider(self: IAMBackend, *asked: Any) -> Any:  # noqa: ANN401 - moto's
        made = create(self, *asked)
        if not made.thumbprint_list:
            # IAM takes that of the certificate which it finds at the address; here it is one of the address.
            made.thumbprint_list = [hashlib.sha1(made.url.encode()).hexdigest()]  # noqa: S324 - as IAM's
        return made

    with ExitStack() as changed:
        for owner, operation in (
            (IAMBackend, create_open_id_connect_provider),
            (IamResponse, add_client_id_to_open_id_connect_provider),
            (IamResponse, remove_client_id_from_open_id_connect_provider),
        ):
            changed.enter_context(patch.object(owner, operation.__name__, operation, create=True))
        yield


def add_client_id_to_open_id_connect_provider(self: Any) -> EmptyResult:  # noqa: ANN401 - moto's response
    """Add an audience; one that is there already is no error."""
    audience, held = self._get_param("ClientID"), _held(self)
    if audience not in held.client_id_list:
        held.client_id_list = [*held.client_id_list, audience]
    return EmptyResult()


def remove_client_id_from_open_id_connect_provider(self: Any) -> EmptyResult:  # noqa: ANN401 - as above
    """Take an audience away; one that is not there is no error."""
    audience, held = self._get_param("ClientID"), _held(self)
    held.client_id_list = [each for each in held.client_id_list if each != audience]
    return EmptyResult()


def _held(self: Any) -> Any:  # noqa: ANN401 - as above, and its provider
    return self.backend.get_open_id_connect_provider(self._get_param("OpenIDConnectProviderArn"))
