"""Access on the real engine: namespaces and push roles settle, and the roles allow what is called."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest

from ecr.access_proof.evaluate import (
    Caller,
    Values,
    decide_access,
    statements,
)
from ecr.engine.stack_file import checked, read_stack_file
from ecr.plan.access.deploy_roles import UNCALLED, deployment_documents
from ecr.plan.access.documents import Document
from ecr.plan.access.push_roles import ISSUER
from ecr.plan.alerts import KEY_TAGS
from sandbox.aws.embedded import ApiCall
from sandbox.aws.hands import credentials_of
from sandbox.session import ORGANISATION, Session
from tests.engine.conftest import Open
from tests.engine.test_estate import ARTIFACTS, LAMBDA, ONE_LAMBDA_ACCOUNT, deploy, held
from tests.engine.test_images import operate
from tests.grants import needed

pytestmark = pytest.mark.engine

READER = "555555555555"
BOUNDARY = f"arn:aws:iam::{ARTIFACTS[0]}:policy/push-roles"
SECRETS = f"arn:aws:secretsmanager:{ARTIFACTS[1]}:{ARTIFACTS[0]}:secret:ecr-pullthroughcache"
EVERYTHING: dict[str, Any] = {
    "lambdaReplicas": ONE_LAMBDA_ACCOUNT,
    "alerts": {
        "severities": ["CRITICAL"],
        "subscriptions": [{"protocol": "email", "endpoint": "ops@example.com"}],
    },
    "pullThroughCache": {
        "rules": [
            {"prefix": "hub", "upstream": "registry-1.docker.io", "credentials": f"{SECRETS}/one"},
            {
                "prefix": "central",
                "upstream": f"{ARTIFACTS[0]}.dkr.ecr.{ARTIFACTS[1]}.amazonaws.com",
                "role": f"arn:aws:iam::{LAMBDA[0]}:role/cache-one",
                "registry": "/".join(LAMBDA),
            },
        ]
    },
    "namespaces": {
        "known": {"payments": {"readers": [READER], "createOnPush": True}},
        "repositories": {"api": "payments"},
    },
    "registries": {"templates": True, "templateRole": "ecr-estate-templates"},
    "access": {
        "functions": {"accounts": [READER], "services": {"all": True}},
        "lock": {
            "breakGlass": [
                f"arn:aws:iam::{account}:role/break-glass" for account in (ARTIFACTS[0], LAMBDA[0])
            ]
        },
    },
    "pushRoles": {"createProvider": True, "permissionsBoundary": BOUNDARY},
}


def iam(session: Session) -> Any:
    """IAM of the artifacts account."""
    return client(session, "iam", ARTIFACTS[0])


def client(session: Session, service: Any, account: str) -> Any:
    """A service of an account, as somebody else would use it, in the estate's Region."""
    return boto3.client(
        service,
        endpoint_url=session.aws.url,
        region_name=ARTIFACTS[1],
        **credentials_of(account),
    )


