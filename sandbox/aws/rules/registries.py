"""Rules about a registry: settings, scanning, replication, backfills, templates, caches, signing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox.aws.findings import let_scans_find, put_findings
from sandbox.aws.rules.lifecycle import ARCHIVE
from sandbox.aws.rules.repositories import statement
from sandbox.aws.rules.table import (
    ELSEWHERE,
    OTHER,
    REGION,
    Operation,
    Page,
    Stage,
    accepted,
    add_refusal,
    holds,
    lifecycle_rule,
    policy_of,
    refuses,
)
from sandbox.aws.world import HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable

# Account settings

_SETTING = Operation("PutAccountSetting")


def _setting(name: str, value: str) -> Callable[[Stage], Callable[[], object]]:
    return lambda stage: lambda: stage.ecr.put_account_setting(name=name, value=value)


for _name, _value in (
    ("BASIC_SCAN_TYPE_VERSION", "CLAIR"),
    ("REGISTRY_POLICY_SCOPE", "V1"),
    ("BLOB_MOUNTING", "ON"),
    ("IMAGE_COLOUR", "BLUE"),
):
    add_refusal(
        f"setting-{_name.lower().replace('_', '-')}",
        _SETTING,
        f"the account setting {_name} of {_value}",
        _setting(_name, _value),
    )


@holds(_SETTING, "an account setting of one Region is not that of another")
def settings_are_by_region(stage: Stage) -> bool:
    stage.ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    other = stage.client("ecr", region=ELSEWHERE)
    return bool(other.get_account_setting(name="BLOB_MOUNTING")["value"] == "DISABLED")


# Scanning


@holds(Operation("PutImageScanningConfiguration"), "scanning on push that is not said is off")
def scanning_that_is_not_said_is_off(stage: Stage) -> bool:
    stage.repository(imageScanningConfiguration={"scanOnPush": True})
    stage.ecr.put_image_scanning_configuration(repositoryName="api", imageScanningConfiguration={})
    (held,) = stage.ecr.describe_repositories()["repositories"]
    return bool(held["imageScanningConfiguration"] == {"scanOnPush": False})


_SCANS = Operation("PutRegistryScanningConfiguration")
_START = Operation("StartImageScan")
_FINDINGS = Operation("DescribeImageScanFindings")


def _scan(stage: Stage, kind: str, *frequencies: str) -> object:
    filters = [{"filter": "*", "filterType": "WILDCARD"}]
    rules = [{"scanFrequency": each, "repositoryFilters": filters} for each in frequencies]
    return stage.ecr.put_registry_scanning_configuration(scanType=kind, rules=rules)


def _start(stage: Stage) -> Callable[[], object]:
    return lambda: stage.ecr.start_image_scan(repositoryName="api", imageId={"imageTag": "v1"})


def _status(stage: Stage) -> str:
    answer = stage.ecr.describe_image_scan_findings(
        repositoryName="api", imageId={"imageTag": "v1"}
    )
    return str(answer["imageScanStatus"]["status"])


@refuses(_SCANS, "continuous scanning of a registry with BASIC scanning")
def continuous_basic_scanning(stage: Stage) -> Callable[[], object]:
    return lambda: _scan(stage, "BASIC", "CONTINUOUS_SCAN")


@refuses(_SCANS, "manual scanning of a registry with ENHANCED scanning")
def manual_enhanced_scanning(stage: Stage) -> Callable[[], object]:
    return lambda: _scan(stage, "ENHANCED", "MANUAL")


@refuses(Page.SCAN_FILTERS, "a third scanning rule")
def three_scanning_rules(stage: Stage) -> Callable[[], object]:
    return lambda: _scan(stage, "BASIC", *["SCAN_ON_PUSH"] * 3)


@refuses(_START, "a second scan of an image within 24 hours", "LimitExceededException")
def scan_twice_a_day(stage: Stage) -> Callable[[], object]:
    stage.repository()
    stage.push("v1")
    _start(stage)()
    stage.world.clock.move(seconds=23 * HOUR)
    return _start(stage)


@refuses(_START, "a scan by hand where scanning is ENHANCED", "ValidationException")
def scan_where_inspector_scans(stage: Stage) -> Callable[[], object]:
    _scan(stage, "ENHANCED", "CONTINUOUS_SCAN")
    stage.repository()
    stage.push("v1")
    return _start(stage)


@refuses(_START, "a scan of a manifest list", "UnsupportedImageTypeException")
def scan_of_a_list(stage: Stage) -> Callable[[], object]:
    stage.repository()
    stage.push_list("v1", stage.push())
    return _start(stage)


@refuses(_START, "a scan of an archived image", "ImageArchivedException")
def scan_of_an_archived_image(stage: Stage) -> Callable[[], object]:
    stage.repository()
    stage.archive(stage.push("v1"))
    return _start(stage)


@refuses(Page.QUOTAS, "one basic scan more than the quota of a day", "LimitExceededException")
def too_many_scans_a_day(stage: Stage) -> Callable[[], object]:
    stage.world.quotas.basic_scans_a_day = 0
    stage.repository()
    stage.push("v1")
    return _start(stage)


@holds(Page.QUOTAS, "a push beyond the quota of basic scans is not scanned")
def a_push_beyond_the_quota_is_not_scanned(stage: Stage) -> bool:
    stage.world.quotas.basic_scans_a_day = 0
    _scan(stage, "BASIC", "SCAN_ON_PUSH")
    stage.repository()
    stage.push("v1")
    return _status(stage) == "LIMIT_EXCEEDED"


@refuses(_FINDINGS, "the findings of an image that was never scanned", "ScanNotFoundException")
def findings_without_a_scan(stage: Stage) -> Callable[[], object]:
    stage.repository()
    stage.push("v1")
    return lambda: _status(stage)


@holds(Page.SCANNING, "a scan shows its findings when it is complete, and not before")
def findings_come_with_the_end(stage: Stage) -> bool:
    _scan(stage, "BASIC", "SCAN_ON_PUSH")
    stage.repository()
    digest = stage.push("v1")
    let_scans_find(stage.account, REGION, digest, {"CVE-1": "CRITICAL"})
    asked = {"repositoryName": "api", "imageId": {"imageTag": "v1"}}
    pending = stage.ecr.describe_image_scan_findings(**asked)
    stage.world.clock.move(seconds=MINUTE)
    done = stage.ecr.describe_image_scan_findings(**asked)
    return (
        pending["imageScanStatus"]["status"] in ("PENDING", "IN_PROGRESS")
        and "imageScanFindings" not in pending
        and done["imageScanStatus"]["status"] == "COMPLETE"
        and len(done["imageScanFindings"]["findings"]) == 1
    )


@holds(Page.SCANNING, "a scan that fails shows no findings")
def findings_of_a_failed_scan(stage: Stage) -> bool:
    stage.repository()
    digest = stage.push("v1")
    let_scans_find(stage.account, REGION, digest, {"CVE-1": "CRITICAL"}, "FAILED")
    _start(stage)()
    stage.world.clock.move(seconds=MINUTE)
    asked = {"repositoryName": "api", "imageId": {"imageTag": "v1"}}
    answer = stage.ecr.describe_image_scan_findings(**asked)
    return answer["imageScanStatus"]["status"] == "FAILED" and "imageScanFindings" not in answer


@holds(Page.SCANNING, "an image that was not matched by any scanning rule is not scanned")
def what_no_rule_matches_is_not_scanned(stage: Stage) -> bool:
    filters = [{"filter": "prod-*", "filterType": "WILDCARD"}]
    rules = [{"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": filters}]
    stage.ecr.put_registry_scanning_configuration(scanType="BASIC", rules=rules)
    stage.repository()
    stage.push("v1")
    return not accepted(lambda: _status(stage), "ScanNotFoundException")


@holds(
    Page.INSPECTOR, "Inspector stops watching an image that is not used for the re-scan duration"
)
def eligibility_expires(stage: Stage) -> bool:
    _scan(stage, "ENHANCED", "CONTINUOUS_SCAN")
    stage.repository()
    digest = stage.push("v1")
    let_scans_find(stage.account, REGION, digest, {"CVE-1": "CRITICAL"})
    stage.world.clock.move(days=1)
    watched = _status(stage)
    stage.world.clock.move(days=14)
    asked = {"repositoryName": "api", "imageId": {"imageTag": "v1"}}
    answer = stage.ecr.describe_image_scan_findings(**asked)
    return (
        watched == "ACTIVE"
        and answer["imageScanStatus"]["status"] == "SCAN_ELIGIBILITY_EXPIRED"
        and "imageScanFindings" not in answer
    )


@holds(Page.SCANNING, "findings of the other kind of scanning are not available after a change")
def findings_after_a_change_of_scanning(stage: Stage) -> bool:
    stage.repository()
    digest = stage.push("v1")
    put_findings(stage.account, REGION, "api", digest, {"CVE-1": "CRITICAL"}, kind="enhanced")
    _scan(stage, "BASIC")
    return _status(stage) == "FINDINGS_UNAVAILABLE"


@holds(_FINDINGS, "more than 100 findings in one answer are hidden")
def findings_come_in_pages(stage: Stage) -> bool:
    stage.repository()
    digest = stage.push("v1")
    found = {f"CVE-{number}": "LOW" for number in range(101)}
    put_findings(stage.account, REGION, "api", digest, found)
    asked = {"repositoryName": "api", "imageId": {"imageTag": "v1"}}
    answer = stage.ecr.describe_image_scan_findings(**asked)
    return len(answer["imageScanFindings"]["findings"]) == 100 and "nextToken" in answer


# Replication

_REPLICATE = Operation("PutReplicationConfiguration")


def _rules(*rules: dict[str, Any]) -> Callable[[Stage], Callable[[], object]]:
    return lambda stage: (
        lambda: stage.ecr.put_replication_configuration(
            replicationConfiguration={"rules": list(rules)}
        )
    )


def _to(*accounts: str, **more: Any) -> dict[str, Any]:
    named = [{"registryId": account, "region": REGION} for account in accounts]
    return {"destinations": named, **more}


def _prefixes(*prefixes: str) -> dict[str, Any]:
    named = [{"filter": each, "filterType": "PREFIX_MATCH"} for each in prefixes]
    return {"repositoryFilters": named}


_MANY = [f"9{number:011d}" for number in range(26)]
for _identifier, _page, _says, _wanted in (
    ("26-rules", Page.QUOTAS, "26 replication rules", [_to(OTHER)] * 26),
    ("26-destinations", Page.REPLICATION, "26 unique destinations", [_to(each) for each in _MANY[:13]] + [_to(*_MANY[13:])]),
    ("101-filters", Page.QUOTAS, "101 filters in a replication rule", [_to(OTHER, **_prefixes(*["ab"] * 101))]),
    ("filter-of-one-character", _REPLICATE, "a replication filter of one character", [_to(OTHER, **_prefixes("a"))]),
    ("filter-with-a-wildcard", _REPLICATE, "a wildcard in a replication filter", [_to(OTHER, **_prefixes("prod*"))]),
    ("no-filter-in-a-list", _REPLICATE, "an empty list of replication filters", [_to(OTHER, repositoryFilters=[])]),
    ("unknown-region", _REPLICATE, "a destination in a Region that does not exist", [{"destinations": [{"registryId": OTHER, "region": "eu-nowhere-9"}]}]),
):  # fmt: skip
    add_refusal(f"replication-{_identifier}", _page, _says, _rules(*_wanted))


@refuses(Page.REPLICATION, "the registry itself as a destination")
def replicate_to_itself(stage: Stage) -> Callable[[], object]:
    return lambda: stage.replicate((stage.account, REGION))


def _outcome(stage: Stage, name: str = "api") -> list[str]:
    answer = stage.ecr.describe_image_replication_status(
        repositoryName=name, imageId={"imageTag": "v1"}
    )
    return [each.get("failureCode", each["status"]) for each in answer["replicationStatuses"]]


def _let(stage: Stage, *actions: str) -> Any:
    """Let the stage's registry replicate to the other account, and return the client of that."""
    there = stage.client("ecr", OTHER)
    source = {"AWS": f"arn:aws:iam::{stage.account}:root"}
    if actions:
        there.put_registry_policy(policyText=statement(source, list(actions), Resource="*"))
    return there


