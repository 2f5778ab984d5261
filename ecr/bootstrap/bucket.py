"""What differs between the state's bucket as bootstrap's template makes it and as it stands.

Owns which parts of the bucket are compared, how each is read from Amazon S3, and how a finding reads. Asks only
for what the bucket is set to, never for an object in it, and always says whose bucket it must be, because the
name of a bucket is one for all accounts. Changes nothing.

Sources: Amazon S3 API Reference, GetBucketVersioning, GetBucketEncryption, GetPublicAccessBlock,
GetBucketOwnershipControls, GetBucketPolicy and GetBucketLifecycleConfiguration; Amazon S3 User Guide, "Verifying
bucket ownership with bucket owner condition"; Service Authorization Reference, "Actions, resources, and condition
keys for Amazon S3".
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ecr.bootstrap.differences import RoleDifference, RoleState, difference
from ecr.bootstrap.roles import Pipeline
from ecr.bootstrap.templates import state_bucket
from ecr.registry.registry import Registry

_NONE = frozenset(
    {
        "NoSuchBucketPolicy",
        "NoSuchLifecycleConfiguration",
        "NoSuchPublicAccessBlockConfiguration",
        "OwnershipControlsNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)
"""What Amazon S3 says of a part that a bucket does not have."""


def bucket_differences(s3: Any, registry: Registry, pipeline: Pipeline) -> Iterator[RoleDifference]:  # noqa: ANN401 - boto3's client
    """Yield what is wrong with the state's bucket, which is in the account of ``registry``.

    What may not be read is one finding, and what comes after it is not asked for.
    """
    arn = f"arn:{registry.partition}:s3:::{pipeline.bucket}"
    planned, document = state_bucket(registry, pipeline)

    def read(operation: str) -> Mapping[str, Any]:
        """Return an answer; empty where the bucket has no such part."""
        ask = getattr(s3, operation)
        try:
            answer: Mapping[str, Any] = ask(
                Bucket=pipeline.bucket, ExpectedBucketOwner=registry.account
            )
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in _NONE:
                return {}
            raise
        return answer

    try:
        yield from _versions(arn, planned, read)
        yield from _encryption(arn, planned, read)
        yield from _public_access(arn, planned, read)
        yield from _ownership(arn, planned, read)
        held = json.loads(read("get_bucket_policy").get("Policy", "{}"))
        yield from difference(arn, "its policy", document, held)
        yield from _lifecycle(arn, planned, read)
    except s3.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "NoSuchBucket":
            # CloudFormation does not look whether what it has made still stands.
            yield RoleDifference(
                arn,
                "missing",
                "there is no such bucket; run `ecr-estate bootstrap --apply`, and where it says that the stack is "
                "as it was, somebody has deleted the bucket: make it again as artifacts.template.json has it",
            )
        elif code == "AccessDenied":
            yield RoleDifference(
                arn,
                "out of date",
                f"it cannot be read: it is not of account {registry.account}, and another is to be named by "
                "--bucket; or the role that looks lacks what bootstrap gives it now",
            )
        else:
            raise


_Read = Callable[[str], Mapping[str, Any]]
_Planned = Mapping[str, Any]


def _versions(arn: str, planned: _Planned, read: _Read) -> Iterator[RoleDifference]:
    ought = planned["VersioningConfiguration"]["Status"]
    held = read("get_bucket_versioning").get("Status")
    if held != ought:
        what = f"its versioning is {held or 'off'}, and not {ought}; enable it"
        yield RoleDifference(arn, _state(held), what)


def _encryption(arn: str, planned: _Planned, read: _Read) -> Iterator[RoleDifference]:
    def algorithm(rules: Sequence[Mapping[str, Any]], key: str) -> str | None:
        return next((each[key]["SSEAlgorithm"] for each in rules if key in each), None)

    rules = planned["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    ought = algorithm(rules, "ServerSideEncryptionByDefault")
    answer = read("get_bucket_encryption").get("ServerSideEncryptionConfiguration", {})
    held = algorithm(answer.get("Rules", ()), "ApplyServerSideEncryptionByDefault")
    if held != ought:
        what = f"its encryption is {held or 'none'}, and not {ought}; set it back"
        yield RoleDifference(arn, _state(held), what)


def _public_access(arn: str, planned: _Planned, read: _Read) -> Iterator[RoleDifference]:
    ought = planned["PublicAccessBlockConfiguration"]
    held = read("get_public_access_block").get("PublicAccessBlockConfiguration", {})
    if lacking := tuple(sorted(name for name in ought if held.get(name) != ought[name])):
        what = "it does not block all public access; block it"
        yield RoleDifference(arn, "missing", what, lacking)


def _ownership(arn: str, planned: _Planned, read: _Read) -> Iterator[RoleDifference]:
    (ought,) = (each["ObjectOwnership"] for each in planned["OwnershipControls"]["Rules"])
    answer = read("get_bucket_ownership_controls").get("OwnershipControls", {})
    held = next((each["ObjectOwnership"] for each in answer.get("Rules", ())), None)
    if held != ought:
        what = f"its object ownership is {held or 'not set'}, and not {ought}; set it back"
        yield RoleDifference(arn, _state(held), what)


def _lifecycle(arn: str, planned: _Planned, read: _Read) -> Iterator[RoleDifference]:
    """Yield a finding where rules differ; one too much may delete the state, and one too few keeps it for ever."""
    ought = set(_actions(planned["LifecycleConfiguration"]["Rules"]))
    held = set(_actions(read("get_bucket_lifecycle_configuration").get("Rules", ())))
    missing, surplus = tuple(sorted(ought - held)), tuple(sorted(held - ought))
    if missing:
        state: RoleState = "out of date" if surplus else "missing"
        yield RoleDifference(arn, state, "its lifecycle rules; set them back", missing, surplus)
    elif surplus:
        what = "its lifecycle rules; remove what nobody knows of"
        yield RoleDifference(arn, "too much", what, (), surplus)


def _actions(rules: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what each rule that is enabled does as a line, in CloudFormation's form and in that of Amazon S3."""
    for rule in rules:
        if rule["Status"] != "Enabled":
            continue
        chosen = rule.get("Filter", {"Prefix": rule.get("Prefix", "")}) or {"Prefix": ""}
        where = f"{chosen['Prefix']}*" if chosen.keys() == {"Prefix"} else _text(chosen)
        acts = {
            key: value
            for key, value in rule.items()
            if key not in {"ID", "Id", "Status", "Filter", "Prefix"}
        }
        if "ExpirationInDays" in acts:
            acts["Expiration"] = {"Days": acts.pop("ExpirationInDays")}
        yield from (f"{key} {_text(value)} on {where}" for key, value in acts.items())


def _text(value: Any) -> str:  # noqa: ANN401 - a part of a rule
    return json.dumps(value, sort_keys=True, default=str)


def _state(held: str | None) -> RoleState:
    return "out of date" if held else "missing"
