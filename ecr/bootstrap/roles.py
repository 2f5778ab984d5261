"""Every role that must stand before the first deployment, with its trust, its policies and its boundary.

Owns the roles of the pipeline, of the accounts, of operators and of promotion, account by account. Reads
the settings and what bootstrap is told beside them; the documents of the roles that deploy and preview
are those of `ecr.plan.access.deploy_roles`, so that there is one plan. Pure: asks neither AWS nor GitHub.

Sources: GitHub Docs, "OpenID Connect reference"; IAM User Guide, "Permissions boundaries for IAM
entities" and "AWS JSON policy elements: Principal".
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ecr.errors import EstateError
from ecr.plan.access.deploy_roles import (
    boundary_document,
    deployment_documents,
    template_documents,
)
from ecr.plan.access.documents import (
    IDENTITY,
    TRUST,
    WITHIN_ROLE,
    Statement,
    allow,
    one_or_list,
    policy,
    policy_text,
)
from ecr.plan.access.promotion_roles import READER, promotion_documents, promotion_role_name
from ecr.plan.access.push_roles import AUDIENCE, ISSUER, provider_arn
from ecr.plan.access.registry_policies import LOCKED
from ecr.plan.architectures import architecture_of, artifacts_registry, configured_registries
from ecr.plan.keys import chosen_keys
from ecr.registry.registry import Registry
from ecr.settings.models import Settings

PREVIEW = "ecr-estate-preview"
"""The pipeline's role that reads, in the artifacts account."""

DEPLOYMENT = "ecr-estate-deployment"
"""The pipeline's role that deploys, in the artifacts account."""

AUDIT = "ecr-estate-audit"
"""The role that reads, in every account, by which operators and `doctor` look."""

BREAK_GLASS = "ecr-estate-break-glass"
"""What the role that the lock spares is called, where the settings name none."""

BOUNDARY = "ecr-estate-boundary"
"""The permissions boundary of all roles of an account."""

PUSH_BOUNDARY = "ecr-estate-push-boundary"
"""What the boundary of push roles is called, where the settings name none."""

SECRETS, APP, PREVIEW_APP = "ecr-estate-secrets", "ecr-estate-app", "ecr-estate-preview-app"
"""The aliases of the keys: of the state's secrets, and of the GitHub Apps."""

DISPATCH_APP = "ecr-estate-dispatch"
"""The alias of the key of the GitHub App that starts deployments."""

WEBHOOK = "ecr-estate-webhook"
"""What starts a deployment when a repository is created: the function, its role and the webhook's secret."""

_BOUND = (
    "iam:AttachRolePolicy",
    "iam:CreatePolicyVersion",
    "iam:DeletePolicy",
    "iam:DeletePolicyVersion",
    "iam:DeleteRole",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:SetDefaultPolicyVersion",
    "iam:UpdateAssumeRolePolicy",
)
"""What none of the roles may do to any of them, nor to their boundary."""

BUCKET_LOOKS = (
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketVersioning",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
)
"""What `doctor` asks of the state's bucket: how it is set, and nothing of what is in it."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What bootstrap is told beside the settings.

    ``repository`` is OWNER/NAME of the repository that deploys, ``repository_id`` and ``owner_id`` are
    GitHub's ids of both; without ``owner_id`` its subjects are those of a repository from before 15 July
    2026. ``workflow`` is PATH@REF of the workflow that deploys, as GitHub has it in
    ``job_workflow_ref``. ``operators`` are the ARNs of people's roles, ``promoter`` is the name of the role
    that promotes, without which it is as `promote --policy` names one, and ``bucket`` that of the state's bucket. ``stacks`` are the names of the stacks.
    ``webhook`` is whether GitHub's webhook starts deployments.
    """

    repository: str
    repository_id: int
    workflow: str
    operators: tuple[str, ...]
    bucket: str
    promoter: str | None = None
    owner_id: int | None = None
    stacks: tuple[str, ...] = ("prod",)
    webhook: bool = True

    def subjects(self, *ends: str) -> list[str]:
        """Return the subjects of the repository's jobs, in each form that GitHub may give them."""
        owner, _, name = self.repository.partition("/")
        forms = [f"repo:{self.repository}"]
        if self.owner_id is not None:
            forms.append(f"repo:{owner}@{self.owner_id}/{name}@{self.repository_id}")
        return [f"{form}:{end}" for form in forms for end in ends]