def test_push_roles_settle_follow_a_rename_and_end_with_their_repository(
    open_session: Open,
) -> None:
    session = open_session(
        "api",
        "web",
        lambdaReplicas=None,
        namespaces=EVERYTHING["namespaces"],
        registries=EVERYTHING["registries"],
        access=EVERYTHING["access"],
        pushRoles={
            "createProvider": True,
            "variables": True,
            "services": {"patterns": ["api", "gateway"]},
        },
    )
    deploy(session)
    assert session.preview("--expect-no-changes").code == 0
    assert set(held(session).repositories) == {"payments/api", "web"}
    organisation = session.github.organisation
    number = organisation.get("api").id
    (role,) = iam(session).list_roles(PathPrefix="/ecr-estate/")["Roles"]
    assert session.outputs()["pushRoles"] == {"payments/api": role["Arn"]}
    assert role["RoleName"] == f"push-payments.api-{number}"
    subject = f"repo:{ORGANISATION}@{organisation.id}/api@{number}:*"
    assert subject in json.dumps(role["AssumeRolePolicyDocument"])
    (provider,) = iam(session).list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert provider["Arn"].endswith(ISSUER)
    assert written(session) == 3
    code, shown = operate(session, "policies", "--config-file", str(session.config_file))
    assert code == 0
    assert {(each["kind"], each["of"]) for each in shown} >= {
        ("registry", "registry 111111111111/eu-west-1"),
        ("trust", f"push role 111111111111/{role['RoleName']}"),
        ("identity", "namespace payments"),
        ("identity", "deploy role of 111111111111"),
    }

    organisation.rename("api", "gateway")
    deploy(session)
    assert session.preview("--expect-no-changes").code == 0
    (renamed,) = iam(session).list_roles(PathPrefix="/ecr-estate/")["Roles"]
    assert renamed["RoleName"] == role["RoleName"]
    assert f"/gateway@{number}:*" in json.dumps(renamed["AssumeRolePolicyDocument"])
    assert set(held(session).repositories) == {"payments/api", "web"}

    organisation.delete("gateway")
    deploy(session)
    assert set(held(session).repositories) == {"payments/api", "web"}
    assert iam(session).list_roles(PathPrefix="/ecr-estate/")["Roles"] == []
    assert iam(session).list_open_id_connect_providers()["OpenIDConnectProviderList"]


def test_variables_of_other_hands_are_left_alone_and_ours_follow_their_role(
    open_session: Open,
) -> None:
    roles = {"createProvider": True, "variables": True}
    session = open_session("api", "web", lambdaReplicas=None, pushRoles=roles)
    organisation = session.github.organisation
    variables = session.github.api.actions
    api, web = organisation.get("api"), organisation.get("web")
    variables.held(api)["ECR_REGION"] = "us-east-1"
    shown = session.preview()
    assert "api has ECR_REGION with another value, by other hands" in " ".join(shown.output.split())
    deploy(session)
    assert variables.held(api)["ECR_REGION"] == "us-east-1"
    assert set(variables.held(api)) == set(variables.held(web))
    assert session.preview("--expect-no-changes").code == 0

    session.configure({"lambdaReplicas": None, "pushRoles": roles, "names": {"web": "site"}})
    deploy(session)
    assert variables.held(web)["ECR_PUSH_ROLE"].endswith(f"/push-site-{web.id}")
    assert variables.held(web)["ECR_REPOSITORY"].endswith("/site")
    assert len(variables.held(web)) == 3
    assert session.preview("--expect-no-changes").code == 0


def written(session: Session) -> int:
    """How many Actions variables were made."""
    paths = [each["path"] for each in session.github.calls() if each["method"] == "POST"]
    return len([path for path in paths if path.endswith("/actions/variables")])


KEYS_CHANGED = "other hands have changed the policies of the keys of alerts"
KEYS_UNTAGGED = "other hands have taken these keys' tags away, and the boundary is given up"


def tamper(session: Session, title: str) -> None:
    """Do to the keys of alerts what a phase says of other hands."""
    if title not in {KEYS_CHANGED, KEYS_UNTAGGED}:
        return
    for account in (ARTIFACTS[0], LAMBDA[0]):
        kms = client(session, "kms", account)
        (key,) = (each["KeyId"] for each in kms.list_keys()["Keys"])
        if title == KEYS_UNTAGGED:
            kms.untag_resource(KeyId=key, TagKeys=list(KEY_TAGS))
            continue
        policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
        policy["Statement"].pop()
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))


