"""The access matrix: who may do what to which image repository, decided and not believed.

Owns the callers that a plan knows and those that it must keep out, and how the decisions read as a
page. Every caller from elsewhere has an identity policy that allows everything, so that only the
estate's own documents can refuse it. Reads a plan and its settings; asks nobody.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecr.access_proof.evaluate import AccessDecision, Caller, decide_access
from ecr.plan.access.deploy_roles import deployment_documents
from ecr.plan.access.push_roles import AUDIENCE, ISSUER, provider_arn
from ecr.plan.access.registry_policies import FUNCTIONS, PULL, PUSH, namespace_policy
from ecr.plan.architectures import artifacts_registry, source_registries
from ecr.plan.model import EstatePlan, ImageRepository, PushRole
from ecr.registry.registry import Registry
from ecr.settings.models import Settings

EVERYTHING = '{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'

REPLICATION = (
    '{"Statement":[{"Effect":"Allow","Action":["ecr:CreateRepository","ecr:ReplicateImage"],'
    '"Resource":"*"}]}'
)
"""What replication's own role may do (Amazon ECR User Guide, "Using service-linked roles")."""

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "pull": FUNCTIONS,
    "ask which layers are there": tuple(sorted({*PULL} - {*FUNCTIONS})),
    "list images": ("ecr:ListImages",),
    "describe images": ("ecr:DescribeImages",),
    "push": PUSH,
    "delete images": ("ecr:BatchDeleteImage",),
    "delete the image repository": ("ecr:DeleteRepository",),
    "change its policy": ("ecr:DeleteRepositoryPolicy", "ecr:SetRepositoryPolicy"),
    "change its lifecycle policy": ("ecr:DeleteLifecyclePolicy", "ecr:PutLifecyclePolicy"),
    "exclude somebody from pull times": (
        "ecr:DeregisterPullTimeUpdateExclusion",
        "ecr:RegisterPullTimeUpdateExclusion",
    ),
    "fill it by replication": ("ecr:ReplicateImage",),
    "create it by replication": ("ecr:CreateRepository",),
}
"""What may be asked, each as the actions that it takes all together."""

UNKNOWN_ACCOUNT = "101010101010"
"""An account that no settings name."""

FOREIGN_ORGANISATION = "o-foreign00000"


@dataclass(frozen=True, slots=True)
class Target:
    """An image repository, and the policies that decide over it."""

    image_repository: ImageRepository
    policies: tuple[str, ...]

    @property
    def registry(self) -> Registry:
        """Return the registry that it is in."""
        return self.image_repository.placement.registry

    @property
    def title(self) -> str:
        """Return its name; of a replica the account too."""
        name = self.image_repository.placement.name
        replica = self.image_repository.kind == "replica"
        return f"{name} in {self.registry.account}" if replica else name


def targets(plan: EstatePlan) -> list[Target]:
    """Return every image repository of a plan."""
    by_registry = {each.registry: each.own_policy for each in plan.registries}
    return [
        Target(each, tuple(filter(None, (by_registry[each.placement.registry], each.policy))))
        for each in plan.image_repositories
    ]


def callers(plan: EstatePlan, settings: Settings) -> dict[str, Caller]:
    """Return the callers of a matrix by what they are called."""
    return dict(_callers(plan, settings))


def _callers(plan: EstatePlan, settings: Settings) -> Iterator[tuple[str, Caller]]:
    ours, organisation = artifacts_registry(settings), settings.aws_organisation

    def role(account: str, name: str, *policies: str, **facts: Any) -> Caller:  # noqa: ANN401 - a caller's own
        within = {"organisation": organisation, "paths": (f"{organisation}/r-ab12/",), **facts}
        arn = f"arn:{ours.partition}:iam::{account}:role/{name}"
        return Caller("role", arn, policies=policies, **within)

    yield "an admin of the artifacts account", role(ours.account, "admin", EVERYTHING)
    yield "a role of the artifacts account without a policy", role(ours.account, "anybody")
    for account in sorted({each.registry.account for each in plan.registries} - {ours.account}):
        yield f"an admin of {account}", role(account, "admin", EVERYTHING)
    yield "an account of the organisation", role(UNKNOWN_ACCOUNT, "node", EVERYTHING)
    yield (
        "an account outside the organisation",
        role(UNKNOWN_ACCOUNT, "node", EVERYTHING, organisation=FOREIGN_ORGANISATION,
             paths=(f"{FOREIGN_ORGANISATION}/r-zz99/",)),
    )  # fmt: skip
    yield (
        "an account of no organisation",
        role(UNKNOWN_ACCOUNT, "node", EVERYTHING, organisation=None, paths=()),
    )
    yield "an anonymous caller", Caller("anonymous")
    for where, readers in (
        ("the estate", settings.access.readers),
        *(
            (f"the namespace {name}", each.readers or ())
            for name, each in sorted(settings.namespaces.known.items())
        ),
    ):
        for reader in readers:
            yield f"a reader of {where}: {reader}", _reader(reader, ours)
    for name, namespace in sorted(settings.namespaces.known.items()):
        for pusher in namespace.pushers:
            who = Caller("role", pusher, policies=(EVERYTHING,))
            yield f"a pusher of the namespace {name}: {pusher}", who
        policy = namespace_policy(name, source_registries(settings))
        yield (
            f"a pod of the artifacts account with the policy of {name}",
            role(ours.account, "pod", policy),
        )
    yield from _functions(plan, settings)
    for source in source_registries(settings):
        yield (
            f"replication from {source.account}",
            role(source.account, "replication", REPLICATION, organisation=None, paths=()),
        )
    yield (
        "replication from another account",
        role(UNKNOWN_ACCOUNT, "replication", REPLICATION, organisation=None, paths=()),
    )
    yield from (
        (f"the workflows of {each.repository}", Caller("role", each.arn, policies=(each.policy,)))
        for each in plan.push_roles
    )
    documents = deployment_documents(settings)
    for account, deployer in {each.registry.account: each.role for each in plan.registries}.items():
        deploys, previews = documents[account]
        arn = deployer or f"arn:{ours.partition}:iam::{account}:role/deploy"
        yield f"the deploy role of {account}", Caller("role", arn, policies=(deploys.text,))
        yield (
            f"the preview role of {account}",
            role(account, settings.preview_role or "preview", previews.text),
        )
    for name in settings.access.lock.break_glass if settings.access.lock else ():
        yield f"the break-glass role {name}", Caller("role", name, policies=(EVERYTHING,))


