"""Rules about who may ask: keys, sessions, policies of every kind, roles and tokens of GitHub's jobs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.aws.hands import credentials_of
from sandbox.aws.rules.table import ORGANISATION, OTHER, REGION, Operation, Page, Stage, refuses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ACCOUNT = "111111111111"
_WORKER = f"arn:aws:iam::{_ACCOUNT}:role/worker"
_TARGET = f"arn:aws:iam::{OTHER}:role/target"
_ISSUER = "token.actions.githubusercontent.com"
_PROVIDER = f"arn:aws:iam::{_ACCOUNT}:oidc-provider/{_ISSUER}"
_CLAIMS = {
    "iss": f"https://{_ISSUER}",
    "aud": "sts.amazonaws.com",
    "sub": "repo:acme/checkout:ref:refs/heads/main",
    "repository_id": "7",
    "job_workflow_ref": "acme/checkout/.github/workflows/push.yml@refs/heads/main",
    "runner_environment": "github-hosted",
}
_DENIED = "AccessDeniedException"


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _allow(action: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": "*", **more}


def _deny(action: str, **more: Any) -> dict[str, Any]:
    return {**_allow(action, **more), "Effect": "Deny"}


def _trust(principal: str, condition: dict[str, Any] | None = None) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": "sts:AssumeRole",
    }
    return _document({**statement, **({"Condition": condition} if condition else {})})


def _administrator(stage: Stage, service: str = "ecr", account: str = _ACCOUNT) -> Any:
    return stage.client(service, keys=credentials_of(account))


def _assume(stage: Stage, keys: Mapping[str, object], role: str, **more: Any) -> dict[str, Any]:
    sts = stage.client("sts", keys=keys)
    given = sts.assume_role(RoleArn=role, RoleSessionName="job", **more)["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def _working(
    stage: Stage, *statements: dict[str, Any], role: str = _WORKER, **more: Any
) -> dict[str, Any]:
    """Make a role with these statements, and return the keys of its session."""
    account = role.split(":")[4]
    policies = {"own": _document(*statements)} if statements else {}
    stage.aws.put_role(role, _trust(account), policies, **more)
    return _assume(stage, credentials_of(account), role)


def _ecr(stage: Stage, *statements: dict[str, Any], **more: Any) -> Any:
    return stage.client("ecr", keys=_working(stage, *statements, **more))


# Keys and sessions


@refuses(Page.ECR_ERRORS, "keys that nobody has", "UnrecognizedClientException")
def unknown_keys(stage: Stage) -> Callable[[], object]:
    return stage.ecr.describe_repositories  # type: ignore[no-any-return]  # boto3's


@refuses(Page.ECR_ERRORS, "a session's keys without its token", "UnrecognizedClientException")
def session_without_its_token(stage: Stage) -> Callable[[], object]:
    keys = {**_working(stage, _allow("ecr:*")), "aws_session_token": "another"}
    return stage.client("ecr", keys=keys).describe_repositories  # type: ignore[no-any-return]  # boto3's


@refuses(Page.ECR_ERRORS, "a session that has ended", "ExpiredTokenException")
def ended_session(stage: Stage) -> Callable[[], object]:
    from moto.sts.models import sts_backends  # noqa: PLC0415 - moto takes a second to import

    ecr = _ecr(stage, _allow("ecr:*"))
    ecr.describe_repositories()
    for account in sts_backends.values():
        for backend in account.values():
            for session in backend.assumed_roles:
                session.expiration -= timedelta(days=1)
    return ecr.describe_repositories  # type: ignore[no-any-return]  # boto3's


# Policies


@refuses(
    Page.TEMPLATE_MAKING,
    "a creation template by who may not pass its role",
    _DENIED,
)
def template_without_passing_its_role(stage: Stage) -> Callable[[], object]:
    ecr = _ecr(stage, _allow("ecr:*"))
    return lambda: ecr.create_repository_creation_template(
        prefix="team", appliedFor=["CREATE_ON_PUSH"], customRoleArn=_WORKER
    )


@refuses(
    Page.TEMPLATE_MAKING,
    "a creation template by who may create no image repositories",
    _DENIED,
)
def template_without_creating(stage: Stage) -> Callable[[], object]:
    ecr = _ecr(stage, _allow("ecr:CreateRepositoryCreationTemplate"))
    return lambda: ecr.create_repository_creation_template(
        prefix="team", appliedFor=["CREATE_ON_PUSH"]
    )


@refuses(Page.EVALUATION, "what no policy allows", _DENIED)
def allowed_by_nothing(stage: Stage) -> Callable[[], object]:
    return _ecr(stage).describe_repositories  # type: ignore[no-any-return]  # boto3's


@refuses(Page.EVALUATION, "what an identity policy denies, though it allows it too", _DENIED)
def denied_by_identity(stage: Stage) -> Callable[[], object]:
    ecr = _ecr(stage, _allow("ecr:*"), _deny("ecr:DeleteRepository"))
    ecr.create_repository(repositoryName="api")
    return lambda: ecr.delete_repository(repositoryName="api")


@refuses(Page.EVALUATION, "what the policy of the image repository denies", _DENIED)
def denied_by_the_repository(stage: Stage) -> Callable[[], object]:
    ecr = _ecr(stage, _allow("ecr:*"))
    ecr.create_repository(repositoryName="api")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "ecr:ListImages"}
    ecr.set_repository_policy(repositoryName="api", policyText=_document(deny))
    return lambda: ecr.list_images(repositoryName="api")


def _cached(stage: Stage, ecr: Any) -> Callable[[], object]:
    return lambda: ecr.create_pull_through_cache_rule(
        ecrRepositoryPrefix="central",
        upstreamRegistryUrl=f"{OTHER}.dkr.ecr.{REGION}.amazonaws.com",
        customRoleArn=f"arn:aws:iam::{stage.account}:role/cache",
    )


@refuses(Page.CACHE_ROLE, "a cache rule by who may not have ECR make its own role", _DENIED)
def cache_without_its_service_role(stage: Stage) -> Callable[[], object]:
    return _cached(stage, _ecr(stage, _allow("ecr:*"), _allow("iam:PassRole")))


@refuses(Page.PASS_ROLE, "a cache rule by who may not pass its role", _DENIED)
def cache_without_passing_its_role(stage: Stage) -> Callable[[], object]:
    ecr = _ecr(stage, _allow("ecr:*"), _allow("iam:CreateServiceLinkedRole"))
    return _cached(stage, ecr)


def _filling(stage: Stage, action: str) -> Callable[[], object]:
    """Pull through a cache of another account's registry as who may pull, and do one thing besides."""
    upstream = f"{OTHER}.dkr.ecr.{REGION}.amazonaws.com"
    _administrator(stage).create_pull_through_cache_rule(
        ecrRepositoryPrefix="central", upstreamRegistryUrl=upstream, customRoleArn=_WORKER
    )
    ecr = _ecr(stage, _allow("ecr:BatchGetImage"), _allow(action))
    asked = {"repositoryName": "central/api", "imageIds": [{"imageTag": "v1"}]}
    return lambda: ecr.batch_get_image(**asked)