def phases() -> Iterator[tuple[str, dict[str, Any]]]:
    """Settings, one deployment after another, that use and end everything that there is."""
    yield "everything is made", EVERYTHING
    changed = {
        **EVERYTHING,
        "images": {"mutableTags": ["cache-*"]},
        "tags": {"team": "x"},
        "lifecycle": {"keepImages": 7},
        "scanning": {"filters": ["a*"]},
        "alerts": {**EVERYTHING["alerts"], "severities": ["HIGH"]},
        "pullThroughCache": json.loads(
            json.dumps(EVERYTHING["pullThroughCache"])
            .replace("/one", "/two")
            .replace("cache-one", "cache-two")
        ),
        "access": {**EVERYTHING["access"], "functions": {"accounts": [READER, "666666666666"],
                                                         "services": {"all": True}}},
        "pushRoles": {**EVERYTHING["pushRoles"], "branches": ["main"]},
    }  # fmt: skip
    yield "everything is changed", changed
    yield KEYS_CHANGED, changed
    unbound = {**EVERYTHING["pushRoles"], "permissionsBoundary": None}
    yield KEYS_UNTAGGED, {**changed, "pushRoles": unbound}
    yield "roles are bound that stand already", changed
    names_only = {"known": {"payments": {"readers": [READER]}}, "repositories": {"api": "payments"}}
    without = {"namespaces": names_only, "lambdaReplicas": ONE_LAMBDA_ACCOUNT}
    yield "most of it ends", {**without, "lifecycle": {"preset": "none"}}
    fewer = {**ONE_LAMBDA_ACCOUNT, "services": {"patterns": ["nothing"]}}
    kept = {**without, "lambdaReplicas": fewer, "access": {"policy": "repository"}}
    yield "policies move, and replicas are kept", kept
    retiring = {**kept, "retire": ["payments/api", "web"]}
    yield "replicas retire", retiring
    yield "replicas end", retiring
    yield "the account is given up", {**retiring, "lambdaReplicas": None}


def names(session: Session) -> set[str]:
    return {each.name for each in session.github.organisation}


def test_the_roles_allow_what_the_providers_call_and_nothing_else(open_session: Open) -> None:
    session = open_session("api", "web", **EVERYTHING)
    make_secrets(session)
    stands_already(session)
    granted: dict[str, set[str]] = defaultdict(set)
    called: dict[str, set[str]] = defaultdict(set)
    before = documents(session)
    for title, settings in phases():
        session.configure({"registryPolicyScope": "V2", **settings})
        after = documents(session)
        tamper(session, title)
        session.aws.forget_calls()
        if "retire" in settings and "web" in names(session):
            session.github.organisation.delete("web")
            deploy(session)
        done = session.up("--skip-preview", "--refresh")
        assert done.code == 0, done.output
        for call in calls(session):
            # What a setting ends is cleared away with the documents from before.
            texts = [pair[0].text for pair in (*before[call.account], *after[call.account])]
            assert may(texts, call, key_tags(session, call)), (title, call)
            called[call.account].add(action(call))
        for account, pairs in after.items():
            granted[account] |= {each for pair in pairs for each in actions(pair[0].text)}
        before = after
    # A lifecycle policy is tried on one image repository before it replaces others; here that is one of
    # the artifacts account, whose policies the replicas share.
    granted[LAMBDA[0]] -= {"ecr:StartLifecyclePolicyPreview"}
    for account in (ARTIFACTS[0], LAMBDA[0]):
        assert called[account] == granted[account] - UNCALLED
        # Those that are asked for beside a call are decided, too: there is no exception.
        assert (
            needed(session.aws.grants(), f"arn:aws:iam::{account}:role/ecr-estate-deploy")
            == granted[account]
        )


def test_a_preview_reads_what_its_role_allows_and_nothing_else(open_session: Open) -> None:
    session = open_session("api", "web", **EVERYTHING, previewRole="ecr-estate-read")
    make_secrets(session)
    # Keys are looked for by their tags where the engine's state holds none.
    session.aws.forget_calls()
    first = session.preview()
    assert first.code == 0, first.output
    early = calls(session)
    deploy(session)
    stands_already(session)
    session.aws.forget_calls()
    for arguments in ((), ("--refresh", "--run-program")):
        done = session.preview(*arguments)
        assert done.code == 0, done.output
    for account, pairs in documents(session).items():
        mine = [call for call in (*early, *calls(session)) if call.account == account]
        (texts,) = [[pair[1].text for pair in pairs]]
        assert all(may(texts, call, {}) for call in mine)
        reads = {each for text in texts for each in actions(text)}
        assert {action(call) for call in mine} == reads
        role = f"arn:aws:iam::{account}:role/ecr-estate-read"
        assert {call.principal for call in mine} == {role}
        assert needed(session.aws.grants(), role) == reads
    changing = ("Create", "Put", "Set", "Delete", "Update", "Tag", "Untag", "Enable", "Schedule")
    assert not [call for call in calls(session) if call.action.startswith(changing)]


