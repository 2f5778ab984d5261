"""The embedded AWS as a server: accounts, calls, starting and stopping."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from sandbox.aws import ApiCall, EmbeddedAws
from sandbox.aws.world import DAY, Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_sts import STSClient

ARTIFACTS = "111111111111"
LAMBDA = "222222222222"


@pytest.fixture
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as running:
        yield running


def settings(aws: EmbeddedAws, region: str, keys: dict[str, Any] | None = None) -> dict[str, Any]:
    keys = keys or {"AccessKeyId": "fake", "SecretAccessKey": "fake", "SessionToken": None}
    return {
        "region_name": region,
        "endpoint_url": aws.url,
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }


def sts(aws: EmbeddedAws, keys: dict[str, Any] | None = None) -> STSClient:
    return boto3.client("sts", **settings(aws, "eu-west-1", keys))


def assumed(aws: EmbeddedAws, account: str) -> dict[str, Any]:
    answer = sts(aws).assume_role(
        RoleArn=f"arn:aws:iam::{account}:role/deployment", RoleSessionName="test"
    )
    return dict(answer["Credentials"])


def ecr(aws: EmbeddedAws, account: str, region: str = "eu-west-1") -> ECRClient:
    return boto3.client("ecr", **settings(aws, region, assumed(aws, account)))


def names(client: ECRClient) -> list[str]:
    return [each["repositoryName"] for each in client.describe_repositories()["repositories"]]


def fetched(aws: EmbeddedAws, path: str, method: Literal["GET", "DELETE"] = "GET") -> Any:
    with urlopen(Request(aws.url + path, method=method)) as answer:  # noqa: S310 - loopback
        return json.load(answer)


def test_importing_it_does_not_import_moto() -> None:
    program = "import sys, sandbox.aws; sys.exit('moto' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_fake_keys_belong_to_the_default_account(aws: EmbeddedAws) -> None:
    assert sts(aws).get_caller_identity()["Account"] == EmbeddedAws.default_account


def test_an_assumed_role_lands_in_its_own_account(aws: EmbeddedAws) -> None:
    keys = assumed(aws, LAMBDA)
    assert sts(aws, keys).get_caller_identity()["Account"] == LAMBDA


def test_a_creation_that_is_asked_for_again_gives_the_answer_that_was_lost(
    aws: EmbeddedAws,
) -> None:
    def invocation(request: Any, **_: Any) -> None:
        request.headers["amz-sdk-invocation-id"] = "one"

    again, anew = ecr(aws, ARTIFACTS), ecr(aws, ARTIFACTS)
    again.meta.events.register("before-send.ecr.CreateRepository", invocation)
    first, second = (again.create_repository(repositoryName="service") for _ in range(2))
    assert first["repository"] == second["repository"]
    with pytest.raises(ClientError, match="RepositoryAlreadyExistsException"):
        anew.create_repository(repositoryName="service")


def test_every_account_and_region_is_a_registry_of_its_own(aws: EmbeddedAws) -> None:
    ecr(aws, ARTIFACTS).create_repository(repositoryName="service")
    assert names(ecr(aws, ARTIFACTS)) == ["service"]
    assert names(ecr(aws, ARTIFACTS, region="us-east-1")) == []
    assert names(ecr(aws, LAMBDA)) == []


def test_a_second_start_finds_nothing_of_the_first() -> None:
    with EmbeddedAws() as first:
        ecr(first, ARTIFACTS).create_repository(repositoryName="service")
    with EmbeddedAws() as second:
        assert second.calls() == []
        assert names(ecr(second, ARTIFACTS)) == []


def test_two_at_the_same_time_are_refused(aws: EmbeddedAws) -> None:
    assert aws.url
    with pytest.raises(RuntimeError, match="already runs"), EmbeddedAws():
        pass


def test_it_listens_on_one_loopback_address_only(aws: EmbeddedAws) -> None:
    address = urlsplit(aws.url)
    assert address.hostname == "127.0.0.1"
    with pytest.raises(OSError, match=r"."):
        socket.create_connection(("127.0.0.2", address.port or 0), timeout=5)


def test_stopping_closes_the_port_and_ends_every_thread_even_of_idle_connections() -> None:
    before = set(threading.enumerate())
    with EmbeddedAws() as aws:
        port = urlsplit(aws.url).port or 0
        idle = socket.create_connection(("127.0.0.1", port))
        sts(aws).get_caller_identity()
    assert set(threading.enumerate()) == before
    with idle:
        assert idle.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_stopping_leaves_moto_as_it_was() -> None:
    from moto.ecr import models, urls  # noqa: PLC0415 - only this test needs moto itself

    before = models.ecr_backends.backend, dict(urls.url_paths)
    with EmbeddedAws() as aws:
        ecr(aws, ARTIFACTS).create_repository(repositoryName="service")
        assert models.ecr_backends.backend is not before[0]
    assert (models.ecr_backends.backend, urls.url_paths) == before
    assert not models.ecr_backends


def test_a_start_that_fails_does_not_stand_in_the_way_of_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_sockets(*_: object, **__: object) -> None:
        raise OSError("no sockets")

    with monkeypatch.context() as broken:
        broken.setattr("sandbox.aws.server._Server", without_sockets)
        with pytest.raises(OSError, match="no sockets"):
            EmbeddedAws().__enter__()
    with EmbeddedAws() as aws:
        assert sts(aws).get_caller_identity()


def test_each_call_is_listed_with_who_asked_what_where_about_what_and_the_answer(
    aws: EmbeddedAws,
) -> None:
    client = ecr(aws, ARTIFACTS, region="us-east-1")
    with pytest.raises(ClientError):
        client.get_registry_policy()
    client.create_repository(repositoryName="api")
    client.describe_repositories(repositoryNames=["api"])
    role = f"arn:aws:iam::{ARTIFACTS}:role/deployment"
    administrator = f"arn:aws:iam::{EmbeddedAws.default_account}:user/administrator"
    assert aws.calls() == [
        ApiCall(
            EmbeddedAws.default_account,
            "eu-west-1",
            "sts",
            "AssumeRole",
            200,
            role,
            principal=administrator,
            decision="allowed",
        ),
        *(
            ApiCall(
                ARTIFACTS,
                "us-east-1",
                "ecr",
                action,
                status,
                name,
                principal=role,
                decision="allowed",
            )
            for action, status, name in (
                ("GetRegistryPolicy", 400, ""),
                ("CreateRepository", 200, "api"),
                ("DescribeRepositories", 200, "api"),
            )
        ),
    ]


def test_the_tags_of_a_key_that_is_made_are_listed_with_the_call(aws: EmbeddedAws) -> None:
    keys = boto3.client(
        "kms",
        endpoint_url=aws.url,
        region_name="eu-west-1",
        aws_access_key_id="fake",
        aws_secret_access_key="fake",
    )
    keys.create_key(Tags=[{"TagKey": "ecr-estate", "TagValue": "alerts"}])
    (call,) = aws.calls()
    assert (call.action, call.tags) == ("CreateKey", (("ecr-estate", "alerts"),))


def test_an_unsigned_call_is_listed_under_its_service(aws: EmbeddedAws) -> None:
    with pytest.raises(ClientError, match="InvalidIdentityToken"):
        sts(aws).assume_role_with_web_identity(
            RoleArn=f"arn:aws:iam::{ARTIFACTS}:role/push",
            RoleSessionName="test",
            WebIdentityToken="a.b.c",
        )
    assert [(call.service, call.action) for call in aws.calls()] == [
        ("sts", "AssumeRoleWithWebIdentity")
    ]


def test_another_process_can_read_and_forget_the_calls(aws: EmbeddedAws) -> None:
    sts(aws).get_caller_identity()
    assert fetched(aws, "/_sandbox/calls") == [
        {
            "account": EmbeddedAws.default_account,
            "region": "eu-west-1",
            "service": "sts",
            "action": "GetCallerIdentity",
            "status": 200,
            "subject": "",
            "tags": [],
            "principal": f"arn:aws:iam::{EmbeddedAws.default_account}:user/administrator",
            "decision": "needs no permission",
        }
    ]
    assert fetched(aws, "/_sandbox/calls", "DELETE") == []
    assert aws.calls() == []


def test_other_paths_of_the_sandbox_are_not_found(aws: EmbeddedAws) -> None:
    with pytest.raises(OSError, match="404") as caught:
        fetched(aws, "/_sandbox/other")
    caught.value.close()  # type: ignore[attr-defined]  # an HTTPError holds its connection


def test_an_operation_that_is_not_embedded_is_refused_at_once_instead_of_retried(
    aws: EmbeddedAws,
) -> None:
    client = ecr(aws, ARTIFACTS)
    with pytest.raises(ClientError, match="NotImplementedException"):
        client.describe_image_signing_status(repositoryName="api", imageId={"imageTag": "v1"})
    assert [call.status for call in aws.calls() if call.service == "ecr"] == [501]


def test_parallel_requests_do_not_disturb_one_another(aws: EmbeddedAws) -> None:
    client = ecr(aws, ARTIFACTS)

    def create_and_read(number: int) -> int:
        client.create_repository(repositoryName=f"service-{number}")
        return len(names(client))

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(create_and_read, range(40)))
    assert max(seen) == 40


def test_an_armed_refusal_is_answered_before_aws_acts_and_as_often_as_it_was_told(
    aws: EmbeddedAws,
) -> None:
    client = ecr(aws, ARTIFACTS)
    aws.refusals.arm("ecr", "Create*", "AccessDeniedException")
    with pytest.raises(ClientError) as refused:
        client.create_repository(repositoryName="service")
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert names(client) == []
    client.create_repository(repositoryName="service")
    assert names(client) == ["service"]
    assert [each.status for each in aws.calls() if each.action == "CreateRepository"] == [400, 200]


def test_a_refusal_of_a_query_service_is_in_its_own_protocol(aws: EmbeddedAws) -> None:
    aws.refusals.arm("sts", "*", "AccessDenied", status=403, times=None)
    for _ in range(2):
        with pytest.raises(ClientError) as refused:
            sts(aws).get_caller_identity()
        assert refused.value.response["Error"]["Code"] == "AccessDenied"
    aws.refusals.clear()
    assert sts(aws).get_caller_identity()


def test_a_refusal_strikes_no_other_action_and_no_other_service(aws: EmbeddedAws) -> None:
    aws.refusals.arm("ecr", "DeleteRepository", "AccessDeniedException")
    aws.refusals.arm("iam", "*", "AccessDenied")
    ecr(aws, ARTIFACTS).create_repository(repositoryName="service")


def test_something_can_be_done_when_aws_has_acted_and_the_caller_does_not_know(
    aws: EmbeddedAws,
) -> None:
    client = ecr(aws, ARTIFACTS)
    aws.forget_calls()
    seen: list[str] = []
    with aws.at_call(2, lambda call: seen.append(call.action)):
        client.describe_repositories()
        assert seen == []
        client.create_repository(repositoryName="service")
        client.describe_repositories()
    assert seen == ["CreateRepository"]


def test_the_call_at_which_something_is_done_may_be_of_one_action(aws: EmbeddedAws) -> None:
    client = ecr(aws, ARTIFACTS)
    seen: list[str] = []
    with aws.at_call(2, lambda call: seen.append(call.action), action="Create*"):
        for name in ("first", "second", "third"):
            client.create_repository(repositoryName=name)
            client.describe_repositories()
    assert seen == ["CreateRepository"]


def test_what_was_to_be_done_at_a_call_that_did_not_come_is_not_done_later(
    aws: EmbeddedAws,
) -> None:
    client = ecr(aws, ARTIFACTS)
    seen: list[str] = []
    with aws.at_call(1, lambda call: seen.append(call.action), action="Create*"):
        client.describe_repositories()
    client.create_repository(repositoryName="service")
    assert seen == []


def test_a_lost_answer_is_of_a_call_that_was_carried_out(aws: EmbeddedAws) -> None:
    client = boto3.client(
        "ecr",
        **settings(aws, "eu-west-1"),
        config=Config(retries={"total_max_attempts": 1}),
    )
    fault = aws.network.lose("ecr", "Create*")
    with pytest.raises(ConnectionClosedError):
        client.create_repository(repositoryName="api")
    assert fault.struck == 1
    assert names(client) == ["api"]
    client.create_repository(repositoryName="web")


def test_an_sdk_that_asks_again_after_a_lost_answer_finds_what_it_made(aws: EmbeddedAws) -> None:
    aws.network.lose("ecr", "CreateRepository")
    with pytest.raises(ClientError, match="RepositoryAlreadyExistsException"):
        ecr(aws, ARTIFACTS).create_repository(repositoryName="api")


def test_a_slow_answer_comes_too_late_for_a_client_that_does_not_wait(aws: EmbeddedAws) -> None:
    impatient = boto3.client(
        "sts",
        **settings(aws, "eu-west-1"),
        config=Config(read_timeout=0.05, retries={"total_max_attempts": 1}),
    )
    aws.network.slow("sts", "GetCallerIdentity", 0.3)
    with pytest.raises(ReadTimeoutError):
        impatient.get_caller_identity()
    aws.network.clear()
    assert sts(aws).get_caller_identity()["Account"] == aws.default_account


def test_a_fault_of_the_network_strikes_no_other_call(aws: EmbeddedAws) -> None:
    aws.network.lose("ecr", "DeleteRepository", times=None)
    aws.network.lose("iam", "*", times=None)
    client = boto3.client("ecr", **settings(aws, "eu-west-1"))
    client.create_repository(repositoryName="api")
    assert names(client) == ["api"]


def test_what_is_due_is_done_in_its_own_order_and_at_its_own_time() -> None:
    clock, done = Clock(), []
    began = clock.now()
    clock.later(2 * DAY, lambda: done.append(("second", round(clock.now() - began))))
    clock.later(DAY, lambda: clock.later(DAY / 2, lambda: done.append(("within", 0))))
    clock.later(DAY, lambda: done.append(("first", round(clock.now() - began))))
    clock.later(0, lambda: done.append(("at once", 0)))
    clock.catch_up()
    assert done == [("at once", 0)]
    clock.move(days=3)
    assert done == [("at once", 0), ("first", DAY), ("within", 0), ("second", 2 * DAY)]
    assert round(clock.now() - began) == 3 * DAY


def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        Clock().move(days=-1)
