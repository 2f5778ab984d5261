"""Trials of each feature: push roles, variables, the identity provider, alerts, replicas and the rest.

Owns, for each of them, what may happen to it: the engine is killed when it has just been made or changed,
the answer of AWS or GitHub is lost, a permission is missing half-way, its place is taken by other hands, the
state is lost. Afterwards the documented commands must leave no orphan and nothing twice, and whatever is in
nobody's way must be deployed.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from ecr.plan.access.push_roles import AUDIENCE, ISSUER
from ecr.plan.alerts import NAME as ALERTS
from sandbox.github import Organisation
from sandbox.session import ORGANISATION, Run
from sandbox.trials.crashes import VARIABLE, crash_and_recover, run_recovery
from sandbox.trials.listings import goes_on, stops
from sandbox.trials.trial import (
    ARTIFACTS,
    LAMBDA,
    QUIET,
    REPLICAS,
    Act,
    Ground,
    Stage,
    Trial,
    changing,
    github,
    having_set,
    in_turn,
    nothing,
)
from sandbox.trials.verdict import Expectation

CHECK = "ecr-estate plan --expect-no-changes"
"""How every runbook ends."""

FINISHED = "the next deployment finished, and nothing is left to do"

PUSH = {"createProvider": True, "variables": True}
NAMESPACES = {
    "known": {"payments": {"readers": ["555555555555"]}},
    "repositories": {"web": "payments"},
}


def organisation() -> Organisation:
    """Return two repositories."""
    made = Organisation(ORGANISATION)
    for name in ("api", "web"):
        made.add(name)
    return made


def _grounds(**settings: Any) -> tuple[Ground, Ground]:  # noqa: ANN401 - a setting is whatever it is
    """Return a ground before its first deployment, and one after it."""
    chosen = {"lambdaReplicas": None, "github": github(), **settings}
    return Ground(organisation, chosen, deployed=False), Ground(organisation, chosen)


NEW_PUSH, WITH_PUSH = _grounds(pushRoles=PUSH)
NEW_ALERTS, WITH_ALERTS = _grounds(alerts={"severities": ["HIGH"]})
NEW_REPLICAS, WITH_REPLICAS = _grounds(lambdaReplicas=REPLICAS)
NEW_ALERTS_TWICE, _ = _grounds(lambdaReplicas=REPLICAS, alerts={"severities": ["HIGH"]})
NEW_CACHES, WITH_CACHES = _grounds(
    pullThroughCache={"rules": [{"prefix": "public", "upstream": "public.ecr.aws"}]}
)
TEMPLATES = {"templates": True, "templateRole": "ecr-estate-templates"}
NEW_TEMPLATES, WITH_TEMPLATES = _grounds(registries=TEMPLATES)


def _telling(*queues: str) -> dict[str, Any]:
    """Return alerts that these queues hear of."""
    return {
        "severities": ["HIGH"],
        "subscriptions": [
            {"protocol": "sqs", "endpoint": f"arn:aws:sqs:{ARTIFACTS[1]}:{ARTIFACTS[0]}:{name}"}
            for name in queues
        ],
    }


NEW_SUBSCRIPTIONS, WITH_SUBSCRIPTIONS = _grounds(alerts=_telling("first"))
NEW_NAMESPACES, WITH_NAMESPACES = _grounds(namespaces=NAMESPACES)
_, WITH_ALL = _grounds(
    lambdaReplicas=REPLICAS,
    namespaces=NAMESPACES,
    alerts={"severities": ["HIGH"]},
    pushRoles=PUSH,
)


# What is done


def lose_the_state(stage: Stage) -> None:
    """Leave nothing in the engine's state."""
    state = stage.state()
    for key in ("resources", "pending_operations"):
        state["deployment"].pop(key, None)
    stage.restate(state)
    stage.session.github.forget_calls()


def _finish(stage: Stage, said: str) -> Run:
    """Run the check of the runbooks, and say how it all ended."""
    checked = run_recovery(stage, CHECK)
    if checked.code:
        stage.notes.append(f"{CHECK} ended with {checked.code}:\n{checked.output}")
    return Run(checked.code, f"{said}\n{checked.output}\n{'' if checked.code else FINISHED}")


def up_twice(stage: Stage, *, fails: bool | None = None, refresh: bool = False) -> Run:
    """Deploy while something is wrong, deploy again without it, and check that nothing is left to do.

    ``fails`` is whether the first must fail, None for either. ``refresh`` is for what a provider takes for
    done though it was refused half-way, as those at night do.
    """
    first = stage.up()
    if fails is not None and fails != bool(first.code):
        stage.notes.append(f"the first deployment ended with {first.code}:\n{first.output}")
    stage.session.aws.refusals.clear()
    stage.session.aws.network.clear()
    stage.session.github.faults.clear()
    stage.look()
    second = stage.session.up("--skip-preview", *(("--refresh",) if refresh else ()), *QUIET)
    if second.code:
        return second
    return _finish(stage, f"{first.output}\n{second.output}")


