"""Changing one's mind on the real engine: no change of architecture or of source loses anything."""

import re
from pathlib import Path
from typing import Any

import pytest

from ecr.cli.main import main
from sandbox.session import PROJECT, Session
from tests.engine.conftest import Open
from tests.engine.test_estate import ARTIFACTS, LAMBDA, ONE_LAMBDA_ACCOUNT, changes, deploy, held

pytestmark = pytest.mark.engine

PRODUCTION = ("444444444444", "eu-west-1")
SETS = [
    {
        "name": name,
        "account": account,
        "region": region,
        "role": f"arn:aws:iam::{account}:role/ecr-estate-deploy",
    }
    for name, (account, region) in {"nonprod": ARTIFACTS, "prod": PRODUCTION}.items()
]
ONE_ACCOUNT: dict[str, Any] = ONE_LAMBDA_ACCOUNT
CENTRAL: dict[str, Any] = {"accountSets": SETS, "lambdaReplicas": ONE_LAMBDA_ACCOUNT}
PER_SET: dict[str, Any] = {
    **CENTRAL,
    "architecture": "per-account-set",
    "lambdaReplicas": {
        **ONE_ACCOUNT,
        "accounts": [{**each, "serves": "nonprod"} for each in ONE_ACCOUNT["accounts"]],
    },
}


def planned(session: Session) -> str:
    """What a preview says; that it deletes and replaces nothing."""
    preview = session.preview()
    assert preview.code == 0, preview.output
    assert not re.search(r"to (delete|replace)", preview.output), preview.output
    return preview.output


def states(session: Session, service: str) -> dict[str, str]:
    services = session.outputs()["ledger"]["services"].values()
    placements: dict[str, str] = next(
        each["placements"] for each in services if each["service"] == service
    )
    return placements


def test_one_registry_becomes_two_and_one_again_with_nothing_deleted_or_replaced(
    open_session: Open,
) -> None:
    session = open_session("api", "web", lambdaReplicas=ONE_LAMBDA_ACCOUNT)
    deploy(session)
    first = held(session).repositories
    session.configure(PER_SET)
    assert "8 to create" in planned(session)
    deploy(session)
    assert set(held(session, PRODUCTION).repositories) == {"api", "web"}
    session.configure(CENTRAL)
    planned(session)
    deploy(session)
    assert held(session).repositories == first
    assert set(held(session, PRODUCTION).repositories) == {"api", "web"}
    assert set(held(session, LAMBDA).repositories) == {"api", "web"}
    assert states(session, "api") == {
        f"{'/'.join(ARTIFACTS)}/api": "active",
        f"{'/'.join(PRODUCTION)}/api": "kept",
    }
    assert session.preview("--expect-no-changes").code == 0
    asked = {each.action for each in session.aws.calls()}
    assert "DeleteRepository" not in asked


def test_a_generated_list_becomes_a_static_one_and_generated_again_without_a_change(
    open_session: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_property = {**ONE_ACCOUNT, "services": {"property": "lambda"}}
    session = open_session("api", "web", lambdaReplicas=by_property)
    session.github.organisation.set_properties("api", {"lambda": "true"})
    deploy(session)
    before = session.outputs()
    assert list(before["replicas"]) == ["api"]
    monkeypatch.setenv("GITHUB_TOKEN", session.github.token)
    monkeypatch.setenv("GITHUB_BASE_URL", session.github.url)
    listed = tmp_path / "services.yaml"
    stack = str(PROJECT / "Pulumi.sandbox.yaml")
    assert main(["list", "--settings", stack, "--output", str(listed)]) == 0
    session.github.forget_calls()
    asked = changes(session)
    for settings in ({"staticFile": str(listed)}, {}):
        session.configure({"lambdaReplicas": by_property, **settings})
        preview = session.preview()
        assert "Outputs:" not in preview.output
        # The connection to GitHub is an entry of the engine's own, which a static list does without.
        assert set(re.findall(r"^ +[-+~]+ +(\S+:\S+)", preview.output, re.MULTILINE)) == {
            "pulumi:providers:github"
        }
        deploy(session)
        assert bool(session.github.calls()) == (not settings)
    assert changes(session) == asked
    assert session.outputs() == before
