"""What of a document is needed: each permission that was given is taken away in turn, and missed."""

import json
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from ecr.access_proof.evaluate import AccessVerdict, explain_access
from sandbox.aws.authorisation import Grant


def needed(grants: Mapping[tuple[str, str], Grant], role: str) -> set[str]:
    """The actions that a role was given, each of which is taken away in turn and missed."""
    found = {action: grant for (who, action), grant in grants.items() if who == role}
    for wanted, grant in found.items():
        less = tuple(without(text, wanted) for text in grant.caller.policies)
        need = grant.need
        verdict = explain_access(
            replace(grant.caller, policies=less),
            need.action,
            need.resource,
            need.policies,
            account=need.account,
            resource_decides=need.resource_decides,
        )
        assert verdict == AccessVerdict("not allowed", "identity"), wanted
    return set(found)


def without(text: str, wanted: str) -> str:
    """A document that does not allow one action, nor any wildcard that has it."""
    document = json.loads(text)
    for statement in document["Statement"]:
        listed = statement["Action"]
        if statement["Effect"] == "Allow":
            listed = [listed] if isinstance(listed, str) else listed
            statement["Action"] = [each for each in listed if not fnmatchcase(wanted, each)]
    return json.dumps(document)
