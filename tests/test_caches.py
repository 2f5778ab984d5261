"""Pull-through caches: what is declared, allowed, refused and left alone, and what their images are called."""

import json
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from ecr.access_proof.evaluate import AccessDecision, Caller, decide_access
from ecr.cli.commands.audit import ImageInUse, _from_cache
from ecr.cli.registries import RegistrySelection
from ecr.errors import EstateError
from ecr.ledger.ledger import Ledger
from ecr.plan.access.deploy_roles import deployment_documents
from ecr.plan.model import CachePlan, Observed, StandingCaches
from ecr.registry.registry import Registry
from ecr.settings.prices import Prices
from ecr.usage.measure import Measured
from ecr.usage.report import costed, figures_by, findings
from tests.builders import (
    ARTIFACTS,
    LAMBDA,
    REPLICAS,
    SOURCE,
    config,
    plan,
    repositories,
    settings,
    with_replicas,
)
from tests.mocks import Deployment, deploy

HERE = Registry(ARTIFACTS, "eu-west-1")
SECRET = f"arn:aws:secretsmanager:eu-west-1:{ARTIFACTS}:secret:ecr-pullthroughcache/hub-AbCdEf"
HUB = {"prefix": "docker-hub", "upstream": "registry-1.docker.io", "credentials": SECRET}
OPEN = {"prefix": "ecr-public", "upstream": "public.ecr.aws"}
ROLE = f"arn:aws:iam::{LAMBDA}:role/ecr-cache"
CENTRAL = {
    "prefix": "central",
    "upstream": f"{ARTIFACTS}.dkr.ecr.eu-west-1.amazonaws.com",
    "role": ROLE,
    "registry": REPLICAS,
}
PLANNED_HUB = CachePlan("docker-hub", "registry-1.docker.io", credentials=SECRET)
EVERYTHING = '{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
KIND = "aws:ecr/pullThroughCacheRule:PullThroughCacheRule"


def caches(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"pullThroughCache": {"rules": list(rules)}, **more}


def standing(
    *rules: CachePlan, held: frozenset[str] = frozenset(), secrets: dict[str, str] | None = None
) -> Observed:
    now = {each.prefix: each for each in rules}
    return Observed(caches={HERE: StandingCaches(now, held, secrets or {})})


def deployed(
    *rules: dict[str, Any], aws: Any = None, state: dict[str, Any] | None = None
) -> Deployment:
    def invoke(token: str, _: Any) -> dict[str, Any]:
        if token == "aws:ecr/getRepositories:getRepositories":
            return {"id": "eu-west-1", "names": []}
        return {"outputs": state or {}}

    known = {"describe_secret": {"ARN": SECRET}, **(aws or {})}
    given = config(static=[{"id": 1, "name": "api"}], **caches(*rules), **with_replicas())
    return deploy(given, invoke, aws=known)


# What is declared


def test_each_rule_is_declared_in_its_registry() -> None:
    found = deployed(HUB, OPEN, CENTRAL).of("PullThroughCacheRule")
    assert {name: dict(each.inputs) for name, each in found.items()} == {
        f"{SOURCE}/caches/docker-hub": {
            "region": "eu-west-1",
            "ecrRepositoryPrefix": "docker-hub",
            "upstreamRegistryUrl": "registry-1.docker.io",
            "credentialArn": SECRET,
        },
        f"{SOURCE}/caches/ecr-public": {
            "region": "eu-west-1",
            "ecrRepositoryPrefix": "ecr-public",
            "upstreamRegistryUrl": "public.ecr.aws",
        },
        f"{REPLICAS}/caches/central": {
            "region": "eu-west-1",
            "ecrRepositoryPrefix": "central",
            "upstreamRegistryUrl": CENTRAL["upstream"],
            "customRoleArn": ROLE,
        },
    }
    assert not deployed().of("PullThroughCacheRule")


