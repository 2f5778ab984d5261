"""The whole program under mocks: what it asks of the engine for a given organisation."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from sandbox.github import Organisation, synthetic_organisation
from sandbox.github.tokens import CLASSIC
from tests.builders import ARTIFACTS, LAMBDA, REPLICAS, SOURCE, config, with_replicas
from tests.mocks import Deployment, Invoke, answering, deploy, no_invoke

API = {"id": 1, "name": "api"}
WEB = {"id": 2, "name": "web"}


def deployed(
    *entries: dict[str, Any], last: Deployment | None = None, **changes: Any
) -> Deployment:
    return deploy(
        config(static=entries or (API,), **changes),
        no_invoke,
        last_outputs=last.outputs if last else None,
    )


def test_an_image_repository_is_made_as_the_records_say() -> None:
    made = deployed().of("Repository")[f"{SOURCE}/api"]
    assert made.protect
    assert not made.retain_on_delete
    assert made.inputs == {
        "name": "api",
        "region": "eu-west-1",
        "forceDelete": False,
        "imageTagMutability": "IMMUTABLE",
        "encryptionConfigurations": [{"encryptionType": "AES256"}],
        "tags": {
            "managed-by": "ecr-estate/test",
            "github-owner": "acme",
            "github-repository": "api",
            "github-id": "1",
            "service": "api",
        },
    }


def test_nothing_anywhere_may_be_deleted_by_force() -> None:
    repositories = deployed(API, WEB, **with_replicas()).of("Repository").values()
    assert len(repositories) == 4
    assert all(each.inputs["forceDelete"] is False and each.protect for each in repositories)


def test_tags_that_stay_mutable_are_listed_as_exclusions() -> None:
    made = deployed(images={"mutableTags": ["latest", "cache-*"]}).of("Repository")[f"{SOURCE}/api"]
    assert made.inputs["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert made.inputs["imageTagMutabilityExclusionFilters"] == [
        {"filter": "latest", "filterType": "WILDCARD"},
        {"filter": "cache-*", "filterType": "WILDCARD"},
    ]


def test_tags_that_never_move_are_listed_as_exclusions_of_the_other_mode() -> None:
    images = {"immutable": False, "immutableTags": ["v*"]}
    made = deployed(images=images).of("Repository")[f"{SOURCE}/api"]
    assert made.inputs["imageTagMutability"] == "MUTABLE_WITH_EXCLUSION"
    assert made.inputs["imageTagMutabilityExclusionFilters"] == [
        {"filter": "v*", "filterType": "WILDCARD"}
    ]


def test_a_key_encrypts_what_it_is_given_for() -> None:
    key = f"arn:aws:kms:eu-west-1:{ARTIFACTS}:key/1"
    made = deployed(images={"kmsKey": key}).of("Repository")[f"{SOURCE}/api"]
    assert made.inputs["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": key}]


def test_two_resources_an_image_repository_and_three_a_replica() -> None:
    one, two = deployed(API, **with_replicas()), deployed(API, WEB, **with_replicas())
    grown = Counter(each.type for each in two.registrations)
    grown.subtract(Counter(each.type for each in one.registrations))
    assert {kind.rsplit(":", 1)[1]: count for kind, count in grown.items() if count} == {
        "Repository": 2,
        "LifecyclePolicy": 2,
        "RepositoryPolicy": 1,
    }


def test_what_belongs_to_an_image_repository_hangs_below_it_and_is_not_protected() -> None:
    done = deployed(API, **with_replicas())
    for kind in ("LifecyclePolicy", "RepositoryPolicy"):
        below = done.of(kind)[f"{REPLICAS}/api"]
        assert below.parent.endswith(f"aws:ecr/repository:Repository::{REPLICAS}/api")
        assert not below.protect
        assert below.inputs["repository"] == "api"


def test_each_account_has_one_provider_that_works_in_no_other() -> None:
    role = f"arn:aws:iam::{ARTIFACTS}:role/deploy"
    done = deployed(
        artifacts={"account": ARTIFACTS, "region": "eu-west-1", "role": role}, **with_replicas()
    )
    providers = done.of("aws")
    assert providers.keys() == {ARTIFACTS, LAMBDA}
    assert json.loads(providers[ARTIFACTS].inputs["allowedAccountIds"]) == [ARTIFACTS]
    assert json.loads(providers[ARTIFACTS].inputs["assumeRoles"])[0]["roleArn"] == role
    for registration in done.registrations:
        if registration.provider:
            account = registration.name.split("/")[0]
            assert registration.provider.endswith(f"pulumi:providers:aws::{account}::{account}")


def test_every_resource_names_its_region() -> None:
    done = deployed(API, **with_replicas())
    assert all(each.inputs["region"] == "eu-west-1" for each in done.registrations)


def test_a_registry_has_a_policy_scanning_and_where_it_is_a_source_replication() -> None:
    done = deployed(API, **with_replicas())
    assert done.of("RegistryPolicy").keys() == {SOURCE, REPLICAS}
    assert done.of("RegistryScanningConfiguration").keys() == {SOURCE, REPLICAS}
    replication = done.of("ReplicationConfiguration")
    assert replication.keys() == {SOURCE}
    assert any(REPLICAS in dependency for dependency in replication[SOURCE].dependencies)


def test_the_scope_of_registry_policies_is_set_only_where_asked() -> None:
    assert not deployed().of("AccountSetting")
    asked = deployed(registryPolicyScope="V2")
    assert asked.of("AccountSetting")[SOURCE].inputs["value"] == "V2"
    assert any(
        "AccountSetting" in dependency
        for dependency in asked.of("RegistryPolicy")[SOURCE].dependencies
    )


def test_no_lifecycle_policy_is_made_where_images_never_go() -> None:
    assert not deployed(lifecycle={"preset": "none"}).of("LifecyclePolicy")


def test_the_outputs_are_plain_and_the_next_deployment_starts_from_them() -> None:
    first = deployed(API, WEB)
    assert first.outputs["imageRepositories"]["api"] == [
        f"{ARTIFACTS}.dkr.ecr.eu-west-1.amazonaws.com/api"
    ]
    renamed = deployed({"id": 1, "name": "stratos"}, WEB, last=first)
    assert renamed.of("Repository").keys() == {f"{SOURCE}/api", f"{SOURCE}/web"}
    gone = deployed(WEB, last=renamed)
    assert gone.of("Repository")[f"{SOURCE}/api"].protect
    assert gone.outputs["ledger"]["services"]["1"]["state"] == "kept"


def holding(tags: dict[str, str], *managed: str) -> Invoke:
    """Answer for registries that hold one image repository, api, and for the engine's state."""

    def invoke(token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        match token.rpartition(":")[2]:
            case "getRepositories":
                return {"names": ["api"]}
            case "getRepository":
                return {"tags": tags}
            case "readStackResourceOutputs":
                assert arguments["stackName"] == "organization/ecr-estate/test"
                kind = "aws:ecr/repository:Repository"
                urns = [f"urn:pulumi:test::ecr-estate::{kind}::{each}" for each in managed]
                return {"outputs": {urn: {"type": kind, "outputs": {}} for urn in urns}}
        return no_invoke(token, arguments)

    return invoke


def test_what_a_lost_state_left_is_imported_from_the_region_that_it_is_in() -> None:
    ours = {"managed-by": "ecr-estate/test", "github-id": "1", "github-repository": "api"}
    lost = deploy(config(static=[API]), holding(ours))
    assert lost.of("Repository")[f"{SOURCE}/api"].imported == "api@eu-west-1"


def test_what_the_state_holds_is_not_imported_again() -> None:
    known = deploy(config(static=[API]), holding({}, f"{SOURCE}/api"))
    assert known.of("Repository")[f"{SOURCE}/api"].imported == ""


def test_a_repository_that_is_left_out_is_warned_of_and_listed_in_the_outputs() -> None:
    done = deployed(API, {"id": 3, "name": ".github"})
    assert any(line.startswith("WARNING") and ".github" in line for line in done.log)
    assert done.outputs["leftOut"][0]["repository"] == ".github"


def test_a_whole_organisation_is_read_through_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", CLASSIC.value)
    monkeypatch.delenv("GITHUB_OWNER", raising=False)
    done = deploy(
        config(github={"organisation": "sandbox-org"}), answering(synthetic_organisation(120))
    )
    assert len(done.of("Repository")) + len(done.outputs["leftOut"]) >= 100
    assert done.of("github")["github"].inputs == {"owner": "sandbox-org"}
    assert CLASSIC.value not in str(done)


def test_a_missing_token_is_not_taken_for_a_public_organisation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    with pytest.raises(pulumi.RunError, match="There is no GitHub token"):
        deploy(config(), no_invoke)


def test_a_token_in_plain_text_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match="lies unencrypted") as refused:
        deploy({**config(), "github:token": "ghp_visible"}, no_invoke)
    assert "ghp_visible" not in str(refused.value)