def up_and_check(stage: Stage) -> Run:
    """Deploy, and check that nothing is left to do."""
    done = stage.up()
    return done if done.code else _finish(stage, done.output)


def _makes_nothing(stage: Stage) -> Iterator[str]:
    """Complain where anything was made that there had been already."""
    made = {
        each.action
        for each in changing(stage.session.aws.calls())
        if each.action.startswith("Create")
    }
    if made:
        yield f"AWS was asked to {sorted(made)}"
    if any(call["method"] == "POST" for call in stage.session.github.calls()):
        yield "GitHub was asked to make variables"


# What is expected to be there


def _places(*names: str, registry: tuple[str, str] = ARTIFACTS) -> set[str]:
    return {"/".join((*registry, name)) for name in names}


def _roles(stage: Stage, *names: str) -> set[str]:
    numbers = {each.name: each.id for each in stage.organisation}
    return {f"role {ARTIFACTS[0]}/push-{name}-{numbers[name]}" for name in names}


def _variables(name: str, *variables: str) -> set[str]:
    return {
        f"variable {name}/ECR_{each}" for each in variables or ("PUSH_ROLE", "REGION", "REPOSITORY")
    }


def _alerts(registry: tuple[str, str], *rules: str) -> set[str]:
    key = "/".join(registry)
    every = rules or ("scan", "finding", "replication")
    return {f"topic {key}", *(f"target of rule {key}/{ALERTS}-{each}" for each in every)}


# The kinds of trials


def _killed(
    group: str,
    ground: Ground,
    action: str,
    *,
    change: Act = nothing,
    checkpoints: bool = True,
    point: int = 1,
) -> Trial:
    """Kill the engine when something has just been made or changed, and recover."""
    what = "an update" if ground.deployed else "the first up"
    return Trial(
        group=group,
        fault=f"engine killed in {what}, after {'call' if action == '*' else action}"
        f"{f' {point}' if point > 1 else ''}{'' if checkpoints else ', without checkpoints'}",
        ground=ground,
        expect=Expectation("went on", "commands recovered the stack"),
        strike=change,
        deploy=partial(crash_and_recover, point=point, action=action, checkpoints=checkpoints),
        spoils=not ground.deployed,
    )


def _lost(
    group: str,
    ground: Ground,
    service: str,
    action: str,
    *,
    change: Act = nothing,
    says: str = FINISHED,
    **more: Any,  # noqa: ANN401 - whatever a trial has beside
) -> Trial:
    """Let AWS or GitHub act, and the answer never arrive."""

    def strike(stage: Stage) -> None:
        change(stage)
        if service == "github":
            path = "/actions/variables$"
            stage.session.github.faults.arm("connection-reset", path=path, method="POST")
        else:
            stage.session.aws.network.lose(service, action)

    return Trial(
        **{
            "group": group,
            "fault": f"the answer to {action} is lost",
            "ground": ground,
            "expect": goes_on(says, changes=None),
            "strike": strike,
            "deploy": up_twice,
            "spoils": not ground.deployed,
            **more,
        }
    )


def _denied(
    group: str, ground: Ground, service: str, action: str, *, change: Act = nothing
) -> Trial:
    """Deny something half-way; the next deployment finishes."""

    def strike(stage: Stage) -> None:
        change(stage)
        if service == "github":
            path = "/actions/variables$"
            stage.session.github.faults.arm("status-403", path=path, method="POST", times=None)
        else:
            query = service in {"iam", "sns"}
            stage.session.aws.refusals.arm(
                service,
                action,
                "AccessDenied" if query else "AccessDeniedException",
                status=403 if query else 400,
                times=None,
            )

    return Trial(
        group=group,
        fault=f"{action} is denied, until the next deployment with --refresh",
        ground=ground,
        expect=goes_on(FINISHED, changes=None),
        strike=strike,
        deploy=partial(up_twice, fails=True, refresh=True),
        spoils=not ground.deployed,
    )


def _blind(
    group: str, ground: Ground, service: str, action: str, *, change: Act = nothing
) -> Trial:
    """Deny a look before anything is planned: what is not known must not be written over."""

    def strike(stage: Stage) -> None:
        change(stage)
        stage.session.aws.refusals.arm(service, action, "AccessDenied", status=403, times=None)

    return Trial(
        group=group,
        fault=f"{action} is denied before anything is planned",
        ground=ground,
        expect=stops("AccessDenied"),
        strike=strike,
        spoils=not ground.deployed,
    )


