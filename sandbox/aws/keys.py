"""AWS KMS as far as moto lacks it: imported key material, how often a key rotates, and its use by default.

Owns the import: the wrapping key, the unwrapping, and that a key can do nothing before. Owns the days between two
rotations. Reads moto's KMS, which it changes as long as a context lasts.

Sources: AWS KMS Developer Guide, "Importing key material", "Key states of AWS KMS keys"; AWS KMS API Reference,
GetParametersForImport, ImportKeyMaterial, EnableKeyRotation and GetKeyRotationStatus.
"""

from __future__ import annotations

import base64
import json
import secrets
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from moto.core.exceptions import JsonRESTError
from moto.kms.responses import KmsResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.aws.world import Clock

_ALGORITHM = "RSA_AES_KEY_WRAP_SHA_256"

_DAY = 86_400
_ROTATION = 365
"""Days between two rotations where nobody says otherwise."""


class KeyRefusedError(JsonRESTError):
    """An error of AWS KMS that moto has no class for."""

    code = 400

    def __init__(self, error: str, message: str) -> None:
        super().__init__(error, message)


@contextmanager
def whole_keys(clock: Clock) -> Iterator[None]:
    """Let keys be imported, be rotated as often as is said, and have a use, while the context lasts."""
    with _imported(), _rotated(clock):
        yield


@contextmanager
def _rotated(clock: Clock) -> Iterator[None]:
    """Remember of each key how often it rotates, and since when."""
    every: dict[str, tuple[int, float]] = {}

    def enable_key_rotation(self: Any) -> str:  # noqa: ANN401 - moto's response
        said = enable(self)
        asked, arn = self._get_param("RotationPeriodInDays"), _key(self).arn
        every[arn] = (asked or _ROTATION, clock.now())
        return said

    def get_key_rotation_status(self: Any) -> str:  # noqa: ANN401 - moto's response
        status, arn = json.loads(get(self)), _key(self).arn
        if status["KeyRotationEnabled"]:
            days, since = every.setdefault(arn, (_ROTATION, clock.now()))
            periods = (clock.now() - since) // (days * _DAY) + 1
            status |= {
                "RotationPeriodInDays": days,
                "NextRotationDate": since + periods * days * _DAY,
            }
        return json.dumps({"KeyId": arn, **status})

    enable, get = KmsResponse.enable_key_rotation, KmsResponse.get_key_rotation_status
    with ExitStack() as changed:
        for operation in (enable_key_rotation, get_key_rotation_status):
            changed.enter_context(patch.object(KmsResponse, operation.__name__, operation))
        yield


@contextmanager
def _imported() -> Iterator[None]:
    """Let keys be imported, and let those that wait for their material do nothing, while the context lasts."""
    wrapping: dict[str, rsa.RSAPrivateKey] = {}

    def get_parameters_for_import(self: Any) -> str:  # noqa: ANN401 - moto's response
        key = _external(self)
        if self._get_param("WrappingAlgorithm") != _ALGORITHM:
            raise KeyRefusedError(
                "UnsupportedOperationException", "This wrapping algorithm is not embedded"
            )
        if self._get_param("WrappingKeySpec") != "RSA_4096":
            raise KeyRefusedError(
                "UnsupportedOperationException", "This wrapping key is not embedded"
            )
        made = rsa.generate_private_key(public_exponent=65537, key_size=4096)
        token = secrets.token_bytes(64)
        wrapping[base64.b64encode(token).decode()] = made
        public = made.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return json.dumps(
            {
                "KeyId": key.arn,
                "ImportToken": base64.b64encode(token).decode(),
                "PublicKey": base64.b64encode(public).decode(),
            }
        )

    def import_key_material(self: Any) -> str:  # noqa: ANN401 - moto's response
        key = _external(self)
        made = wrapping.pop(_text(self._get_param("ImportToken")), None)
        if made is None:
            raise KeyRefusedError(
                "InvalidImportTokenException", "The import token is not of this key"
            )
        material = base64.b64decode(_text(self._get_param("EncryptedKeyMaterial")))
        size = made.key_size // 8
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        try:
            inner = made.decrypt(material[:size], oaep)
            der = keywrap.aes_key_unwrap_with_padding(inner, material[size:])
            loaded = serialization.load_der_private_key(der, None)
        except (ValueError, keywrap.InvalidUnwrap, UnsupportedAlgorithm) as wrong:
            raise KeyRefusedError(
                "InvalidCiphertextException", f"Not wrapped as asked: {wrong}"
            ) from wrong
        if not isinstance(loaded, rsa.RSAPrivateKey) or f"RSA_{loaded.key_size}" != key.key_spec:
            raise KeyRefusedError(
                "IncorrectKeyMaterialException", f"The material is not of {key.key_spec}"
            )
        key.private_key.private_key = loaded
        key.key_state = "Enabled"
        return json.dumps({"KeyId": key.arn})

    with ExitStack() as changed:
        for operation in (get_parameters_for_import, import_key_material):
            changed.enter_context(
                patch.object(KmsResponse, operation.__name__, operation, create=True)
            )
        for name in ("sign", "encrypt", "decrypt", "verify"):
            before = getattr(KmsResponse, name)
            changed.enter_context(patch.object(KmsResponse, name, _if_enabled(before)))
        changed.enter_context(
            patch.object(KmsResponse, "create_key", _with_a_use(KmsResponse.create_key))
        )
        yield


def _text(value: str | bytes) -> str:
    """Return a blob as it came, in base64; moto hands some blobs on decoded."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def _key(self: Any) -> Any:  # noqa: ANN401 - moto's response, and its key
    number = self.kms_backend.any_id_to_key_id(self._get_param("KeyId") or "")
    return self.kms_backend.keys.get(number)


def _external(self: Any) -> Any:  # noqa: ANN401 - as above
    key = _key(self)
    if key is None:
        raise KeyRefusedError(
            "NotFoundException", f"Key '{self._get_param('KeyId')}' does not exist"
        )
    if key.origin != "EXTERNAL":
        raise KeyRefusedError("UnsupportedOperationException", f"{key.arn} origin is {key.origin}")
    return key


def _if_enabled(before: Callable[[Any], str]) -> Callable[[Any], str]:
    def operation(self: Any) -> str:  # noqa: ANN401 - moto's response
        key = _key(self)
        if key is not None and key.key_state == "PendingImport":
            raise KeyRefusedError("KMSInvalidStateException", f"{key.arn} is pending import.")
        return before(self)

    return operation


def _with_a_use(before: Callable[[Any], str]) -> Callable[[Any], str]:
    """Give a key the use that it has where none is asked for: see CreateKey, "KeyUsage"."""

    def create_key(self: Any) -> str:  # noqa: ANN401 - moto's response
        made = json.loads(before(self))["KeyMetadata"]
        key = self.kms_backend.keys[made["KeyId"]]
        key.key_usage = key.key_usage or "ENCRYPT_DECRYPT"
        return json.dumps(key.to_dict())

    return create_key