@dataclass(frozen=True, slots=True)
class Role:
    """A role: its ARN, what it is for, its trust policy, and its inline policies by name, as JSON has them."""

    arn: str
    purpose: str
    trust: Mapping[str, Any]
    policies: Mapping[str, Mapping[str, Any]]

    @property
    def account(self) -> str:
        """The account that it is in."""
        return self.arn.split(":")[4]

    @property
    def path(self) -> str:
        """The path of its ARN, `/` where it has none."""
        return self.arn.partition(":role")[2].rpartition("/")[0] + "/"

    @property
    def name(self) -> str:
        """Its name, without the path."""
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A policy that stands by itself: a boundary."""

    arn: str
    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its name, without the path."""
        return self.arn.rpartition("/")[2]

    @property
    def path(self) -> str:
        """The path of its ARN, `/` where it has none."""
        return self.arn.partition(":policy")[2].rpartition("/")[0] + "/"


@dataclass(frozen=True, slots=True)
class Account:
    """What must stand in one account; every role has the boundary."""

    account: str
    roles: tuple[Role, ...]
    boundary: ManagedPolicy
    further: tuple[ManagedPolicy, ...] = field(default=())


def planned_accounts(settings: Settings, pipeline: Pipeline) -> tuple[Account, ...]:
    """Return what must stand in each account, the artifacts account first.

    Raises EstateError, listing every offence, where the settings leave it open, or where AWS takes no
    document that long.
    """
    _refuse_open_settings(settings)
    ours = artifacts_registry(settings)
    one_of: dict[str, Registry] = {}
    for registry in configured_registries(settings):
        one_of.setdefault(registry.account, registry)
    roles: dict[str, list[Role]] = defaultdict(list)
    for role in _roles(settings, pipeline, one_of):
        roles[role.account].append(role)
    further = _push_boundary(settings)
    accounts = tuple(
        _account(registry, roles[account], [each for each in further if _of(each.arn, account)])
        for account, registry in one_of.items()
    )
    _refuse_too_long(accounts)
    return tuple(sorted(accounts, key=lambda each: each.account != ours.account))


def _of(arn: str, account: str) -> bool:
    return arn.split(":")[4] == account


def _refuse_open_settings(settings: Settings) -> None:
    offences = [
        f"the registry {registry.key} has no `role`; name the one that bootstrap is to make, such as "
        f"{registry.role('ecr-estate-deploy')}"
        for registry, role in configured_registries(settings).items()
        if role is None
    ]
    if settings.preview_role is None:
        offences.append(
            "previewRole: is missing; name the role that reads, such as ecr-estate-read"
        )
    first = architecture_of(settings)("")[0].registry
    if (
        settings.push_roles
        and settings.push_roles.create_provider
        and first.account == settings.artifacts.account
    ):
        offences.append(
            f"pushRoles.createProvider: is true, and bootstrap makes the identity provider of "
            f"{first.account}, of which an account has one; set it to false"
        )
    if offences:
        raise EstateError(
            "The settings are not enough to make roles by; nothing was made.", offences
        )


def _refuse_too_long(accounts: Iterable[Account]) -> None:
    sized: list[tuple[str, int, int, str]] = []
    for each in accounts:
        sized += [
            (managed.arn, _size(managed.document), IDENTITY, "configure fewer registries")
            for managed in (each.boundary, *each.further)
        ]
        for role in each.roles:
            policies = sum(map(_size, role.policies.values()))
            sized += [
                (f"the trust of {role.arn}", _size(role.trust), TRUST, "name fewer operators"),
                (
                    f"the policies of {role.arn}",
                    policies,
                    WITHIN_ROLE,
                    "configure fewer registries",
                ),
            ]
    offences = [
        f"{what}: {size:,} of {most:,} characters; {remedy}"
        for what, size, most, remedy in sized
        if size > most
    ]
    if offences:
        raise EstateError("AWS takes no documents that long; nothing was made.", offences)