def _taken(
    group: str,
    fault: str,
    ground: Ground,
    hand: Act,
    says: str,
    *,
    due: Callable[[Stage], Iterable[str]],
    foreign: Iterable[str] = (),
    **more: Any,  # noqa: ANN401 - whatever a trial has beside
) -> Trial:
    """Let other hands stand in a place; everything else is deployed."""
    return Trial(
        **{
            "group": group,
            "fault": fault,
            "ground": ground,
            "expect": goes_on(says, changes=None),
            "strike": hand,
            "deploy": up_and_check,
            "due": due,
            "foreign": frozenset(foreign),
            **more,
        }
    )


def _state_lost(
    group: str,
    fault: str,
    ground: Ground,
    *acts: Act,
    says: str = FINISHED,
    made: bool = False,
    foreign: frozenset[str] = frozenset(),
) -> Trial:
    """Lose the state; the next deployment takes everything up, and makes nothing again."""

    def strike(stage: Stage) -> None:
        lose_the_state(stage)
        for act in acts:
            act(stage)

    return Trial(
        group=group,
        fault=f"the state is lost{fault}",
        ground=ground,
        expect=goes_on(says, changes=None),
        strike=strike,
        deploy=up_and_check,
        check=(lambda _: ()) if made else _makes_nothing,
        foreign=foreign,
    )


def trials() -> Iterator[Trial]:
    """Give every trial of a feature, those that share a session beside each other."""
    yield from _push_roles()
    yield from _alert_trials()
    yield from _subscription_trials()
    yield from _registry_trials()
    yield from _cache_trials()
    yield from _template_trials()
    yield from _namespace_trials()
    yield from _lifecycle_trials()
    yield from _everything()


# Push roles, variables and the identity provider


def _add(name: str) -> Act:
    def act(stage: Stage) -> None:
        stage.organisation.add(name)

    return act


def _within(branch: str) -> Act:
    """Let every role trust another branch, which changes each."""
    return having_set(pushRoles={**PUSH, "branches": [branch]})


def _role_by_hand(path: str, case: Callable[[str], str] = str) -> Act:
    def act(stage: Stage) -> None:
        number = stage.organisation.add("batch").id
        stage.service("iam").create_role(
            RoleName=case(f"push-batch-{number}"), Path=path, AssumeRolePolicyDocument=_TRUST
        )

    return act


_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ARTIFACTS[0]}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def _variables_by_hand(values: Mapping[str, str]) -> Act:
    def act(stage: Stage) -> None:
        stage.session.github.api.actions.held(stage.organisation.add("batch")).update(values)

    return act


def _provider_by_hand(*audiences: str) -> Act:
    def act(stage: Stage) -> None:
        stage.service("iam").create_open_id_connect_provider(
            Url=f"https://{ISSUER}", ClientIDList=list(audiences), ThumbprintList=["a" * 40]
        )

    return act


