"""Trials of AWS: what it refuses, and how often, while the estate is deployed.

Owns the refusals that are outlived by the provider's own retries, those that must stop a deployment
before it begins, and those that stop it half-way: after these the next deployment must finish.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from sandbox.session import ORGANISATION, STACK, Run
from sandbox.trials.identities import API, retiring
from sandbox.trials.listings import goes_on, small_organisation, stops
from sandbox.trials.trial import ARTIFACTS, QUIET, Ground, Stage, Trial, github
from sandbox.trials.verdict import Expectation

GROUP = "AWS"

GROUND = Ground(small_organisation, {"lambdaReplicas": None, "github": github()})
DENIED = "AccessDeniedException"


def _refused(
    fault: str,
    expect: Expectation,
    action: str,
    code: str,
    *,
    service: str = "ecr",
    **more: Any,  # noqa: ANN401 - whatever a trial or a refusal has beside
) -> Trial:
    refusal = {key: more.pop(key) for key in ("status", "times") if key in more}

    def strike(stage: Stage) -> None:
        stage.organisation.add("batch")
        stage.configure(tags={"team": "platform"})
        stage.session.aws.refusals.arm(service, action, code, **refusal)

    return Trial(
        **{
            "group": GROUP,
            "fault": fault,
            "ground": GROUND,
            "expect": expect,
            "strike": strike,
            **more,
        }
    )


def deploy_again(stage: Stage, *, times: int = 1) -> Run:
    """Deploy, be refused, and deploy again without the refusal: the last one must finish.

    They refresh first: after a refused change of tags the provider takes them for changed.
    """
    refused = stage.up()
    stage.session.aws.refusals.clear()
    stage.look()
    if not refused.code:
        stage.notes.append("the deployment was not refused")
    for _ in range(times):
        finished = stage.session.up("--skip-preview", "--refresh", *QUIET)
    again = stage.session.preview("--expect-no-changes")
    if finished.code or again.code:
        stage.notes.append(f"the next deployment did not finish:\n{finished.output}{again.output}")
    return refused


def lose_the_answer(stage: Stage) -> Run:
    """Deploy so that AWS makes an image repository and nobody hears of it, and deploy again.

    What the provider asked for is made by hand, with the tags that it asks for.
    """
    refused = stage.up()
    stage.session.aws.refusals.clear()
    repository = next(each for each in stage.organisation if each.name == "batch")
    tags = {
        "managed-by": f"ecr-estate/{STACK}",
        "github-owner": ORGANISATION,
        "github-repository": "batch",
        "github-id": str(repository.id),
        "service": "batch",
    }
    stage.ecr().create_repository(
        repositoryName="batch", tags=[{"Key": key, "Value": tags[key]} for key in tags]
    )
    stage.look()
    if not refused.code:
        stage.notes.append("the deployment was not refused")
    return stage.session.up("--skip-preview", "--refresh", *QUIET)


def trials() -> Iterator[Trial]:
    """Return every trial of AWS."""
    once = goes_on(changes=None)
    for action in ("CreateRepository", "TagResource", "PutLifecyclePolicy", "DescribeRepositories"):
        yield _refused(f"{action} is throttled twice", once, action, "ThrottlingException", times=2)
    yield _refused(
        "CreateRepository fails twice with a 500",
        once,
        "CreateRepository",
        "ServerException",
        status=500,
        times=2,
    )
    yield _refused(
        "AssumeRole is throttled twice", once, "AssumeRole", "Throttling", service="sts", times=2
    )
    for action in ("CreateRepository", "PutLifecyclePolicy", "TagResource"):
        yield _refused(
            f"{action} is denied, until the next deployment with --refresh",
            Expectation("stopped", DENIED),
            action,
            DENIED,
            times=None,
            deploy=deploy_again,
        )
    yield _refused(
        "CreateRepository makes one, and its answer is lost",
        goes_on(changes=None),
        "CreateRepository",
        DENIED,
        times=None,
        deploy=lose_the_answer,
    )
    yield _refused(
        "DescribeRepositories is denied",
        stops("getRepositories in .*; check the role of this account"),
        "DescribeRepositories",
        DENIED,
        times=None,
    )
    yield _refused(
        "AssumeRole is denied",
        stops("AccessDenied|check the role of this account"),
        "AssumeRole",
        "AccessDenied",
        service="sts",
        status=403,
        times=None,
    )
    yield Trial(
        group=GROUP,
        fault="the credentials are of another account",
        ground=GROUND,
        expect=stops("AWS account ID not allowed"),
        strike=lambda stage: stage.configure(
            # Without a role the pipeline's own credentials are used, which are of the first account.
            artifacts={"account": "333333333333", "region": ARTIFACTS[1]}
        ),
    )
    yield Trial(
        group=GROUP,
        fault="DeleteRepository is denied in the second step of retiring",
        ground=GROUND,
        expect=Expectation("stopped", DENIED),
        prepare=retiring,
        strike=_arm_delete,
        # The ledger had let go of it already: found again by its tags, it retires from the start.
        deploy=partial(deploy_again, times=2),
        ends=frozenset({API}),
    )


def _arm_delete(stage: Stage) -> None:
    stage.session.aws.refusals.arm("ecr", "DeleteRepository", DENIED, times=None)