def _size(document: Mapping[str, Any]) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def _roles(
    settings: Settings, pipeline: Pipeline, accounts: Mapping[str, Registry]
) -> Iterator[Role]:
    ours = artifacts_registry(settings)
    reader = str(settings.preview_role)
    deploying = {
        registry.account: str(role) for registry, role in configured_registries(settings).items()
    }
    reading = {account: registry.role(reader) for account, registry in accounts.items()}
    yield _preview_role(ours, settings, pipeline, sorted(reading.values()))
    yield _deployment_role(ours, pipeline, sorted(deploying.values()))
    if pipeline.webhook:
        yield _webhook_role(ours)
    for account, (deploys, previews) in deployment_documents(settings).items():
        yield Role(
            deploying[account],
            "Deploys the estate in this account",
            _role_trust("Pipeline", [ours.role(DEPLOYMENT)], settings),
            {"deploy": json.loads(deploys.text)},
        )
        yield Role(
            reading[account],
            "Reads for previews in this account",
            _role_trust("Pipeline", [ours.role(PREVIEW)], settings),
            {"preview": json.loads(previews.text)},
        )
    yield from _template_roles(settings, accounts)
    operators = _role_trust("Operators", pipeline.operators, settings)
    for registry in accounts.values():
        arns = [arn for arn in _break_glass(settings) if _of(arn, registry.account)]
        for arn in arns or [registry.role(BREAK_GLASS)]:
            yield Role(
                arn,
                "Is spared by the lock, for the day on which the deploy role is lost",
                operators,
                {"break-glass": break_glass_policy()},
            )
    yield from _promotion_readers(settings, pipeline)
    yield from _auditors(accounts, operators, settings, pipeline)


def _break_glass(settings: Settings) -> Sequence[str]:
    return settings.access.lock.break_glass if settings.access.lock else ()


def _preview_role(
    ours: Registry, settings: Settings, pipeline: Pipeline, reading: Sequence[str]
) -> Role:
    app = PREVIEW_APP if writes_variables(settings) else APP
    return Role(
        ours.role(PREVIEW),
        "The pipeline, when it previews",
        _github_trust(
            "Read", ours, pipeline, pipeline.subjects("pull_request", "ref:refs/heads/main")
        ),
        {
            "pipeline": policy(
                allow("Assume", "sts:AssumeRole", reading),
                *_state(ours, pipeline, ["s3:GetObject"]),
                _with_key("Secrets", ours, SECRETS, ["kms:Decrypt"]),
                _with_key("App", ours, app, ["kms:Sign"]),
            )
        },
    )


def _deployment_role(ours: Registry, pipeline: Pipeline, deploying: Sequence[str]) -> Role:
    trust = _github_trust(
        "Deploy",
        ours,
        pipeline,
        pipeline.subjects("environment:production"),
        {"job_workflow_ref": pipeline.workflow},
    )
    return Role(
        ours.role(DEPLOYMENT),
        "The pipeline, when it deploys",
        trust,
        {
            "pipeline": policy(
                allow("Assume", "sts:AssumeRole", deploying),
                *_state(ours, pipeline, ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]),
                _with_key("Secrets", ours, SECRETS, ["kms:Decrypt", "kms:Encrypt"]),
                _with_key("App", ours, APP, ["kms:Sign"]),
            )
        },
    )