def _reader(reader: str, ours: Registry) -> Caller:
    """Return a caller whom a reader of the settings means, with nothing else that would let it in."""
    if reader.startswith("arn:"):
        return Caller("role", reader, policies=(EVERYTHING,))
    account = reader if reader.isdecimal() else UNKNOWN_ACCOUNT
    arn = f"arn:{ours.partition}:iam::{account}:role/reader"
    if reader.isdecimal():
        return Caller("role", arn, policies=(EVERYTHING,))
    path = f"{reader.rstrip('/')}/"
    organisation = reader.partition("/")[0]
    return Caller("role", arn, organisation=organisation, paths=(path,), policies=(EVERYTHING,))


def _functions(plan: EstatePlan, settings: Settings) -> Iterator[tuple[str, Caller]]:
    ours = artifacts_registry(settings)
    accounts = {
        ours.account,
        *(each.registry.account for each in plan.registries),
        *(settings.access.functions.accounts if settings.access.functions else ()),
        UNKNOWN_ACCOUNT,
    }
    for account in sorted(accounts):
        source = f"arn:{ours.partition}:lambda:{ours.region}:{account}:function:any"
        name = "another account" if account == UNKNOWN_ACCOUNT else account
        yield (
            f"Lambda, for functions of {name}",
            Caller("service", "lambda.amazonaws.com", context={"aws:SourceArn": source}),
        )


def decisions_for(caller: Caller, what: str, target: Target) -> set[AccessDecision]:
    """Decide what a caller may do to an image repository: one decision, if all its actions agree."""
    return {
        decide_access(
            caller,
            action,
            target.registry.arn(target.image_repository.placement.name),
            target.policies,
            account=target.registry.account,
        )
        for action in ACTIONS[what]
    }


def workflows(plan: EstatePlan, settings: Settings) -> dict[str, Caller]:
    """Return workflows that might ask for a push role, by what they are called."""
    owner = settings.github.organisation
    number = settings.push_roles.organisation_id if settings.push_roles else None
    found: dict[str, Caller] = {}
    branch = "ref:refs/heads/main"
    if settings.push_roles and settings.push_roles.branches:
        branch = f"ref:refs/heads/{settings.push_roles.branches[0].replace('*', 'x')}"
    for role in plan.push_roles:
        identity = int(role.name.rpartition("-")[2])
        for title, subject, repository in (
            ("", f"repo:{owner}@{number}/{role.repository}@{identity}:{branch}", identity),
            (", by the older subject", f"repo:{owner}/{role.repository}:{branch}", identity),
            (", on another branch", f"repo:{owner}/{role.repository}:ref:refs/heads/zz", identity),
            (
                ", made anew under its name",
                f"repo:{owner}/{role.repository}:{branch}",
                identity + 1,
            ),
            (", of another organisation", f"repo:foreign/{role.repository}:{branch}", identity + 1),
        ):
            found[f"{role.repository}{title}"] = Caller(
                "federated",
                provider_arn(role.registry),
                context={
                    f"{ISSUER}:aud": AUDIENCE,
                    f"{ISSUER}:sub": subject,
                    f"{ISSUER}:repository_id": str(repository),
                },
            )
    return found


def matrix_tables(plan: EstatePlan, settings: Settings) -> str:
    """Return the whole matrix as Markdown: a table for each thing that may be asked."""
    known, columns = callers(plan, settings), targets(plan)
    parts = []
    for what, actions in ACTIONS.items():
        rows = [
            [title, *(_word(decisions_for(caller, what, target)) for target in columns)]
            for title, caller in known.items()
        ]
        listed = ", ".join(f"`{action}`" for action in actions)
        parts.append(f"## Who may {what} {{ #{what.replace(' ', '-')} }}\n\n{listed}.\n")
        parts.append(_table(["caller", *(f"`{each.title}`" for each in columns)], rows))
    if plan.push_roles:
        cells = [
            [title, *(_word({may_assume(workflow, role)}) for role in plan.push_roles)]
            for title, workflow in workflows(plan, settings).items()
        ]
        parts.append("## Whose workflows may take which role { #roles }\n")
        names = [f"`{role.name}`" for role in plan.push_roles]
        parts.append(_table(["workflow of", *names], cells))
    return "\n".join(parts)


def may_assume(workflow: Caller, role: PushRole) -> AccessDecision:
    """Decide whether a workflow may take a push role."""
    action = "sts:AssumeRoleWithWebIdentity"
    return decide_access(workflow, action, role.arn, [role.trust], account=role.registry.account)


def _word(decisions: set[AccessDecision]) -> str:
    if len(decisions) != 1:
        return "in part"
    return {"allowed": "**yes**", "denied": "denied", "not allowed": "no"}[decisions.pop()]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
