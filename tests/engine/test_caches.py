"""Pull-through caches on the real engine: deployed, unchanged, drifted, mended, taken up again, and removed."""

from typing import Any

import pytest

from sandbox.estate import Registries
from sandbox.session import Session
from tests.engine.conftest import Open
from tests.engine.test_adoption import lose_the_state
from tests.engine.test_estate import ARTIFACTS, LAMBDA, ONE_LAMBDA_ACCOUNT, deploy, held
from tests.engine.test_owners_and_keys import unchanged

pytestmark = pytest.mark.engine

BASE: dict[str, Any] = {"lambdaReplicas": ONE_LAMBDA_ACCOUNT}
CENTRAL = {
    "prefix": "central",
    "upstream": f"{ARTIFACTS[0]}.dkr.ecr.{ARTIFACTS[1]}.amazonaws.com",
    "role": f"arn:aws:iam::{LAMBDA[0]}:role/ecr-cache",
    "registry": "/".join(LAMBDA),
}
CACHED = "docker-hub/library/nginx"


def secrets(session: Session) -> Any:
    return Registries(session.environment).service("secretsmanager", *ARTIFACTS)


def rules(session: Session, registry: tuple[str, str] = ARTIFACTS) -> dict[str, tuple[str, str]]:
    """The upstream and the credentials or role of each rule, by prefix."""
    ecr = Registries(session.environment).client(*registry)
    found: list[Any] = ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"]
    return {
        each["ecrRepositoryPrefix"]: (
            each["upstreamRegistryUrl"],
            each.get("credentialArn") or each.get("customRoleArn") or "",
        )
        for each in found
    }


def test_caches_are_deployed_mended_taken_up_again_and_removed(open_session: Open) -> None:
    session = open_session("api", **BASE)
    named = f"arn:aws:secretsmanager:{ARTIFACTS[1]}:{ARTIFACTS[0]}:secret:ecr-pullthroughcache/hub"
    hub = {"prefix": "docker-hub", "upstream": "registry-1.docker.io", "credentials": named}
    cached = {"rules": [hub, CENTRAL]}
    session.configure({**BASE, "pullThroughCache": cached})
    refused = session.up("--skip-preview")
    assert refused.code != 0
    assert "does not exist; make the secret" in refused.output
    assert held(session).repositories == {}

    made: Any = secrets(session).create_secret(
        Name="ecr-pullthroughcache/hub", SecretString='{"username": "u", "accessToken": "t"}'
    )
    hub["credentials"] = made["ARN"]
    session.configure({**BASE, "pullThroughCache": cached})
    deploy(session)
    unchanged(session)
    wanted = {"docker-hub": (hub["upstream"], made["ARN"])}
    assert rules(session) == wanted
    assert rules(session, LAMBDA) == {"central": (CENTRAL["upstream"], CENTRAL["role"])}
    # What ECR makes for a cache is not of the estate.
    ecr = Registries(session.environment).client(*ARTIFACTS)
    ecr.create_repository(repositoryName=CACHED)
    unchanged(session)

    # Somebody ends one rule, and gives the other another role.
    ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix="docker-hub")
    Registries(session.environment).client(*LAMBDA).update_pull_through_cache_rule(
        ecrRepositoryPrefix="central", customRoleArn=f"arn:aws:iam::{LAMBDA[0]}:role/other"
    )
    drifted = session.preview("--refresh", "--run-program", "--expect-no-changes")
    assert drifted.code != 0
    mended = session.up("--skip-preview", "--refresh", "--run-program")
    assert mended.code == 0, mended.output
    assert rules(session) == wanted
    assert rules(session, LAMBDA)["central"][1] == CENTRAL["role"]

    lose_the_state(session)
    deploy(session)
    unchanged(session)
    assert rules(session) == wanted
    assert len(session.outputs()["ledger"]["services"]) == 1

    # Other credentials are given in place; another upstream is another rule for the same prefix.
    other: Any = secrets(session).create_secret(
        Name="ecr-pullthroughcache/other", SecretString="{}"
    )
    hub["credentials"] = other["ARN"]
    session.configure({**BASE, "pullThroughCache": cached})
    deploy(session)
    assert rules(session) == {"docker-hub": (hub["upstream"], other["ARN"])}
    mirror = {"prefix": "docker-hub", "upstream": "public.ecr.aws"}
    session.configure({**BASE, "pullThroughCache": {"rules": [mirror]}})
    deploy(session)
    unchanged(session)
    assert rules(session) == {"docker-hub": ("public.ecr.aws", "")}
    assert rules(session, LAMBDA) == {}

    session.configure(BASE)
    deploy(session)
    unchanged(session)
    assert rules(session) == {}
    assert held(session).repositories.keys() == {"api", CACHED}