def test_the_ledger_says_which_rules_are_this_stacks() -> None:
    outputs = deployed(HUB, CENTRAL).outputs
    assert outputs["ledger"]["registries"][SOURCE]["caches/docker-hub"] == "managed"
    assert outputs["ledger"]["registries"][REPLICAS]["caches/central"] == "managed"


def test_a_rule_that_stands_as_planned_is_taken_up() -> None:
    rule = {
        "ecrRepositoryPrefix": "docker-hub",
        "upstreamRegistryUrl": "https://registry-1.docker.io",
        "upstreamRepositoryPrefix": "ROOT",
        "credentialArn": SECRET,
    }
    done = deployed(
        HUB, aws={"describe_pull_through_cache_rules": {"pullThroughCacheRules": [rule]}}
    )
    found = done.of("PullThroughCacheRule")[f"{SOURCE}/caches/docker-hub"]
    assert found.imported == "docker-hub@eu-west-1"


def test_a_rule_of_other_hands_is_left_alone_and_said() -> None:
    theirs = CachePlan("docker-hub", "registry-1.docker.io", credentials=f"{SECRET}2")
    done = plan(*repositories("api"), observed=standing(theirs), **caches(HUB))
    (registry,) = done.registries
    assert not registry.caches
    assert registry.other_caches == {"docker-hub"}
    (said,) = [each for each in done.notes if "cache rule" in each]
    assert "name the registry under registries.adopted" in said
    adopted = plan(
        *repositories("api"),
        observed=standing(theirs),
        **caches(HUB, registries={"adopted": [SOURCE]}),
    )
    assert adopted.registries[0].found_caches == {"docker-hub"}


def test_a_rule_that_caches_something_else_is_never_replaced() -> None:
    theirs = CachePlan("docker-hub", "quay.io")
    changes = caches(HUB, registries={"adopted": [SOURCE]})
    done = plan(*repositories("api"), observed=standing(theirs), **changes)
    assert not done.registries[0].caches
    assert any("caches quay.io, and stays as it is; delete it" in each for each in done.notes)


def test_what_a_killed_deployment_made_is_its_own() -> None:
    changed = replace(PLANNED_HUB, credentials=f"{SECRET}2")
    held = frozenset({"docker-hub"})
    done = plan(*repositories("api"), observed=standing(changed, held=held), **caches(HUB))
    assert done.registries[0].caches == (PLANNED_HUB,)
    assert not done.registries[0].found_caches


def test_a_rule_of_the_state_is_known_by_its_name() -> None:
    urn = f"urn:pulumi:test::ecr-estate::{KIND}::{SOURCE}/caches/ecr-public"
    rule = {"ecrRepositoryPrefix": "ecr-public", "upstreamRegistryUrl": "quay.io"}
    done = deployed(
        OPEN,
        state={urn: {"type": KIND, "outputs": {}}},
        aws={"describe_pull_through_cache_rules": {"pullThroughCacheRules": [rule]}},
    )
    assert not done.of("PullThroughCacheRule")[f"{SOURCE}/caches/ecr-public"].imported


# What its image repositories are given


def test_what_a_cache_makes_gets_a_lifecycle_policy_and_tags_that_move() -> None:
    found = deployed(HUB, CENTRAL).of("RepositoryCreationTemplate")
    assert set(found) == {f"{SOURCE}/templates/docker-hub", f"{REPLICAS}/templates/central"}
    given = found[f"{SOURCE}/templates/docker-hub"].inputs
    assert given["appliedFors"] == ["PULL_THROUGH_CACHE"]
    assert given["imageTagMutability"] == "MUTABLE"
    assert "resourceTags" not in given, "whoever pulls would need ecr:TagResource"
    assert "customRoleArn" not in given
    (rule,) = json.loads(given["lifecyclePolicy"])["rules"]
    assert rule["selection"] == {
        "tagStatus": "any",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 30,
    }
    held = deployed(HUB).outputs["ledger"]["registries"][SOURCE]
    assert held["templates/docker-hub"] == "managed"