def test_a_token_that_no_header_can_hold_is_refused_and_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_sekret\n")
    with pytest.raises(pulumi.RunError, match="GITHUB_TOKEN: holds white space") as refused:
        deploy(config(), no_invoke)
    assert "ghp_sekret" not in str(refused.value)


@pytest.mark.parametrize(("own", "given"), [("ghp_own", 0), ("", 1)])
def test_a_stored_token_is_for_where_the_environment_has_none(
    own: str, given: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", own)
    monkeypatch.delenv("GITHUB_OWNER", raising=False)
    done = deploy(
        {**config(github={"organisation": "sandbox-org"}), "github:token": "ghp_stored"},
        answering(synthetic_organisation(120)),
        secret_keys=("github:token",),
    )
    assert list(done.of("github")["github"].inputs).count("token") == given


def test_an_environment_that_names_another_organisation_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "x")
    monkeypatch.setenv("GITHUB_OWNER", "someone-else")
    with pytest.raises(pulumi.RunError, match="names another organisation"):
        deploy(config(), no_invoke)


@pytest.mark.parametrize(
    ("changes", "last", "said"),
    [
        ({"artifacts": {"account": "1", "region": "eu-west-1"}}, {}, "12-digit"),
        ({}, {"ledger": {"schema": 99}}, "deploy with the newer program"),
        ({}, {"ledger": "scrambled"}, "it is not a ledger"),
        ({"strict": "true", "static": [{"id": 3, "name": ".github"}]}, {}, "strict is set"),
    ],
)
def test_what_is_wrong_is_said_before_any_image_repository_is_touched(
    changes: dict[str, Any], last: dict[str, Any], said: str
) -> None:
    with pytest.raises(pulumi.RunError, match=said):
        deploy(config(**{"static": [API], **changes}), no_invoke, last_outputs=last)