def _push_roles() -> Iterator[Trial]:
    roles, variables, provider = "Push roles", "Variables", "Identity provider"
    for checkpoints in (True, False):
        for group, action in (
            (provider, "CreateOpenIDConnectProvider"),
            (roles, "CreateRole"),
            (roles, "PutRolePolicy"),
            (variables, VARIABLE),
        ):
            yield _killed(group, NEW_PUSH, action, checkpoints=checkpoints)
    yield _killed(variables, NEW_PUSH, VARIABLE, point=6)
    for index, checkpoints in enumerate((True, False)):
        for group, action in (
            (roles, "CreateRole"),
            (roles, "PutRolePolicy"),
            (roles, "UpdateAssumeRolePolicy"),
            (variables, VARIABLE),
        ):
            word = action.split()[0].lower()
            change = in_turn(_add(f"{word}-{index}"), _within(f"{word}-{index}"))
            yield _killed(group, WITH_PUSH, action, change=change, checkpoints=checkpoints)
    yield _lost(roles, WITH_PUSH, "iam", "CreateRole", change=_add("lost-role"))
    yield _lost(roles, WITH_PUSH, "iam", "PutRolePolicy", change=_add("lost-policy"))
    yield _lost(roles, WITH_PUSH, "iam", "UpdateAssumeRolePolicy", change=_within("lost"))
    yield _lost(variables, WITH_PUSH, "github", VARIABLE, change=_add("lost-variable"))
    yield _denied(roles, WITH_PUSH, "iam", "CreateRole", change=_add("denied-role"))
    yield _denied(roles, WITH_PUSH, "iam", "PutRolePolicy", change=_add("denied-policy"))
    yield _denied(roles, WITH_PUSH, "iam", "UpdateAssumeRolePolicy", change=_within("denied"))
    yield _denied(variables, WITH_PUSH, "github", VARIABLE, change=_add("denied-variable"))
    yield _blind(roles, WITH_PUSH, "iam", "ListRoles", change=_add("blind-role"))
    for action in ("DeleteRolePolicy", "DeleteRole"):
        yield Trial(
            group=roles,
            fault=f"engine killed when a repository has gone, after {action}",
            ground=WITH_PUSH,
            expect=Expectation("went on", "commands recovered the stack"),
            prepare=in_turn(_add(f"gone-{action}"), Stage.must_up),
            strike=partial(_delete, f"gone-{action}"),
            deploy=partial(crash_and_recover, point=1, action=action),
            spoils=False,
        )
    yield _lost(provider, NEW_PUSH, "iam", "CreateOpenIDConnectProvider")
    yield _denied(provider, NEW_PUSH, "iam", "CreateOpenIDConnectProvider")
    yield _blind(provider, NEW_PUSH, "iam", "GetOpenIDConnectProvider")
    newcomer = _places("api", "web", "batch")
    for fault, hand in (
        ("a role of other hands has the name of a push role, under another path", ("/", str)),
        ("a role of other hands has the name of a push role in capitals", ("/theirs/", str.upper)),
    ):
        yield _taken(
            roles,
            fault,
            WITH_PUSH,
            _role_by_hand(*hand),
            "its push role is not made: a role .* by other hands",
            due=lambda stage: newcomer | _roles(stage, "api", "web"),
        )
    yield _taken(
        variables,
        "a variable stands on GitHub with another value",
        WITH_PUSH,
        _variables_by_hand({"ECR_REGION": "us-east-1"}),
        "batch has ECR_REGION with another value, by other hands",
        due=lambda stage: (
            newcomer | _roles(stage, "batch") | _variables("batch", "PUSH_ROLE", "REPOSITORY")
        ),
        foreign=_variables("batch", "REGION"),
        check=_batch_keeps_its_region,
    )
    yield _taken(
        variables,
        "all variables stand on GitHub with other values",
        WITH_PUSH,
        _variables_by_hand(dict.fromkeys(("ECR_PUSH_ROLE", "ECR_REGION", "ECR_REPOSITORY"), "x")),
        "batch has ECR_REPOSITORY with another value, by other hands",
        due=lambda stage: newcomer | _roles(stage, "batch"),
        foreign=_variables("batch"),
    )
    yield _taken(
        variables,
        "a variable stands on GitHub as it is planned",
        WITH_PUSH,
        _variables_by_hand({"ECR_REGION": ARTIFACTS[1]}),
        FINISHED,
        due=lambda stage: newcomer | _roles(stage, "batch") | _variables("batch"),
    )
    both = _places("api", "web")
    yield _taken(
        provider,
        "GitHub's identity provider stands for other audiences",
        NEW_PUSH,
        _provider_by_hand(AUDIENCE, "https://github.com/acme"),
        "GitHub's identity provider stands by other hands",
        due=lambda stage: both | _roles(stage, "api", "web") | _variables("api"),
        foreign={f"identity provider {ARTIFACTS[0]}"},
    )
    yield _taken(
        provider,
        "GitHub's identity provider stands as it is planned",
        NEW_PUSH,
        _provider_by_hand(AUDIENCE),
        FINISHED,
        due=lambda stage: (
            both | _roles(stage, "api", "web") | {f"identity provider {ARTIFACTS[0]}"}
        ),
    )
    yield _state_lost(roles, ", with push roles and variables", WITH_PUSH)
    yield _state_lost(
        roles,
        ", and a repository was renamed since",
        WITH_PUSH,
        _rename,
    )
    yield _state_lost(
        variables,
        ", and a variable was changed since",
        WITH_PUSH,
        lambda stage: stage.session.github.api.actions.held(stage.organisation.get("api")).update(
            ECR_REGION="us-east-1"
        ),
        says="api has ECR_REGION with another value",
        foreign=frozenset({"variable api/ECR_REGION"}),  # whoever changed it has it now
    )


def _rename(stage: Stage) -> None:
    stage.organisation.rename("api", "gateway")


def _add_to_nowhere(stage: Stage) -> None:
    stage.organisation.add("lost", properties={"team": "nowhere"})


def _delete(name: str, stage: Stage) -> None:
    stage.organisation.delete(name)


def _batch_keeps_its_region(stage: Stage) -> Iterator[str]:
    held = stage.session.github.api.actions.held(stage.organisation.get("batch"))
    if held["ECR_REGION"] != "us-east-1":
        yield f"the variable of other hands is {held['ECR_REGION']} now"


# Alerts: topics, keys and event rules


def _severities(*severities: str) -> Act:
    return having_set(alerts={"severities": list(severities)})


def _topic_by_hand(stage: Stage) -> None:
    stage.service("sns").create_topic(Name=ALERTS)


def _encrypted_topic_by_hand(stage: Stage) -> None:
    key = stage.service("kms").create_key()["KeyMetadata"]["Arn"]
    stage.service("sns").create_topic(Name=ALERTS, Attributes={"KmsMasterKeyId": key})