@refuses(Page.CACHE_IAM, "filling a cache by who may pull, and not import", _DENIED)
def filling_without_importing(stage: Stage) -> Callable[[], object]:
    return _filling(stage, "ecr:CreateRepository")


@refuses(Page.CACHE_IAM, "filling a cache by who may import, and create nothing", _DENIED)
def filling_without_creating(stage: Stage) -> Callable[[], object]:
    return _filling(stage, "ecr:BatchImportUpstreamImage")


@refuses(Page.SCP, "what a service control policy denies an administrator", _DENIED)
def denied_by_service_control(stage: Stage) -> Callable[[], object]:
    policy = _document(_allow("*"), _deny("ecr:CreateRepository"))
    stage.aws.organisation.controls[_ACCOUNT] = ((policy,),)
    return lambda: _administrator(stage).create_repository(repositoryName="api")


@refuses(Page.SCP, "what one level of service control policies does not allow", _DENIED)
def not_allowed_by_service_control(stage: Stage) -> Callable[[], object]:
    everything, other = _document(_allow("*")), _document(_allow("sns:*"))
    stage.aws.organisation.controls[_ACCOUNT] = ((everything,), (other,))
    return lambda: _administrator(stage).create_repository(repositoryName="api")


@refuses(Page.BOUNDARIES, "what the permissions boundary of a role does not allow", _DENIED)
def outside_the_boundary(stage: Stage) -> Callable[[], object]:
    policy = _administrator(stage, "iam").create_policy(
        PolicyName="bound", PolicyDocument=_document(_allow("ecr:Describe*"))
    )
    ecr = _ecr(stage, _allow("ecr:*"), boundary=policy["Policy"]["Arn"])
    ecr.describe_repositories()
    return lambda: ecr.create_repository(repositoryName="api")


