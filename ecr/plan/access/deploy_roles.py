"""The roles that deploy and preview: what each account must allow them, and nothing more.

Owns which permissions the settings take, account by account. They are the calls that the AWS provider
makes for the resource types in use, recorded on the real engine, and the few permissions that AWS asks
for beside a call. Reads the settings only: the documents must stand before the first deployment. A
feature that is switched off is cleared away with the documents from before; a boundary is lifted with
the new ones.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ecr.plan.access.documents import Document, allow, one_or_list, policy_text
from ecr.plan.access.push_roles import provider_arn
from ecr.plan.access.registry_policies import PULL, PUSH
from ecr.plan.alerts import KEY_TAGS, subscribers
from ecr.plan.alerts import NAME as ALERTS
from ecr.plan.architectures import (
    architecture_of,
    configured_registries,
    source_registries,
)
from ecr.plan.caches import caches_of
from ecr.plan.keys import chosen_keys
from ecr.plan.model import PUSH_ROLE_PATH
from ecr.plan.registry_settings import replicates, template_prefixes, template_role
from ecr.registry.registry import Registry
from ecr.settings.models import Settings

UNCALLED = frozenset(
    {
        "iam:CreateServiceLinkedRole",
        "iam:PassRole",
        "inspector2:Enable",
        "inspector2:ListAccountPermissions",
        "kms:CreateGrant",
        "kms:RetireGrant",
    }
)
"""Permissions that AWS asks for beside a call, of which no call of that name is made: for replication's
own role and that of caches, for Amazon Inspector, for encrypting with a key of one's own, and for the roles that
ECR is given for caches and by creation templates (Amazon ECR User Guide, "Using service-linked roles for Amazon
ECR", "Encryption at rest" and "Creating a repository creation template in Amazon ECR"; Amazon Inspector User
Guide; IAM User Guide, "Grant a user permissions to pass a role to an AWS service")."""


EXCLUDING = ("ecr:DeregisterPullTimeUpdateExclusion", "ecr:RegisterPullTimeUpdateExclusion")
"""What excludes somebody from pull times, and ends that."""

TEMPLATING = (
    "ecr:CreateRepositoryCreationTemplate",
    "ecr:DeleteRepositoryCreationTemplate",
    "ecr:UpdateRepositoryCreationTemplate",
)
"""What makes, changes and ends creation templates."""

_Condition = Mapping[str, Mapping[str, str | list[str]]]


@dataclass(frozen=True, slots=True)
class _Part:
    """Permissions on some resources, or their denial: those that read, and those that change."""

    sid: str
    resources: tuple[str, ...]
    reads: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    condition: _Condition | None = None
    effect: Literal["Allow", "Deny"] = "Allow"


def deployment_documents(settings: Settings) -> dict[str, tuple[Document, Document]]:
    """Return the identity policies of the role that deploys and of one that only previews, by account.

    Previewing includes ``--refresh``. What retiring takes is in it only while something retires.
    """
    by_account: dict[str, list[Registry]] = defaultdict(list)
    for registry in configured_registries(settings):
        by_account[registry.account].append(registry)
    documents = {}
    for account, registries in by_account.items():
        parts = tuple(_parts(registries, settings))
        documents[account] = (
            Document("identity", f"deploy role of {account}", _document(parts, changing=True)),
            Document("identity", f"preview role of {account}", _document(parts, changing=False)),
        )
    return documents


def boundary_document(settings: Settings) -> Document | None:
    """Return the permissions boundary for push roles: pushing images, and nothing else.

    None without push roles. It is made once, by whoever makes the deploy role, and named as
    ``pushRoles.permissionsBoundary``; a deploy role that must set it can make no administrator.
    """
    if settings.push_roles is None:
        return None
    first = architecture_of(settings)("")[0].registry
    text = policy_text(
        allow("Login", "ecr:GetAuthorizationToken", "*"),
        allow("Push", sorted([*PULL, *PUSH]), first.arn("*")),
    )
    return Document("identity", f"permissions boundary of push roles in {first.account}", text)


def template_documents(settings: Settings) -> dict[str, Document]:
    """Return the identity policy of the role that ECR assumes by creation templates, by account.

    Amazon ECR User Guide, "Create a custom policy for repository creation templates", for the registries and
    keys of the settings alone.
    """
    if settings.registries.template_role is None:
        return {}
    by_account: dict[str, list[Registry]] = defaultdict(list)
    for registry in configured_registries(settings):
        if template_prefixes(registry, settings):
            by_account[registry.account].append(registry)
    return {
        account: Document(
            "identity",
            f"template role of {account}",
            _document(_template_parts(registries, settings), changing=True),
        )
        for account, registries in by_account.items()
    }


def _template_parts(registries: list[Registry], settings: Settings) -> Iterator[_Part]:
    making = ("ecr:CreateRepository", "ecr:ReplicateImage", "ecr:TagResource")
    yield _Part("Make", tuple(each.arn("*") for each in registries), making)
    keys = dict.fromkeys(chosen_keys(registries, settings).values())
    for number, arn in enumerate(keys, 1):
        key, named = _key(arn)
        grants = ("kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant")
        yield _Part(f"Key{number if number > 1 else ''}", (key,), grants, (), named)


def _parts(registries: list[Registry], settings: Settings) -> Iterator[_Part]:
    sources = source_registries(settings)
    pushed = [each for each in registries if each in sources]
    policies = len(pushed) < len(registries) or bool(
        settings.access.functions or settings.access.policy == "repository"
    )
    yield _Part(
        "ImageRepositories",
        tuple(each.arn("*") for each in registries),
        (
            "ecr:DescribeImages",  # the provider looks for the newest of one that stands already
            "ecr:DescribeRepositories",
            "ecr:GetLifecyclePolicy",
            "ecr:GetRepositoryPolicy",  # `ecr-estate adopt` reads it too
            "ecr:ListTagsForResource",
            *(("ecr:ListImages",) if settings.retire or settings.images.count else ()),
        ),
        (
            "ecr:CreateRepository",
            "ecr:DeleteLifecyclePolicy",
            "ecr:PutImageTagMutability",
            "ecr:PutLifecyclePolicy",
            "ecr:StartLifecyclePolicyPreview",  # before an old policy is ended for a new one
            "ecr:TagResource",
            "ecr:UntagResource",
            *(("ecr:DeleteRepositoryPolicy", "ecr:SetRepositoryPolicy") if policies else ()),
            *(("ecr:DeleteRepository",) if settings.retire else ()),
        ),
    )
    yield from _registry_parts(registries, pushed, settings)
    if settings.alerts:
        yield from _alert_parts(registries, settings)
    yield from _push_parts(pushed, settings)


def _registry_parts(
    registries: list[Registry], pushed: list[Registry], settings: Settings
) -> Iterator[_Part]:
    ours = registries[0]
    policy = settings.access.policy == "registry" or len(pushed) < len(registries)
    replicating = replicates(pushed, settings)
    scope = settings.registry_policy_scope is not None
    quiet = bool(settings.registries.pull_time_exclusions)
    templates = any(template_prefixes(each, settings) for each in registries)
    yield _Part(
        "Registry",
        ("*",),
        (
            "ecr:GetRegistryScanningConfiguration",
            *(("ecr:GetRegistryPolicy",) if policy else ()),
            *(("ecr:GetAccountSetting",) if scope else ()),
            *(("ecr:DescribeRegistry",) if replicating else ()),
            *(("ecr:ListPullTimeUpdateExclusions",) if quiet else ()),
            *(("ecr:DescribeRepositoryCreationTemplates",) if templates else ()),
        ),
        (
            "ecr:PutRegistryScanningConfiguration",
            *(("ecr:DeleteRegistryPolicy", "ecr:PutRegistryPolicy") if policy else ()),
            *(("ecr:PutAccountSetting",) if scope else ()),
            *(("ecr:PutReplicationConfiguration",) if replicating else ()),
            # Called so by the Service Authorization Reference; the guide has names of no operation.
            *(EXCLUDING if quiet else ()),
            *(TEMPLATING if templates else ()),
        ),
    )
    role = template_role(ours, settings)
    if templates and role:
        passed = {"StringEquals": {"iam:PassedToService": "ecr.amazonaws.com"}}
        yield _Part("TemplateRole", (role,), (), ("iam:PassRole",), passed)
    if replicating:
        yield _service_role("ReplicationRoleOnce", "replication.ecr.amazonaws.com", ours)
    if settings.scanning.type == "ENHANCED":
        yield _service_role("InspectorRoleOnce", "inspector2.amazonaws.com", ours)
        yield _Part(
            "Inspector", ("*",), (), ("inspector2:Enable", "inspector2:ListAccountPermissions")
        )
    yield from _cache_parts(registries, settings)
    yield from _key_parts(registries, settings)


def _cache_parts(registries: list[Registry], settings: Settings) -> Iterator[_Part]:
    rules = [each for registry in registries for each in caches_of(registry, settings)]
    if not rules:
        return
    yield _Part(
        "Caches",
        ("*",),
        ("ecr:DescribePullThroughCacheRules",),
        (
            "ecr:CreatePullThroughCacheRule",
            "ecr:DeletePullThroughCacheRule",
            "ecr:UpdatePullThroughCacheRule",
        ),
    )
    yield _service_role("CacheRoleOnce", "pullthroughcache.ecr.amazonaws.com", registries[0])
    if secrets := sorted({each.credentials for each in rules if each.credentials}):
        # An ARN may be written without the six letters that AWS adds to a secret's name.
        named = tuple(form for each in secrets for form in (each, f"{each}-??????"))
        yield _Part("CacheSecrets", named, ("secretsmanager:DescribeSecret",))
    if roles := sorted({each.role for each in rules if each.role}):
        yield _Part("CacheRoles", tuple(roles), (), ("iam:PassRole",))


def _key_parts(registries: list[Registry], settings: Settings) -> Iterator[_Part]:
    for number, (registry, arn) in enumerate(chosen_keys(registries, settings).items(), 1):
        key, named = _key(arn)
        last = str(number) if number > 1 else ""
        grants = ("kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant")
        # Asked for by ECR in the caller's name, and never by the caller itself.
        through = {"StringEquals": {"kms:ViaService": _ecr(registry)}}
        yield _Part(f"Key{last}", (key,), (), grants, {**through, **named})
        # Asked before anything is made, for encryption is for ever.
        yield _Part(f"KeyBefore{last}", (key,), ("kms:DescribeKey",), (), named)


def _service_role(sid: str, service: str, ours: Registry) -> _Part:
    """Let AWS make a service's own role, the first time."""
    return _Part(
        sid,
        (f"arn:{ours.partition}:iam::{ours.account}:role/aws-service-role/{service}/*",),
        (),
        ("iam:CreateServiceLinkedRole",),
        {"StringEquals": {"iam:AWSServiceName": service}},
    )