@holds(Page.REPLICATION_POLICY, "nothing reaches an account whose registry policy does not let it")
def replication_without_a_policy(stage: Stage) -> bool:
    there = _let(stage)
    there.create_repository(repositoryName="api")
    stage.replicate((OTHER, REGION))
    stage.repository()
    stage.push("v1")
    failed = _outcome(stage) == ["DESTINATION_REGISTRY_ACCESS_DENIED"]
    return failed and stage.tags(ecr=there) == {}


@holds(Page.REPLICATION_POLICY, "without ecr:CreateRepository no image repository is made")
def replication_creates_nothing_without_permission(stage: Stage) -> bool:
    there = _let(stage, "ecr:ReplicateImage")
    stage.replicate((OTHER, REGION))
    stage.repository()
    stage.push("v1")
    return there.describe_repositories()["repositories"] == [] and _outcome(stage) != ["COMPLETE"]


@holds(Page.EVENTS, "a failed replication is said by an event only")
def failed_replication_is_an_event(stage: Stage) -> bool:
    stage.replicate((OTHER, REGION))
    stage.repository()
    stage.push("v1")
    failed = [
        each["detail"]["result"]
        for each in stage.world.events
        if each["detail-type"] == "ECR Replication Action"
    ]
    return failed == ["FAILED"]