def test_what_a_cache_makes_is_encrypted_as_its_registry_by_a_role() -> None:
    key = f"arn:aws:kms:eu-west-1:{ARTIFACTS}:key/1"
    with pytest.raises(EstateError, match="a template with a KMS key needs it"):
        settings(**caches(OPEN, images={"kmsKey": key}))
    roles = {"templateRole": "ecr-estate-templates"}
    done = plan(*repositories("api"), **caches(OPEN, images={"kmsKey": key}, registries=roles))
    (template,) = done.registries[0].templates
    assert (template.encryption, template.kms_key) == ("KMS", key)
    assert template.role == f"arn:aws:iam::{ARTIFACTS}:role/ecr-estate-templates"
    # A key of another registry asks for nothing here.
    settings(
        **caches(OPEN, images={"kmsKeys": {REPLICAS: key.replace(ARTIFACTS, LAMBDA)}}),
        **with_replicas(),
    )


def test_a_cache_has_one_template_where_all_registries_have_one() -> None:
    every = {"templates": True}
    done = plan(*repositories("api"), **caches(OPEN, registries=every))
    assert [each.prefix for each in done.registries[0].templates] == ["ecr-public", "ROOT"]


# What is refused before anything is made


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({**HUB, "credentials": None}, "gives ECR nothing without"),
        ({**OPEN, "credentials": SECRET}, "which ECR reads without credentials"),
        ({**HUB, "credentials": "hunter2"}, "is not the ARN of a secret of pull-through caches"),
        ({**HUB, "credentials": SECRET.replace("ecr-pull", "pull")}, "ecr-pullthroughcache/NAME"),
        ({**HUB, "credentials": SECRET.replace("eu-west-1", "us-east-1")}, "account and Region"),
        ({**HUB, "credentials": SECRET.replace(ARTIFACTS, LAMBDA)}, "account and Region"),
        ({**HUB, "prefix": "ROOT"}, "is not a prefix of a cache"),
        ({**HUB, "prefix": "Docker_Hub"}, "is not a prefix of a cache"),
        ({**HUB, "prefix": "payments/hub"}, "is in a namespace of the estate"),
        ({**HUB, "upstream": "docker.io"}, "is not a registry that ECR caches"),
        ({**HUB, "upstreamPrefix": "library"}, "is for the ECR of an account only"),
        (
            {**HUB, "role": ROLE.replace(LAMBDA, ARTIFACTS)},
            "is for the ECR of another account only",
        ),
        ({**HUB, "registry": "999999999999/eu-west-1"}, "is no registry of these settings"),
        ({**CENTRAL, "role": None}, "is read by one; name a role"),
        ({**CENTRAL, "role": ROLE.replace(LAMBDA, ARTIFACTS)}, "of another account than"),
        ({**CENTRAL, "registry": SOURCE, "role": None}, "is the rule's own registry"),
        ({**CENTRAL, "upstream": f"{ARTIFACTS}.dkr.ecr.eu-west-1.example.com"}, "no host of ECR"),
        (
            {**CENTRAL, "upstream": f"{ARTIFACTS}.dkr.ecr.cn-north-1.amazonaws.com.cn"},
            "is not in the partition",
        ),
        (
            {**CENTRAL, "upstream": f"{LAMBDA}.dkr.ecr.us-east-1.amazonaws.com"},
            "is for the ECR of another account only",
        ),
    ],
)
def test_bad_rules_are_refused_by_the_settings(rule: dict[str, Any], said: str) -> None:
    given = {key: value for key, value in rule.items() if value is not None}
    with pytest.raises(EstateError) as refused:
        settings(**caches(given, namespaces={"known": {"payments": {}}}), **with_replicas())
    assert said in str(refused.value)
    assert len(refused.value.offences) == 1, refused.value.offences


def test_two_rules_for_a_prefix_and_policies_by_repository_are_refused() -> None:
    with pytest.raises(EstateError, match=r"is already rules\[0\]"):
        settings(**caches(OPEN, OPEN))
    with pytest.raises(EstateError, match="needs a registry policy"):
        settings(**caches(OPEN, access={"policy": "repository"}))


