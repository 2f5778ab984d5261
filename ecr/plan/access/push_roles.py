"""Push roles: how a repository's workflows push its service's images, and nothing else.

Owns the roles' names and documents. Each trusts one repository by ids that GitHub never gives again,
and may write to that service's image repositories of the first stage. It deletes nothing, and it
changes nothing about an image repository. No long-lived key is involved.

Sources: GitHub Docs, "OpenID Connect reference"; IAM User Guide, "Available keys for AWS OIDC
federation".
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ecr.errors import EstateError
from ecr.github.model import DEFAULT_SUBJECT
from ecr.plan.access.documents import one_or_list, policy_text
from ecr.plan.access.registry_policies import PULL, PUSH
from ecr.plan.architectures import Architecture
from ecr.plan.model import PUSH_ROLE_PATH, LeftOut, PushRole, Standing, Variable, push_role_arn
from ecr.plan.overrides import selects
from ecr.plan.services import Service
from ecr.registry.registry import Placement, Registry
from ecr.settings.models import PushRoles, Settings

ISSUER = "token.actions.githubusercontent.com"
"""Who vouches for a workflow (GitHub Docs, "Configuring OpenID Connect in Amazon Web Services")."""

AUDIENCE = "sts.amazonaws.com"
"""Whom a token is for, where AWS's own action asks for it."""

LONGEST_ROLE_NAME = 64
"""Characters of a role's name (IAM User Guide, "IAM and AWS STS quotas")."""


@dataclass(frozen=True, slots=True)
class GitHubRepository:
    """A repository as a workflow's token names it: owner and repository, each with its id."""

    owner: str
    owner_id: int
    name: str
    id: int


def plan_push_roles(
    services: Iterable[Service],
    settings: Settings,
    place: Architecture,
    *,
    owner_id: int | None,
    standing: Mapping[int, Mapping[str, Variable]],
    roles: Mapping[str, str] = MappingProxyType({}),
    unread: Container[int] = (),
) -> tuple[PushRole, ...]:
    """Return the roles of the active services that the settings select; none without the setting.

    ``owner_id`` is the organisation's id where GitHub was asked, ``standing`` are the variables that
    repositories have, and ``roles`` the paths of roles that stand in the account, by name. A repository
    among the ``unread`` gets no variable that the state does not hold: what stands there is not known.
    Raises EstateError where nobody says the id.
    """
    chosen = settings.push_roles
    if chosen is None:
        return ()
    owner = chosen.organisation_id or owner_id
    if owner is None:
        raise EstateError(
            "GitHub did not say the organisation's id, which push roles trust; nothing was changed.",
            ["pushRoles.organisationId: is missing; write it"],
        )
    return tuple(
        _role(
            GitHubRepository(
                settings.github.organisation, owner, each.entry.repository, each.github_id
            ),
            each.name,
            [placement for image in each.images for placement in place(image)],
            chosen,
            standing.get(each.github_id, {}),
            roles=roles,
            readable=each.github_id not in unread,
        )
        for each in services
        if each.active and _has_role(each, chosen)
    )


def _has_role(service: Service, chosen: PushRoles) -> bool:
    """Return whether a service has a role; one that is held keeps it where GitHub no longer says."""
    if service.repository is None:
        return True
    return selects(chosen.services, service.repository)


def _role(
    repository: GitHubRepository,
    service: str,
    placements: Sequence[Placement],
    chosen: PushRoles,
    standing: Mapping[str, Variable],
    *,
    roles: Mapping[str, str],
    readable: bool,
) -> PushRole:
    first = placements[0]
    # Images get to later stages by promotion, and not by being pushed there.
    mine = [each for each in placements if each.stage == first.stage]
    registry = first.registry
    name = role_name(service, repository.id)
    wanted = {
        variable: value
        for variable, value in zip(
            variable_names(chosen),
            (push_role_arn(registry, name), registry.region, f"{registry.host}/{first.name}"),
            strict=True,
        )
        if chosen.variables and (readable or variable in standing)
    }
    adopted = repository.name in chosen.adopted
    others = {
        variable: now
        for variable, value in wanted.items()
        if variable in standing
        and (now := standing[variable].value) not in {None, value}
        and now is not None
        and not adopted
    }
    variables = {key: value for key, value in wanted.items() if key not in others}
    known = {key: standing[key] for key in variables if key in standing}
    return PushRole(
        registry=registry,
        service=service,
        repository=repository.name,
        name=name,
        trust=push_trust(registry, repository, subjects(chosen)),
        policy=push_policy(mine),
        boundary=chosen.permissions_boundary,
        variables=variables,
        found=frozenset(key for key, each in known.items() if each.value is not None),
        held={key: each.urn for key, each in known.items() if each.urn},
        left_alone=others,
        wanted=wanted,
        # The name of a role is taken whatever its path and case are (IAM User Guide, "IAM identifiers").
        stands_at=next(
            (path for role, path in roles.items() if role.lower() == name.lower()), None
        ),
    )