def _key(arn: str) -> tuple[str, _Condition]:
    """Return what a statement about a key names, and the condition that narrows it to that key.

    A policy does not see a key by its alias's ARN (AWS KMS Developer Guide, "Use aliases to control
    access to KMS keys").
    """
    within, _, alias = arn.partition(":alias/")
    if not alias:
        return arn, {}
    return f"{within}:key/*", {
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{alias}"}
    }


def _ecr(registry: Registry) -> str | list[str]:
    """Return ECR's name in kms:ViaService.

    AWS KMS documents one form for every Region. Other services of China also have one of China's
    domain; both are Amazon's alone.
    """
    name = f"ecr.{registry.region}.amazonaws.com"
    return [name, f"{name}.cn"] if registry.partition == "aws-cn" else name


def _alert_parts(registries: list[Registry], settings: Settings) -> Iterator[_Part]:
    def arns(service: str, name: str) -> tuple[str, ...]:
        return tuple(
            f"arn:{each.partition}:{service}:{each.region}:{each.account}:{name}"
            for each in registries
        )

    told = (
        any(subscribers(each, settings.alerts) for each in registries) if settings.alerts else False
    )
    yield _Part(
        "AlertTopics",
        arns("sns", ALERTS),
        (
            "sns:GetTopicAttributes",
            "sns:ListTagsForResource",
            *(("sns:ListSubscriptionsByTopic",) if told else ()),
        ),
        (
            "sns:CreateTopic",
            "sns:DeleteTopic",
            "sns:SetTopicAttributes",
            *(("sns:Subscribe",) if told else ()),
        ),
    )
    if told:
        # A subscription is no resource that a policy could name (Service Authorization Reference, Amazon SNS).
        yield _Part(
            "Subscriptions", ("*",), ("sns:GetSubscriptionAttributes",), ("sns:Unsubscribe",)
        )
    yield _Part(
        "AlertRules",
        arns("events", f"rule/{ALERTS}-*"),
        ("events:DescribeRule", "events:ListTagsForResource", "events:ListTargetsByRule"),
        ("events:DeleteRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets"),
    )
    yield _Part(
        "AlertKeys",
        arns("kms", "key/*"),
        ("kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"),
        # Without the condition below, since a key's tags may count only minutes after it is made
        # (AWS KMS Developer Guide, "ABAC for AWS KMS"); rotation takes nothing from anybody.
        ("kms:EnableKeyRotation",),
    )
    changes = ("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion")
    # After a lost state they are found by their tag, among all keys of the account.
    yield _Part("EveryKey", ("*",), ("kms:ListKeys",))
    yield _Part("OwnAlertKeys", arns("kms", "key/*"), (), changes, _tagged("Resource"))
    # Tags are given to a new key only by who may tag any (AWS KMS Developer Guide, "Controlling
    # access to tags").
    creation = ("kms:CreateKey", "kms:TagResource")
    yield _Part("NewAlertKeys", ("*",), (), creation, _tagged("Request"))
    denied = ("kms:EnableKeyRotation", *changes, "kms:TagResource")
    # The keys of alerts have no alias; most keys of other hands have one, and are out of reach by it
    # (AWS KMS Developer Guide, "Use aliases to control access to KMS keys").
    aliased = {"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/*"}}
    yield _Part("NeverAKeyWithAnAlias", arns("kms", "key/*"), (), denied, aliased, "Deny")
    own = tuple(key for key in chosen_keys(registries, settings).values() if ":alias/" not in key)
    if own:
        yield _Part("NeverTheImagesKey", own, (), denied, {}, "Deny")