def make_secrets(session: Session) -> None:
    """Have a person make the secrets of caches, which must be there before the first deployment."""
    secrets = client(session, "secretsmanager", ARTIFACTS[0])
    for name in ("one", "two"):
        secrets.create_secret(Name=f"ecr-pullthroughcache/{name}", SecretString="{}")


def stands_already(session: Session) -> None:
    """Have other hands make an image repository in each account; its tags are looked at."""
    for account in (ARTIFACTS[0], LAMBDA[0]):
        client(session, "ecr", account).create_repository(repositoryName="of-others")


def documents(session: Session) -> dict[str, list[tuple[Document, Document]]]:
    """The documents of each account for the session's settings: to deploy, to preview."""
    found = deployment_documents(checked(read_stack_file(session.config_file)))
    return defaultdict(list, {account: [pair] for account, pair in found.items()})


def calls(session: Session) -> list[ApiCall]:
    """What was asked with the roles' credentials; who somebody is may be asked without permission."""
    return [
        call
        for call in session.aws.calls()
        if call.account in {ARTIFACTS[0], LAMBDA[0]} and call.service != "sts"
    ]


def action(call: ApiCall) -> str:
    return f"{call.service}:{call.action}"


def actions(text: str) -> set[str]:
    """The actions that a document names."""
    listed = [statement["Action"] for statement in statements(text)]
    return {each for found in listed for each in ([found] if isinstance(found, str) else found)}


def key_tags(session: Session, call: ApiCall) -> dict[str, str]:
    """The tags of the key that a call was about."""
    if call.service != "kms" or not call.subject:
        return {}
    kms = client(session, "kms", call.account)
    return {
        each["TagKey"]: each["TagValue"]
        for each in kms.list_resource_tags(KeyId=call.subject)["Tags"]
    }


def may(texts: list[str], call: ApiCall, tags: Mapping[str, str]) -> bool:
    """Whether a role with these documents may make a call on what it was made on, with these tags."""
    context: dict[str, Values] = (
        {"iam:PermissionsBoundary": BOUNDARY} if call.service == "iam" else {}
    )
    context |= {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
    context |= {f"aws:RequestTag/{key}": value for key, value in call.tags}
    role = f"arn:aws:iam::{call.account}:role/ecr-estate-deploy"
    who = Caller("role", role, policies=tuple(texts), context=context)
    return decide_access(who, action(call), arn(call), account=call.account) == "allowed"


def arn(call: ApiCall) -> str:
    """The ARN of what a call was about, as IAM has it; "*" where it is about no one thing."""
    if call.subject.startswith("arn:"):
        return call.subject
    region = "" if call.service == "iam" else call.region
    kind = {
        "ecr": "repository/",
        "iam": "role/ecr-estate/",
        "events": "rule/",
        "kms": "key/",
        "sns": "",
        "secretsmanager": "secret:",
    }[call.service]
    if action(call) == "ecr:DescribeRepositories" and not call.subject:
        return f"arn:aws:ecr:{region}:{call.account}:repository/any"
    if action(call) == "iam:CreateOpenIDConnectProvider":
        return f"arn:aws:iam::{call.account}:oidc-provider/{ISSUER}"
    if not call.subject:
        return "*"
    return f"arn:aws:{call.service}:{region}:{call.account}:{kind}{call.subject}"