def _subscribed(stage: Stage, protocol: str, endpoint: str) -> tuple[Any, str, str]:
    """Subscribe to a topic, and return the client, the topic and the subscription."""
    sns = stage.client("sns")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    asked = {"TopicArn": topic, "Protocol": protocol, "Endpoint": endpoint}
    return sns, topic, sns.subscribe(**asked, ReturnSubscriptionArn=True)["SubscriptionArn"]


@holds(Page.SUBSCRIBING, "mail, an address and a queue of another account wait to be confirmed")
def subscriptions_wait(stage: Stage) -> bool:
    queue = f"arn:aws:sqs:{REGION}:{{}}:alerts"
    found = []
    for protocol, endpoint in (
        ("email", "ops@example.com"),
        ("https", "https://example.com/alerts"),
        ("sqs", queue.format(OTHER)),
        ("sqs", queue.format(stage.account)),
    ):
        sns, _, arn = _subscribed(stage, protocol, endpoint)
        said = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        found.append(said["PendingConfirmation"])
    return found == ["true", "true", "true", "false"]


@holds(
    Page.SUBSCRIBING, "a subscription that waits is listed without its ARN, until it is confirmed"
)
def subscriptions_are_confirmed(stage: Stage) -> bool:
    sns, topic, arn = _subscribed(stage, "email", "ops@example.com")

    def shown() -> list[str]:
        listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        return [each["SubscriptionArn"] for each in listed]

    before = shown()
    sns.confirm_subscription(TopicArn=topic, Token=arn.rpartition(":")[2])
    return before == ["PendingConfirmation"] and shown() == [arn]


@refuses(Page.SUBSCRIBING, "ending a subscription that waits", "InvalidParameter")
def end_of_one_that_waits(stage: Stage) -> Callable[[], object]:
    sns, _, arn = _subscribed(stage, "email", "ops@example.com")
    return lambda: sns.unsubscribe(SubscriptionArn=arn)


@holds(Page.UNCONFIRMED, "a subscription that nobody confirms within 48 hours is gone")
def unconfirmed_subscriptions_end(stage: Stage) -> bool:
    sns, topic, _ = _subscribed(stage, "email", "ops@example.com")
    stage.world.clock.move(seconds=48 * HOUR)
    return not sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]