@refuses(Page.ASSUME_ROLE, "what the policy of a session does not allow", _DENIED)
def outside_the_session_policy(stage: Stage) -> Callable[[], object]:
    _working(stage, _allow("ecr:*"))
    less = _document(_allow("ecr:DescribeRepositories"))
    keys = _assume(stage, credentials_of(_ACCOUNT), _WORKER, Policy=less)
    ecr = stage.client("ecr", keys=keys)
    ecr.describe_repositories()
    return ecr.describe_registry  # type: ignore[no-any-return]  # boto3's


@refuses(Page.ECR_ACTIONS, "an image repository with tags from who may not tag", _DENIED)
def tags_at_creation(stage: Stage) -> Callable[[], object]:
    ecr, tags = _ecr(stage, _allow("ecr:CreateRepository")), [{"Key": "team", "Value": "a"}]
    return lambda: ecr.create_repository(repositoryName="api", tags=tags)


@refuses(Page.ECR_ACTIONS, "several names, of which one is not allowed", _DENIED)
def one_of_several_names(stage: Stage) -> Callable[[], object]:
    for name in ("api", "web"):
        _administrator(stage).create_repository(repositoryName=name)
    arn = f"arn:aws:ecr:{REGION}:{_ACCOUNT}:repository/api"
    ecr = _ecr(stage, _allow("ecr:DescribeRepositories", Resource=arn))
    ecr.describe_repositories(repositoryNames=["api"])
    return lambda: ecr.describe_repositories(repositoryNames=["api", "web"])


@refuses(Page.LINKED_ROLES, "replication from who may not make its linked role", _DENIED)
def no_linked_role(stage: Stage) -> Callable[[], object]:
    rule = {"destinations": [{"region": REGION, "registryId": OTHER}]}
    ecr = _ecr(stage, _allow("ecr:*"))
    return lambda: ecr.put_replication_configuration(replicationConfiguration={"rules": [rule]})


# Between accounts


def _others(stage: Stage, *statements: dict[str, Any]) -> Callable[[], object]:
    ecr = _ecr(stage, *statements, role=f"arn:aws:iam::{OTHER}:role/reader")
    return lambda: ecr.list_images(registryId=_ACCOUNT, repositoryName="api")


@refuses(Page.CROSS_ACCOUNT, "another account that the repository does not name", _DENIED)
def not_named_by_the_repository(stage: Stage) -> Callable[[], object]:
    _administrator(stage).create_repository(repositoryName="api")
    return _others(stage, _allow("ecr:ListImages"))


@refuses(Page.CROSS_ACCOUNT, "another account's role that its own account does not allow", _DENIED)
def not_allowed_at_home(stage: Stage) -> Callable[[], object]:
    ecr = _administrator(stage)
    ecr.create_repository(repositoryName="api")
    theirs = {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "ecr:ListImages"}
    ecr.set_repository_policy(repositoryName="api", policyText=_document(theirs))
    return _others(stage)


@refuses(Page.GLOBAL_KEYS, "an account outside the organisation that a registry names", _DENIED)
def outside_the_organisation(stage: Stage) -> Callable[[], object]:
    ecr = _administrator(stage)
    ecr.create_repository(repositoryName="api")
    members = _allow(
        "ecr:ListImages",
        Principal="*",
        Resource=f"arn:aws:ecr:{REGION}:{_ACCOUNT}:repository/*",
        Condition={"StringEquals": {"aws:PrincipalOrgID": ORGANISATION}},
    )
    ecr.put_registry_policy(policyText=_document(members))
    asking = _others(stage, _allow("ecr:ListImages"))
    asking()
    stage.aws.organisation.accounts = frozenset({_ACCOUNT})
    return asking


