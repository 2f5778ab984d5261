"""Push roles: each trusts one repository, pushes to its own image repositories and deletes nothing."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr.access_proof.evaluate import Caller, decide_access
from ecr.errors import EstateError
from ecr.github.model import Inventory
from ecr.ledger.ledger import Ledger
from ecr.plan.access.push_roles import (
    ISSUER,
    LONGEST_ROLE_NAME,
    GitHubRepository,
    provider_arn,
    push_policy,
    push_trust,
    role_name,
    trusts_template,
)
from ecr.plan.access.registry_policies import PULL, PUSH
from ecr.plan.build import build_plan
from ecr.plan.model import Observed, Variable
from ecr.registry.registry import Placement, Registry
from tests.builders import ARTIFACTS, OWNER, TODAY, plan, repositories, repository, settings

REGISTRY = Registry(ARTIFACTS, "eu-west-1")
API = GitHubRepository("acme", 7, "api", 42)
ROLES: dict[str, Any] = {"pushRoles": {"organisationId": 7}}


def may_assume(trust: str, subject: str, number: int = 42, **claims: str) -> bool:
    """Whether a workflow with this token may take the role."""
    token = {"aud": "sts.amazonaws.com", "sub": subject, "repository_id": str(number), **claims}
    workflow = Caller(
        "federated",
        provider_arn(REGISTRY),
        context={f"{ISSUER}:{claim}": value for claim, value in token.items()},
    )
    role = f"arn:aws:iam::{ARTIFACTS}:role/push"
    action = "sts:AssumeRoleWithWebIdentity"
    return decide_access(workflow, action, role, [trust], account=ARTIFACTS) == "allowed"


@pytest.mark.parametrize(
    ("subject", "number", "trusted"),
    [
        ("repo:acme/api:ref:refs/heads/main", 42, True),
        ("repo:acme@7/api@42:ref:refs/heads/main", 42, True),
        ("repo:acme@7/api@42:environment:prod", 42, True),
        ("repo:acme/api:pull_request", 42, True),
        # Another repository of the same name, made after the first was deleted or renamed.
        ("repo:acme/api:ref:refs/heads/main", 43, False),
        ("repo:acme@7/api@43:ref:refs/heads/main", 43, False),
        ("repo:acme@8/api@42:ref:refs/heads/main", 42, False),
        ("repo:acme/api-tools:ref:refs/heads/main", 42, False),
        ("repo:acme/web:ref:refs/heads/main", 1, False),
        ("repo:evil/api:ref:refs/heads/main", 2, False),
        ("repo:evil@1/x@2:environment:acme@7/api@42:x", 2, False),
    ],
)
def test_a_role_trusts_both_forms_of_one_repositorys_subject_and_no_other(
    subject: str, number: int, *, trusted: bool
) -> None:
    assert may_assume(push_trust(REGISTRY, API), subject, number) == trusted


def test_a_role_trusts_no_token_for_somebody_else() -> None:
    trust = push_trust(REGISTRY, API)
    assert not may_assume(trust, "repo:acme/api:ref:refs/heads/main", aud="https://acme.example")
    assert provider_arn(REGISTRY) in trust


@pytest.mark.parametrize(
    ("chosen", "trusted"),
    [
        ({}, {"branch", "release", "tag", "job", "pull"}),
        ({"branches": ["main"]}, {"branch"}),
        ({"branches": ["main", "release/*"]}, {"branch", "release"}),
        ({"tags": ["v*"]}, {"tag"}),
        ({"environments": ["prod"]}, {"job"}),
        ({"branches": ["main"], "environments": ["prod"]}, {"branch", "job"}),
    ],
)
def test_branches_tags_and_environments_narrow_it(chosen: Any, trusted: set[str]) -> None:
    planned = plan(repository(42, "api"), pushRoles={"organisationId": 7, **chosen})
    (role,) = planned.push_roles
    subjects = {
        "branch": "ref:refs/heads/main",
        "release": "ref:refs/heads/release/1",
        "tag": "ref:refs/tags/v1",
        "job": "environment:prod",
        "pull": "pull_request",
    }
    for form in ("repo:acme/api", "repo:acme@7/api@42"):
        assert {
            name for name, rest in subjects.items() if may_assume(role.trust, f"{form}:{rest}")
        } == trusted


@given(st.integers(1, 99), st.from_regex(r"[a-z0-9._-]{1,6}", fullmatch=True))
def test_no_other_repository_is_trusted_whatever_its_name(number: int, name: str) -> None:
    trust = push_trust(REGISTRY, API)
    mine = (number, name) == (API.id, API.name)
    assert may_assume(trust, f"repo:acme@7/{name}@{number}:ref:refs/heads/x", number) == mine
    assert may_assume(trust, f"repo:acme/{name}:ref:refs/heads/x", number) == mine


def test_partitions_that_do_not_know_the_repositorys_id_are_not_asked_for_it() -> None:
    assert "repository_id" in push_trust(REGISTRY, API)
    assert "repository_id" not in push_trust(Registry("1", "cn-north-1"), API)


def test_a_role_pushes_to_its_own_image_repository_and_deletes_nothing() -> None:
    document = push_policy([Placement(REGISTRY, "payments/api")])
    workflow = Caller("role", f"arn:aws:iam::{ARTIFACTS}:role/push", policies=(document,))

    def may(action: str, name: str) -> bool:
        return decide_access(workflow, action, REGISTRY.arn(name), account=ARTIFACTS) == "allowed"

    assert all(may(action, "payments/api") for action in (*PULL, *PUSH))
    assert not any(may(action, "payments/web") for action in (*PULL, *PUSH))
    assert not may("ecr:PutImage", "payments/api-tools")
    for action in ("ecr:BatchDeleteImage", "ecr:DeleteRepository", "ecr:SetRepositoryPolicy"):
        assert not may(action, "payments/api")


def test_every_active_service_that_is_selected_has_a_role() -> None:
    asked: dict[str, Any] = {"pushRoles": {"organisationId": 7, "services": {"property": "push"}}}
    first = plan(
        repository(1, "api", properties={"push": "true"}),
        repository(2, "web"),
        repository(3, "old", properties={"push": "true"}),
        **asked,
    )
    assert [each.service for each in first.push_roles] == ["api", "old"]
    assert first.push_roles[0].arn == f"arn:aws:iam::{ARTIFACTS}:role/ecr-estate/push-api-1"
    later = plan(repository(1, "api", properties={"push": "true"}), ledger=first.ledger, **asked)
    assert [each.service for each in later.push_roles] == ["api"]
    assert plan(*repositories("api")).push_roles == ()


def test_a_renamed_repository_keeps_its_role_which_trusts_the_new_name() -> None:
    before = plan(repository(1, "api"), **ROLES)
    after = plan(repository(1, "gateway"), ledger=before.ledger, **ROLES)
    assert after.push_roles[0].name == before.push_roles[0].name
    assert may_assume(after.push_roles[0].trust, "repo:acme@7/gateway@1:ref:refs/heads/main", 1)
    assert not may_assume(after.push_roles[0].trust, "repo:acme/api:ref:refs/heads/main", 1)


def test_a_role_pushes_every_image_of_its_service_and_no_other_services() -> None:
    named: dict[str, Any] = {"images": {"named": {"services": {"api": ["worker"]}}}}
    planned = plan(*repositories("api", "api-tools"), **named, **ROLES)
    role = planned.push_roles[0]
    workflow = Caller("role", role.arn, policies=(role.policy,))
    pushed = {
        each.placement.name
        for each in planned.image_repositories
        if decide_access(
            workflow, "ecr:PutImage", REGISTRY.arn(each.placement.name), account=ARTIFACTS
        )
        == "allowed"
    }
    assert pushed == {"api", "api/worker"}


def test_images_are_pushed_to_the_first_stage_only() -> None:
    planned = plan(repository(1, "api"), architecture="per-stage", stages=["dev", "prod"], **ROLES)
    assert "repository/api-dev" in planned.push_roles[0].policy
    assert "repository/api-prod" not in planned.push_roles[0].policy


@pytest.mark.parametrize("service", ["a", "payments/checkout", "x" * 256])
def test_a_roles_name_is_one_that_iam_takes(service: str) -> None:
    name = role_name(service, 1_304_267_049)
    assert len(name) <= LONGEST_ROLE_NAME
    assert name.endswith("-1304267049")
    assert "/" not in name


def test_the_organisations_id_is_githubs_own_answer_or_has_to_be_written() -> None:
    chosen = settings(pushRoles={})
    listed = Inventory(repositories("api"), owner=9)
    role = build_plan(chosen, listed, Ledger(), Observed(), owner=OWNER, today=TODAY).push_roles[0]
    assert "repo:acme@9/api@1:*" in role.trust
    with pytest.raises(EstateError, match=r"pushRoles\.organisationId: is missing"):
        plan(*repositories("api"), pushRoles={})
    with pytest.raises(EstateError, match="a static list does not say it"):
        settings(pushRoles={}, static=[{"id": 1, "name": "api"}])


def test_a_github_of_ones_own_is_refused_for_aws_does_not_know_its_ids() -> None:
    github = {"organisation": "acme", "baseUrl": "https://github.acme.example"}
    with pytest.raises(EstateError, match=r"pushRoles: stands beside github\.baseUrl"):
        settings(github=github, **ROLES)


def test_more_roles_than_an_account_takes_are_refused() -> None:
    many = repositories(*(f"service-{number}" for number in range(1001)))
    with pytest.raises(EstateError, match=r"1001 push roles are planned, .* and AWS takes 1000"):
        plan(*many, **ROLES)
    (note, *_) = plan(*many[:900], **ROLES).notes
    assert "900 push roles are planned, beside what other roles it has, 90% of the 1000" in note


def test_a_trust_policy_that_is_too_long_is_named_with_the_remedy() -> None:
    branches = [f"release/2026-{number:03}" for number in range(60)]
    with pytest.raises(EstateError) as refused:
        plan(repository(1, "api"), pushRoles={"organisationId": 7, "branches": branches})
    (offence,) = refused.value.offences
    assert offence.startswith(f"push role {ARTIFACTS}/push-api-1: its trust policy has ")
    assert offence.endswith(
        "and AWS takes 2048; list fewer branches, tags and environments under pushRoles"
    )


def test_the_identity_provider_is_made_once_an_account_and_only_where_asked() -> None:
    assert plan(*repositories("api", "web"), **ROLES).identity_providers == ()
    asked: dict[str, Any] = {"pushRoles": {"organisationId": 7, "createProvider": True}}
    assert plan(*repositories("api", "web"), **asked).identity_providers == (REGISTRY,)


@pytest.mark.parametrize("prefix", ["ECR_", "PLATFORM_"])
def test_a_role_with_variables_says_where_to_push(prefix: str) -> None:
    chosen = {"organisationId": 7, "variables": True, "variablesPrefix": prefix}
    (role,) = plan(repository(1, "API"), pushRoles=chosen).push_roles
    assert role.repository == "API"
    assert role.variables == {
        f"{prefix}PUSH_ROLE": role.arn,
        f"{prefix}REGION": "eu-west-1",
        f"{prefix}REPOSITORY": f"{ARTIFACTS}.dkr.ecr.eu-west-1.amazonaws.com/api",
    }
    assert json.loads(role.trust)["Version"] == "2012-10-17"


def test_no_variable_hides_one_that_aws_and_its_actions_read_unless_asked() -> None:
    chosen: dict[str, Any] = {"organisationId": 7, "variables": True}
    (role,) = plan(repository(1, "api"), pushRoles=chosen).push_roles
    assert not [name for name in role.variables if name.startswith(("AWS_", "GITHUB_"))]


@pytest.mark.parametrize("prefix", ["", "ecr_", "1_", "GITHUB_", "GITHUB_ECR_", "ECR-", "Ü_"])
def test_a_prefix_with_which_github_takes_no_variable_is_refused(prefix: str) -> None:
    with pytest.raises(EstateError, match=r"pushRoles\.variablesPrefix.* is not the beginning of"):
        settings(pushRoles={"organisationId": 7, "variablesPrefix": prefix})


def test_variables_that_stand_are_taken_up_where_equal_and_left_alone_where_not() -> None:
    chosen: dict[str, Any] = {"organisationId": 7, "variables": True}
    standing = {
        1: {"ECR_REGION": Variable("eu-west-1"), "ECR_REPOSITORY": Variable("elsewhere")},
        2: {"ECR_REGION": Variable(urn="urn:of-ours"), "AWS_REGION": Variable("us-east-1")},
    }
    planned = plan(
        *repositories("api", "web"), observed=Observed(variables=standing), pushRoles=chosen
    )
    api, web = planned.push_roles
    assert api.variables.keys() == {"ECR_PUSH_ROLE", "ECR_REGION"}
    assert api.found == frozenset({"ECR_REGION"})
    assert api.left_alone == {"ECR_REPOSITORY": "elsewhere"}
    assert not api.held
    assert (len(web.variables), web.found, web.left_alone) == (3, frozenset(), {})
    assert web.held == {"ECR_REGION": "urn:of-ours"}
    (note,) = planned.notes
    assert note.startswith("api has ECR_REPOSITORY with another value, by other hands")
    (stands,) = planned.standing
    assert (stands.kind, stands.name, stands.now) == ("variable", "api/ECR_REPOSITORY", "elsewhere")
    adopting = plan(
        *repositories("api", "web"),
        observed=Observed(variables=standing),
        pushRoles={**chosen, "adopted": ["api"]},
    )
    assert adopting.push_roles[0].found == {"ECR_REGION", "ECR_REPOSITORY"}
    assert not adopting.standing


def test_a_repository_whose_variables_nobody_says_gets_none_and_all_others_get_theirs() -> None:
    chosen: dict[str, Any] = {"organisationId": 7, "variables": True}
    observed = Observed(
        variables={1: {"ECR_REGION": Variable(urn="urn:of-ours")}}, unread={1: "answered with 404"}
    )
    planned = plan(*repositories("api", "web"), observed=observed, pushRoles=chosen)
    api, web = planned.push_roles
    assert (set(api.variables), len(web.variables)) == ({"ECR_REGION"}, 3)
    (left,) = planned.left_out
    assert (left.repository, left.reason) == (
        "api",
        "its variables are not written: answered with 404",
    )


@pytest.mark.parametrize(
    ("template", "branches", "trusted"),
    [
        (("repo", "context"), ["main"], True),
        (("repo", "context", "job_workflow_ref"), ["main"], False),
        (("repo", "context", "job_workflow_ref"), [], True),
        (("repo", "environment"), [], True),
        (("repository_owner_id", "repo"), [], False),
        (("repo",), [], False),
    ],
)
def test_a_new_role_that_would_trust_no_token_of_its_repository_is_left_out(
    template: tuple[str, ...],
    branches: list[str],
    trusted: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    observed = Observed(templates={1: template})
    chosen = {"organisationId": 7, "branches": branches}
    planned = plan(*repositories("api", "web"), observed=observed, pushRoles=chosen)
    assert [each.service for each in planned.push_roles] == (["api"] if trusted else []) + ["web"]
    assert len(planned.image_repositories) == 2
    reasons = [each.reason for each in planned.left_out]
    assert reasons == [] if trusted else "would trust none of its tokens" in reasons[0]
    stood = replace(observed, roles={"push-api-1": "/ecr-estate/"})
    again = plan(*repositories("api", "web"), observed=stood, pushRoles=chosen)
    assert len(again.push_roles) == 2


def test_a_template_is_trusted_where_the_subject_that_github_makes_of_it_is() -> None:
    for template, subject in (
        (("repo", "context"), "repo:acme/api:ref:refs/heads/main"),
        (("repo", "context", "ref"), "repo:acme/api:ref:refs/heads/main:ref:refs/heads/main"),
        (("repo", "environment"), "repo:acme/api:environment:prod"),
        (("ref", "repo"), "ref:refs/heads/main:repo:acme/api"),
    ):
        for branches in ([], ["main"]):
            chosen = settings(pushRoles={"organisationId": 7, "branches": branches})
            assert chosen.push_roles
            (role,) = plan(
                repository(1, "api"), pushRoles={"organisationId": 7, "branches": branches}
            ).push_roles
            assert trusts_template(chosen.push_roles, template) == may_assume(
                role.trust, subject, 1
            ), (template, branches)


def test_a_role_trusts_the_organisation_as_github_writes_it_and_not_as_the_settings_do() -> None:
    chosen = settings(github={"organisation": "acme-corp"}, pushRoles={})
    listed = Inventory(repositories("api"), owner=9, login="Acme-Corp")
    planned = build_plan(chosen, listed, Ledger(), Observed(), owner=OWNER, today=TODAY)
    (role,) = planned.push_roles
    assert may_assume(role.trust, "repo:Acme-Corp/api:ref:refs/heads/main", 1)
    assert may_assume(role.trust, "repo:Acme-Corp@9/api@1:ref:refs/heads/main", 1)
    assert not may_assume(role.trust, "repo:acme-corp/api:ref:refs/heads/main", 1)
    (image_repository,) = planned.image_repositories
    assert image_repository.tags["github-owner"] == "Acme-Corp"
