"""Access: who may do what to images, as the policy documents of registries and image repositories.

Reads the settings and the plan's own names and accounts. Never names a principal wider than the
sentence in the docstring, never everybody without a condition, and never ecr:GetAuthorizationToken,
which ECR refuses in resource policies. Principals of the registry's own account are granted nothing
here, but for pushers by name and what fills a cache: their identity policies decide, so that each reads and
writes its own.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ecr.plan.access.documents import Statement, allow, one_or_list, policy_text
from ecr.plan.architectures import architecture_of, copy_registries, source_registries
from ecr.plan.caches import caches_of
from ecr.plan.model import ImageRepository
from ecr.plan.namespaces import namespace_of
from ecr.registry.registry import Registry
from ecr.settings.models import Namespace, OwnStatement, Settings

PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
"""What `docker pull` needs (Amazon ECR User Guide, "Repository policy examples")."""

FILL = ("ecr:BatchImportUpstreamImage", "ecr:CreateRepository")
"""What a pull needs that fills a pull-through cache (Amazon ECR User Guide, "IAM permissions required to sync an
upstream registry with an Amazon ECR private registry")."""

READ_BY_CACHES = (
    "ecr:BatchGetImage",
    "ecr:BatchImportUpstreamImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetImageCopyStatus",
)
"""What a cache in another account needs of the registry that it caches (Amazon ECR User Guide, "Setting up
permissions for cross-account ECR to ECR PTC")."""

LOOK = ("ecr:DescribeImages", "ecr:ListImages")
"""What finding a tag's digest needs."""

PUSH = (
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)
"""What `docker push` needs beside PULL (Amazon ECR User Guide, "IAM permissions for pushing an image
to an Amazon ECR private repository")."""

LOCKED = (
    "ecr:CreatePullThroughCacheRule",
    "ecr:CreateRepositoryCreationTemplate",
    "ecr:DeleteLifecyclePolicy",
    "ecr:DeletePullThroughCacheRule",
    "ecr:DeleteRegistryPolicy",
    "ecr:DeleteRepository",
    "ecr:DeleteRepositoryCreationTemplate",
    "ecr:DeleteRepositoryPolicy",
    "ecr:DeregisterPullTimeUpdateExclusion",
    "ecr:PutAccountSetting",
    "ecr:PutImageTagMutability",
    "ecr:PutLifecyclePolicy",
    "ecr:PutRegistryPolicy",
    "ecr:PutReplicationConfiguration",
    "ecr:RegisterPullTimeUpdateExclusion",
    "ecr:SetRepositoryPolicy",
    "ecr:TagResource",
    "ecr:UntagResource",
    "ecr:UpdatePullThroughCacheRule",
    "ecr:UpdateRepositoryCreationTemplate",
)
"""What nobody else may do under a lock: end image repositories, or change what decides over them.

Cache rules and creation templates are among it, for they decide what ECR makes by itself, and from where.

Their tags are among it, for a lost ledger is made anew from them. The scanning configuration is not:
Amazon Inspector must be able to write it, and no deny may name it (Amazon Inspector User Guide,
"Scanning Amazon Elastic Container Registry container images with Amazon Inspector").
"""

FUNCTIONS = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
"""What the Lambda service needs (AWS Lambda Developer Guide, "Create a Lambda function using a
container image")."""

Condition = dict[str, dict[str, Any]]


def source_policy(registry: Registry, settings: Settings, role: str | None) -> str | None:
    """Return the policy of a registry that images are pushed to; None where it needs none.

    A registry policy of the V2 scope covers every image repository at once (Amazon ECR User Guide,
    "Private registry permissions"). Namespaces with readers of their own are taken out again by
    denying them to everybody else, since what one statement allows no other can narrow.
    """
    if settings.access.policy == "repository":
        return None
    known = settings.namespaces.known
    statements = _reading(registry, settings)
    for name, namespace in sorted(known.items()):
        first, later = _of_first_stage(name, registry, settings)
        if namespace.pushers and first:
            statements.append(_on(first, _pushing(_sid(name), namespace)))
            if later:
                statements.append(_on(later, _not_pushing(_sid(name), namespace)))
    statements += [*_filling(registry, settings), *_cached_elsewhere(registry, settings)]
    statements += [_own(each, registry) for each in settings.access.statements]
    return policy_text(*statements, *_lock(registry, settings, role))


def _reading(registry: Registry, settings: Settings) -> list[Statement]:
    """Return who may pull from a whole registry, and whom that leaves out of namespaces."""
    everything, known = registry.arn("*"), settings.namespaces.known
    statements = [
        _on(everything, each)
        for each in _pulling("", _organisation(settings), settings.access.readers, registry)
    ]
    narrowed: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for name, namespace in sorted(known.items()):
        if namespace.readers is not None:
            narrowed[namespace.readers, namespace.pushers].append(name)
    for (readers, pushers), names in narrowed.items():
        below = [registry.arn(f"{name}/*") for name in names]
        ours = settings.aws_organisation
        outside = [each for each in readers if each.partition("/")[0] != ours]
        statements += [
            _on(below, each) for each in _pulling(_sid(names[0]), None, outside, registry)
        ]
        statements.append(
            _on(below, _readers_only(f"Only{_sid(names[0])}", readers, pushers, registry))
        )
    return statements


def replica_policy(
    destination: Registry, sources: Iterable[Registry], settings: Settings, role: str | None
) -> str:
    """Let the replication of the source accounts write into image repositories that exist.

    Without ecr:CreateRepository a prefix that covers too much finds nothing to write into. ECR asks
    for whole accounts here: replication is a role of the service's own in each of them. Where the copies are
    for clusters, whoever may pull from the sources may pull here, too.
    """
    roots = sorted({f"arn:{each.partition}:iam::{each.account}:root" for each in sources})
    replication = {
        "Sid": "Replication",
        "Effect": "Allow",
        "Principal": {"AWS": one_or_list(roots)},
        "Action": ["ecr:ReplicateImage"],
    }
    by_registry = settings.access.policy == "registry"
    reading = (
        _reading(destination, settings)
        if by_registry and destination in copy_registries(settings)
        else ()
    )
    return policy_text(
        _on(destination.arn("*"), replication),
        *reading,
        *_filling(destination, settings),
        *_lock(destination, settings, role),
    )


def placement_policy(
    registry: Registry,
    namespace_name: str | None,
    settings: Settings,
    *,
    functions: bool,
    first: bool = True,
) -> str | None:
    """Return the policy of the image repositories of a namespace; None where they need none.

    It has what the registry policy would otherwise say and, with ``functions``, the Lambda functions
    that run images straight from this registry. ``first`` says whether they are of the first stage,
    to which alone images are pushed.
    """
    access = settings.access
    statements: list[Statement] = []
    namespace = settings.namespaces.known[namespace_name] if namespace_name else Namespace()
    if access.policy == "repository":
        narrowed = namespace.readers is not None
        statements += _pulling(
            "",
            None if narrowed else _organisation(settings),
            namespace.readers or () if narrowed else access.readers,
            registry,
        )
        if namespace.pushers and first:
            statements.append(_pushing("", namespace))
    accounts = [
        account
        for account in (access.functions.accounts if access.functions and functions else ())
        if namespace.readers is None or account in namespace.readers
    ]
    if accounts:
        sid = "LambdaECRImageCrossAccountRetrievalPolicy"
        statements.append(_functions(sid, registry, accounts))
    return policy_text(*statements) if statements else None


def functions_may_pull(registry: Registry) -> str:
    """Let the Lambda service fetch images for functions of the same account and Region.

    Lambda writes a statement of its own if it finds none, which would show as drift
    (AWS Lambda Developer Guide, "Create a Lambda function using a container image").
    """
    return policy_text(_functions("LambdaECRImageRetrievalPolicy", registry, [registry.account]))


def unbound_replicas(
    image_repositories: Iterable[ImageRepository], settings: Settings
) -> Iterator[str]:
    """Say which namespaces are replicated to accounts that are none of their readers.

    A replica is the account's own: its identity policies and functions decide there, and no reader.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for each in image_repositories:
        namespace = namespace_of(each.placement.name, settings)
        if each.kind == "replica" and each.state != "retiring" and namespace:
            readers = settings.namespaces.known[namespace].readers
            account = each.placement.registry.account
            if readers is not None and account not in readers:
                found[namespace].add(account)
    for namespace, accounts in sorted(found.items()):
        yield (
            f"the readers of the namespace {namespace} do not bind its replicas: roles and functions of "
            f"{', '.join(sorted(accounts))} may read them; list the accounts among its readers if that "
            "is meant, or choose other services for lambdaReplicas"
        )


def namespace_policy(name: str, registries: Iterable[Registry]) -> str:
    """Return the identity policy of whoever runs the images of one namespace, and no others.

    It is for nodes, pods' roles and task execution roles. Logging in has no resource of its own.
    """
    return policy_text(
        allow("Login", "ecr:GetAuthorizationToken", "*"),
        allow("Pull", list(PULL), [each.arn(f"{name}/*") for each in registries]),
    )


def _organisation(settings: Settings) -> Condition:
    return {"StringEquals": {"aws:PrincipalOrgID": settings.aws_organisation}}


def _pulling(
    sid: str, organisation: Condition | None, readers: Sequence[str], registry: Registry
) -> Iterator[Statement]:
    """Let the organisation and some readers of other accounts pull, and look, but change nothing."""
    elsewhere = {"StringNotEquals": {"aws:PrincipalAccount": registry.account}}
    for who, test in _readers(organisation, readers):
        yield {
            "Sid": f"{who}Pull{sid}",
            "Effect": "Allow",
            "Principal": "*",
            "Action": [*PULL, *LOOK],
            "Condition": {**test, **elsewhere},
        }


def _readers(
    organisation: Condition | None, readers: Sequence[str]
) -> Iterator[tuple[str, Condition]]:
    """Yield the conditions that name the organisation and some readers, each with its name."""
    accounts, roles, paths = _kinds(readers)
    tests: dict[str, Condition | None] = {
        "Organisation": organisation,
        "Accounts": {"StringEquals": {"aws:PrincipalAccount": accounts}} if accounts else None,
        "Roles": {"ArnEquals": {"aws:PrincipalArn": roles}} if roles else None,
        "Paths": {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": paths}} if paths else None,
    }
    yield from ((who, test) for who, test in tests.items() if test)


def _filling(registry: Registry, settings: Settings) -> Iterator[Statement]:
    """Let whoever may pull from a registry fill its caches by pulling, those of its own account too.

    A registry that only Lambda reads is open to its own account. Whoever may fill a cache may also make an empty
    image repository below its prefix: ECR knows one permission for both.
    """
    below = [registry.arn(f"{each.prefix}/*") for each in caches_of(registry, settings)]
    if not below:
        return
    whole = registry in source_registries(settings) or registry in copy_registries(settings)
    own: Condition = {"StringEquals": {"aws:PrincipalAccount": registry.account}}
    who = (
        _readers(_organisation(settings), settings.access.readers)
        if whole
        else iter([("Account", own)])
    )
    for name, test in who:
        filling = {
            "Sid": f"{name}Cache",
            "Effect": "Allow",
            "Principal": "*",
            "Action": list(FILL),
            "Condition": test,
        }
        yield _on(below, filling)


def _cached_elsewhere(registry: Registry, settings: Settings) -> Iterator[Statement]:
    """Let the roles by which ECR fills caches in other accounts of the settings read this registry."""
    reached: dict[str, set[str]] = defaultdict(set)
    for rule in settings.pull_through_cache.rules:
        if rule.role and rule.upstream_registry == registry:
            reached[f"{rule.upstream_prefix}/*" if rule.upstream_prefix else "*"].add(rule.role)
    for number, (names, roles) in enumerate(sorted(reached.items()), 1):
        reading = {
            "Sid": f"CachedElsewhere{number}",
            "Effect": "Allow",
            "Principal": "*",
            "Action": list(READ_BY_CACHES),
            "Condition": {"ArnEquals": {"aws:PrincipalArn": one_or_list(sorted(roles))}},
        }
        yield _on(registry.arn(names), reading)


def _readers_only(
    sid: str, readers: Sequence[str], pushers: Sequence[str], registry: Registry
) -> Statement:
    """Deny everything to callers of other accounts who are none of the readers and pushers."""
    accounts, roles, paths = _kinds(readers)
    named = sorted({*roles, *pushers})
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "ecr:*",
        "Condition": {
            "StringNotEquals": {"aws:PrincipalAccount": one_or_list([registry.account, *accounts])},
            **({"ArnNotEquals": {"aws:PrincipalArn": named}} if named else {}),
            **({"ForAllValues:StringNotLike": {"aws:PrincipalOrgPaths": paths}} if paths else {}),
            # A service has no account; what it may read, each image repository's own policy says.
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        },
    }


def _of_first_stage(
    namespace: str, registry: Registry, settings: Settings
) -> tuple[list[str], list[str]]:
    """Return the ARNs in a namespace that images are pushed to, and later stages that these cover.

    Images get to later stages, and to later account sets, by promotion alone.
    """
    first, *rest = architecture_of(settings)(f"{namespace}/*")
    if registry != first.registry:
        return [], []
    later = [
        each.registry.arn(each.name)
        for each in rest
        if each.registry == registry
        and each.name.endswith(first.name.removeprefix(f"{namespace}/*"))
    ]
    return [first.registry.arn(first.name)], later


def _not_pushing(sid: str, namespace: Namespace) -> Statement:
    """Deny pushes to stages whose names end as that of the first does."""
    return {
        "Sid": f"LaterStages{sid}",
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(PUSH),
        "Condition": {"ArnEquals": {"aws:PrincipalArn": list(namespace.pushers)}},
    }


def _pushing(sid: str, namespace: Namespace) -> Statement:
    """Let the pushers of a namespace push, and not delete."""
    return {
        "Sid": f"Push{sid}",
        "Effect": "Allow",
        "Principal": "*",
        "Action": [*PULL, *LOOK, *PUSH],
        "Condition": {"ArnEquals": {"aws:PrincipalArn": list(namespace.pushers)}},
    }


def _own(chosen: OwnStatement, registry: Registry) -> Statement:
    """Return a statement of the settings as the policy of a registry has it."""
    services = [each for each in chosen.principals if each.endswith(".amazonaws.com")]
    others = [
        f"arn:{registry.partition}:iam::{each}:root" if each.isdecimal() else each
        for each in chosen.principals
        if each not in services
    ]
    kinds = {"AWS": others, "Service": services}
    everybody = "*" in others
    conditions = {
        operator: {key: one_or_list(values) for key, values in keys.items()}
        for operator, keys in chosen.conditions.items()
    }
    return _on(
        [registry.arn(each) for each in chosen.repositories],
        {
            "Sid": f"Own{chosen.name}",
            "Effect": chosen.effect,
            "Principal": "*"
            if everybody
            else {kind: one_or_list(each) for kind, each in kinds.items() if each},
            "Action": list(chosen.actions),
            **({"Condition": conditions} if conditions else {}),
        },
    )


def _lock(registry: Registry, settings: Settings, role: str | None) -> Iterator[Statement]:
    """Deny what would end or open the estate to everybody but the deploy role and the break-glass.

    The settings have a break-glass role in each account: ECR lets nobody change the registry of another.
    The account's service-linked roles, which AWS alone can assume, are left alone: replication and
    Amazon Inspector work by theirs.
    """
    if settings.access.lock:
        services = f"arn:{registry.partition}:iam::{registry.account}:role/aws-service-role/*"
        keepers = sorted({*filter(None, [role]), *settings.access.lock.break_glass, services})
        yield {
            "Sid": "Lock",
            "Effect": "Deny",
            "Principal": "*",
            "Action": list(LOCKED),
            "Resource": "*",
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": keepers}},
        }


def _functions(sid: str, registry: Registry, accounts: Iterable[str]) -> Statement:
    """Let the Lambda service fetch images for the functions of some accounts, in this Region."""
    functions = [
        f"arn:{registry.partition}:lambda:{registry.region}:{account}:function:*"
        for account in accounts
    ]
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": list(FUNCTIONS),
        "Condition": {"StringLike": {"aws:sourceArn": one_or_list(functions)}},
    }


def _kinds(readers: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Sort readers into accounts, roles, and patterns for organisation paths."""
    return (
        [each for each in readers if each.isdecimal()],
        [each for each in readers if each.startswith("arn:")],
        # A path ends with a slash, so that ou-ab12-1 does not cover ou-ab12-12.
        [f"{each.rstrip('/')}/*" for each in readers if each.startswith("o-")],
    )


def _sid(namespace: str) -> str:
    """Return a statement's name for a namespace: IAM takes letters and digits, each namespace its own."""
    words = {"-": " Dash ", ".": " Dot ", "_": " Underscore "}
    spelt = "".join(words.get(letter, letter) for letter in namespace)
    return "".join(word[0].upper() + word[1:] for word in spelt.split())


def _on(resource: str | list[str], statement: Statement) -> Statement:
    condition = statement.pop("Condition", None)
    return {
        **statement,
        "Resource": one_or_list(resource),
        **({"Condition": condition} if condition else {}),
    }