# Keys of AWS KMS


@refuses(Page.KEY_POLICIES, "whom the policy of a key does not name", _DENIED)
def not_named_by_the_key(stage: Stage) -> Callable[[], object]:
    owner = f"arn:aws:iam::{_ACCOUNT}:role/owner"
    owning = stage.client("kms", keys=_working(stage, _allow("kms:*"), role=owner))
    only = _document(_allow("kms:*", Principal={"AWS": owner}))
    key = owning.create_key(Policy=only)["KeyMetadata"]
    kms = stage.client("kms", keys=_working(stage, _allow("kms:*")))
    return lambda: kms.get_key_rotation_status(KeyId=key["KeyId"])


@refuses(Page.ENCRYPTION, "a key for an image repository from who may not use the key", _DENIED)
def key_of_others(stage: Stage) -> Callable[[], object]:
    key = _administrator(stage, "kms").create_key()["KeyMetadata"]["Arn"]
    ecr = _ecr(stage, _allow("ecr:*"))
    wanted = {"encryptionType": "KMS", "kmsKey": key}
    return lambda: ecr.create_repository(repositoryName="api", encryptionConfiguration=wanted)


# Roles


@refuses(Page.ASSUME_ROLE, "a role that does not exist", "AccessDenied")
def missing_role(stage: Stage) -> Callable[[], object]:
    keys = _working(stage, _allow("sts:AssumeRole"))
    return lambda: _assume(stage, keys, _TARGET)


@refuses(Page.ASSUME_ROLE, "a role whose trust policy names others", "AccessDenied")
def trust_of_others(stage: Stage) -> Callable[[], object]:
    keys = _working(stage, _allow("sts:AssumeRole"))
    stage.aws.put_role(_TARGET, _trust(OTHER), {})
    return lambda: _assume(stage, keys, _TARGET)


@refuses(
    Page.ASSUME_ROLE, "a role of another account from who may assume none at home", "AccessDenied"
)
def trusted_but_not_allowed(stage: Stage) -> Callable[[], object]:
    keys = _working(stage)
    stage.aws.put_role(_TARGET, _trust(_WORKER), {})
    return lambda: _assume(stage, keys, _TARGET)


@refuses(Page.EXTERNAL_ID, "a role without the external id that its trust demands", "AccessDenied")
def no_external_id(stage: Stage) -> Callable[[], object]:
    keys = _working(stage, _allow("sts:AssumeRole"))
    demands = {"StringEquals": {"sts:ExternalId": "42"}}
    stage.aws.put_role(_TARGET, _trust(_ACCOUNT, demands), {})
    _assume(stage, keys, _TARGET, ExternalId="42")
    return lambda: _assume(stage, keys, _TARGET, ExternalId="43")


@refuses(Page.ASSUME_ROLE, "a session longer than the role's may be", "ValidationError")
def session_too_long(stage: Stage) -> Callable[[], object]:
    stage.aws.put_role(_WORKER, _trust(_ACCOUNT), {})
    keys = credentials_of(_ACCOUNT)
    return lambda: _assume(stage, keys, _WORKER, DurationSeconds=3_601)


@refuses(Page.ASSUME_ROLE, "a chained session of more than an hour", "ValidationError")
def chained_session_too_long(stage: Stage) -> Callable[[], object]:
    keys = _working(stage, _allow("sts:AssumeRole"))
    stage.aws.put_role(_TARGET, _trust(_ACCOUNT), {}, seconds=7_200)
    _assume(stage, keys, _TARGET, DurationSeconds=3_600)
    return lambda: _assume(stage, keys, _TARGET, DurationSeconds=3_601)


@refuses(Page.ASSUME_ROLE, "a role for the root of an account", "AccessDenied")
def role_for_a_root(stage: Stage) -> Callable[[], object]:
    stage.aws.put_role(_WORKER, _trust(_ACCOUNT), {})
    return lambda: _assume(stage, credentials_of(_ACCOUNT, "root"), _WORKER)


# Tokens of GitHub's jobs


