"""Principals that every account of the embedded AWS has beside those of its IAM, each with one access key.

Owns their keys. They stand for hands other than the estate's: an administrator for whatever somebody
else does, a root, and an onlooker who reads the registries. Never imports moto.
"""

from collections.abc import Mapping
from typing import Literal, TypedDict

Hand = Literal["administrator", "onlooker", "root"]

KEYS: Mapping[str, Hand] = {
    "AKIAADMN": "administrator",
    "AKIALOOK": "onlooker",
    "AKIAROOT": "root",
}
"""What their access keys begin with; the account's number follows."""


class Credentials(TypedDict):
    """Credentials as boto3 takes them."""

    aws_access_key_id: str
    aws_secret_access_key: str


def credentials_of(account: str, hand: Hand = "administrator") -> Credentials:
    """Return the credentials of an account's administrator, onlooker or root, as boto3 takes them."""
    start = next(prefix for prefix, name in KEYS.items() if name == hand)
    return {
        "aws_access_key_id": f"{start}{account}",
        "aws_secret_access_key": f"secret-of-the-{hand}",
    }