def test_a_prefix_in_which_services_have_image_repositories_is_refused() -> None:
    first = plan(*repositories("central", "api"), **with_replicas())
    with pytest.raises(EstateError, match="would have the names of 1 image repositories"):
        plan(
            *repositories("central", "api"),
            ledger=first.ledger,
            **caches(CENTRAL),
            **with_replicas(),
        )


def test_a_new_repository_that_is_called_as_a_cache_is_left_out_and_stops_nobody() -> None:
    done = plan(*repositories("docker-hub", "api"), **caches(HUB))
    assert [each.placement.name for each in done.image_repositories] == ["api"]
    (left,) = done.left_out
    assert "is within the cache of registry-1.docker.io" in left.reason


def test_an_image_of_a_service_is_left_out_within_a_cache() -> None:
    named: dict[str, Any] = {"images": {"named": {"services": {"api": ["hub"]}}}}
    rule = {**OPEN, "prefix": "api/hub"}
    done = plan(*repositories("api"), **caches(rule), **named)
    assert [each.placement.name for each in done.image_repositories] == ["api"]
    assert "is within the cache of public.ecr.aws" in done.left_out[0].reason


@pytest.mark.parametrize(
    ("answer", "said"),
    [(None, "does not exist"), ({"DeletedDate": "2026-11-01"}, "is to be deleted")],
)
def test_a_secret_that_ecr_could_not_use_is_found_first(answer: Any, said: str) -> None:
    with pytest.raises(pulumi.RunError, match=said):
        deployed(HUB, aws={"describe_secret": answer})


def test_a_secret_that_goes_later_stops_nobody() -> None:
    ledger = Ledger(registries={SOURCE: {"caches/docker-hub": "managed"}})
    gone = standing(secrets={SECRET: "does not exist; make the secret"})
    done = plan(*repositories("api"), ledger=ledger, observed=gone, **caches(HUB))
    assert any("does not exist; make the secret" in each for each in done.notes)


def test_more_rules_than_ecr_takes_are_refused_with_those_of_other_hands() -> None:
    others = [CachePlan(f"cache-{number}", "quay.io") for number in range(50)]
    with pytest.raises(EstateError, match="51 cache rules"):
        plan(*repositories("api"), observed=standing(*others), **caches(OPEN))


# Who may do what


def decided(policy: str | None, caller: Caller, action: str, place: str) -> AccessDecision:
    """Decide over ACCOUNT/NAME by the policy of its registry."""
    account, _, name = place.partition("/")
    arn = Registry(account, "eu-west-1").arn(name)
    return decide_access(caller, action, arn, [policy] if policy else [], account=account)


def somebody(account: str, organisation: str | None = "o-a1b2c3d4e5", name: str = "pod") -> Caller:
    arn = f"arn:aws:iam::{account}:role/{name}"
    return Caller("role", arn, organisation=organisation, policies=(EVERYTHING,))


def test_whoever_may_pull_may_fill_a_cache_and_make_nothing_else() -> None:
    changes = caches(HUB, **with_replicas(), access={"readers": ["777777777777"]})
    done = plan(*repositories("api"), **changes)
    policy = next(each.policy for each in done.registries if each.registry == HERE)
    for action in ("ecr:BatchImportUpstreamImage", "ecr:CreateRepository"):
        for caller, decision in (
            (somebody("555555555555"), "allowed"),
            (somebody("777777777777", None), "allowed"),
            (somebody("888888888888", None), "not allowed"),
        ):
            name = "docker-hub/library/nginx"
            assert decided(policy, caller, action, f"{ARTIFACTS}/{name}") == decision
            assert decided(policy, caller, action, f"{ARTIFACTS}/other") == "not allowed"
    # A node that may pull, and create nothing by itself, is let in by the registry.
    node = replace(somebody(ARTIFACTS), policies=())
    action = "ecr:CreateRepository"
    assert decided(policy, node, action, f"{ARTIFACTS}/docker-hub/x") == "allowed"