def _rule_by_hand(stage: Stage) -> None:
    events, name = stage.service("events"), f"{ALERTS}-scan"
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.ec2"]}))
    queue = f"arn:aws:sqs:{ARTIFACTS[1]}:{ARTIFACTS[0]}:theirs"
    events.put_targets(Rule=name, Targets=[{"Id": "theirs", "Arn": queue}])


def _rule_is_theirs(stage: Stage) -> Iterator[str]:
    events, name = stage.service("events"), f"{ALERTS}-scan"
    if "aws.ec2" not in events.describe_rule(Name=name)["EventPattern"]:
        yield "the rule of other hands was replaced"
    if [each["Id"] for each in events.list_targets_by_rule(Rule=name)["Targets"]] != ["theirs"]:
        yield "the targets of the rule of other hands were changed"


def _spare_keys(stage: Stage) -> Run:
    """Deploy twice, and end the key that nobody needs as `ecr-estate adopt` says."""
    done = up_twice(stage)
    told = stage.command(
        "adopt", "--config-file", str(stage.session.config_file), "--output", "/dev/null"
    )
    kms = stage.service("kms")
    for line in told.output.splitlines():
        if "schedule its deletion" in line:
            named = line.split()[0].rstrip(":")
            kms.schedule_key_deletion(KeyId=named.rpartition("/")[2], PendingWindowInDays=7)
    return Run(done.code or told.code, f"{done.output}\n{told.output}")


def _alert_trials() -> Iterator[Trial]:
    group = "Alerts"
    for checkpoints in (True, False):
        for action in ("CreateKey", "CreateTopic", "PutRule", "PutTargets"):
            yield _killed(group, NEW_ALERTS, action, checkpoints=checkpoints)
    yield _killed(group, NEW_ALERTS, "EnableKeyRotation")
    yield _killed(group, NEW_ALERTS, "SetTopicAttributes")
    yield _lost(
        group, NEW_ALERTS, "kms", "CreateKey", says="schedule its deletion", deploy=_spare_keys
    )
    yield _lost(group, NEW_ALERTS, "sns", "CreateTopic")
    for action in ("CreateKey", "CreateTopic", "SetTopicAttributes"):
        service = "kms" if "Key" in action else "sns"
        yield _denied(group, NEW_ALERTS, service, action)
    for action in ("ListKeys", "GetTopicAttributes", "DescribeRule"):
        service = {"ListKeys": "kms", "DescribeRule": "events"}.get(action, "sns")
        yield _blind(group, NEW_ALERTS, service, action)
    both = _places("api", "web")
    rest = both | _places("api", "web", registry=LAMBDA) | _alerts(LAMBDA)
    for fault, hand in (
        ("a topic of other hands has the name", _topic_by_hand),
        ("a topic of other hands has the name, with a key of theirs", _encrypted_topic_by_hand),
    ):
        yield _taken(
            group,
            fault,
            NEW_ALERTS_TWICE,
            hand,
            f"a topic {ALERTS} of other hands stands there",
            due=lambda _: rest,
            foreign={f"topic {'/'.join(ARTIFACTS)}"},
        )
    scan = f"rule {'/'.join(ARTIFACTS)}/{ALERTS}-scan"
    yield _taken(
        group,
        "an event rule of other hands has the name",
        NEW_ALERTS_TWICE,
        _rule_by_hand,
        f"a rule {ALERTS}-scan of other hands stands there",
        due=lambda _: rest | _alerts(ARTIFACTS, "finding", "replication"),
        foreign={scan, f"target of {scan}"},
        check=_rule_is_theirs,
    )
    for severity, action, checkpoints in (
        ("LOW", "PutRule", True),
        ("MEDIUM", "PutTargets", True),
        ("CRITICAL", "PutRule", False),
        ("LOW", "PutTargets", False),
    ):
        change = _severities(severity)
        yield _killed(group, WITH_ALERTS, action, change=change, checkpoints=checkpoints)
    for action, other in (("PutRule", "HIGH"), ("PutTargets", "CRITICAL")):
        # Severities of its own, so that each trial changes something.
        yield _lost(group, WITH_ALERTS, "events", action, change=_severities("MEDIUM", other))
        yield _denied(group, WITH_ALERTS, "events", action, change=_severities("LOW", other))
    yield _state_lost(group, ", with alerts", WITH_ALERTS)
    yield _state_lost(
        group, ", and the severities were changed since", WITH_ALERTS, _severities("CRITICAL")
    )