def _alerted(stage: Stage, *, policy: str, key: str = "") -> list[tuple[bool, str]]:
    """Let a replication fail before a rule with a topic: what was told, and whether it was refused."""
    sns, events = stage.client("sns"), stage.client("events")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    allowed = {"Sid": "Own", "Effect": "Allow", "Action": "sns:Publish", "Resource": topic}
    principal = {"Service": "events.amazonaws.com"} if policy == "events" else {"AWS": OTHER}
    document = {"Version": "2012-10-17", "Statement": [{**allowed, "Principal": principal}]}
    sns.set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(document)
    )
    if key:
        sns.set_topic_attributes(TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue=key)
    pattern = {"source": ["aws.ecr"], "detail": {"result": ["FAILED"]}}
    events.put_rule(Name="failed", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="failed", Targets=[{"Id": "topic", "Arn": topic}])
    stage.replicate((OTHER, REGION))
    stage.repository()
    stage.push("v1")
    return [(bool(each.refused), each.message) for each in stage.world.deliveries]


@holds(
    Page.EVENTBRIDGE, "a rule tells a topic of an event that its pattern matches, and of no other"
)
def event_reaches_its_topic(stage: Stage) -> bool:
    told = _alerted(stage, policy="events")
    return [refused for refused, _ in told] == [False] and '"FAILED"' in told[0][1]


@holds(Page.EVENTBRIDGE, "a topic whose policy does not name EventBridge is told nothing by a rule")
def event_to_a_topic_that_does_not_let_it(stage: Stage) -> bool:
    return [refused for refused, _ in _alerted(stage, policy="others")] == [True]


@holds(
    Page.ENCRYPTED_TOPICS,
    "an encrypted topic is told nothing by a rule where its key's policy does not let EventBridge use it",
)
def event_to_a_topic_whose_key_does_not_let_it(stage: Stage) -> bool:
    key = stage.client("kms").create_key()["KeyMetadata"]["KeyId"]
    return [refused for refused, _ in _alerted(stage, policy="events", key=key)] == [True]


@holds(Page.REPLICATION, "what no prefix matches is not replicated")
def replication_by_prefix(stage: Stage) -> bool:
    stage.replicate((stage.account, ELSEWHERE), **_prefixes("prod-"))
    for name in ("prod-api", "api"):
        stage.repository(name)
        stage.push("v1", name=name)
    there = stage.client("ecr", region=ELSEWHERE).describe_repositories()["repositories"]
    return [each["repositoryName"] for each in there] == ["prod-api"]


@holds(Page.REPLICATION, "what was pushed before a rule was made is not replicated")
def replication_of_what_stands_already(stage: Stage) -> bool:
    stage.repository()
    stage.push("v1")
    stage.replicate((stage.account, ELSEWHERE))
    there = stage.client("ecr", region=ELSEWHERE).describe_repositories()["repositories"]
    return there == [] and _outcome(stage) == []


@holds(Page.REPLICATION, "a replication that is in progress has brought nothing yet")
def replication_takes_time(stage: Stage) -> bool:
    stage.world.delays.replicating = 30 * MINUTE
    there = stage.client("ecr", region=ELSEWHERE)
    there.create_repository(repositoryName="api")
    stage.replicate((stage.account, ELSEWHERE))
    stage.repository()
    stage.push("v1")
    waiting = (_outcome(stage), stage.tags(ecr=there)) == (["IN_PROGRESS"], {})
    stage.world.clock.move(seconds=30 * MINUTE)
    return waiting and (_outcome(stage), len(stage.tags(ecr=there))) == (["COMPLETE"], 1)


@holds(Page.REPLICATION, "what was received is not passed on")
def replication_is_not_chained(stage: Stage) -> bool:
    second = stage.client("ecr", region=ELSEWHERE)
    onward = [{"destinations": [{"registryId": stage.account, "region": "us-west-2"}]}]
    second.put_replication_configuration(replicationConfiguration={"rules": onward})
    stage.replicate((stage.account, ELSEWHERE))
    stage.repository()
    stage.push("v1")
    third = stage.client("ecr", region="us-west-2").describe_repositories()["repositories"]
    return len(stage.tags(ecr=second)) == 1 and third == []


@holds(Page.REPLICATION, "settings, policies and resource tags are not replicated")
def settings_are_not_replicated(stage: Stage) -> bool:
    stage.replicate((stage.account, ELSEWHERE))
    stage.repository(imageTagMutability="IMMUTABLE", tags=[{"Key": "team", "Value": "a"}])
    stage.lifecycle(lifecycle_rule())
    stage.push("v1")
    there = stage.client("ecr", region=ELSEWHERE)
    (made,) = there.describe_repositories()["repositories"]
    tags = there.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"]
    no_policy = not accepted(
        lambda: there.get_lifecycle_policy(repositoryName="api"), "LifecyclePolicyNotFoundException"
    )
    return (made["imageTagMutability"], tags, no_policy) == ("MUTABLE", [], True)


@holds(Page.REPLICATION, "an immutable tag of a replica is not moved by replication")
def replication_moves_no_immutable_tag(stage: Stage) -> bool:
    there = stage.client("ecr", region=ELSEWHERE)
    there.create_repository(repositoryName="api", imageTagMutability="IMMUTABLE")
    old = stage.push("v1", "old", ecr=there)
    stage.replicate((stage.account, ELSEWHERE))
    stage.repository()
    new = stage.push("v1", "new")
    return stage.tags(ecr=there) == {old: ["v1"], new: []}


def _deleted_there(stage: Stage, **more: Any) -> bool:
    stage.replicate((stage.account, ELSEWHERE), **more)
    stage.repository()
    stage.push("v1")
    stage.failures({"imageTag": "v1"})
    return stage.tags(ecr=stage.client("ecr", region=ELSEWHERE)) == {}


@holds(Page.DELETIONS, "deletions are not replicated unless the rule names them")
def deletions_stay_by_default(stage: Stage) -> bool:
    return not _deleted_there(stage)