def roles_left_out(roles: Iterable[PushRole]) -> Iterator[LeftOut]:
    """Yield the push roles whose names are taken by roles of other hands."""
    for role in roles:
        if role.stands_at not in {None, PUSH_ROLE_PATH}:
            yield LeftOut(
                role.github_id,
                role.repository,
                f"its push role is not made: a role {role.name} stands in {role.registry.account} under "
                f"{role.stands_at}, by other hands, and IAM has each name once; delete it, or leave the "
                "service out under pushRoles.services",
            )


def variables_left_out(
    roles: Iterable[PushRole], unread: Mapping[int, str], names: Mapping[int, str]
) -> Iterator[LeftOut]:
    """Yield the repositories whose variables are not written because nobody says what stands there."""
    planned = {role.github_id for role in roles}
    for number, why in sorted(unread.items()):
        if number in planned:
            yield LeftOut(
                number, names.get(number, str(number)), f"its variables are not written: {why}"
            )


def subjects_left_out(
    roles: Iterable[PushRole], chosen: PushRoles | None, templates: Mapping[int, tuple[str, ...]]
) -> Iterator[LeftOut]:
    """Yield the new push roles that would trust no token of their repository, for its template.

    A role that stands is left alone: its repository may have pushed by it.
    """
    if chosen is None:
        return
    for role in roles:
        template = templates.get(role.github_id)
        if template is None or role.stands_at is not None or trusts_template(chosen, template):
            continue
        yield LeftOut(
            role.github_id,
            role.repository,
            "its push role is not made, for it would trust none of its tokens: their subjects are made of "
            f"{', '.join(template)}; set the repository back to the default (`gh api --method PUT "
            f"repos/OWNER/{role.repository}/actions/oidc/customization/sub -F use_default=true`)",
        )


def trusts_template(chosen: PushRoles, template: Sequence[str]) -> bool:
    """Return whether roles trust subjects that GitHub makes of these claims.

    What follows the repository is trusted as it is written, or whatever it is where nothing was chosen.
    """
    if tuple(template) == DEFAULT_SUBJECT:
        return True
    return subjects(chosen) == ("*",) and len(template) > 1 and template[0] == "repo"


def provider_standing(registry: Registry, audiences: tuple[str, ...] | None) -> Iterator[Standing]:
    """Say that GitHub's identity provider is left to other hands, where it is made otherwise."""
    if audiences not in {None, (AUDIENCE,)}:
        more = (
            ""
            if AUDIENCE in (audiences or ())
            else f", and add {AUDIENCE} to it, or no role is given"
        )
        for_whom = ", ".join(audiences or ()) or "nobody"
        yield Standing(
            "identity provider",
            provider_arn(registry),
            f"for {for_whom}",
            f"for {AUDIENCE}",
            f"GitHub's identity provider stands by other hands, for {for_whom}; "
            f"it is left as it is: remove `pushRoles.createProvider`{more}",
        )


def variable_names(chosen: PushRoles) -> tuple[str, str, str]:
    """Return the names of the variables: the role's ARN, the Region and the address of the images."""
    prefix = chosen.variables_prefix
    return f"{prefix}PUSH_ROLE", f"{prefix}REGION", f"{prefix}REPOSITORY"


def standing_variables(roles: Iterable[PushRole]) -> Iterator[Standing]:
    """Yield the variables that are not written because other hands have one of the same name."""
    for role in roles:
        for name, now in role.left_alone.items():
            yield Standing(
                "variable",
                f"{role.repository}/{name}",
                now,
                role.wanted[name],
                f"{role.repository} has {name} with another value, by other hands, and it is left as it "
                "is; delete it there, name the repository under `pushRoles.adopted` to have it replaced, or "
                "choose another `pushRoles.variablesPrefix`",
            )


