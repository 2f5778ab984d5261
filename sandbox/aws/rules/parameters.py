"""Rules about the parameters of every operation of ECR, and of those of other services that an estate uses.

There is one an operation, from the API's own model.

Each tries every constraint of the operation's parameters, one at a time, in a request that is good but
for that: required members, lengths, numbers of items, patterns and enumerations.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from sandbox.aws import request_shapes
from sandbox.aws.rules.table import RULES, Operation, Rule, Stage, accepted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import ListShape, Shape, StringShape, StructureShape

_MOST_ITEMS = 100_000
_SAMPLES = {
    "CustomRoleArn": "arn:aws:iam::111111111111:role/a",
    "CredentialArn": "arn:aws:secretsmanager:eu-west-1:111111111111:secret:ecr-pullthroughcache/a",
    "LayerDigest": f"sha256:{'0' * 64}",
    "PrincipalArn": "arn:aws:iam::111111111111:role/a",
    "Region": "eu-west-1",
    "RegistryId": "1" * 12,
    "ReplicationBackfillId": "00000000-0000-0000-0000-000000000000",
    "attributeName": "DeliveryPolicy",
    "topicARN": "arn:aws:sns:eu-west-1:111111111111:alerts",
    "SigningProfileArn": "arn:aws:signer:eu-west-1:111111111111:/signing-profiles/aa",
    "UploadId": "00000000-0000-0000-0000-000000000000",
}

_OTHERS = {
    "events": ("PutRule", "PutTargets", "RemoveTargets", "DeleteRule", "TagResource"),
    "iam": (
        *("CreateRole", "UpdateRole", "UpdateAssumeRolePolicy", "PutRolePermissionsBoundary"),
        *("PutRolePolicy", "DeleteRolePolicy", "TagRole", "UntagRole", "DeleteRole"),
        *("CreateOpenIDConnectProvider", "DeleteOpenIDConnectProvider", "CreatePolicyVersion"),
    ),
    "kms": (
        *("CreateKey", "CreateAlias", "PutKeyPolicy", "TagResource", "ReplicateKey"),
        *("ScheduleKeyDeletion", "DescribeKey", "EnableKeyRotation"),
    ),
    "sns": (
        *("CreateTopic", "SetTopicAttributes", "DeleteTopic", "GetTopicAttributes", "TagResource"),
        *("UntagResource", "ListTagsForResource", "Publish", "Unsubscribe"),
        *("SetSubscriptionAttributes", "ConfirmSubscription", "ListSubscriptionsByTopic"),
    ),
    "sts": ("AssumeRole",),
}
"""The operations of other services that change what an estate has, or that everything begins with."""

_STRANGE = ("\N{SNOWMAN}", "\x01")
"""Characters that a name has not; of a text, a pattern refuses the second alone."""

_UNSAID = ("a text", "at least 1 items", "ProvidedContexts: at most 5 items")
"""What the query protocol cannot say: all is text, and neither an empty list nor an empty structure is sent."""


def _sample(shape: Shape) -> Any:
    """Return a value that meets all constraints of a shape."""
    least = shape.metadata.get("min", 0)
    match shape.type_name:
        case "structure":
            structure = cast("StructureShape", shape)
            return {name: _sample(structure.members[name]) for name in shape.required_members}
        case "list":
            return [_sample(cast("ListShape", shape).member)] * max(least, 1)
        case "string":
            enum = cast("StringShape", shape).enum
            fallback = enum[0] if enum else "a" * max(least, 2)
            return _SAMPLES.get(shape.name, fallback)
        case "boolean":
            return True
        case "blob":
            return b"a"
    return max(least, 1)


def violations(shape: Shape) -> Iterator[tuple[str, Any]]:
    """Yield a constraint in words, and a value that breaks it and no other."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    match shape.type_name:
        case "structure":
            yield from _structure(cast("StructureShape", shape))
        case "list":
            sample = _sample(cast("ListShape", shape).member)
            if least:
                yield f"at least {least} items", [sample] * (least - 1)
            if most and most <= _MOST_ITEMS:
                yield f"at most {most} items", [sample] * (most + 1)
            for what, wrong in violations(cast("ListShape", shape).member):
                yield what, [wrong] * max(least or 0, 1)
        case "string":
            yield from _string(cast("StringShape", shape))
        case "integer" | "long":
            yield "a number", "many"
            if least is not None:
                yield f"at least {least}", least - 1
            if most is not None:
                yield f"at most {most}", most + 1


def _structure(shape: StructureShape) -> Iterator[tuple[str, Any]]:
    good = _sample(shape)
    for name in shape.required_members:
        yield f"{name} is required", {key: value for key, value in good.items() if key != name}
    for name, member in shape.members.items():
        for what, wrong in violations(member):
            yield f"{name}: {what}", {**good, name: wrong}


def _string(shape: StringShape) -> Iterator[tuple[str, Any]]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least:
        yield f"at least {least} characters", "a" * (least - 1)
    if most:
        yield f"at most {most} characters", "a" * (most + 1)
    if pattern := shape.metadata.get("pattern"):
        texts = [each * max(least or 0, 2) for each in _STRANGE]
        fits = request_shapes.compiled(pattern).fullmatch
        yield from (("the pattern", each) for each in texts if not fits(each))
    if shape.enum:
        yield "one of the values", "NO_SUCH_VALUE"
    yield "a text", 1


def _rule(service: str, operation: str) -> Rule:
    code = request_shapes.CODES.get(service, "InvalidParameterException")

    def violate(stage: Stage) -> str:
        client = stage.client(service)
        model = client.meta.service_model.operation_model(operation)
        method = next(
            name for name, of in client.meta.method_to_api_mapping.items() if of == operation
        )
        call = getattr(client, method)
        wrong = []
        for what, request in violations(model.input_shape):
            if model.metadata["protocol"] == "query" and what.endswith(_UNSAID):
                continue
            if how := accepted(partial(call, **request), code):
                wrong.append(f"{what}: {how}")
        return "; ".join(wrong)

    of = "" if service == "ecr" else f"{service}:"
    says = f"parameters of {of}{operation} that break a constraint of the API's model"
    name = f"parameters-{of.replace(':', '-')}{operation}"
    return Rule(name, says, Operation(operation, service), violate, code, "parameters")


def add_all() -> None:
    """Add a rule for every operation of ECR that has a constraint, and for those of other services."""
    from botocore.session import get_session  # noqa: PLC0415 - a part of a second

    model = get_session().get_service_model("ecr")
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        if shape and any(True for _ in violations(shape)):
            RULES.append(_rule("ecr", name))
    RULES.extend(_rule(service, name) for service, names in _OTHERS.items() for name in names)
