"""What a request needs: the actions that IAM is asked about, each on a resource and in a context.

Owns, service by service, the ARN of what a request is about, its condition keys, the resource policies
that apply, and the permissions that AWS asks for beside the call. Reads moto's models as they are before
the call. A service that it does not know is not guessed at.

Sources: Service Authorization Reference, the pages of Amazon ECR, IAM, KMS, SNS, EventBridge, Lambda, ECS
and STS; Amazon ECR User Guide, "Using service-linked roles for Amazon ECR", "Encryption at rest", "Private
registry permissions in Amazon ECR"; AWS KMS Developer Guide, "Key policies in AWS KMS".
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from botocore.exceptions import UnknownServiceError
from moto.core.utils import get_service_model
from moto.ecr.models import ecr_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends
from moto.utilities.utils import get_partition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from moto.iam.models import Role

    from ecr.access_proof.evaluate import Values
    from sandbox.aws.registry import Registry

_SCOPE_V1 = {"ecr:BatchImportUpstreamImage", "ecr:CreateRepository", "ecr:ReplicateImage"}
"""What a registry policy of the old scope is about; one of the new is about every action."""


class UnknownRequestError(Exception):
    """A request of which it is not known what it is about."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came: ``fields`` are those of its body, of a form as texts by their names."""

    service: str
    action: str
    region: str
    account: str
    fields: Mapping[str, Any]

    def arn(self, rest: str, *, service: str = "", regional: bool = True, account: str = "") -> str:
        """Return an ARN in the request's place."""
        region = self.region if regional else ""
        service = service or self.service
        partition = get_partition(self.region)
        return f"arn:{partition}:{service}:{region}:{account or self.account}:{rest}"

    def text(self, name: str) -> str:
        """Return a field that is a text; empty where it is missing."""
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Need:
    """One permission. ``resource_decides`` is that of `ecr.access_proof.evaluate.explain_access`."""

    action: str
    resource: str
    account: str
    context: Mapping[str, Values] = field(default_factory=dict)
    policies: tuple[str, ...] = ()
    resource_decides: bool = False


def rest_operation(service: str, method: str, path: str) -> tuple[str, dict[str, str]]:
    """Return the operation of a REST service and the fields in its path; the path where none fits."""
    for name, how, pattern in _routes(service):
        if how == method and (found := pattern.fullmatch(path.rstrip("/"))):
            return name, {key: unquote(value) for key, value in found.groupdict().items()}
    return f"{method} {path}", {}


@cache
def _routes(service: str) -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    try:
        model = get_service_model(service)
    except UnknownServiceError:
        return ()
    routes = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        uri = http["requestUri"].partition("?")[0].rstrip("/")
        parts = re.split(r"\{(\w+)\+?\}", uri)
        pattern = "".join(
            f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part)
            for index, part in enumerate(parts)
        )
        routes.append((name, http["method"], re.compile(pattern)))
    return tuple(routes)


def needs(asked: Asked) -> list[Need]:
    """Return what a request needs, the action of its own name first."""
    services = {
        "ecr": _ecr,
        "iam": _iam,
        "kms": _kms,
        "sns": _sns,
        "events": _events,
        "lambda": _lambda,
        "ecs": _ecs,
        "s3": _s3,
        "secretsmanager": _secretsmanager,
    }
    if asked.service not in services:
        raise UnknownRequestError(f"what {asked.service}:{asked.action} is about is not known")
    return list(services[asked.service](asked))


def _requested(tags: Mapping[str, str]) -> dict[str, Values]:
    keys: dict[str, Values] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return keys | ({"aws:TagKeys": tuple(tags)} if tags else {})


def _held(tags: Mapping[str, str], *services: str) -> dict[str, Values]:
    return {
        f"{service}:ResourceTag/{key}": value
        for service in ("aws", *services)
        for key, value in tags.items()
    }


def _pairs(listed: Any, key: str = "Key", value: str = "Value") -> dict[str, str]:  # noqa: ANN401 - JSON
    if not isinstance(listed, list):
        return {}
    return {
        each[key]: each.get(value, "") for each in listed if isinstance(each, dict) and key in each
    }