@holds(Page.DELETIONS, "deletions are replicated where the rule names them")
def deletions_follow(stage: Stage) -> bool:
    return _deleted_there(stage, deleteReplication={"enabled": True})


@holds(Page.DELETIONS, "expired images are deleted in the replica where the rule names deletions")
def expiries_follow(stage: Stage) -> bool:
    stage.replicate((stage.account, ELSEWHERE), deleteReplication={"enabled": True})
    stage.repository()
    stage.push("v1")
    stage.lifecycle(lifecycle_rule(countType="sinceImagePushed", countUnit="days"))
    stage.world.clock.move(days=3)
    return stage.tags(ecr=stage.client("ecr", region=ELSEWHERE)) == {}


# Backfills

_BACKFILL = Operation("StartReplicationBackfill")


def _backfill(stage: Stage, account: str = "", region: str = ELSEWHERE) -> Callable[[], Any]:
    destination = {"registryId": account or stage.account, "region": region}
    return lambda: stage.ecr.start_replication_backfill(destination=destination)


def _ended(stage: Stage, account: str = "") -> str:
    """Let a backfill run to its end, and return its id."""
    identifier = str(_backfill(stage, account)()["replicationBackfillId"])
    stage.world.clock.move(seconds=HOUR)
    return identifier


@refuses(Page.BACKFILL, "a backfill to a destination without a rule")
def backfill_without_a_rule(stage: Stage) -> Callable[[], object]:
    return _backfill(stage)


@refuses(
    _BACKFILL,
    "a second backfill to a Region while one is in progress",
    "ReplicationBackfillInProgressException",
)
def two_backfills_to_a_region(stage: Stage) -> Callable[[], object]:
    stage.replicate((stage.account, ELSEWHERE), (OTHER, ELSEWHERE))
    _backfill(stage)()
    return _backfill(stage, OTHER)


@refuses(_BACKFILL, "an eleventh backfill at once", "LimitExceededException")
def eleven_backfills(stage: Stage) -> Callable[[], object]:
    regions = ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-2", "eu-west-3",
               "eu-north-1", "eu-central-1", "ap-south-1", "sa-east-1", "ca-central-1"]  # fmt: skip
    stage.replicate(*((stage.account, region) for region in regions))
    for region in regions[:10]:
        _backfill(stage, region=region)()
    return _backfill(stage, region=regions[10])


@refuses(
    Operation("StopReplicationBackfill"),
    "stopping a backfill that has ended",
    "ReplicationBackfillInvalidStatusException",
)
def stop_what_has_ended(stage: Stage) -> Callable[[], object]:
    stage.replicate((stage.account, ELSEWHERE))
    identifier = _ended(stage)
    return lambda: stage.ecr.stop_replication_backfill(replicationBackfillId=identifier)


@refuses(
    Operation("DescribeReplicationBackfillResults"),
    "the results of a backfill that was not started",
    "ReplicationBackfillNotFoundException",
)
def results_of_no_backfill(stage: Stage) -> Callable[[], object]:
    identifier = "0" * 8 + "-0000-0000-0000-" + "0" * 12
    return lambda: stage.ecr.describe_replication_backfill_results(replicationBackfillId=identifier)


def _results(stage: Stage, identifier: str) -> dict[str, Any]:
    answer: dict[str, Any] = stage.ecr.describe_replication_backfill_results(
        replicationBackfillId=identifier
    )
    return answer


@holds(
    Operation("DescribeReplicationBackfillResults"),
    "a backfill shows single results when it has ended, and no progress while it is prepared",
)
def backfill_results_come_with_the_end(stage: Stage) -> bool:
    stage.repository()
    stage.push("v1")
    stage.replicate((stage.account, ELSEWHERE))
    started = _backfill(stage)()
    identifier = started["replicationBackfillId"]
    before = _results(stage, identifier)
    stage.world.clock.move(seconds=HOUR)
    after = _results(stage, identifier)
    return (
        (started["status"], before["status"], before["results"]) == ("PREPARING", "PREPARING", [])
        and "progress" not in before
        and (after["status"], len(after["results"])) == ("COMPLETE", 1)
    )


@holds(Page.BACKFILL, "a backfill fails when half of at least 100 replications fail")
def backfill_fails_after_a_hundred(stage: Stage) -> bool:
    stage.repository()
    for number in range(101):
        stage.push(f"v{number}", str(number))
    stage.replicate((OTHER, ELSEWHERE))
    answer = _results(stage, _ended(stage, OTHER))
    return (answer["status"], answer["progress"]["failedReplicationCount"]) == ("FAILED", 100)


@holds(
    Page.BACKFILL, "a backfill of fewer than 100 replications does not fail, whatever fails in it"
)
def backfill_of_few_does_not_fail(stage: Stage) -> bool:
    stage.repository()
    stage.push("v1")
    stage.replicate((OTHER, ELSEWHERE))
    answer = _results(stage, _ended(stage, OTHER))
    return (answer["status"], answer["progress"]["failedReplicationCount"]) == ("COMPLETE", 1)


@holds(Operation("ListReplicationBackfills"), "a backfill is forgotten 90 days after its end")
def backfills_are_forgotten(stage: Stage) -> bool:
    stage.replicate((stage.account, ELSEWHERE))
    _ended(stage)
    before = len(stage.ecr.list_replication_backfills()["backfills"])
    stage.world.clock.move(days=91)
    return (before, stage.ecr.list_replication_backfills()["backfills"]) == (1, [])