def spare_roles(
    roles: Mapping[str, str],
    planned: Iterable[PushRole],
    known: Mapping[int, Service],
    first: Registry,
) -> Iterator[Standing]:
    """Yield the roles of services that have none any more, which the engine's state does not hold.

    After a lost state nothing else remembers them: a service that is kept has no role. ``roles`` are the
    paths of those that stand, and ``known`` the services of this stack, by id.
    """
    wanted = {each.name.lower() for each in planned}
    for name, path in sorted(roles.items()):
        number = name.rpartition("-")[2]
        if path != PUSH_ROLE_PATH or name.lower() in wanted or not number.isdecimal():
            continue
        if service := known.get(int(number)):
            yield Standing(
                "spare push role",
                f"{first.account}/{name}",
                f"under {path}",
                "nothing needs it",
                f"role {name} in {first.account} is of {service.name}, which has no push role any more, and is "
                "not in the state; delete it, with its policy `push`",
            )


def standing_roles(roles: Sequence[PushRole]) -> Iterator[Standing]:
    """Yield the roles of other hands that have the names of push roles; ``roles_left_out`` says why."""
    for role, left_out in zip(
        (each for each in roles if each.stands_at not in {None, PUSH_ROLE_PATH}),
        roles_left_out(roles),
        strict=True,
    ):
        yield Standing(
            "push role",
            f"{role.registry.account}/{role.name}",
            f"under {role.stands_at}",
            f"under {PUSH_ROLE_PATH}",
            left_out.reason,
        )


def role_name(service: str, number: int) -> str:
    """Return the name of a role: readable by its service, and unique by the repository's id."""
    room = LONGEST_ROLE_NAME - len(f"push--{number}")
    return f"push-{service.replace('/', '.')[:room]}-{number}"


def subjects(chosen: PushRoles) -> tuple[str, ...]:
    """Return what may stand behind the repository in a token's subject; everything if nothing is chosen."""
    return (
        *(f"ref:refs/heads/{each}" for each in chosen.branches),
        *(f"ref:refs/tags/{each}" for each in chosen.tags),
        *(f"environment:{each}" for each in chosen.environments),
    ) or ("*",)


def push_trust(
    registry: Registry, repository: GitHubRepository, within: Iterable[str] = ("*",)
) -> str:
    """Let the workflows of exactly one repository assume a role of the registry's account.

    A repository made or renamed since 2026-07-15 is named in the subject with both ids, and an older
    one by names alone, which another could take over; so where AWS reads the repository's id from the
    token by itself, it must be this one. No wildcard stands before the repository's end.
    """
    owner, name = repository.owner, repository.name
    forms = (
        f"repo:{owner}/{name}",
        f"repo:{owner}@{repository.owner_id}/{name}@{repository.id}",
    )
    exact = {f"{ISSUER}:aud": AUDIENCE}
    if registry.partition == "aws":  # the other partitions do not know the key
        exact[f"{ISSUER}:repository_id"] = str(repository.id)
    return policy_text(
        {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn(registry)},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": exact,
                "StringLike": {
                    f"{ISSUER}:sub": [f"{form}:{rest}" for form in forms for rest in within]
                },
            },
        }
    )


def push_policy(placements: Iterable[Placement]) -> str:
    """Let a role push to some image repositories. Logging in has no resource of its own."""
    resources = [each.registry.arn(each.name) for each in placements]
    return policy_text(
        {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": sorted([*PULL, *PUSH]),
            "Resource": one_or_list(resources),
        },
    )


def provider_arn(registry: Registry) -> str:
    """Return the ARN of GitHub's identity provider in the registry's account."""
    return f"arn:{registry.partition}:iam::{registry.account}:oidc-provider/{ISSUER}"


def providers_made(roles: Iterable[PushRole], settings: Settings) -> Iterator[Registry]:
    """Yield one registry of each account in which the identity provider is to be made."""
    if settings.push_roles and settings.push_roles.create_provider:
        yield from {each.registry.account: each.registry for each in roles}.values()