def _job(
    stage: Stage, conditions: dict[str, str], *, new_provider: bool = True, **changes: str
) -> Callable[[], object]:
    """Return the attempt of a job to assume a role whose trust has these conditions."""
    if new_provider:
        stage.aws.put_provider(_PROVIDER, _CLAIMS["aud"])
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": _PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {f"{_ISSUER}:{claim}": value for claim, value in conditions.items()}
        },
    }
    stage.aws.put_role(_WORKER, _document(statement), {})
    return _with(stage, stage.aws.web_token({**_CLAIMS, **changes}))


def _with(stage: Stage, token: str) -> Callable[[], object]:
    return lambda: stage.client("sts").assume_role_with_web_identity(
        RoleArn=_WORKER, RoleSessionName="job", WebIdentityToken=token
    )


@refuses(Page.WEB_IDENTITY, "a job of another subject than the trust names", "AccessDenied")
def other_subject(stage: Stage) -> Callable[[], object]:
    wanted = {"sub": _CLAIMS["sub"]}
    _job(stage, wanted)()
    return _job(stage, wanted, new_provider=False, sub="repo:acme/checkout:pull_request")


@refuses(Page.STS_KEYS, "a job of another repository id than the trust names", "AccessDenied")
def other_repository_id(stage: Stage) -> Callable[[], object]:
    wanted = {"repository_id": _CLAIMS["repository_id"]}
    _job(stage, wanted)()
    return _job(stage, wanted, new_provider=False, repository_id="8")


@refuses(Page.STS_KEYS, "a job of another workflow than the trust names", "AccessDenied")
def other_workflow(stage: Stage) -> Callable[[], object]:
    wanted = {"job_workflow_ref": _CLAIMS["job_workflow_ref"]}
    _job(stage, wanted)()
    other = "evil/checkout/.github/workflows/push.yml@refs/heads/main"
    return _job(stage, wanted, new_provider=False, job_workflow_ref=other)


@refuses(Page.STS_KEYS, "a condition on a claim of which AWS makes no key", "AccessDenied")
def claim_without_a_key(stage: Stage) -> Callable[[], object]:
    return _job(stage, {"runner_environment": _CLAIMS["runner_environment"]})


@refuses(Page.WEB_IDENTITY, "a token for another audience", "InvalidIdentityToken")
def other_audience(stage: Stage) -> Callable[[], object]:
    return _job(stage, {"sub": _CLAIMS["sub"]}, aud="https://github.com/acme")


@refuses(Page.WEB_IDENTITY, "a token of a provider that is not there", "InvalidIdentityToken")
def no_provider(stage: Stage) -> Callable[[], object]:
    return _job(stage, {"sub": _CLAIMS["sub"]}, new_provider=False)


@refuses(Page.WEB_IDENTITY, "a token that has ended", "ExpiredTokenException")
def ended_token(stage: Stage) -> Callable[[], object]:
    return _job(stage, {"sub": _CLAIMS["sub"]}, exp="1767225600")


@refuses(Page.WEB_IDENTITY, "a token that the provider did not sign", "InvalidIdentityToken")
def forged_token(stage: Stage) -> Callable[[], object]:
    _job(stage, {"sub": _CLAIMS["sub"]})()
    good = stage.aws.web_token(_CLAIMS)
    return _with(stage, f"{good[: good.rindex('.')]}.forged")


@refuses(
    Page.IAM_PRINCIPAL,
    "a trust policy names no role or user that is not there",
    "MalformedPolicyDocument",
)
def trust_of_nobody(stage: Stage) -> Callable[[], object]:
    iam = _administrator(stage, "iam")
    nobody = f"arn:aws:iam::{OTHER}:role/nobody"
    return lambda: iam.create_role(RoleName="new", AssumeRolePolicyDocument=_trust(nobody))


@refuses(
    Page.IAM_PRINCIPAL,
    "a role's trust is not changed to a user that is not there",
    "MalformedPolicyDocument",
)
def trust_changed_to_nobody(stage: Stage) -> Callable[[], object]:
    stage.aws.put_role(_WORKER, _trust(_ACCOUNT), {})
    iam = _administrator(stage, "iam")
    nobody = _trust(f"arn:aws:iam::{_ACCOUNT}:user/nobody")
    return lambda: iam.update_assume_role_policy(RoleName="worker", PolicyDocument=nobody)