# Repository creation templates

_TEMPLATE = Operation("CreateRepositoryCreationTemplate")


def _template(stage: Stage, prefix: str = "team", **more: Any) -> Callable[[], object]:
    asked = {"prefix": prefix, "appliedFor": ["CREATE_ON_PUSH"], **more}
    return lambda: stage.ecr.create_repository_creation_template(**asked)


@refuses(_TEMPLATE, "a second template for a prefix", "TemplateAlreadyExistsException")
def template_twice(stage: Stage) -> Callable[[], object]:
    _template(stage)()
    return _template(stage, "team/")


@refuses(_TEMPLATE, "a template that is for nothing")
def template_for_nothing(stage: Stage) -> Callable[[], object]:
    return _template(stage, appliedFor=[])


@refuses(_TEMPLATE, "a template with a role of another account")
def template_with_a_foreign_role(stage: Stage) -> Callable[[], object]:
    return _template(stage, customRoleArn=f"arn:aws:iam::{OTHER}:role/templates")


@refuses(_TEMPLATE, "a template with a lifecycle policy outside the grammar")
def template_with_a_bad_lifecycle(stage: Stage) -> Callable[[], object]:
    return _template(stage, lifecyclePolicy=policy_of(lifecycle_rule(storageClass="archive")))


@refuses(_TEMPLATE, "a template with a repository policy that is refused")
def template_with_a_bad_policy(stage: Stage) -> Callable[[], object]:
    return _template(stage, repositoryPolicy=statement(action="s3:GetObject"))


@refuses(Page.IMMUTABILITY, "a template with exclusion filters that do not fit")
def template_with_bad_filters(stage: Stage) -> Callable[[], object]:
    filters = [{"filterType": "WILDCARD", "filter": "v*"}]
    return _template(stage, imageTagMutabilityExclusionFilters=filters)


@refuses(
    Operation("UpdateRepositoryCreationTemplate"),
    "changing a template that is not there",
    "TemplateNotFoundException",
)
def update_no_template(stage: Stage) -> Callable[[], object]:
    return lambda: stage.ecr.update_repository_creation_template(prefix="team")


@refuses(
    Operation("DeleteRepositoryCreationTemplate"),
    "deleting a template that is not there",
    "TemplateNotFoundException",
)
def delete_no_template(stage: Stage) -> Callable[[], object]:
    return lambda: stage.ecr.delete_repository_creation_template(prefix="team")


@refuses(
    Page.TEMPLATES,
    "creating on push outside the template's prefix",
    "RepositoryNotFoundException",
)
def push_outside_the_template(stage: Stage) -> Callable[[], object]:
    _template(stage)()
    return lambda: stage.push("v1", name="teams/api")


@refuses(
    Page.TEMPLATES,
    "creating on push by a template for replication",
    "RepositoryNotFoundException",
)
def push_by_a_template_for_replication(stage: Stage) -> Callable[[], object]:
    _template(stage, "ROOT", appliedFor=["REPLICATION"])()
    return lambda: stage.push("v1")


@holds(Page.TEMPLATES, "the longest prefix decides, and ROOT only where no prefix fits")
def the_longest_prefix_decides(stage: Stage) -> bool:
    _template(stage, "ROOT", imageTagMutability="IMMUTABLE")()
    _template(stage, "team")()
    for name in ("team/api", "other"):
        stage.push("v1", name=name)
    made = stage.ecr.describe_repositories()["repositories"]
    return {each["repositoryName"]: each["imageTagMutability"] for each in made} == {
        "team/api": "MUTABLE",
        "other": "IMMUTABLE",
    }


@holds(Page.TEMPLATES, "a template does not change image repositories that stand already")
def templates_change_nothing_that_stands(stage: Stage) -> bool:
    stage.repository()
    _template(stage, "ROOT", imageTagMutability="IMMUTABLE")()
    stage.push("v1")
    (made,) = stage.ecr.describe_repositories()["repositories"]
    return bool(made["imageTagMutability"] == "MUTABLE")


@holds(Page.TEMPLATES, "a replica is made from the destination's own template")
def replicas_from_templates(stage: Stage) -> bool:
    there = stage.client("ecr", region=ELSEWHERE)
    there.create_repository_creation_template(
        prefix="ROOT", appliedFor=["REPLICATION"], imageTagMutability="IMMUTABLE",
        lifecyclePolicy=policy_of(lifecycle_rule(countType="sinceImagePulled", countUnit="days", action=ARCHIVE)),
    )  # fmt: skip
    stage.replicate((stage.account, ELSEWHERE))
    stage.repository()
    stage.push("v1")
    (made,) = there.describe_repositories()["repositories"]
    there.get_lifecycle_policy(repositoryName="api")
    return bool(made["imageTagMutability"] == "IMMUTABLE")


_TAGS = [{"Key": "team", "Value": "a"}]


def _maker(stage: Stage) -> str:
    return f"arn:aws:iam::{stage.account}:role/templates"


def _making(stage: Stage, *actions: str, service: str = "ecr.amazonaws.com") -> None:
    """Make a role that ECR may assume, and a template with tags that names it."""
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    policies = {"make": _document("Allow", list(actions))} if actions else {}
    stage.aws.put_role(
        _maker(stage), json.dumps({"Version": "2012-10-17", "Statement": [trust]}), policies
    )
    _template(
        stage, customRoleArn=_maker(stage), resourceTags=_TAGS, imageTagMutability="IMMUTABLE"
    )()