def _tagged(where: Literal["Request", "Resource"]) -> _Condition:
    return {"StringEquals": {f"aws:{where}Tag/{key}": value for key, value in KEY_TAGS.items()}}


def _push_parts(pushed: list[Registry], settings: Settings) -> Iterator[_Part]:
    first = next((each.registry for each in architecture_of(settings)("")), None)
    if settings.push_roles is None or first not in pushed:
        return
    roles = f"arn:{first.partition}:iam::{first.account}:role{PUSH_ROLE_PATH}push-*"
    gone = f"arn:{first.partition}:iam::{first.account}:role/push-*"
    boundary = settings.push_roles.permissions_boundary
    reads = (
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies",
    )
    # A role of other hands may have a push role's name under another path.
    yield _Part("EveryRole", ("*",), ("iam:ListRoles",))
    # IAM is asked by a role's name. Of a role that is gone it knows no path, and asks for the name alone.
    yield _Part("PushRolesThatAreGone", (gone,), reads)
    granting = ("iam:CreateRole", "iam:PutRolePolicy")
    changes = (
        "iam:DeleteRole",
        "iam:DeleteRolePolicy",
        "iam:ListInstanceProfilesForRole",
        "iam:UpdateAssumeRolePolicy",
    )
    if boundary:
        yield _Part("PushRoles", (roles,), reads, changes)
        condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
        bound = (*granting, "iam:PutRolePermissionsBoundary")
        yield _Part("PushRolesWithinBounds", (roles,), (), bound, condition)
    else:
        # Who may lift a boundary is bound by none: only where the settings ask for none any more.
        unbound = (*changes, *granting, "iam:DeleteRolePermissionsBoundary")
        yield _Part("PushRoles", (roles,), reads, unbound)
    if settings.push_roles.create_provider:
        yield _Part(
            "GitHubsIdentityProvider",
            (provider_arn(first),),
            ("iam:GetOpenIDConnectProvider",),
            ("iam:CreateOpenIDConnectProvider",),
        )


def _document(parts: Iterable[_Part], *, changing: bool) -> str:
    return policy_text(
        *(
            _statement(part, actions)
            for part in parts
            if (actions := sorted({*part.reads, *(part.changes if changing else ())}))
        )
    )


def _statement(part: _Part, actions: list[str]) -> dict[str, Any]:
    return {
        "Sid": part.sid,
        "Effect": part.effect,
        "Action": actions,
        "Resource": one_or_list(part.resources),
        **({"Condition": part.condition} if part.condition else {}),
    }
