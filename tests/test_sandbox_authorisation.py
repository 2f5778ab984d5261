"""The embedded AWS lets in whom IAM lets in, and refuses all others in AWS's own words."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ecr.plan.access.push_roles import AUDIENCE, ISSUER
from sandbox.aws import EmbeddedAws
from sandbox.aws.hands import credentials_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ORGANISATION = "o-sandbox0001"
OURS, THEIRS = "111111111111", "222222222222"
REGION = "eu-west-1"
WORKER = f"arn:aws:iam::{OURS}:role/worker"
API = f"arn:aws:ecr:{REGION}:{OURS}:repository/api"


@pytest.fixture
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(strict=True, organisation=ORGANISATION) as running:
        yield running


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def trusting(principal: Any, **condition: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return document({**statement, **({"Condition": condition} if condition else {})})


def client(aws: EmbeddedAws, service: str, keys: Any, region: str = REGION) -> Any:
    opened: Any = boto3  # its clients are typed by literal names only
    return opened.client(service, endpoint_url=aws.url, region_name=region, **keys)


def assume(aws: EmbeddedAws, keys: Any, role: str, **more: Any) -> dict[str, str]:
    sts = client(aws, "sts", keys)
    given = sts.assume_role(RoleArn=role, RoleSessionName="job", **more)["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def working(aws: EmbeddedAws, *statements: dict[str, Any], role: str = WORKER, **more: Any) -> Any:
    """Make a role with these statements, and give its session, assumed by an administrator."""
    account = role.split(":")[4]
    policies = {"its-own": document(*statements)} if statements else {}
    aws.put_role(role, trusting({"AWS": account}), policies, **more)
    return assume(aws, credentials_of(account), role)


def administrator(aws: EmbeddedAws, service: str = "ecr", account: str = OURS) -> Any:
    return client(aws, service, credentials_of(account))


def refusal(ask: Callable[[], Any]) -> tuple[str, str, int]:
    """The code, the message and the status with which a call is refused."""
    with pytest.raises(ClientError) as refused:
        ask()
    response = refused.value.response
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    return response["Error"]["Code"], response["Error"]["Message"], status


ME = f"User: arn:aws:sts::{OURS}:assumed-role/worker/job is not authorized to perform"


def test_nobody_is_let_in_with_keys_that_nobody_has(aws: EmbeddedAws) -> None:
    keys = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "any"}
    said = "The security token included in the request is invalid."
    ecr, sts = client(aws, "ecr", keys), client(aws, "sts", keys)
    assert refusal(ecr.describe_repositories) == ("UnrecognizedClientException", said, 400)
    assert refusal(sts.get_caller_identity) == ("InvalidClientTokenId", said, 403)
    assert {each.decision for each in aws.calls()} == {"unknown credentials"}


def test_a_session_is_known_by_its_token_too(aws: EmbeddedAws) -> None:
    keys = {**working(aws), "aws_session_token": "another"}
    assert refusal(client(aws, "sts", keys).get_caller_identity)[0] == "InvalidClientTokenId"


def test_who_somebody_is_may_be_asked_without_permission(aws: EmbeddedAws) -> None:
    who = client(aws, "sts", working(aws)).get_caller_identity()
    assert (who["Account"], who["Arn"]) == (OURS, f"arn:aws:sts::{OURS}:assumed-role/worker/job")
    assert aws.calls()[-1].principal == WORKER
    assert aws.calls()[-1].decision == "needs no permission"


def test_what_no_policy_allows_is_refused_in_aws_s_own_words(aws: EmbeddedAws) -> None:
    ecr = client(aws, "ecr", working(aws, allow("ecr:CreateRepository", API)))
    ecr.create_repository(repositoryName="api")
    code, said, status = refusal(lambda: ecr.create_repository(repositoryName="web"))
    assert (code, status) == ("AccessDeniedException", 400)
    assert said == (
        f"{ME}: ecr:CreateRepository on resource: arn:aws:ecr:{REGION}:{OURS}:repository/web "
        "because no identity-based policy allows the ecr:CreateRepository action"
    )
    assert refusal(ecr.describe_repositories)[1].startswith(
        f"{ME}: ecr:DescribeRepositories on resource: "
        f"arn:aws:ecr:{REGION}:{OURS}:repository/* because no"
    )
    assert [each.decision for each in aws.calls()[-3:]] == ["allowed", "not allowed", "not allowed"]
    assert {each.principal for each in aws.calls()[-3:]} == {WORKER}


def test_an_image_repository_is_tagged_when_it_is_made_by_whoever_may_tag(
    aws: EmbeddedAws,
) -> None:
    ecr = client(aws, "ecr", working(aws, allow("ecr:CreateRepository")))
    tags = [{"Key": "team", "Value": "a"}]
    _, said, _ = refusal(lambda: ecr.create_repository(repositoryName="api", tags=tags))
    assert f"ecr:TagResource on resource: {API}" in said


def test_each_of_several_names_needs_its_own_permission(aws: EmbeddedAws) -> None:
    for name in ("api", "web"):
        administrator(aws).create_repository(repositoryName=name)
    ecr = client(aws, "ecr", working(aws, allow("ecr:DescribeRepositories", API)))
    assert ecr.describe_repositories(repositoryNames=["api"])
    _, said, _ = refusal(lambda: ecr.describe_repositories(repositoryNames=["api", "web"]))
    assert "repository/web" in said


def test_the_words_are_the_same_in_the_query_protocol(aws: EmbeddedAws) -> None:
    keys = working(aws)
    iam, sns = client(aws, "iam", keys), client(aws, "sns", keys)
    code, said, status = refusal(lambda: iam.get_role(RoleName="worker"))
    assert (code, status) == ("AccessDenied", 403)
    assert said == (
        f"{ME}: iam:GetRole on resource: {WORKER} "
        "because no identity-based policy allows the iam:GetRole action"
    )
    code, said, status = refusal(lambda: sns.create_topic(Name="alerts"))
    assert (code, status) == ("AuthorizationError", 403)
    assert f"sns:CreateTopic on resource: arn:aws:sns:{REGION}:{OURS}:alerts" in said


def test_an_explicit_denial_says_in_which_kind_of_policy_it_stands(aws: EmbeddedAws) -> None:
    deny = {"Effect": "Deny", "Action": "ecr:DeleteRepository", "Resource": "*"}
    keys = working(aws, allow("ecr:*"), deny)
    ecr = client(aws, "ecr", keys)
    ecr.create_repository(repositoryName="api")
    _, said, _ = refusal(lambda: ecr.delete_repository(repositoryName="api"))
    assert said == (
        f"{ME}: ecr:DeleteRepository on resource: {API} "
        "with an explicit deny in an identity-based policy"
    )
    theirs = {"Effect": "Deny", "Principal": "*", "Action": "ecr:ListImages"}
    ecr.set_repository_policy(repositoryName="api", policyText=document(theirs))
    _, said, _ = refusal(lambda: ecr.list_images(repositoryName="api"))
    assert said.endswith("with an explicit deny in a resource-based policy")


def test_a_service_control_policy_takes_from_an_administrator_too(aws: EmbeddedAws) -> None:
    everything = document(allow("*"))
    deny = document({"Effect": "Deny", "Action": "ecr:DeleteRepository", "Resource": "*"})
    aws.organisation.controls[OURS] = ((everything,), (everything, deny))
    ecr = administrator(aws)
    ecr.create_repository(repositoryName="api")
    _, said, _ = refusal(lambda: ecr.delete_repository(repositoryName="api"))
    assert said.endswith("with an explicit deny in a service control policy")
    aws.organisation.controls[OURS] = ((document(allow("sns:*")),),)
    _, said, _ = refusal(ecr.describe_repositories)
    assert said.endswith(
        "because no service control policy allows the ecr:DescribeRepositories action"
    )
    administrator(aws, account=THEIRS).describe_repositories()


def test_a_boundary_limits_what_a_role_is_given(aws: EmbeddedAws) -> None:
    policy = administrator(aws, "iam").create_policy(
        PolicyName="bound", PolicyDocument=document(allow("ecr:Describe*"))
    )
    keys = working(aws, allow("ecr:*"), boundary=policy["Policy"]["Arn"])
    ecr = client(aws, "ecr", keys)
    ecr.describe_repositories()
    _, said, _ = refusal(lambda: ecr.create_repository(repositoryName="api"))
    assert said.endswith("because no permissions boundary allows the ecr:CreateRepository action")


def test_a_managed_policy_counts_as_one_of_the_role_s_own(aws: EmbeddedAws) -> None:
    keys = working(aws)
    iam = administrator(aws, "iam")
    policy = iam.create_policy(PolicyName="reads", PolicyDocument=document(allow("ecr:Describe*")))
    iam.attach_role_policy(RoleName="worker", PolicyArn=policy["Policy"]["Arn"])
    assert client(aws, "ecr", keys).describe_repositories()["repositories"] == []


def test_a_session_policy_limits_the_session(aws: EmbeddedAws) -> None:
    working(aws, allow("ecr:*"))
    less = document(allow("ecr:DescribeRepositories"))
    keys = assume(aws, credentials_of(OURS), WORKER, Policy=less)
    ecr = client(aws, "ecr", keys)
    ecr.describe_repositories()
    _, said, _ = refusal(ecr.describe_registry)
    assert said.endswith("because no session policy allows the ecr:DescribeRegistry action")


def test_the_policies_of_a_user_and_of_its_groups_are_its_own(aws: EmbeddedAws) -> None:
    iam = administrator(aws, "iam")
    iam.create_user(UserName="ann")
    iam.create_group(GroupName="readers")
    iam.put_group_policy(
        GroupName="readers", PolicyName="reads", PolicyDocument=document(allow("ecr:Describe*"))
    )
    given = iam.create_access_key(UserName="ann")["AccessKey"]
    keys = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
    }
    ecr = client(aws, "ecr", keys)
    assert refusal(ecr.describe_repositories)[1].startswith(f"User: arn:aws:iam::{OURS}:user/ann ")
    iam.add_user_to_group(GroupName="readers", UserName="ann")
    assert ecr.describe_repositories()


# Between accounts


def test_another_account_s_image_repository_needs_both_sides(aws: EmbeddedAws) -> None:
    administrator(aws).create_repository(repositoryName="api")
    reader = f"arn:aws:iam::{THEIRS}:role/reader"
    keys = working(aws, allow("ecr:ListImages"), role=reader)
    ecr = client(aws, "ecr", keys)

    def ask() -> Any:
        return ecr.list_images(registryId=OURS, repositoryName="api")

    _, said, _ = refusal(ask)
    assert said.endswith("because no resource-based policy allows the ecr:ListImages action")
    theirs = {"Effect": "Allow", "Principal": {"AWS": THEIRS}, "Action": "ecr:ListImages"}
    administrator(aws).set_repository_policy(repositoryName="api", policyText=document(theirs))
    assert ask()["imageIds"] == []
    assert aws.calls()[-1].principal == reader
    nothing = working(aws, role=f"arn:aws:iam::{THEIRS}:role/other")
    _, said, _ = refusal(
        lambda: client(aws, "ecr", nothing).list_images(registryId=OURS, repositoryName="api")
    )
    assert said.endswith("because no identity-based policy allows the ecr:ListImages action")


def test_a_registry_policy_lets_an_organisation_in_and_nobody_else(aws: EmbeddedAws) -> None:
    administrator(aws).create_repository(repositoryName="api")
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "ecr:ListImages",
        "Resource": f"arn:aws:ecr:{REGION}:{OURS}:repository/*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": ORGANISATION}},
    }
    administrator(aws).put_registry_policy(policyText=document(statement))
    keys = working(aws, allow("ecr:ListImages"), role=f"arn:aws:iam::{THEIRS}:role/reader")
    ecr = client(aws, "ecr", keys)
    assert ecr.list_images(registryId=OURS, repositoryName="api")["imageIds"] == []
    aws.organisation.accounts = frozenset({OURS})
    assert refusal(lambda: ecr.list_images(registryId=OURS, repositoryName="api"))


def test_a_registry_policy_of_the_old_scope_lets_nobody_read(aws: EmbeddedAws) -> None:
    ecr = administrator(aws)
    ecr.create_repository(repositoryName="api")
    aws.registry(OURS, REGION).settings.let_old_policy_scope()
    statement = {
        "Effect": "Deny",
        "Principal": {"AWS": f"arn:aws:iam::{THEIRS}:root"},
        "Action": "ecr:CreateRepository",
        "Resource": f"arn:aws:ecr:{REGION}:{OURS}:repository/*",
    }
    ecr.put_registry_policy(policyText=document(statement))
    assert ecr.list_images(repositoryName="api")["imageIds"] == []


# Keys


def test_a_key_is_for_whom_its_policy_names_whatever_others_are_allowed(aws: EmbeddedAws) -> None:
    kms = administrator(aws, "kms")
    only = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OURS}:user/administrator"},
        "Action": "kms:*",
        "Resource": "*",
    }
    key = kms.create_key(Policy=document(only))["KeyMetadata"]
    worker = client(aws, "kms", working(aws, allow("kms:*")))
    code, said, _ = refusal(lambda: worker.get_key_rotation_status(KeyId=key["KeyId"]))
    assert code == "AccessDeniedException"
    assert said == (
        f"{ME}: kms:GetKeyRotationStatus on resource: {key['Arn']} "
        "because no resource-based policy allows the kms:GetKeyRotationStatus action"
    )


def test_a_condition_on_a_key_s_tags_and_aliases_is_held(aws: EmbeddedAws) -> None:
    kms = administrator(aws, "kms")
    ours = kms.create_key(Tags=[{"TagKey": "ecr-estate", "TagValue": "alerts"}])["KeyMetadata"]
    other = kms.create_key()["KeyMetadata"]
    tagged = {"StringEquals": {"aws:ResourceTag/ecr-estate": "alerts"}}
    aliased = {"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/*"}}
    deny = {"Effect": "Deny", "Action": "kms:EnableKeyRotation", "Resource": "*"}
    keys = working(
        aws, allow("kms:EnableKeyRotation", Condition=tagged), {**deny, "Condition": aliased}
    )
    worker = client(aws, "kms", keys)
    worker.enable_key_rotation(KeyId=ours["KeyId"])
    assert refusal(lambda: worker.enable_key_rotation(KeyId=other["KeyId"]))
    kms.create_alias(AliasName="alias/mine", TargetKeyId=ours["KeyId"])
    _, said, _ = refusal(lambda: worker.enable_key_rotation(KeyId="alias/mine"))
    assert said.endswith("with an explicit deny in an identity-based policy")


def test_who_encrypts_with_a_key_of_one_s_own_may_make_grants_on_it(aws: EmbeddedAws) -> None:
    key = administrator(aws, "kms").create_key()["KeyMetadata"]["Arn"]
    encryption = {"encryptionType": "KMS", "kmsKey": key}
    via = {"StringEquals": {"kms:ViaService": f"ecr.{REGION}.amazonaws.com"}}
    grants = allow(["kms:CreateGrant", "kms:DescribeKey"], key, Condition=via)
    without = client(aws, "ecr", working(aws, allow("ecr:*")))
    _, said, _ = refusal(
        lambda: without.create_repository(repositoryName="api", encryptionConfiguration=encryption)
    )
    assert f"kms:DescribeKey on resource: {key}" in said
    allowed = client(aws, "ecr", working(aws, allow("ecr:*"), grants))
    assert allowed.create_repository(repositoryName="api", encryptionConfiguration=encryption)


# Roles


def test_a_role_that_is_not_there_is_refused_like_one_that_trusts_others(
    aws: EmbeddedAws,
) -> None:
    keys = working(aws, allow("sts:AssumeRole"))
    aws.put_role(f"arn:aws:iam::{THEIRS}:role/closed", trusting({"AWS": THEIRS}), {})
    for name in ("closed", "missing"):
        role = f"arn:aws:iam::{THEIRS}:role/{name}"
        code, said, status = refusal(partial(assume, aws, keys, role))
        assert (code, status) == ("AccessDenied", 403)
        assert said == f"{ME}: sts:AssumeRole on resource: {role}"
    assert aws.calls()[-1].decision == "not allowed"


def test_between_accounts_a_role_is_assumed_by_whom_both_sides_let(aws: EmbeddedAws) -> None:
    target = f"arn:aws:iam::{THEIRS}:role/deploy"
    aws.put_role(target, trusting({"AWS": WORKER}), {})
    assert refusal(lambda: assume(aws, working(aws), target))
    keys = working(aws, allow("sts:AssumeRole", target))
    who = client(aws, "sts", assume(aws, keys, target)).get_caller_identity()
    assert who["Account"] == THEIRS
    # A user of that account is another principal.
    assert refusal(lambda: assume(aws, credentials_of(OURS), target))


def test_in_one_account_who_is_named_by_the_trust_needs_nothing_else(aws: EmbeddedAws) -> None:
    target = f"arn:aws:iam::{OURS}:role/deploy"
    aws.put_role(target, trusting({"AWS": WORKER}), {})
    assert assume(aws, working(aws), target)
    aws.put_role(target, trusting({"AWS": OURS}), {})
    assert refusal(lambda: assume(aws, working(aws), target))


@pytest.mark.parametrize(
    ("condition", "more", "let_in"),
    [
        ({"aws:PrincipalOrgID": ORGANISATION}, {}, True),
        ({"aws:PrincipalOrgID": "o-another"}, {}, False),
        ({"sts:ExternalId": "42"}, {"ExternalId": "42"}, True),
        ({"sts:ExternalId": "42"}, {"ExternalId": "43"}, False),
        ({"sts:ExternalId": "42"}, {}, False),
        ({"sts:RoleSessionName": "job"}, {}, True),
        ({"aws:PrincipalAccount": THEIRS}, {}, False),
    ],
)
def test_the_conditions_of_a_trust_policy_hold(
    aws: EmbeddedAws, condition: dict[str, str], more: dict[str, str], *, let_in: bool
) -> None:
    target = f"arn:aws:iam::{THEIRS}:role/deploy"
    aws.put_role(target, trusting({"AWS": OURS}, StringEquals=condition), {})
    keys = working(aws, allow("sts:AssumeRole"))
    if let_in:
        assert assume(aws, keys, target, **more)
    else:
        assert refusal(lambda: assume(aws, keys, target, **more))[0] == "AccessDenied"


@pytest.mark.parametrize(
    ("most", "asked", "by_a_role", "said"),
    [
        (7200, 7200, False, ""),
        (3600, 3601, False, "the MaxSessionDuration set for this role"),
        (7200, 3601, True, "the 1 hour session limit for roles assumed by role chaining"),
    ],
)
def test_no_session_is_longer_than_its_role_allows(
    aws: EmbeddedAws,
    most: int,
    asked: int,
    by_a_role: bool,  # noqa: FBT001 - a parameter of the test
    said: str,
) -> None:
    keys = working(aws, allow("sts:AssumeRole")) if by_a_role else credentials_of(OURS)
    target = f"arn:aws:iam::{OURS}:role/deploy"
    aws.put_role(target, trusting({"AWS": OURS}), {}, seconds=most)
    if not said:
        assert assume(aws, keys, target, DurationSeconds=asked)
        return
    refused = refusal(lambda: assume(aws, keys, target, DurationSeconds=asked))
    message = f"The requested DurationSeconds exceeds {said}."
    assert refused == ("ValidationError", message, 400)


def test_a_root_assumes_no_role_and_may_everything_else(aws: EmbeddedAws) -> None:
    root = credentials_of(OURS, "root")
    client(aws, "ecr", root).create_repository(repositoryName="api")
    aws.put_role(WORKER, trusting({"AWS": OURS}), {})
    assert refusal(lambda: assume(aws, root, WORKER))[0] == "AccessDenied"


def test_a_role_that_is_deleted_takes_what_its_sessions_may(aws: EmbeddedAws) -> None:
    ecr = client(aws, "ecr", working(aws, allow("ecr:*")))
    ecr.describe_repositories()
    iam = administrator(aws, "iam")
    iam.delete_role_policy(RoleName="worker", PolicyName="its-own")
    iam.delete_role(RoleName="worker")
    assert refusal(ecr.describe_repositories)


def test_a_service_s_own_role_is_made_by_whoever_may_make_it(aws: EmbeddedAws) -> None:
    rule = {"destinations": [{"region": REGION, "registryId": THEIRS}]}
    asked = {"replicationConfiguration": {"rules": [rule]}}
    ecr = client(aws, "ecr", working(aws, allow("ecr:*")))
    _, said, _ = refusal(lambda: ecr.put_replication_configuration(**asked))
    service = "replication.ecr.amazonaws.com"
    arn = f"arn:aws:iam::{OURS}:role/aws-service-role/{service}/AWSServiceRoleForECRReplication"
    assert f"iam:CreateServiceLinkedRole on resource: {arn}" in said
    once = {"StringEquals": {"iam:AWSServiceName": service}}
    ecr = client(
        aws,
        "ecr",
        working(aws, allow("ecr:*"), allow("iam:CreateServiceLinkedRole", arn, Condition=once)),
    )
    ecr.put_replication_configuration(**asked)


# Tokens of GitHub's identity provider

PROVIDER = f"arn:aws:iam::{OURS}:oidc-provider/{ISSUER}"
SUBJECT = "repo:acme/checkout:ref:refs/heads/main"
CLAIMS = {"iss": f"https://{ISSUER}", "aud": AUDIENCE, "sub": SUBJECT, "repository_id": "7"}


def federated(**conditions: dict[str, Any]) -> str:
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": PROVIDER},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                operator: {f"{ISSUER}:{claim}": value for claim, value in tests.items()}
                for operator, tests in conditions.items()
            },
        }
    )


def by_token(aws: EmbeddedAws, claims: dict[str, str], token: str | None = None) -> Any:
    sts = client(aws, "sts", {"aws_access_key_id": "any", "aws_secret_access_key": "any"})
    return sts.assume_role_with_web_identity(
        RoleArn=WORKER, RoleSessionName="job", WebIdentityToken=token or aws.web_token(claims)
    )


@pytest.mark.parametrize(
    ("conditions", "changes", "let_in"),
    [
        ({"StringEquals": {"aud": AUDIENCE, "sub": SUBJECT}}, {}, True),
        ({"StringEquals": {"sub": "repo:acme/checkout:pull_request"}}, {}, False),
        ({"StringEquals": {"sub": "repo:acme/checkout:*"}}, {}, False),
        ({"StringLike": {"sub": "repo:acme/checkout:*"}}, {}, True),
        ({"StringLike": {"sub": "repo:acme/*:ref:*"}}, {"sub": "repo:evil/x:ref:y"}, False),
        ({"StringEquals": {"repository_id": "7"}}, {}, True),
        ({"StringEquals": {"repository_id": "8"}}, {}, False),
        ({"StringLike": {"job_workflow_ref": "acme/estate/*@*"}}, {}, False),
        (
            {"StringLike": {"job_workflow_ref": "acme/estate/*@*"}},
            {"job_workflow_ref": "acme/estate/.github/workflows/promote.yml@refs/heads/main"},
            True,
        ),
        # A claim that is no condition key of AWS's is never there.
        ({"StringEquals": {"runner_environment": "x"}}, {"runner_environment": "x"}, False),
    ],
)
def test_a_token_is_let_in_for_the_claims_that_the_trust_names(
    aws: EmbeddedAws, conditions: Any, changes: dict[str, str], *, let_in: bool
) -> None:
    aws.put_provider(PROVIDER, AUDIENCE)
    aws.put_role(WORKER, federated(**conditions), {})
    claims = {**CLAIMS, **changes}
    if let_in:
        assert by_token(aws, claims)["AssumedRoleUser"]["Arn"].endswith(":assumed-role/worker/job")
        assert aws.calls()[-1].principal == PROVIDER
    else:
        said = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
        assert refusal(lambda: by_token(aws, claims)) == ("AccessDenied", said, 403)


def test_a_token_of_a_provider_that_the_account_does_not_have_is_refused(
    aws: EmbeddedAws,
) -> None:
    aws.put_role(WORKER, federated(StringEquals={"sub": SUBJECT}), {})
    said = f"No OpenIDConnect provider found in your account for https://{ISSUER}"
    assert refusal(lambda: by_token(aws, CLAIMS)) == ("InvalidIdentityToken", said, 400)


def test_a_token_that_has_ended_is_refused(aws: EmbeddedAws) -> None:
    aws.put_provider(PROVIDER, AUDIENCE)
    aws.put_role(WORKER, federated(StringEquals={"sub": SUBJECT}), {})
    code, _, status = refusal(lambda: by_token(aws, {**CLAIMS, "exp": "1767225600"}))
    assert (code, status) == ("ExpiredTokenException", 400)


@pytest.mark.parametrize("wrong", ["audience", "signature", "form"])
def test_a_token_that_is_not_to_be_trusted_is_refused(aws: EmbeddedAws, wrong: str) -> None:
    aws.put_provider(PROVIDER, AUDIENCE)
    aws.put_role(WORKER, federated(StringEquals={"sub": SUBJECT}), {})
    good = aws.web_token(CLAIMS)
    token = {
        "audience": aws.web_token({**CLAIMS, "aud": "https://github.com/acme"}),
        "signature": good[: good.rindex(".")] + ".forged",
        "form": "no-token",
    }[wrong]
    code, said, status = refusal(lambda: by_token(aws, {}, token))
    assert (code, status) == ("InvalidIdentityToken", 400)
    assert said


def test_what_it_is_about_is_never_guessed_for_who_may_not_do_everything(
    aws: EmbeddedAws,
) -> None:
    s3 = client(aws, "s3", working(aws, allow("*", API)))
    with pytest.raises(ClientError, match=r"501|NotImplemented"):
        s3.list_buckets()
    assert aws.calls()[-1].status == 501


def test_a_request_that_says_whose_bucket_it_must_be_is_refused_for_any_other(
    aws: EmbeddedAws,
) -> None:
    """Amazon S3 User Guide, "Verifying bucket ownership with bucket owner condition"."""
    reads = working(aws, allow("s3:GetBucketVersioning", "*"))
    place = {"LocationConstraint": REGION}
    for name, account in (("ours", OURS), ("theirs", THEIRS)):
        owner = client(aws, "s3", credentials_of(account))
        owner.create_bucket(Bucket=name, CreateBucketConfiguration=place)
        open_to_all = {**allow("s3:*", f"arn:aws:s3:::{name}"), "Principal": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [open_to_all]})
        owner.put_bucket_policy(Bucket=name, Policy=document)
    s3 = client(aws, "s3", reads)
    # The bucket's policy lets everybody in, and so it is read where nothing is said.
    for name, expected in (("ours", {}), ("theirs", {}), ("ours", {"ExpectedBucketOwner": OURS})):
        assert s3.get_bucket_versioning(Bucket=name, **expected)
    for name, stranger in (("ours", THEIRS), ("theirs", OURS), ("theirs", "999999999999")):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.get_bucket_versioning(Bucket=name, ExpectedBucketOwner=stranger)


# Without ``strict``


def test_a_role_that_is_not_there_is_an_administrator_s_where_it_is_not_strict() -> None:
    with EmbeddedAws() as aws:
        keys = assume(aws, {"aws_access_key_id": "fake", "aws_secret_access_key": "fake"}, WORKER)
        client(aws, "ecr", keys).create_repository(repositoryName="api")
        calls = [(each.principal, each.decision) for each in aws.calls()]
        default = f"arn:aws:iam::{EmbeddedAws.default_account}:user/administrator"
        assert calls == [(default, "allowed"), (WORKER, "allowed")]
