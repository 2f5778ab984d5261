"""Policy documents: how one is written, what kinds there are, and how long AWS lets each be.

Owns the one builder of documents and the sizes. That what is built is well formed, `tests` hold.

Sources: IAM User Guide, "IAM and AWS STS quotas"; Amazon ECR API Reference, PutRegistryPolicy and
SetRepositoryPolicy; Amazon SNS and AWS KMS quotas.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Statement = dict[str, Any]
"""One statement of a policy, as JSON has it."""

DocumentKind = Literal["registry", "repository", "trust", "role", "identity", "topic", "key"]

POLICY = 10_240
"""Characters of a registry or repository policy (Amazon ECR API Reference)."""

TRUST = 2_048
"""Characters of a role's trust policy, unless AWS has raised it (IAM User Guide, "IAM and AWS STS
quotas")."""

WITHIN_ROLE = 10_240
"""Characters of the policies within a role together (IAM User Guide, "IAM and AWS STS quotas")."""

IDENTITY = 6_144
"""Characters of a policy that is managed by itself (IAM User Guide, "IAM and AWS STS quotas")."""

TOPIC = 30_720
"""Characters of a topic's policy (Amazon SNS quotas)."""

KEY = 32_768
"""Characters of a key's policy (AWS KMS quotas)."""

LIMITS: Mapping[DocumentKind, int] = {
    "registry": POLICY,
    "repository": POLICY,
    "trust": TRUST,
    "role": WITHIN_ROLE,
    "identity": IDENTITY,
    "topic": TOPIC,
    "key": KEY,
}

REMEDIES: Mapping[DocumentKind, str] = {
    "registry": "name fewer readers and pushers, give namespaces the same ones, or set access.policy "
    "to repository",
    "repository": "name fewer readers, pushers and accounts",
    "trust": "list fewer branches, tags and environments under pushRoles",
    "role": "let fewer image repositories share a role",
    "identity": "configure fewer registries in one account",
    "topic": "list fewer severities under alerts",
    "key": "list fewer severities under alerts",
}


@dataclass(frozen=True, slots=True)
class Document:
    """A policy document: what it is, whose, and its text."""

    kind: DocumentKind
    where: str
    text: str

    @property
    def limit(self) -> int:
        """Return the most characters that AWS takes."""
        return LIMITS[self.kind]


def policy(*statements: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy of these statements, as JSON has it."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def policy_text(*statements: Mapping[str, Any]) -> str:
    """Return a policy of these statements as the shortest text, for AWS counts its characters."""
    return json.dumps(policy(*statements), separators=(",", ":"))


def allow(sid: str, action: str | Sequence[str], resource: str | Sequence[str]) -> Statement:
    """Return a statement that allows actions on resources; one of either is written as a text."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": one_or_list(action),
        "Resource": one_or_list(resource),
    }


def one_or_list(values: str | Sequence[str]) -> str | list[str]:
    """Return a list of one as its text, and any other as a list."""
    if isinstance(values, str):
        return values
    return values[0] if len(values) == 1 else list(values)