def test_a_preview_reads_by_a_role_of_its_own_and_a_deployment_does_not() -> None:
    role = f"arn:aws:iam::{ARTIFACTS}:role/deploy"
    artifacts = {"account": ARTIFACTS, "region": "eu-west-1", "role": role}
    values = config(
        static=[API], artifacts=artifacts, previewRole="ecr-estate-read", **with_replicas()
    )

    def roles(*, preview: bool) -> dict[str, str | None]:
        providers = deploy(values, no_invoke, preview=preview).of("aws")
        return {
            account: json.loads(each.inputs["assumeRoles"])[0]["roleArn"]
            if "assumeRoles" in each.inputs
            else None
            for account, each in providers.items()
        }

    assert roles(preview=True) == {
        account: f"arn:aws:iam::{account}:role/ecr-estate-read" for account in (ARTIFACTS, LAMBDA)
    }
    assert roles(preview=False) == {ARTIFACTS: role, LAMBDA: None}


def test_a_push_role_is_two_resources_below_a_path_of_its_own() -> None:
    done = deployed(API, WEB, pushRoles={"organisationId": 7, "services": {"patterns": ["api"]}})
    role = done.of("Role")[f"{ARTIFACTS}/push-api-1"]
    assert (role.inputs["name"], role.inputs["path"]) == ("push-api-1", "/ecr-estate/")
    policy = done.of("RolePolicy")[f"{ARTIFACTS}/push-api-1"]
    assert policy.parent.endswith(f"aws:iam/role:Role::{ARTIFACTS}/push-api-1")
    assert not done.of("OpenIdConnectProvider")
    assert not done.of("ActionsVariable")
    arn = f"arn:aws:iam::{ARTIFACTS}:role/ecr-estate/push-api-1"
    assert done.outputs["pushRoles"] == {"api": arn}