def _subscription_trials() -> Iterator[Trial]:
    group, subscribe = "Subscriptions", "Subscribe"

    def telling(*queues: str) -> Act:
        return having_set(alerts=_telling(*queues))

    for checkpoints in (True, False):
        yield _killed(group, NEW_SUBSCRIPTIONS, subscribe, checkpoints=checkpoints)
        change = telling("first", f"killed-{checkpoints}")
        yield _killed(group, WITH_SUBSCRIPTIONS, subscribe, change=change, checkpoints=checkpoints)
    yield _lost(group, WITH_SUBSCRIPTIONS, "sns", subscribe, change=telling("first", "lost"))
    yield _denied(group, WITH_SUBSCRIPTIONS, "sns", subscribe, change=telling("first", "denied"))
    yield _killed(group, WITH_SUBSCRIPTIONS, "Unsubscribe", change=telling("first"))
    yield _state_lost(group, ", with subscriptions", WITH_SUBSCRIPTIONS)


# Pull-through caches, and creation templates


def _caching(*upstreams: str, days: int = 14) -> Act:
    """Let the artifacts registry cache these registries, which need no credentials."""
    rules = [{"prefix": each.partition(".")[0], "upstream": each} for each in upstreams]
    return having_set(pullThroughCache={"rules": rules, "days": days})


def _cache_trials() -> Iterator[Trial]:
    group, public = "Pull-through caches", "public.ecr.aws"
    rule, template = "CreatePullThroughCacheRule", "CreateRepositoryCreationTemplate"
    changed = "UpdateRepositoryCreationTemplate"
    for checkpoints in (True, False):
        for action in (rule, template):
            yield _killed(group, NEW_CACHES, action, checkpoints=checkpoints)
    yield _killed(group, WITH_CACHES, rule, change=_caching(public, "quay.io"))
    yield _killed(group, WITH_CACHES, changed, change=_caching(public, days=21))
    yield _lost(group, WITH_CACHES, "ecr", rule, change=_caching(public, "registry.k8s.io"))
    yield _lost(group, WITH_CACHES, "ecr", changed, change=_caching(public, days=22))
    yield _lost(group, WITH_CACHES, "ecr", template, change=_caching(public, "quay.io"))
    yield _denied(group, WITH_CACHES, "ecr", rule, change=_caching(public, "registry.k8s.io"))
    yield _denied(group, WITH_CACHES, "ecr", changed, change=_caching(public, days=23))
    yield _blind(group, NEW_CACHES, "ecr", "DescribePullThroughCacheRules")
    yield _state_lost(group, ", with pull-through caches", WITH_CACHES)
    yield _killed(group, WITH_CACHES, "DeletePullThroughCacheRule", change=_caching("quay.io"))
    yield _killed(group, WITH_CACHES, "DeleteRepositoryCreationTemplate", change=_caching())


def _template_trials() -> Iterator[Trial]:
    group = "Creation templates"
    made, changed = "CreateRepositoryCreationTemplate", "UpdateRepositoryCreationTemplate"
    for checkpoints in (True, False):
        yield _killed(group, NEW_TEMPLATES, made, checkpoints=checkpoints)
    yield _lost(group, NEW_TEMPLATES, "ecr", made)
    yield _denied(group, NEW_TEMPLATES, "ecr", made)
    yield _blind(group, NEW_TEMPLATES, "ecr", "DescribeRepositoryCreationTemplates")
    yield _killed(group, WITH_TEMPLATES, changed, change=having_set(tags={"round": "killed"}))
    yield _lost(group, WITH_TEMPLATES, "ecr", changed, change=having_set(tags={"round": "lost"}))
    yield _denied(
        group, WITH_TEMPLATES, "ecr", changed, change=having_set(tags={"round": "denied"})
    )
    yield _state_lost(group, ", with creation templates", WITH_TEMPLATES)


# Registries' own settings, and replicas