def _document(effect: str, actions: list[str]) -> str:
    statement = {"Effect": effect, "Action": actions, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@refuses(
    Page.TEMPLATE_LINKED_ROLE,
    "creating on push by a template with resource tags and without a role",
    "ValidationException",
)
def push_by_a_template_with_tags_without_a_role(stage: Stage) -> Callable[[], object]:
    _template(stage, resourceTags=_TAGS)()
    return lambda: stage.push("v1", name="team/api")


@refuses(
    Page.TEMPLATE_LINKED_ROLE,
    "creating on push by a template with KMS and without a role",
    "ValidationException",
)
def push_by_a_template_with_kms_without_a_role(stage: Stage) -> Callable[[], object]:
    _template(stage, encryptionConfiguration={"encryptionType": "KMS"})()
    return lambda: stage.push("v1", name="team/api")


@refuses(
    Page.TEMPLATE_ROLE,
    "creating on push by a template whose role does not exist",
    "ValidationException",
)
def push_by_a_template_without_its_role(stage: Stage) -> Callable[[], object]:
    _template(stage, customRoleArn=_maker(stage), resourceTags=_TAGS)()
    return lambda: stage.push("v1", name="team/api")


@refuses(
    Page.TEMPLATE_ROLE,
    "creating on push by a template whose role does not trust ECR",
    "ValidationException",
)
def push_by_a_role_that_trusts_another(stage: Stage) -> Callable[[], object]:
    _making(stage, "ecr:*", service="lambda.amazonaws.com")
    return lambda: stage.push("v1", name="team/api")


@refuses(
    Page.TEMPLATE_POLICY,
    "creating on push with tags by a template whose role may give none",
    "ValidationException",
)
def push_by_a_role_that_gives_no_tags(stage: Stage) -> Callable[[], object]:
    _making(stage, "ecr:CreateRepository")
    return lambda: stage.push("v1", name="team/api")


@holds(Page.TEMPLATE_POLICY, "a push makes an image repository as its template says, with its tags")
def pushes_make_what_the_template_says(stage: Stage) -> bool:
    _making(stage, "ecr:CreateRepository", "ecr:TagResource")
    stage.push("v1", name="team/api")
    (made,) = stage.ecr.describe_repositories()["repositories"]
    tags = stage.ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"]
    return bool(made["imageTagMutability"] == "IMMUTABLE" and tags == _TAGS)


# Pull through cache rules

_CACHE = Operation("CreatePullThroughCacheRule")


def _cache(stage: Stage, url: str, prefix: str = "mirror", **more: Any) -> Callable[[], object]:
    asked = {"ecrRepositoryPrefix": prefix, "upstreamRegistryUrl": url, **more}
    return lambda: stage.ecr.create_pull_through_cache_rule(**asked)


@refuses(_CACHE, "a second rule for a prefix", "PullThroughCacheRuleAlreadyExistsException")
def cache_rule_twice(stage: Stage) -> Callable[[], object]:
    _cache(stage, "public.ecr.aws")()
    return _cache(stage, "quay.io")


@refuses(_CACHE, "an upstream that is not supported", "UnsupportedUpstreamRegistryException")
def unsupported_upstream(stage: Stage) -> Callable[[], object]:
    return _cache(stage, "registry.example.com")


@refuses(Page.CACHE, "Docker Hub without credentials")
def docker_hub_without_credentials(stage: Stage) -> Callable[[], object]:
    return _cache(stage, "registry-1.docker.io")


@refuses(Page.CACHE_RULE, "credentials of another Region than the cache rule's")
def credentials_elsewhere(stage: Stage) -> Callable[[], object]:
    arn = f"arn:aws:secretsmanager:{ELSEWHERE}:{stage.account}:secret:ecr-pullthroughcache/hub"
    return _cache(stage, "registry-1.docker.io", credentialArn=arn)


@refuses(_CACHE, "credentials that are nowhere", "SecretNotFoundException")
def credentials_nowhere(stage: Stage) -> Callable[[], object]:
    arn = f"arn:aws:secretsmanager:{REGION}:{stage.account}:secret:ecr-pullthroughcache/hub"
    return _cache(stage, "registry-1.docker.io", credentialArn=arn)


@refuses(_CACHE, "credentials that are marked for deletion", "UnableToAccessSecretException")
def credentials_that_go(stage: Stage) -> Callable[[], object]:
    secrets = stage.client("secretsmanager")
    arn = secrets.create_secret(Name="ecr-pullthroughcache/hub", SecretString="{}")["ARN"]
    secrets.delete_secret(SecretId=arn)
    return _cache(stage, "registry-1.docker.io", credentialArn=arn)


@refuses(Page.CACHE, "the ECR of another account without a role")
def foreign_ecr_without_a_role(stage: Stage) -> Callable[[], object]:
    return _cache(stage, f"{OTHER}.dkr.ecr.{REGION}.amazonaws.com")


@refuses(Page.QUOTAS, "one cache rule more than the quota", "LimitExceededException")
def too_many_cache_rules(stage: Stage) -> Callable[[], object]:
    stage.world.quotas.pull_through_cache_rules = 1
    _cache(stage, "public.ecr.aws", "one")()
    return _cache(stage, "public.ecr.aws", "two")


@refuses(
    Operation("DeletePullThroughCacheRule"),
    "deleting a cache rule that is not there",
    "PullThroughCacheRuleNotFoundException",
)
def delete_no_cache_rule(stage: Stage) -> Callable[[], object]:
    return lambda: stage.ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix="mirror")