_NOBODY = f"arn:aws:iam::{_ACCOUNT}:role/nobody"
_ROOT = {"AWS": f"arn:aws:iam::{_ACCOUNT}:root"}
_OF_NOBODY = _document(
    _allow("kms:*", Principal=_ROOT), _allow("kms:Decrypt", Principal={"AWS": _NOBODY})
)
_TOLD_BY_NOBODY = _document(_allow("sns:Publish", Principal={"AWS": _NOBODY}))
_KEY_POLICY = "MalformedPolicyDocumentException"


@refuses(Page.IAM_PRINCIPAL, "a new key whose policy names a role that is not there", _KEY_POLICY)
def key_of_nobody(stage: Stage) -> Callable[[], object]:
    kms = _administrator(stage, "kms")
    return lambda: kms.create_key(Policy=_OF_NOBODY)


@refuses(
    Page.IAM_PRINCIPAL, "a key's policy is not changed to a role that is not there", _KEY_POLICY
)
def key_changed_to_nobody(stage: Stage) -> Callable[[], object]:
    kms = _administrator(stage, "kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    return lambda: kms.put_key_policy(KeyId=key, Policy=_OF_NOBODY)


@refuses(
    Operation("CreateKey", "kms"),
    "a new key whose policy does not let its maker change it again",
    _KEY_POLICY,
)
def key_that_shuts_out_its_maker(stage: Stage) -> Callable[[], object]:
    kms = _administrator(stage, "kms")
    policy = _document(_allow("kms:Describe*", Principal=_ROOT))
    kms.create_key(Policy=policy, BypassPolicyLockoutSafetyCheck=True)
    return lambda: kms.create_key(Policy=policy)


@refuses(
    Operation("PutKeyPolicy", "kms"),
    "a key's policy after which whoever writes it cannot change it again",
    _KEY_POLICY,
)
def key_policy_that_shuts_out_its_writer(stage: Stage) -> Callable[[], object]:
    own = _document(_allow("kms:*", Principal={"AWS": _WORKER}))
    keys = _working(stage, _allow("kms:*"))
    kms = stage.client("kms", keys=keys)
    key = kms.create_key(Policy=own)["KeyMetadata"]["KeyId"]
    others = _document(_allow("kms:*", Principal={"AWS": f"arn:aws:iam::{OTHER}:root"}))
    return lambda: kms.put_key_policy(KeyId=key, Policy=others)


@refuses(
    Page.IAM_PRINCIPAL,
    "a new topic whose policy names a role that is not there",
    "InvalidParameter",
)
def topic_of_nobody(stage: Stage) -> Callable[[], object]:
    sns = _administrator(stage, "sns")
    return lambda: sns.create_topic(Name="alerts", Attributes={"Policy": _TOLD_BY_NOBODY})


@refuses(
    Page.IAM_PRINCIPAL,
    "a topic's policy is not changed to a role that is not there",
    "InvalidParameter",
)
def topic_changed_to_nobody(stage: Stage) -> Callable[[], object]:
    sns = _administrator(stage, "sns")
    arn = sns.create_topic(Name="alerts")["TopicArn"]
    return lambda: sns.set_topic_attributes(
        TopicArn=arn, AttributeName="Policy", AttributeValue=_TOLD_BY_NOBODY
    )


@refuses(
    Page.GLOBAL_KEYS,
    "what a policy lets until a date is refused after it, by the clock of the AWS that is asked",
    _DENIED,
)
def a_permission_that_ended(stage: Stage) -> Callable[[], object]:
    end = datetime.now(UTC) + timedelta(minutes=30)
    until = {"DateLessThan": {"aws:CurrentTime": end.strftime("%Y-%m-%dT%H:%M:%SZ")}}
    ecr = _ecr(stage, _allow("ecr:DescribeRepositories", Condition=until))
    ecr.describe_repositories()
    stage.world.clock.move(seconds=40 * 60)
    return lambda: ecr.describe_repositories(maxResults=1)