def _form_tags(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a form: `Tags.member.1.Key` and its value."""
    return {
        value: fields.get(f"{name[: -len('.Key')]}.Value", "")
        for name, value in fields.items()
        if name.startswith("Tags.member.") and name.endswith(".Key")
    }


# Amazon ECR

CACHE_SERVICE = "pullthroughcache.ecr.amazonaws.com"
"""Whom the roles of caches trust (Amazon ECR User Guide, "Setting up permissions for cross-account ECR to ECR
PTC")."""


def _ecr(asked: Asked) -> Iterator[Need]:
    account = asked.text("registryId") or asked.account
    registry = cast("Registry", ecr_backends[account][asked.region])
    tags = _pairs(asked.fields.get("tags"))
    keys = _requested(tags)
    name = asked.text("repositoryName")
    names = [name] if name else asked.fields.get("repositoryNames") or []
    # AWS names the permission so (Amazon ECR API Reference, ListImageReferrers).
    action = {"ListImageReferrers": "BatchGetImage"}.get(asked.action, asked.action)
    if arn := asked.text("resourceArn"):
        account, name = arn.split(":")[4], arn.split(":", 5)[5].removeprefix("repository/")
        registry = cast("Registry", ecr_backends[account][asked.region])
        names = [name]
    if not names and asked.action == "DescribeRepositories":
        names = ["*"]
    needed = [_of_registry(asked, registry, f"ecr:{action}", each, keys) for each in names] or [
        _of_registry(asked, registry, f"ecr:{action}", "", keys)
    ]
    yield from needed
    yield from _caching(asked, registry, name)
    yield from _template(asked, registry)
    if asked.action == "CreateRepository":
        if tags:
            yield _of_registry(asked, registry, "ecr:TagResource", name, keys)
        yield from _encryption(asked)
    if asked.action == "PutReplicationConfiguration" and _replicates(asked.fields):
        yield from _service_role(asked, "replication.ecr.amazonaws.com", "ECRReplication")
    if asked.action == "PutRegistryScanningConfiguration" and asked.text("scanType") == "ENHANCED":
        yield from _service_role(asked, "inspector2.amazonaws.com", "AmazonInspector2")
        for beside in ("inspector2:Enable", "inspector2:ListAccountPermissions"):
            yield Need(beside, "*", asked.account)


def _caching(asked: Asked, registry: Registry, name: str) -> Iterator[Need]:
    """Return what a cache rule, or a pull that may fill a cache, asks for beside its own action."""
    if asked.action == "BatchGetImage" and registry.settings.cache_rule_for(name):
        # Amazon ECR User Guide, "IAM permissions required to sync an upstream registry with an Amazon ECR private
        # registry". Whether an image that is there already asks for the first, no page says: here it does.
        yield _of_registry(asked, registry, "ecr:BatchImportUpstreamImage", name, {})
        if name not in registry.repositories:
            yield _of_registry(asked, registry, "ecr:CreateRepository", name, {})
    if asked.action == "CreatePullThroughCacheRule":
        yield from _service_role(asked, CACHE_SERVICE, "ECRPullThroughCache")
    if "PullThroughCacheRule" in asked.action and (role := asked.text("customRoleArn")):
        # IAM User Guide, "Grant a user permissions to pass a role to an AWS service".
        passed: dict[str, Values] = {"iam:PassedToService": CACHE_SERVICE}
        yield Need("iam:PassRole", role, asked.account, passed)


def _of_registry(
    asked: Asked, registry: Registry, action: str, name: str, keys: Mapping[str, Values]
) -> Need:
    account = registry.account_id
    arn = asked.arn(f"repository/{name}", account=account) if name else "*"
    policies = []
    scope = registry.settings.account_setting("REGISTRY_POLICY_SCOPE")
    if registry.registry_policy and (scope == "V2" or action in _SCOPE_V1):
        policies.append(registry.registry_policy)
    held = registry.repositories.get(name)
    if held is not None and held.policy:
        policies.append(held.policy)
    tags = registry.tagger.get_tag_dict_for_resource(arn) if name else {}
    context = {**keys, **_held(tags, "ecr")}
    return Need(action, arn, account, context, tuple(policies))


def _template(asked: Asked, registry: Registry) -> Iterator[Need]:
    """Yield what making or changing a template needs beside the action of that name.

    Amazon ECR User Guide, "Creating a repository creation template in Amazon ECR", "IAM permissions for
    creating repository creation templates". The page names no resource; here it is every name of the prefix.
    """
    if asked.action not in {"CreateRepositoryCreationTemplate", "UpdateRepositoryCreationTemplate"}:
        return
    prefix = asked.text("prefix").removesuffix("/")
    name = "*" if prefix == "ROOT" else f"{prefix}/*"
    yield _of_registry(asked, registry, "ecr:CreateRepository", name, {})
    if asked.text("lifecyclePolicy"):
        yield _of_registry(asked, registry, "ecr:PutLifecyclePolicy", name, {})
    if asked.text("repositoryPolicy"):
        yield _of_registry(asked, registry, "ecr:SetRepositoryPolicy", name, {})
    if role := asked.text("customRoleArn"):
        passed: dict[str, Values] = {"iam:PassedToService": "ecr.amazonaws.com"}
        yield Need("iam:PassRole", role, asked.account, passed)


def _replicates(fields: Mapping[str, Any]) -> bool:
    return bool(fields.get("replicationConfiguration", {}).get("rules"))


def _service_role(asked: Asked, service: str, suffix: str) -> Iterator[Need]:
    """AWS makes a service's own role the first time, in the name of whoever asks."""
    name = f"AWSServiceRoleFor{suffix}"
    arn = asked.arn(f"role/aws-service-role/{service}/{name}", service="iam", regional=False)
    roles = iam_backends[asked.account][get_partition(asked.region)].roles.values()
    if not any(role.name == name for role in roles):
        keys: dict[str, Values] = {"iam:AWSServiceName": service}
        yield Need("iam:CreateServiceLinkedRole", arn, asked.account, keys)


def _encryption(asked: Asked) -> Iterator[Need]:
    """ECR makes grants on a key of one's own in the name of whoever asks."""
    key = (asked.fields.get("encryptionConfiguration") or {}).get("kmsKey")
    if not key:
        return
    via: dict[str, Values] = {"kms:ViaService": f"ecr.{asked.region}.amazonaws.com"}
    for action in ("kms:DescribeKey", "kms:CreateGrant"):
        yield _of_key(asked, action, key, via)


# IAM


def _iam(asked: Asked) -> Iterator[Need]:
    tags = _form_tags(asked.fields)
    keys = _requested(tags)
    for key, name in (
        ("iam:PermissionsBoundary", "PermissionsBoundary"),
        ("iam:PolicyARN", "PolicyArn"),
        ("iam:AWSServiceName", "AWSServiceName"),
    ):
        if value := asked.text(name):
            keys[key] = value
    resource = _iam_resource(asked)
    if role := _role(asked):
        resource = role.arn
        keys |= _held(_role_tags(role), "iam")
        if role.permissions_boundary_arn:
            keys.setdefault("iam:PermissionsBoundary", role.permissions_boundary_arn)
    yield Need(f"iam:{asked.action}", resource, asked.account, keys)
    if tags and asked.action.startswith("Create"):
        what = asked.action.removeprefix("Create")
        yield Need(f"iam:Tag{what}", resource, asked.account, keys)


def _iam_resource(asked: Asked) -> str:
    """Return the ARN of what a request names, whether it is there or not."""
    path = asked.text("Path") or "/"
    url = asked.text("Url").removeprefix("https://")
    rest = {
        "CreateOpenIDConnectProvider": f"oidc-provider/{url}",
        "CreatePolicy": f"policy{path}{asked.text('PolicyName')}",
        "CreateServiceLinkedRole": f"role/aws-service-role/{asked.text('AWSServiceName')}/*",
        "ListRoles": "role/*",
    }.get(asked.action)
    if not rest and (role := asked.text("RoleName")):
        rest = f"role{path}{role}"
    if not rest and (user := asked.text("UserName")):
        rest = f"user{path}{user}"
    if rest:
        return asked.arn(rest, regional=False)
    return asked.text("OpenIDConnectProviderArn") or asked.text("PolicyArn") or "*"


def _role(asked: Asked) -> Role | None:
    name = asked.text("RoleName")
    roles = iam_backends[asked.account][get_partition(asked.region)].roles.values()
    return next((role for role in roles if name and role.name == name), None)


def _role_tags(role: Role) -> dict[str, str]:
    tags: Any = role.tags
    listed = list(tags.values()) if isinstance(tags, dict) else tags
    return _pairs(listed)


# AWS KMS


def _kms(asked: Asked) -> Iterator[Need]:
    tags = _pairs(asked.fields.get("Tags"), "TagKey", "TagValue")
    keys = _requested(tags)
    action = f"kms:{asked.action}"
    key = asked.text("KeyId") or asked.text("TargetKeyId")
    if not key and asked.action == "Decrypt":
        # What is encrypted names its key (AWS KMS API Reference, Decrypt); moto's begins with its id.
        key = base64.b64decode(asked.text("CiphertextBlob"))[:36].decode(errors="replace")
    if not key and not asked.text("AliasName"):
        yield Need(action, "*", asked.account, keys)
        if asked.action == "CreateKey" and tags:
            new = asked.arn("key/*")
            yield Need("kms:TagResource", new, asked.account, keys)
        return
    alias = asked.text("AliasName")
    if alias and not key:
        key = alias
    yield _of_key(asked, action, key, keys)
    if alias:
        yield Need(action, asked.arn(alias), asked.account, keys)


def _of_key(asked: Asked, action: str, key: str, keys: Mapping[str, Values]) -> Need:
    account, region = asked.account, asked.region
    if key.startswith("arn:"):
        region, account = key.split(":")[3:5]
    backend = kms_backends[account][region]
    name = key.rpartition(":")[2] if ":alias/" in key else key
    if name.startswith("alias/"):
        number = backend.get_key_id_from_alias(name) or name
    else:
        number = backend.get_key_id(name)
    partition = get_partition(region)
    arn = f"arn:{partition}:kms:{region}:{account}:key/{number}"
    held = backend.keys.get(number)
    if held is None:
        # One that is not there has no policy; what AWS says of it, its answer says.
        return Need(action, arn, account, keys)
    context: dict[str, Values] = {
        **keys,
        **_held(_pairs(_key_tags(backend, number), "TagKey", "TagValue")),
    }
    if held.aliases:
        context["kms:ResourceAliases"] = tuple(held.aliases)
    return Need(action, arn, account, context, (held.policy,), resource_decides=True)


def key_need(action: str, key: str, account: str, region: str) -> Need:
    """Return what a service needs of a key in the name of a role, in an account and Region."""
    via: dict[str, Values] = {"kms:ViaService": f"ecr.{region}.amazonaws.com"}
    return _of_key(Asked("kms", action, region, account, {}), action, key, via)


def _key_tags(backend: Any, number: str) -> list[dict[str, str]]:  # noqa: ANN401 - moto's KMS
    tags: list[dict[str, str]] = backend.list_resource_tags(number)["Tags"]
    return tags


# Amazon SNS, Amazon EventBridge, AWS Lambda, Amazon ECS


def _sns(asked: Asked) -> Iterator[Need]:
    tags = _form_tags(asked.fields)
    keys = _requested(tags)
    arn = asked.text("TopicArn") or asked.text("ResourceArn") or asked.text("TargetArn")
    if not arn and (name := asked.text("Name")):
        arn = asked.arn(name)
    if not arn:
        yield Need(f"sns:{asked.action}", "*", asked.account, keys)
        return
    topic_arn = ":".join(arn.split(":")[:6])
    account = arn.split(":")[4]
    topic = sns_backends[account][asked.region].topics.get(topic_arn)
    policies: tuple[str, ...] = ()
    if topic is not None:
        policies = (topic.policy,)
        keys |= _held(dict(topic._tags))  # noqa: SLF001 - moto shows them to its own answers only
    yield Need(f"sns:{asked.action}", topic_arn, account, keys, policies)
    if asked.action == "CreateTopic" and tags:
        yield Need("sns:TagResource", topic_arn, account, keys, policies)


def _events(asked: Asked) -> Iterator[Need]:
    rule = asked.text("Rule")
    if not rule and asked.action.endswith("Rule"):
        rule = asked.text("Name")
    tags = _pairs(asked.fields.get("Tags"))
    keys = _requested(tags)
    arn = asked.text("ResourceARN") or (asked.arn(f"rule/{rule}") if rule else "*")
    yield Need(f"events:{asked.action}", arn, asked.account, keys)
    if asked.action == "PutRule" and tags:
        yield Need("events:TagResource", arn, asked.account, keys)


def _lambda(asked: Asked) -> Iterator[Need]:
    name = asked.text("FunctionName")
    arn = asked.arn(f"function:{name.rpartition(':function:')[2]}") if name else "*"
    yield Need(f"lambda:{asked.action}", arn, asked.account)


def _ecs(asked: Asked) -> Iterator[Need]:
    action = f"ecs:{asked.action}"
    kinds = {"DescribeServices": ("service", "services"), "DescribeTasks": ("task", "tasks")}
    if asked.action.startswith("List") or asked.action == "DescribeTaskDefinition":
        yield Need(action, "*", asked.account)
        return
    if asked.action not in kinds:
        raise UnknownRequestError(f"what {action} is about is not known")
    kind, several = kinds[asked.action]
    cluster = asked.text("cluster").rpartition("/")[2] or "default"
    for each in asked.fields.get(several) or []:
        yield Need(action, asked.arn(f"{kind}/{cluster}/{each.rpartition('/')[2]}"), asked.account)


# Amazon S3, AWS Secrets Manager


def s3_operation(method: str, path: str, query: str) -> tuple[str, dict[str, str]]:
    """Return the permission that a request of S3 needs, and its bucket and key.

    Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3"; what is not here
    is not guessed at: it comes back as method and path.
    """
    bucket, _, key = path.strip("/").partition("/")
    asked = {each.partition("=")[0] for each in query.split("&") if each} - _S3_PLAIN
    found = _S3_ACTIONS.get((method, bool(key))) if bucket and not asked else None
    if method == "GET" and bucket and not key and len(asked) == 1:
        found = _S3_PARTS.get(*asked)
    return found or f"{method} {path}", {"Bucket": unquote(bucket), "Key": unquote(key)}


_S3_PLAIN = {
    *(
        "x-id",
        "list-type",
        "prefix",
        "delimiter",
        "max-keys",
        "continuation-token",
        "encoding-type",
    ),
    *("marker", "start-after", "fetch-owner"),
}
_S3_ACTIONS = {
    ("GET", False): "ListBucket",
    ("HEAD", False): "ListBucket",
    ("GET", True): "GetObject",
    ("HEAD", True): "GetObject",
    ("PUT", True): "PutObject",
    ("DELETE", True): "DeleteObject",
}


_S3_PARTS = {
    "encryption": "GetEncryptionConfiguration",
    "lifecycle": "GetLifecycleConfiguration",
    "ownershipControls": "GetBucketOwnershipControls",
    "policy": "GetBucketPolicy",
    "publicAccessBlock": "GetBucketPublicAccessBlock",
    "versioning": "GetBucketVersioning",
}
"""The permission that each part of a bucket needs to be read."""


def _s3(asked: Asked) -> Iterator[Need]:
    """Yield what a request of S3 needs.

    One that says whose bucket it must be is refused where it is another's, whatever that bucket's policy lets in
    (Amazon S3 User Guide, "Verifying bucket ownership with bucket owner condition").
    """
    bucket, key = asked.text("Bucket"), asked.text("Key")
    if asked.action not in {*_S3_ACTIONS.values(), *_S3_PARTS.values()}:
        raise UnknownRequestError(f"what s3:{asked.action} is about is not known")
    partition = get_partition(asked.region)
    arn = f"arn:{partition}:s3:::{bucket}"
    owner, held = asked.account, None
    for account, backends in s3_backends.items():
        if bucket in backends[partition].buckets:
            owner, held = account, backends[partition].buckets[bucket]
    policies: tuple[str, ...] = ()
    if held is not None and held.policy:
        policies = (held.policy.decode() if isinstance(held.policy, bytes) else held.policy,)
    expected = asked.text("ExpectedBucketOwner")
    if expected and expected != owner:
        owner, policies = expected if owner == asked.account else owner, ()
    resource = f"{arn}/{key}" if key and asked.action != "ListBucket" else arn
    yield Need(f"s3:{asked.action}", resource, owner, {}, policies)


def _secretsmanager(asked: Asked) -> Iterator[Need]:
    given = asked.text("SecretId")
    arn = given
    if not given.startswith("arn:"):
        held = secretsmanager_backends[asked.account][asked.region].secrets.get(given)
        arn = held.arn if held else asked.arn(f"secret:{given}-??????")
    yield Need(f"secretsmanager:{asked.action}", arn, asked.account)