def _reading_cache(
    stage: Stage, *, trusts: str = "pullthroughcache.ecr.amazonaws.com", let: bool = True
) -> Callable[[], Any]:
    """Cache the ECR of another account by a role that reads it, and return a pull of what it has."""
    there = stage.client("ecr", OTHER)
    there.create_repository(repositoryName="payments/api")
    stage.push("v1", name="payments/api", ecr=there)
    role = f"arn:aws:iam::{stage.account}:role/cache"
    trust = {"Effect": "Allow", "Principal": {"Service": trusts}, "Action": "sts:AssumeRole"}
    stage.aws.put_role(
        role,
        json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        {"read": _document("Allow", ["ecr:*"])},
    )
    if let:
        granted = {"Sid": "Caches", "Effect": "Allow", "Principal": {"AWS": role}, "Action": "ecr:*",
                   "Resource": f"arn:aws:ecr:{REGION}:{OTHER}:repository/*"}  # fmt: skip
        policy = json.dumps({"Version": "2012-10-17", "Statement": [granted]})
        there.put_registry_policy(policyText=policy)
    _cache(stage, f"{OTHER}.dkr.ecr.{REGION}.amazonaws.com", customRoleArn=role)()
    return lambda: stage.ecr.batch_get_image(
        repositoryName="mirror/payments/api", imageIds=[{"imageTag": "v1"}]
    )


@holds(
    Page.CACHE, "a pull fills a cache, whose image repository is made by the template of its prefix"
)
def pulls_fill_a_cache(stage: Stage) -> bool:
    pull = _reading_cache(stage)
    _template(
        stage,
        "mirror",
        appliedFor=["PULL_THROUGH_CACHE"],
        lifecyclePolicy=policy_of(lifecycle_rule()),
    )()
    found = pull()["images"]
    stage.ecr.get_lifecycle_policy(repositoryName="mirror/payments/api")
    return len(found) == 1 and list(stage.tags("mirror/payments/api").values()) == [["v1"]]


@refuses(
    Page.CACHE_ECR,
    "filling a cache by a role that does not trust pull-through caches",
    "UnableToGetUpstreamImageException",
)
def cache_by_a_role_that_trusts_another(stage: Stage) -> Callable[[], object]:
    return _reading_cache(stage, trusts="ecr.amazonaws.com")


@refuses(
    Page.CACHE_ECR,
    "filling a cache from a registry that does not let its role in",
    "UnableToGetUpstreamImageException",
)
def cache_of_a_registry_that_lets_nobody_in(stage: Stage) -> Callable[[], object]:
    return _reading_cache(stage, let=False)


# Signing, and pull-time update exclusions

_SIGNING = Operation("PutSigningConfiguration")


def _profile(region: str = REGION) -> str:
    return f"arn:aws:signer:{region}:123456789012:/signing-profiles/images"


def _sign(stage: Stage, *rules: dict[str, Any]) -> Callable[[], object]:
    wanted = {"rules": list(rules)}
    return lambda: stage.ecr.put_signing_configuration(signingConfiguration=wanted)


@refuses(Page.SIGNING, "an eleventh signing rule")
def eleven_signing_rules(stage: Stage) -> Callable[[], object]:
    return _sign(stage, *[{"signingProfileArn": _profile()}] * 11)


@refuses(Page.SIGNING, "101 filters in a signing rule")
def too_many_signing_filters(stage: Stage) -> Callable[[], object]:
    filters = [{"filter": "api", "filterType": "WILDCARD_MATCH"}] * 101
    return _sign(stage, {"signingProfileArn": _profile(), "repositoryFilters": filters})


@refuses(_SIGNING, "a signing profile of another Region")
def signing_profile_of_another_region(stage: Stage) -> Callable[[], object]:
    return _sign(stage, {"signingProfileArn": _profile(ELSEWHERE)})


@refuses(
    Operation("GetSigningConfiguration"),
    "a signing configuration that was never put",
    "SigningConfigurationNotFoundException",
)
def no_signing_configuration(stage: Stage) -> Callable[[], object]:
    return stage.ecr.get_signing_configuration  # type: ignore[no-any-return]  # boto3's method


_ROLE = "arn:aws:iam::123456789012:role/audit"


def _exclude(stage: Stage, arn: str = _ROLE) -> Callable[[], object]:
    return lambda: stage.ecr.register_pull_time_update_exclusion(principalArn=arn)


@refuses(Page.EXCLUSIONS, "an exclusion that is there already", "ExclusionAlreadyExistsException")
def exclusion_twice(stage: Stage) -> Callable[[], object]:
    _exclude(stage)()
    return _exclude(stage)


@refuses(Page.EXCLUSIONS, "one exclusion more than 100", "LimitExceededException")
def too_many_exclusions(stage: Stage) -> Callable[[], object]:
    for number in range(100):
        _exclude(stage, f"{_ROLE}-{number}")()
    return _exclude(stage)


@refuses(Page.EXCLUSIONS, "an exclusion of a whole account")
def exclusion_of_an_account(stage: Stage) -> Callable[[], object]:
    return _exclude(stage, "arn:aws:iam::123456789012:root")


@refuses(
    Operation("DeregisterPullTimeUpdateExclusion"),
    "ending an exclusion that is not there",
    "ExclusionNotFoundException",
)
def end_no_exclusion(stage: Stage) -> Callable[[], object]:
    return lambda: stage.ecr.deregister_pull_time_update_exclusion(principalArn=_ROLE)
