"""Trials of identity: what people do to repositories and settings between two deployments.

Owns the events that must keep every image repository where it is, the guards that hold what is
probably a mistake, and the one way in which an image repository ends. Each trial deploys, lets
something happen and deploys again.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from sandbox.trials.listings import goes_on, small_organisation, stops
from sandbox.trials.trial import (
    ARTIFACTS,
    REPLICAS,
    Act,
    Ground,
    Stage,
    Trial,
    github,
    having_set,
    in_turn,
)
from sandbox.trials.verdict import Expectation

GROUP = "Identity"

GROUND = Ground(small_organisation, {"lambdaReplicas": None, "github": github()})
WITH_REPLICAS = Ground(small_organisation, {"lambdaReplicas": REPLICAS, "github": github()})
API = "/".join((*ARTIFACTS, "api"))
MANIFEST = (
    '{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", '
    '"layers": []}'
)


def _trial(
    fault: str,
    strike: Act,
    expect: Expectation,
    **more: Any,  # noqa: ANN401 - whatever a trial has beside
) -> Trial:
    return Trial(
        **{
            "group": GROUP,
            "fault": fault,
            "ground": GROUND,
            "strike": strike,
            "expect": expect,
            **more,
        }
    )


def _event(change: str, *arguments: str) -> Act:
    """Let something happen in the organisation."""
    return lambda stage: getattr(stage.organisation, change)(*arguments) and None


def _deploy(stage: Stage) -> None:
    stage.must_up()


def trials() -> Iterator[Trial]:
    """Return every trial of identity."""
    yield from _repositories()
    yield from _guards()
    yield from _retirement()
    yield from _decisions()
    yield from _hands()
    yield from _ledgers()


def _repositories() -> Iterator[Trial]:
    same = partial(_holds, names=("api", "audit", "billing", "cron", "web", "worker"))
    yield _trial(
        "a repository is renamed",
        _event("rename", "api", "gateway"),
        goes_on("api is now called gateway; its image repositories stay api", changes=None),
        states={"api": "active"},
        check=same,
    )
    yield _trial(
        "a repository is renamed, and a new one takes its name",
        in_turn(_event("rename", "api", "gateway"), _event("add", "api")),
        goes_on("the image repository api belongs to gateway", changes=None),
        states={"api": "active"},
        check=same,
    )
    yield _trial(
        "two repositories swap their names",
        in_turn(
            _event("rename", "api", "between"),
            _event("rename", "web", "api"),
            _event("rename", "between", "web"),
        ),
        goes_on("api is now called web; its image repositories stay api", changes=None),
        states={"api": "active", "web": "active"},
        check=same,
    )
    yield _trial(
        "a repository is renamed in case only",
        _event("rename", "api", "API"),
        goes_on("api is now called API", changes=None),
        states={"api": "active"},
        check=same,
    )
    yield _trial(
        "a repository is deleted",
        _event("delete", "api"),
        goes_on("api is kept: deleted, or no longer visible to the token"),
        states={"api": "kept"},
    )
    yield _trial(
        "a repository is deleted and made again under its name",
        in_turn(_event("delete", "api"), _event("add", "api")),
        goes_on("the image repository api belongs to api; choose another"),
        states={"api": "kept"},
    )
    yield _trial(
        "a repository is archived",
        _event("archive", "api"),
        goes_on("api is kept: archived"),
        states={"api": "kept"},
    )
    yield _trial(
        "a repository is unarchived",
        _event("unarchive", "api"),
        goes_on(),
        prepare=in_turn(_event("archive", "api"), _deploy),
        states={"api": "active"},
    )
    yield _trial(
        "a repository is transferred out",
        _event("transfer_out", "api"),
        goes_on("api is kept: transferred to another-owner/api"),
        states={"api": "kept"},
    )
    yield _trial(
        "a repository is transferred back",
        _event("transfer_back", "api"),
        goes_on(),
        prepare=in_turn(_event("transfer_out", "api"), _deploy),
        states={"api": "active"},
    )
    yield _trial(
        "a repository is made private",
        _event("set_visibility", "api", "private"),
        goes_on(),
        states={"api": "active"},
    )
    yield _trial(
        "a repository is made public",
        _event("set_visibility", "billing", "public"),
        goes_on(),
        states={"billing": "active"},
    )
    yield _trial(
        "a repository is deselected by the settings",
        having_set(github=github(selection={"exclude": ["api"]})),
        goes_on("api is kept"),
        states={"api": "kept"},
    )


def _guards() -> Iterator[Trial]:
    four = ("api", "web", "worker", "cron")
    vanish = in_turn(*(_event("delete", name) for name in four))
    rename = in_turn(*(_event("rename", name, f"{name}-2") for name in four))
    vanishing = goes_on("4 of 6 services would vanish at once, .* They are held")
    active = dict.fromkeys(four, "active")
    yield _trial("four of six services vanish", vanish, vanishing, states=active)
    yield _trial(
        "four of six services vanish, and a new repository comes",
        in_turn(vanish, _event("add", "batch")),
        replace(vanishing, changes=2),  # its image repository and its lifecycle policy
        states={**active, "batch": "active"},
    )
    yield _trial(
        "four of six services vanish, where the settings are strict",
        in_turn(vanish, having_set(strict=True)),
        stops("4 of 6 services would vanish at once, .* nothing was changed"),
    )
    yield _trial(
        "four of six services vanish, as confirmed",
        in_turn(vanish, having_set(confirm={"vanished": 4})),
        goes_on("api is kept"),
        states=dict.fromkeys(four, "kept"),
    )
    yield _trial(
        "four of six services vanish, and three are confirmed",
        in_turn(vanish, having_set(confirm={"vanished": 3})),
        vanishing,
        states=active,
    )
    yield _trial(
        "every service but one is deselected by a typo in the settings",
        having_set(github=github(selection={"include": ["wrker", "api"]})),
        goes_on("5 of 6 services would vanish at once, .* They are held"),
        states=active,
    )
    yield _trial(
        "four of six are renamed",
        rename,
        goes_on("4 of 6 repositories are renamed at once, .* They are held"),
        states=active,
    )
    yield _trial(
        "four of six are renamed, as confirmed",
        in_turn(rename, having_set(confirm={"renamed": 4})),
        goes_on("api is now called api-2", changes=None),
        states=active,
    )
    one = {**REPLICAS, "services": {"patterns": ["api"]}}
    yield _trial(
        "five of six replicas would end",
        having_set(lambdaReplicas=one),
        goes_on("5 of 6 replicas would no longer be filled at once, .* They are held"),
        check=_replicas_are_filled,
        ground=WITH_REPLICAS,
    )
    yield _trial(
        "five of six replicas end, as confirmed",
        having_set(lambdaReplicas=one, confirm={"unfilledReplicas": 5}),
        goes_on(changes=None),
        ground=WITH_REPLICAS,
    )
    yield _trial(
        "the settings lose a Lambda account",
        having_set(lambdaReplicas=None),
        stops("holds 6, .* the first; name its account"),
        ground=WITH_REPLICAS,
    )
    yield _trial(
        "the settings lose a Lambda account, and its replicas are confirmed to end",
        having_set(lambdaReplicas=None, confirm={"unfilledReplicas": 6}),
        stops("holds 6, .* the first; name its account"),
        ground=WITH_REPLICAS,
    )
    yield _trial(
        "the settings name another Region for the registry",
        having_set(
            artifacts={
                "account": ARTIFACTS[0],
                "region": "us-east-1",
                "role": f"arn:aws:iam::{ARTIFACTS[0]}:role/ecr-estate-deploy",
            }
        ),
        stops("no longer name a registry that holds image repositories"),
    )
    yield _trial(
        "the settings name a key, for image repositories that stand",
        having_set(images={"kmsKey": f"arn:aws:kms:{ARTIFACTS[1]}:{ARTIFACTS[0]}:key/one"}),
        goes_on(changes=None),
    )


def _replicas_are_filled(stage: Stage) -> Iterator[str]:
    """Complain when a replica of the ledger is no longer filled."""
    for each in stage.session.outputs()["ledger"]["services"].values():
        for location, state in each["replicas"].items():
            if state != "active":
                yield f"{location} is {state}"


def retiring(stage: Stage) -> None:
    """Take the service ``api`` to where the next deployment ends it."""
    stage.organisation.delete("api")
    stage.must_up()
    stage.configure(retire=["api"])
    stage.must_up()


def _retirement() -> Iterator[Trial]:
    kept = in_turn(_event("delete", "api"), _deploy)
    yield _trial(
        "retire, the first deployment",
        having_set(retire=["api"]),
        goes_on("retire, first step: .* is no longer protected"),
        prepare=kept,
        states={"api": "retiring"},
    )
    yield _trial(
        "retire, the second deployment",
        lambda _: None,
        goes_on("retire, second step: .* holds no image and is deleted now", changes=None),
        prepare=retiring,
        ends=frozenset({API}),
    )
    yield _trial(
        "retire, while images remain",
        _push,
        goes_on("still holds 1 image", changes=1),  # the push itself
        prepare=retiring,
        states={"api": "retiring"},
    )
    yield _trial(
        "retire, taken back between the deployments",
        having_set(retire=[]),
        goes_on(),
        prepare=retiring,
        states={"api": "kept"},
    )
    yield _trial(
        "retire, of a service that is still selected",
        having_set(retire=["api"]),
        goes_on("is not retired, for it is asked for"),
        states={"api": "active"},
    )
    yield _trial(
        "retire, of a service that vanishes in the same deployment",
        in_turn(_event("delete", "api"), having_set(retire=["api"])),
        goes_on("is not retired, for it is kept from now on"),
        states={"api": "kept"},
    )
    yield _trial(
        "retire, of a name that nothing has",
        having_set(retire=["apo"]),
        goes_on(),
        states={"api": "active"},
    )
    yield _trial(
        "retire, of what was deleted by hand meanwhile",
        lambda stage: stage.ecr().delete_repository(repositoryName="api") and None,
        goes_on(changes=None),
        prepare=retiring,
        ends=frozenset({API}),
    )


def _push(stage: Stage) -> None:
    stage.ecr().put_image(repositoryName="api", imageManifest=MANIFEST, imageTag="live-1")


def _decisions() -> Iterator[Trial]:
    def succeed(stage: Stage) -> None:
        stage.organisation.delete("api")
        heir = stage.organisation.add("api")
        stage.configure(successors={"api": heir.id})

    yield _trial(
        "a repository that was made again is named as the successor",
        succeed,
        goes_on(r"api goes to api \(\d+\)", changes=None),
        states={"api": "active"},
        check=partial(_holds, names=("api", "audit", "billing", "cron", "web", "worker")),
    )
    yield _trial(
        "a successor is named for a service whose repository is still there",
        lambda stage: stage.configure(successors={"api": stage.organisation.add("heir").id}),
        goes_on("api is ignored, for its repository is still there", changes=None),
        states={"api": "active"},
    )
    yield _trial(
        "another name is chosen for a service",
        having_set(names={"api": "platform/api"}),
        goes_on("api goes to platform/api from now on", changes=None),
        check=partial(
            _holds, names=("api", "audit", "billing", "cron", "platform/api", "web", "worker")
        ),
    )
    yield _trial(
        "the name that is chosen for a service is another's",
        having_set(names={"api": "web"}),
        goes_on("api stays api, for web belongs to web"),
        states={"api": "active", "web": "active"},
    )


def _hands() -> Iterator[Trial]:
    foreign = "/".join((*ARTIFACTS, "batch"))

    def stand_in_the_way(stage: Stage) -> None:
        stage.ecr().create_repository(repositoryName="batch")
        stage.organisation.add("batch")

    yield _trial(
        "an image repository made by other hands is in the way",
        stand_in_the_way,
        # The hand's own call is the one change.
        goes_on(r"batch stands already, made by other hands; adopt it", changes=1),
        foreign=frozenset({foreign}),
    )
    yield _trial(
        "an image repository made by other hands is in the way, where the settings are strict",
        in_turn(stand_in_the_way, having_set(strict=True)),
        Expectation("stopped", r"batch stands already, made by other hands; adopt it", changes=1),
        foreign=frozenset({foreign}),
    )
    yield _trial(
        "an image repository made by other hands is in nobody's way",
        lambda stage: stage.ecr().create_repository(repositoryName="batch") and None,
        goes_on(changes=1),
        foreign=frozenset({foreign}),
    )


def _ledgers() -> Iterator[Trial]:
    def outputs(change: Callable[[dict[str, Any]], None]) -> Act:
        def act(stage: Stage) -> None:
            state = stage.state()
            resources = state["deployment"]["resources"]
            stack = next(each for each in resources if each["type"] == "pulumi:pulumi:Stack")
            change(stack["outputs"])
            stage.restate(state)

        return act

    def newer(values: dict[str, Any]) -> None:
        values["ledger"]["schema"] = 2

    def damaged(values: dict[str, Any]) -> None:
        next(iter(values["ledger"]["services"].values())).pop("placements")

    def replaced(values: dict[str, Any]) -> None:
        values["ledger"] = "none"

    def cleared(values: dict[str, Any]) -> None:
        values.clear()

    def lose_the_state(stage: Stage) -> None:
        state = stage.state()
        for key in ("resources", "pending_operations"):
            state["deployment"].pop(key, None)
        stage.restate(state)

    yield _trial("the ledger is of a newer program", outputs(newer), stops("is of schema 2"))
    yield _trial("the ledger is damaged", outputs(damaged), stops("an entry is damaged"))
    yield _trial("the ledger is replaced", outputs(replaced), stops("it is not a ledger"))
    yield _trial(
        "the ledger is lost, and the state is there",
        outputs(cleared),
        goes_on(),
        states={"api": "active"},
    )
    yield _trial(
        "the state is lost altogether",
        lose_the_state,
        goes_on(changes=None),
        states={"api": "active"},
    )
    yield _trial(
        "the state is lost, and a repository renamed since",
        in_turn(lose_the_state, _event("rename", "api", "gateway")),
        goes_on("api is now called gateway; its image repositories stay api", changes=None),
        states={"api": "active"},
    )
    yield _trial(
        "the state is lost with replicas, and a repository deleted since",
        in_turn(lose_the_state, _event("delete", "api")),
        goes_on(changes=None),
        ground=WITH_REPLICAS,
        states={"api": "kept"},
    )


def _holds(stage: Stage, *, names: Iterable[str]) -> Iterator[str]:
    """Complain when the artifacts registry does not hold exactly these image repositories."""
    held = {each.removeprefix("/".join(ARTIFACTS) + "/") for each in stage.look()}
    if held != set(names):
        yield f"AWS holds {sorted(held)}"