def test_the_role_of_a_cache_may_read_the_registry_that_it_caches() -> None:
    changes = caches({**CENTRAL, "upstreamPrefix": "payments"}, **with_replicas())
    done = plan(*repositories("api"), **changes)
    policies = {each.registry.account: each.policy for each in done.registries}
    role = somebody(LAMBDA, None, "ecr-cache")
    for action in ("ecr:BatchImportUpstreamImage", "ecr:GetImageCopyStatus", "ecr:BatchGetImage"):
        assert decided(policies[ARTIFACTS], role, action, f"{ARTIFACTS}/payments/x") == "allowed"
        assert decided(policies[ARTIFACTS], role, action, f"{ARTIFACTS}/x") == "not allowed"
    # A registry that only Lambda reads is filled by its own account.
    fill = "ecr:BatchImportUpstreamImage"
    for account, decision in ((LAMBDA, "allowed"), ("555555555555", "not allowed")):
        caller = somebody(account)
        assert decided(policies[LAMBDA], caller, fill, f"{LAMBDA}/central/x") == decision


def test_the_roles_that_deploy_get_what_caches_need_in_their_own_account() -> None:
    documents = deployment_documents(settings(**caches(HUB, CENTRAL), **with_replicas()))
    texts = {account: pair[0].text for account, pair in documents.items()}
    assert "secretsmanager:DescribeSecret" in texts[ARTIFACTS]
    assert "iam:PassRole" not in texts[ARTIFACTS]
    assert "iam:PassRole" in texts[LAMBDA]
    assert "secretsmanager" not in texts[LAMBDA]
    assert all("GetSecretValue" not in text for text in texts.values())
    previews = json.loads(documents[ARTIFACTS][1].text)["Statement"]
    named = {each["Sid"]: each["Action"] for each in previews}
    assert named["Caches"] == ["ecr:DescribePullThroughCacheRules"]
    assert named["CacheSecrets"] == ["secretsmanager:DescribeSecret"]


# What a cache made is no service's


def test_nobody_is_told_that_a_cached_image_was_not_replicated() -> None:
    done = plan(*repositories("api"), **caches(HUB, alerts={}), **with_replicas())
    patterns = [
        rule.pattern
        for alerts in done.alerts
        for rule in alerts.rules
        if rule.name.endswith("-replication")
    ]
    assert len(patterns) == 2
    assert all("docker-hub/*" in each for each in patterns)


def test_usage_says_what_a_cache_made_and_asks_nobody_to_adopt_it() -> None:
    held = [
        Measured(SOURCE, name, 0.0, images=1, standard=1, has_policy=True)
        for name in ("docker-hub/library/nginx", "docker-hubs")
    ]
    rows = costed(held, {}, Prices(), {}, {SOURCE: {"docker-hub"}})
    assert [each.whose.part for each in rows] == ["cache", "of other hands"]
    names = {each.name for each in figures_by(rows, "service")}
    assert f"{SOURCE}/docker-hub/library/nginx (cache)" in names
    ours = replace(rows[1], whose=rows[1].whose._replace(service="api", state="active"))
    found = findings([rows[0], ours], months=6, now=10.0**9)
    about = [each for each in found if "nginx" in each.who]
    assert [each.kind for each in about] == ["unused"]
    assert "a pull fills it again" in about[0].text


def test_audit_says_that_a_cache_fills_again_what_goes() -> None:
    chosen = RegistrySelection((HERE,), caches={SOURCE: frozenset({"docker-hub"})})
    place = (HERE, "docker-hub/library/nginx")
    going = ImageInUse(place, "sha256:1", (), ("pod",), "goes", "by rule 1", on="2026-12-01")
    said = _from_cache(going, chosen)
    assert (said.state, said.on, said.pin_at) == ("safe", None, ())
    assert "a pull fills again" in said.reason
    assert said.doubt
    other = replace(going, place=(HERE, "api"))
    assert _from_cache(other, chosen) == other