def _webhook_role(ours: Registry) -> Role:
    """Return the role of the function that starts deployments; it reads one secret and uses one key."""
    start = f"arn:{ours.partition}"
    trust = policy(
        {
            "Sid": "Function",
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    )
    # AWS Secrets Manager adds six characters to the name (its User Guide, "What's in a Secrets Manager secret?").
    secret = f"{start}:secretsmanager:{ours.region}:{ours.account}:secret:{WEBHOOK}-??????"
    logs = f"{start}:logs:{ours.region}:{ours.account}:log-group:/aws/lambda/{WEBHOOK}:*"
    documents = {
        "webhook": policy(
            allow("Secret", "secretsmanager:GetSecretValue", secret),
            _with_key("App", ours, DISPATCH_APP, ["kms:ListResourceTags", "kms:Sign"]),
            allow("Logs", ["logs:CreateLogStream", "logs:PutLogEvents"], logs),
        )
    }
    return Role(ours.role(WEBHOOK), "Starts deployments for GitHub's webhook", trust, documents)


def writes_variables(settings: Settings) -> bool:
    """Return whether deployments write variables, so that previews need an app of their own."""
    return bool(settings.push_roles and settings.push_roles.variables)


def _state(ours: Registry, pipeline: Pipeline, actions: Sequence[str]) -> Iterator[Statement]:
    bucket = f"arn:{ours.partition}:s3:::{pipeline.bucket}"
    yield allow("StateBucket", "s3:ListBucket", bucket)
    yield allow("State", actions, f"{bucket}/*")


def _with_key(sid: str, ours: Registry, alias: str, actions: Sequence[str]) -> Statement:
    """Allow the use of a key by its alias, since its id is known only when it is made.

    AWS KMS Developer Guide, "Use aliases to control access to KMS keys".
    """
    keys = f"arn:{ours.partition}:kms:{ours.region}:{ours.account}:key/*"
    named = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{alias}"}}
    return {**allow(sid, actions, keys), "Condition": named}


def _github_trust(
    sid: str,
    ours: Registry,
    pipeline: Pipeline,
    subjects: Sequence[str],
    further: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Let jobs of the one repository in, as docs/guides/pipeline.md prints it."""
    exact: dict[str, str | list[str]] = {"aud": AUDIENCE, "sub": one_or_list(subjects)}
    if ours.partition == "aws":  # the other partitions know no other claim
        exact |= {"repository_id": str(pipeline.repository_id), **(further or {})}
    return policy(
        {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn(ours)},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {f"{ISSUER}:{key}": value for key, value in exact.items()}
            },
        }
    )


def _role_trust(sid: str, arns: Sequence[str], settings: Settings) -> dict[str, Any]:
    """Let roles of the organisation in, as README.md and docs/operations/audit.md print it."""
    return policy(
        {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"AWS": one_or_list(arns)},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": settings.aws_organisation}},
        }
    )


def break_glass_policy() -> dict[str, Any]:
    """Return what the role may do that the lock spares: whatever the lock takes from others, and look."""
    looks = ["ecr:BatchDeleteImage", "ecr:Describe*", "ecr:Get*", "ecr:List*"]
    return policy(allow("BreakGlass", [*looks, *LOCKED], "*"))


def _template_roles(settings: Settings, accounts: Mapping[str, Registry]) -> Iterator[Role]:
    """Yield the role that ECR assumes by creation templates, in each account that has any.

    Amazon ECR User Guide, "Create an IAM role for repository creation templates".
    """
    for account, document in template_documents(settings).items():
        yield Role(
            accounts[account].role(str(settings.registries.template_role)),
            "Lets ECR make image repositories by creation templates",
            policy(
                {
                    "Sid": "Registry",
                    "Effect": "Allow",
                    "Principal": {"Service": "ecr.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ),
            {"templates": json.loads(document.text)},
        )


def _promotion_readers(settings: Settings, pipeline: Pipeline) -> Iterator[Role]:
    """Yield the role of each account from which another account's role promotes."""
    placements = architecture_of(settings)("*")
    documents: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    promoters: dict[str, list[str]] = defaultdict(list)
    enhanced = settings.scanning.type == "ENHANCED"
    of_account: dict[str, Registry] = {}
    for source, target in pairwise(placements):
        there, here = source.registry, target.registry
        if there.account == here.account:
            continue
        of_account[there.account] = there
        printed = promotion_documents(source, target, placements, enhanced=enhanced)
        documents[there.account][f"read-for-{target.stage}"] = printed[there.account]
        name = pipeline.promoter or promotion_role_name("*", str(target.stage))
        promoters[there.account].append(here.role(name))
    for account, policies in documents.items():
        # By account and name, because a role that a trust names as its principal must exist before.
        roots = [f"arn:{of_account[account].partition}:iam::{each.split(':')[4]}:root"
                 for each in promoters[account]]  # fmt: skip
        trust = policy(
            {
                "Sid": "Promotion",
                "Effect": "Allow",
                "Principal": {"AWS": one_or_list(roots)},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "ArnLike": {"aws:PrincipalArn": one_or_list(promoters[account])},
                    "StringEquals": {"aws:PrincipalOrgID": settings.aws_organisation},
                },
            }
        )
        yield Role(
            of_account[account].role(READER),
            "Lets promotion read this account's images",
            trust,
            policies,
        )


def planned_keys(settings: Settings, pipeline: Pipeline) -> tuple[str, ...]:
    """Return the aliases of the keys that must stand in the artifacts account, that of the secrets first."""
    apps = [APP, *([PREVIEW_APP] if writes_variables(settings) else [])]
    return (SECRETS, *apps, *([DISPATCH_APP] if pipeline.webhook else []))


def _auditors(
    accounts: Mapping[str, Registry],
    operators: Mapping[str, Any],
    settings: Settings,
    pipeline: Pipeline,
) -> Iterator[Role]:
    ours = artifacts_registry(settings)
    encrypting = chosen_keys(configured_registries(settings), settings)
    for account, registry in accounts.items():
        iam = f"arn:{registry.partition}:iam::{account}"
        roles = ["iam:GetRole", "iam:GetRolePolicy"]
        lists = ["iam:ListAttachedRolePolicies", "iam:ListRolePolicies"]
        looks = policy(
            allow("Roles", [*roles, *lists], f"{iam}:role/*"),
            allow("Boundaries", ["iam:GetPolicy", "iam:GetPolicyVersion"], f"{iam}:policy/*"),
            *_image_keys([key for each, key in encrypting.items() if each.account == account]),
            *(_beside_roles(ours, settings, pipeline) if account == ours.account else ()),
        )
        reads = ["ecr:DescribeRepositories", "ecr:GetRegistryScanningConfiguration"]
        usage = policy(allow("Registry", reads, "*"))
        policies = {"audit": audit_policy(registry), "doctor": looks, "usage": usage}
        yield Role(
            registry.role(AUDIT),
            "Lets operators look, by audit, usage and doctor",
            operators,
            policies,
        )


def _image_keys(arns: Sequence[str]) -> Iterator[Statement]:
    """Let `doctor` look at the keys of an account's images."""
    if arns:
        yield allow("ImageKeys", "kms:DescribeKey", one_or_list(sorted({*arns})))


def _beside_roles(ours: Registry, settings: Settings, pipeline: Pipeline) -> Iterator[Statement]:
    """Let `doctor` look at what stands in the artifacts account beside roles."""
    yield allow("Provider", "iam:GetOpenIDConnectProvider", provider_arn(ours))
    yield allow("Aliases", "kms:ListAliases", "*")
    looks = _with_key("Keys", ours, "", ["kms:DescribeKey", "kms:GetKeyRotationStatus"])
    named = [f"alias/{each}" for each in planned_keys(settings, pipeline)]
    condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": one_or_list(named)}}
    yield {**looks, "Condition": condition}
    bucket = f"arn:{ours.partition}:s3:::{pipeline.bucket}"
    yield allow("StateBucket", list(BUCKET_LOOKS), bucket)


def audit_policy(registry: Registry) -> dict[str, Any]:
    """Return what `audit` reads in an account, as docs/operations/audit.md prints it."""
    images = ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetLifecyclePolicy"]
    functions = ["lambda:GetFunction", "lambda:ListAliases", "lambda:ListFunctions"]
    everything = f"arn:{registry.partition}:ecr:*:{registry.account}:repository/*"
    return policy(
        allow("Images", images, everything),
        allow("Replication", ["ecr:DescribeRegistry"], "*"),
        allow("Workloads", ["ecs:Describe*", "ecs:List*", *functions], "*"),
    )


def _push_boundary(settings: Settings) -> list[ManagedPolicy]:
    document = boundary_document(settings)
    if document is None or settings.push_roles is None:
        return []
    first = architecture_of(settings)("")[0].registry
    made = f"arn:{first.partition}:iam::{first.account}:policy/{PUSH_BOUNDARY}"
    arn = settings.push_roles.permissions_boundary or made
    return [ManagedPolicy(arn, json.loads(document.text))]


def _account(
    registry: Registry, roles: Sequence[Role], further: Sequence[ManagedPolicy]
) -> Account:
    arn = f"arn:{registry.partition}:iam::{registry.account}:policy/{BOUNDARY}"
    actions = {
        action
        for role in roles
        for document in role.policies.values()
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
        for action in _texts(statement["Action"])
    }
    document = json.loads(
        policy_text(
            allow("Bounds", sorted(actions), "*"),
            {
                "Sid": "NeverThemselves",
                "Effect": "Deny",
                "Action": list(_BOUND),
                "Resource": sorted({*(role.arn for role in roles), arn, *(p.arn for p in further)}),
            },
        )
    )
    return Account(registry.account, tuple(roles), ManagedPolicy(arn, document), tuple(further))


def _texts(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value