def _policy_by_hand(stage: Stage) -> None:
    statement = {
        "Sid": "Partner",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::444444444444:root"},
        "Action": ["ecr:ReplicateImage"],
        "Resource": f"arn:aws:ecr:{ARTIFACTS[1]}:{ARTIFACTS[0]}:repository/partner/*",
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    stage.ecr().put_registry_policy(policyText=json.dumps(document))


def _replication_by_hand(stage: Stage) -> None:
    there = {"region": "us-east-1", "registryId": ARTIFACTS[0]}
    rules = [{"destinations": [there]}]
    stage.ecr().put_replication_configuration(replicationConfiguration={"rules": rules})


def _scanning_by_hand(stage: Stage) -> None:
    stage.ecr().put_registry_scanning_configuration(scanType="ENHANCED", rules=[])


def _as_before(stage: Stage) -> Iterator[str]:
    """Complain where a setting of other hands was written over."""
    before, now = stage.found, singletons(stage)
    for setting, value in before.items():
        if now[setting] != value:
            yield f"{setting} was {value}, and is {now[setting]}"


def singletons(stage: Stage) -> dict[str, str]:
    """Return what stands once for the artifacts registry, as text, but for what is the default."""
    ecr = stage.ecr()
    scanning = ecr.get_registry_scanning_configuration()["scanningConfiguration"]
    rules = ecr.describe_registry()["replicationConfiguration"]["rules"]
    found = {"replication": json.dumps(rules) if rules else ""}
    found["scanning"] = json.dumps(scanning) if scanning["scanType"] == "ENHANCED" else ""
    with suppress(ClientError):
        found["policy"] = ecr.get_registry_policy()["policyText"]
    return {setting: text for setting, text in found.items() if text}


def _remembered(*hands: Act) -> Act:
    def act(stage: Stage) -> None:
        for hand in hands:
            hand(stage)
        stage.found = singletons(stage)

    return act


def _replica_by_hand(stage: Stage) -> None:
    stage.ecr(LAMBDA).create_repository(repositoryName="batch")
    stage.organisation.add("batch")


REGISTRY_WRITES = (
    "PutRegistryPolicy",
    "PutReplicationConfiguration",
    "PutRegistryScanningConfiguration",
    "PutAccountSetting",
)


def _registry_trials() -> Iterator[Trial]:
    group = "Registry settings"
    every = _places("api", "web") | _places("api", "web", registry=LAMBDA)
    hands = {
        "policy": _policy_by_hand,
        "replication": _replication_by_hand,
        "scanning": _scanning_by_hand,
    }
    for setting, hand in (
        *hands.items(),
        ("policy, replication and scanning", in_turn(*hands.values())),
    ):
        yield _taken(
            group,
            f"the registry's {setting} {'is' if setting in hands else 'are'} by other hands",
            NEW_REPLICAS,
            _remembered(hand),
            f"111111111111/eu-west-1: {setting if setting in hands else 'policy'} is .* is planned",
            due=lambda _: every,
            check=_as_before,
        )
    yield _taken(
        group,
        "the registry's policy and replication are by other hands, and are adopted",
        NEW_REPLICAS,
        in_turn(
            *hands.values(),
            having_set(registries={"adopted": ["/".join(ARTIFACTS)]}),
        ),
        FINISHED,
        due=lambda _: every,
    )
    yield _taken(
        group,
        "the registry's policy, replication and scanning are left unmanaged",
        NEW_REPLICAS,
        _remembered(*hands.values(), having_set(registries={"unmanaged": list(hands)})),
        FINISHED,
        due=lambda _: every,
        check=_as_before,
    )
    for action in REGISTRY_WRITES:
        yield _killed(group, NEW_REPLICAS, action, checkpoints=False)
    for action in ("GetRegistryPolicy", "DescribeRegistry", "GetRegistryScanningConfiguration"):
        yield _blind(group, NEW_REPLICAS, "ecr", action)
    yield _killed("Replicas", NEW_REPLICAS, "SetRepositoryPolicy", checkpoints=False)
    filters = {"filters": ["a*"]}
    for action, settings in (
        ("PutRegistryScanningConfiguration", {"scanning": filters}),
        ("PutReplicationConfiguration", {"lambdaReplicas": _FEWER}),
        ("PutRegistryPolicy", {"access": {"readers": ["555555555555"]}}),
    ):
        yield _killed(group, WITH_REPLICAS, action, change=having_set(**settings))
    for action, settings in (
        ("PutRegistryScanningConfiguration", {"scanning": filters}),
        ("PutRegistryPolicy", {"access": {"readers": ["555555555555"]}}),
    ):
        yield _lost(group, WITH_REPLICAS, "ecr", action, change=having_set(**settings))
    for action, settings in (
        ("PutRegistryScanningConfiguration", {"scanning": {"filters": ["b*"]}}),
        ("PutRegistryPolicy", {"access": {"readers": ["666666666666"]}}),
    ):
        yield _denied(group, WITH_REPLICAS, "ecr", action, change=having_set(**settings))
    replicas = "Replicas"
    for action in ("CreateRepository", "SetRepositoryPolicy"):
        name = action.lower()
        yield _lost(replicas, WITH_REPLICAS, "ecr", action, change=_add(f"lost-{name}"))
        yield _killed(replicas, WITH_REPLICAS, action, change=_add(f"killed-{name}"))
    yield _denied(replicas, WITH_REPLICAS, "ecr", "SetRepositoryPolicy", change=_add("denied"))
    yield _taken(
        replicas,
        "an image repository of other hands stands where a replica goes",
        WITH_REPLICAS,
        _replica_by_hand,
        "222222222222/eu-west-1/batch stands already, made by other hands",
        due=lambda _: every,
        foreign=_places("batch", registry=LAMBDA),
    )
    yield _state_lost(group, ", with settings of registries", WITH_REPLICAS)


_FEWER = {**REPLICAS, "services": {"patterns": ["api"]}}


# Namespaces


def _namespace_trials() -> Iterator[Trial]:
    group = "Namespaces"
    more = {
        "known": {"payments": {"readers": ["666666666666"]}, "shops": {}},
        "repositories": {"web": "payments", "batch": "shops"},
    }

    def in_the_way(stage: Stage) -> None:
        stage.ecr().create_repository(repositoryName="payments/web")

    yield _taken(
        group,
        "an image repository of other hands has a name in a namespace",
        NEW_NAMESPACES,
        in_the_way,
        "payments/web stands already, made by other hands",
        due=lambda _: _places("api"),
        foreign=_places("payments/web"),
    )
    change = in_turn(_add("batch"), having_set(namespaces=more))
    yield _killed(group, NEW_NAMESPACES, "CreateRepository", checkpoints=False)
    yield _killed(group, WITH_NAMESPACES, "CreateRepository", change=change, checkpoints=False)
    yield _killed(
        group,
        WITH_NAMESPACES,
        "PutRegistryPolicy",
        change=having_set(namespaces={**more, "known": {"payments": {"readers": []}, "shops": {}}}),
    )
    yield _taken(
        group,
        "a repository names a namespace that the settings do not know",
        WITH_NAMESPACES,
        in_turn(
            _add_to_nowhere,
            _add("ledger"),
            having_set(namespaces={**NAMESPACES, "property": "team"}),
        ),
        "nowhere",
        due=lambda _: _places("api", "payments/web", "ledger"),
    )
    yield _state_lost(group, ", with namespaces", WITH_NAMESPACES)


# Lifecycle policies, and their trial


def _keep(images: int) -> Act:
    return having_set(lifecycle={"keepImages": images})


def _refuse(action: str, code: str, times: int | None) -> Act:
    def act(stage: Stage) -> None:
        stage.session.aws.refusals.arm("ecr", action, code, times=times)

    return act


def _lifecycle_trials() -> Iterator[Trial]:
    group = "Lifecycle policies"
    preview, busy = "StartLifecyclePolicyPreview", "LifecyclePolicyPreviewInProgressException"

    def trial(fault: str, strike: Act, expect: Expectation) -> Trial:
        return Trial(
            group=group,
            fault=fault,
            ground=WITH_REPLICAS,
            expect=expect,
            strike=strike,
            spoils=False,
        )

    yield trial(
        "ECR refuses a lifecycle policy",
        in_turn(_keep(7), _refuse(preview, "InvalidParameterException", None)),
        stops("refused by the embedded AWS"),
    )
    yield trial(
        "every image repository that could try a lifecycle policy is busy",
        in_turn(_keep(7), _refuse(preview, busy, None)),
        stops("refused by the embedded AWS"),
    )
    yield trial(
        "GetLifecyclePolicy is denied before anything is planned",
        in_turn(_keep(7), _refuse("GetLifecyclePolicy", "AccessDeniedException", None)),
        stops("AccessDenied"),
    )
    yield trial(
        "one image repository that could try a lifecycle policy is busy",
        in_turn(_keep(7), _refuse(preview, busy, 1)),
        goes_on(changes=None),
    )
    for index, action in enumerate(("DeleteLifecyclePolicy", "PutLifecyclePolicy")):
        yield _killed(group, WITH_REPLICAS, action, change=_keep(11 + index))
        yield _lost(group, WITH_REPLICAS, "ecr", action, change=_keep(21 + index))
        yield _denied(group, WITH_REPLICAS, "ecr", action, change=_keep(31 + index))


# Everything at once


def _everything() -> Iterator[Trial]:
    group = "Everything at once"
    for point in (20, 32, 44):
        more = in_turn(_add(f"batch-{point}"), having_set(tags={"round": str(point)}))
        yield _killed(group, WITH_ALL, "*", point=point, change=more, checkpoints=False)
    yield _state_lost(group, ", with every feature on", WITH_ALL)
    yield replace(
        _state_lost(
            group,
            ", with every feature on, and a repository is deleted since",
            WITH_ALL,
            _delete_and_forget,
            says="role push-api-.* is of api, which has no push role any more",
        ),
        deploy=_end_spare_role,
        states={"api": "kept"},
    )


def _delete_and_forget(stage: Stage) -> None:
    (role,) = _roles(stage, "api")
    stage.found = {"role": role.rpartition("/")[2]}
    _delete("api", stage)


def _end_spare_role(stage: Stage) -> Run:
    """Deploy, and delete the role of the service that has none any more, as the deployment says."""
    done = up_and_check(stage)
    iam, name = stage.service("iam"), stage.found["role"]
    if name in done.output:
        iam.delete_role_policy(RoleName=name, PolicyName="push")
        iam.delete_role(RoleName=name)
    return done