def test_the_identity_provider_comes_before_the_roles_and_stays_behind() -> None:
    done = deployed(API, pushRoles={"organisationId": 7, "createProvider": True})
    provider = done.of("OpenIdConnectProvider")[f"{ARTIFACTS}/github"]
    assert provider.retain_on_delete
    assert provider.inputs["clientIdLists"] == ["sts.amazonaws.com"]
    (role,) = done.of("Role").values()
    assert any("openIdConnectProvider" in dependency for dependency in role.dependencies)


def test_variables_are_written_by_the_github_provider_even_with_a_static_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", CLASSIC.value)
    monkeypatch.delenv("GITHUB_OWNER", raising=False)
    organisation = Organisation("acme")
    organisation.add("api")
    chosen = config(static=[API], pushRoles={"organisationId": 7, "variables": True})
    done = deploy(chosen, answering(organisation))
    written = done.of("ActionsVariable").values()
    assert {each.inputs["variableName"] for each in written} == {
        "ECR_PUSH_ROLE",
        "ECR_REGION",
        "ECR_REPOSITORY",
    }
    assert all(each.inputs["repository"] == "api" for each in written)
    assert all("providers:github" in each.provider for each in written)
    assert not any(each.imported or each.aliases for each in written)


def test_a_variable_of_other_hands_is_left_alone_and_one_of_ours_is_taken_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", CLASSIC.value)
    monkeypatch.delenv("GITHUB_OWNER", raising=False)
    organisation = Organisation("acme")
    organisation.add("api")
    chosen = config(static=[API], pushRoles={"organisationId": 7, "variables": True})
    standing = {"ECR_REGION": "eu-west-1", "ECR_REPOSITORY": "elsewhere/api"}
    done = deploy(chosen, answering(organisation, variables={"api": standing}))
    written = {each.inputs["variableName"]: each for each in done.of("ActionsVariable").values()}
    assert written.keys() == {"ECR_PUSH_ROLE", "ECR_REGION"}
    assert written["ECR_REGION"].imported == "api:ECR_REGION"
    assert not written["ECR_PUSH_ROLE"].imported
    assert any("api has ECR_REPOSITORY with another value" in line for line in done.log)


def test_variables_follow_a_service_whose_role_gets_another_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", CLASSIC.value)
    monkeypatch.delenv("GITHUB_OWNER", raising=False)
    organisation = Organisation("acme")
    organisation.add("api")
    type_ = "aws:iam/role:Role$github:index/actionsVariable:ActionsVariable"
    urns = [
        f"urn:pulumi:test::ecr-estate::{type_}::{ARTIFACTS}/push-{service}-1/{name}"
        for service, name in (("old", "ECR_REGION"), ("api", "ECR_PUSH_ROLE"))
    ]
    state = {
        urn: {"type": "github:index/actionsVariable:ActionsVariable", "outputs": {}} for urn in urns
    }
    chosen = config(static=[API], pushRoles={"organisationId": 7, "variables": True})
    done = deploy(chosen, answering(organisation, state=state))
    written = {each.inputs["variableName"]: each for each in done.of("ActionsVariable").values()}
    assert written["ECR_REGION"].aliases == (urns[0],)
    assert written["ECR_PUSH_ROLE"].aliases == written["ECR_REPOSITORY"].aliases == ()


def test_namespaces_and_their_policies_are_in_the_outputs() -> None:
    done = deployed(
        API, WEB, namespaces={"known": {"payments": {}}, "repositories": {"api": "payments"}}
    )
    assert done.of("Repository").keys() == {f"{SOURCE}/payments/api", f"{SOURCE}/web"}
    assert "repository/payments/*" in done.outputs["namespaces"]["payments"]
    again = deployed(
        API, last=done, namespaces={"known": {"payments": {}}, "repositories": {"api": "payments"}}
    )
    assert f"{SOURCE}/payments/api" in again.of("Repository")


def test_without_a_registry_policy_each_image_repository_has_one() -> None:
    done = deployed(API, access={"policy": "repository"})
    assert not done.of("RegistryPolicy")
    assert done.of("RepositoryPolicy").keys() == {f"{SOURCE}/api"}
