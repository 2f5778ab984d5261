"""The policy on a real API server: what is refused, in which words, and what is let through."""

import json
import re
import shutil
import socket
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import boto3
import pytest
import yaml

from ecr.admission import cluster, lists
from ecr.cli.main import main
from ecr.registry.registry import Registry
from sandbox.aws import EmbeddedAws
from sandbox.aws.findings import put_findings
from sandbox.kubernetes import EmbeddedKubernetes, eventually
from tests.kubernetes.conftest import HOST, LOCATION, MANIFESTS, WORKLOADS, Shop, pod_spec

ROOT = MANIFESTS.parent.parent

pytestmark = pytest.mark.kubernetes

DIGEST = f"sha256:{'ab' * 32}"
OTHER = f"sha256:{'cd' * 32}"
BAD = f"{HOST}/team/checkout:1f"
GOOD = f"{HOST}/team/checkout:2f"
LISTED = (f"{LOCATION}/team/checkout:1f", f"{LOCATION}/team/checkout@{DIGEST}")


def test_a_refusal_names_the_image_and_how_to_see_its_findings(shop: Shop) -> None:
    shop.list(*LISTED)
    answer = shop.run(BAD)
    assert answer.status == 422
    assert f"{BAD} has vulnerabilities" in answer.message
    assert (
        "aws ecr describe-image-scan-findings --registry-id 111111111111 --region eu-west-1 "
        "--repository-name team/checkout --image-id imageTag=1f"
    ) in answer.message


def test_the_runbook_quotes_the_refusal_that_it_is_for(shop: Shop) -> None:
    shop.list(*LISTED)
    runbook = (ROOT / "docs/runbooks/pod-refused.md").read_text()
    (quoted,) = re.findall(r"^> (.*)$", runbook, re.MULTILINE)
    assert quoted in shop.run(BAD).message


def test_what_ecr_found_is_refused_once_the_command_has_run(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with EmbeddedAws() as aws:
        for name, value in {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": "fake",
            "AWS_SECRET_ACCESS_KEY": "fake",
        }.items():
            monkeypatch.setenv(name, value)
        account = EmbeddedAws.default_account
        host = f"{account}.dkr.ecr.eu-west-1.amazonaws.com"
        ecr = boto3.client("ecr", region_name="eu-west-1")
        ecr.create_repository(repositoryName="basket")
        for tag in ("bad", "waived", "good"):
            kind = "application/vnd.docker.distribution.manifest.v2+json"
            manifest = json.dumps({"mediaType": kind, "annotations": {"made": tag}})
            image = ecr.put_image(repositoryName="basket", imageTag=tag, imageManifest=manifest)
            if tag != "good":
                found = image["image"]["imageId"]["imageDigest"]
                put_findings(account, "eu-west-1", "basket", found, {"CVE-1": "CRITICAL"})
        waivers = tmp_path / "waivers.yaml"
        waivers.write_text(
            "waivers: [{image: 'basket:waived', reason: no shell, expires: 9999-12-31}]"
        )
        arguments = ["--registry", f"{account}/eu-west-1", "--waivers", str(waivers), "--apply"]
        assert main(["admission", *arguments]) == 0
    assert eventually(lambda: shop.run(f"{host}/basket:bad").status == 422)
    assert shop.run(f"{host}/basket:waived", f"{host}/basket:good").status == 201
    assert main(["admission", "--check-age", "1"]) == 0


def test_a_refusal_by_digest_asks_by_digest(shop: Shop) -> None:
    shop.list(*LISTED)
    message = shop.run(f"{HOST}/team/checkout@{DIGEST}").message
    assert f"--repository-name team/checkout --image-id imageDigest={DIGEST}" in message


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_a_container_of_any_kind_is_refused(kind: str, shop: Shop) -> None:
    shop.list(*LISTED)
    spec = pod_spec(GOOD) | {kind: [{"name": "bad", "image": BAD}]}
    path = f"/api/v1/namespaces/{shop.namespace}/pods"
    body = {"metadata": {"name": "checkout"}, "spec": spec}
    assert BAD in shop.kubernetes.request("POST", path, body).message


def test_an_ephemeral_container_is_refused(shop: Shop) -> None:
    shop.list(*LISTED)
    pod = shop.run(GOOD, dry=False).body
    path = f"/api/v1/namespaces/{shop.namespace}/pods/{pod['metadata']['name']}/ephemeralcontainers"
    pod["spec"]["ephemeralContainers"] = [{"name": "debug", "image": GOOD}]
    assert shop.kubernetes.request("PUT", path + "?dryRun=All", pod).status == 200
    pod["spec"]["ephemeralContainers"] = [{"name": "debug", "image": BAD}]
    assert BAD in shop.kubernetes.request("PUT", path, pod).message


def test_a_volume_that_is_an_image_is_refused(shop: Shop) -> None:
    shop.list(*LISTED)
    spec = pod_spec(GOOD) | {"volumes": [{"name": "model", "image": {"reference": BAD}}]}
    path = f"/api/v1/namespaces/{shop.namespace}/pods"
    body = {"metadata": {"name": "checkout"}, "spec": spec}
    assert BAD in shop.kubernetes.request("POST", path, body).message


@pytest.mark.parametrize("kind", WORKLOADS)
def test_what_makes_pods_is_refused_too(kind: str, shop: Shop) -> None:
    shop.list(*LISTED)
    assert BAD in shop.deploy(kind, BAD).message
    assert shop.deploy(kind, GOOD).status == 201


@pytest.mark.parametrize(
    "image",
    [
        f"{HOST}/team/checkout:1f",
        f"{HOST}/team/checkout@{DIGEST}",
        f"{HOST}/team/checkout:2f@{DIGEST}",
        f"{HOST}:443/team/checkout:1f",
        f"{HOST.upper()}/team/checkout:1f",
        "111111111111.dkr.ecr-fips.eu-west-1.amazonaws.com/team/checkout:1f",
        "111111111111.dkr-ecr.eu-west-1.on.aws/team/checkout:1f",
        "111111111111.dkr-ecr-fips.eu-west-1.on.aws/team/checkout:1f",
        f"{HOST}/team/unnamed",
    ],
)
def test_every_name_of_an_image_is_refused(image: str, shop: Shop) -> None:
    shop.list(*LISTED, f"{LOCATION}/team/unnamed:latest")
    assert image in shop.run(image).message


@pytest.mark.parametrize("image", [DIGEST, DIGEST[:19]])
def test_the_id_of_an_image_that_a_node_has_is_no_name_and_is_refused(
    image: str, shop: Shop
) -> None:
    shop.list()
    assert f"{image} is the id of an image and not its name" in shop.run(image).message
    for kind in WORKLOADS:
        assert shop.deploy(kind, image).status == 422


@pytest.mark.parametrize("overlay", ["warn", "deny-list-required"])
def test_an_image_id_is_refused_by_sets_that_refuse_and_warned_of_by_the_one_that_warns(
    overlay: str, shop: Shop
) -> None:
    shop.enforce(f"overlays/{overlay}")
    shop.list()

    def told() -> bool:
        answer = shop.run(DIGEST)
        said = (answer.message, *answer.warnings)
        named = any("is the id of an image" in each for each in said)
        return named and (answer.status < 300) == (overlay == "warn")

    # The server takes a moment to leave the bindings of the test before.
    eventually(told)


@pytest.mark.parametrize(
    ("region", "domain"), [("eusc-de-east-1", "amazonaws.eu"), ("us-iso-east-1", "c2s.ic.gov")]
)
def test_an_image_is_refused_in_every_partition(region: str, domain: str, shop: Shop) -> None:
    shop.list(f"111111111111/{region}/team/checkout:1f")
    image = f"111111111111.dkr.ecr.{region}.{domain}/team/checkout:1f"
    assert image in shop.run(image).message


@pytest.mark.parametrize(
    "image",
    [
        GOOD,
        f"{HOST}/team/checkout@{OTHER}",
        f"{HOST}/team/checkout:1f@{OTHER}",  # the digest is what is pulled
        f"{HOST}/team/checkout-2:1f",
        f"{HOST}/checkout:1f",
        "222222222222.dkr.ecr.eu-west-1.amazonaws.com/team/checkout:1f",
        "111111111111.dkr.ecr.eu-central-1.amazonaws.com/team/checkout:1f",
        "nginx",
        "example.org:5000/team/checkout:1f",
        f"example.org/{HOST}/team/checkout:1f",
    ],
)
def test_an_image_that_is_not_listed_is_admitted(image: str, shop: Shop) -> None:
    shop.list(*LISTED)
    assert shop.run(image).status == 201


def test_all_the_denied_images_of_a_pod_are_named(shop: Shop) -> None:
    shop.list(*LISTED)
    message = shop.run(GOOD, BAD, f"{HOST}/team/checkout@{DIGEST}").message
    assert BAD in message
    assert DIGEST in message
    assert GOOD not in message


def test_an_image_that_was_never_scanned_is_refused_with_that_reason(shop: Shop) -> None:
    shop.list(unscanned=LISTED)
    assert f"{BAD} has never been scanned" in shop.run(BAD).message


def test_every_one_of_several_lists_counts(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_BYTES", 300)
    tags = [f"v{number}" for number in range(40)]
    assert shop.list(*(f"{LOCATION}/many:{tag}" for tag in tags)) > 3
    assert {shop.run(f"{HOST}/many:{tag}").status for tag in tags} == {422}
    assert shop.run(f"{HOST}/many:v40").status == 201


def test_a_new_list_takes_effect_on_the_running_server(shop: Shop) -> None:
    shop.list(LISTED[0])
    assert shop.run(BAD).status == 422
    shop.list(LISTED[1])
    assert eventually(lambda: shop.run(BAD).status == 201)
    assert shop.run(f"{HOST}/team/checkout@{DIGEST}").status == 422


def test_an_exempt_namespace_runs_everything(shop: Shop) -> None:
    shop.list(*LISTED)
    exempt = shop.add_namespace(admission="exempt")
    assert shop.run(BAD, namespace=exempt).status == 201
    assert shop.run(BAD, namespace="kube-system").status == 201
    assert shop.run(BAD).status == 422


def test_a_pod_that_runs_may_change_but_not_to_a_denied_image(shop: Shop) -> None:
    shop.list(f"{LOCATION}/elsewhere:1")
    pod = shop.run(BAD, dry=False).body
    path = f"/api/v1/namespaces/{shop.namespace}/pods/{pod['metadata']['name']}"
    shop.list(*LISTED, f"{LOCATION}/team/checkout:3f")
    labelled = pod | {"metadata": pod["metadata"] | {"labels": {"seen": "yes"}}}
    assert shop.kubernetes.request("PUT", path + "?dryRun=All", labelled).status == 200
    pod["spec"]["containers"][0]["image"] = f"{HOST}/team/checkout:3f"
    assert "checkout:3f" in shop.kubernetes.request("PUT", path, pod).message


def test_to_begin_with_it_only_warns(shop: Shop) -> None:
    shop.list(*LISTED)
    shop.enforce("overlays/warn")
    answer = eventually(lambda: (given := shop.run(BAD)).status == 201 and given)
    assert BAD in str(answer and answer.warnings)


def without_lists(shop: Shop) -> None:
    path = "/api/v1/namespaces/ecr-admission/configmaps"
    assert shop.kubernetes.request("DELETE", path).status == 200


def test_without_a_list_everything_is_admitted_unless_one_is_required(shop: Shop) -> None:
    shop.list(*LISTED)
    without_lists(shop)
    assert eventually(lambda: shop.run(BAD).status == 201)
    shop.enforce("overlays/deny-list-required")
    assert eventually(lambda: shop.run(GOOD).status == 422)
    assert "no params found" in shop.run(GOOD).message
    assert shop.run(GOOD, namespace="ecr-admission").status == 201


def test_a_malformed_list_refuses_and_says_which_it_is(shop: Shop) -> None:
    shop.list(*LISTED)
    metadata = {"name": "by-hand", "labels": {lists.LABEL: lists.DENIED}}
    path = "/api/v1/namespaces/ecr-admission/configmaps"
    created = shop.kubernetes.request("POST", path, {"metadata": metadata})
    assert created.status == 201
    assert eventually(lambda: "ecr-admission/by-hand is malformed" in shop.run(GOOD).message)
    shop.list(*LISTED)
    assert eventually(lambda: shop.run(GOOD).status == 201)


TRUSTED = "public.ecr.aws/eks/"


@pytest.fixture
def only_ours(shop: Shop) -> Iterator[Shop]:
    """The shop on a server that wants images to be of the estate."""
    policy = str(MANIFESTS / "components/only-ours/policy.yaml")
    record = {"registries": LOCATION, "trusted": TRUSTED, "written": "2026-11-22T00:00:00+00:00"}
    cluster.apply(lists.lists({}), lists.run_record(record))
    shop.kubernetes.kubectl("apply", "--filename", policy)
    yield shop
    shop.kubernetes.kubectl("delete", "--filename", policy)
    eventually(lambda: not shop.run("nginx").warnings)


def test_images_from_elsewhere_are_named_when_only_ours_are_wanted(only_ours: Shop) -> None:
    assert eventually(lambda: only_ours.run("nginx").warnings)
    foreign = [
        "nginx",
        f"{LOCATION}/team/checkout:1f",  # of Docker Hub, whatever it looks like
        "222222222222.dkr.ecr.eu-west-1.amazonaws.com/team/checkout:1f",
        f"{HOST}.example.org/team/checkout:1f",
        "public.ecr.aws/eksample/pause:1",
    ]
    for image in foreign:
        (warning,) = only_ours.run(image).warnings
        assert f"{image} is from no registry of the estate" in warning
    for image in [GOOD, f"{HOST.upper()}:443/team/checkout", f"{TRUSTED}pause:1"]:
        assert only_ours.run(image).warnings == ()


def test_images_of_the_estate_are_ours_in_every_partition(only_ours: Shop) -> None:
    registry = Registry("111111111111", "eusc-de-east-1")
    record = {"registries": registry.key, "trusted": "", "written": "2026-11-22T00:00:00+00:00"}
    cluster.apply(lists.lists({}), lists.run_record(record))
    image = f"{registry.host}/team/checkout:1f"
    assert eventually(lambda: only_ours.run(image).warnings == ())
    assert eventually(lambda: only_ours.run(GOOD).warnings)
    assert only_ours.run(image).warnings == ()


@pytest.mark.parametrize("folder", ["overlays/warn", "overlays/deny", "overlays/strict", "job"])
def test_every_set_of_manifests_is_one_that_the_server_takes(folder: str, shop: Shop) -> None:
    rendered = shop.kubernetes.kubectl("kustomize", str(MANIFESTS / folder))
    known = [
        each for each in yaml.safe_load_all(rendered) if each["kind"] != "PrometheusRule"
    ]  # the operator's kind, which this server has not
    shop.kubernetes.kubectl(
        "apply", "--dry-run=server", "--filename=-", given=yaml.safe_dump_all(known)
    )


def test_the_guides_own_kustomization_patches_the_job(shop: Shop, tmp_path: Path) -> None:
    guide = (ROOT / "docs/guides/admission.md").read_text()
    (example,) = re.findall(
        r"^    ```yaml\n(    apiVersion.*?)^    ```$", guide, re.DOTALL | re.MULTILINE
    )
    shutil.copytree(MANIFESTS / "job", tmp_path / "job")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours/kustomization.yaml").write_text(textwrap.dedent(example))
    rendered = shop.kubernetes.kubectl("kustomize", str(tmp_path / "ours"))
    documents = {each["kind"]: each for each in yaml.safe_load_all(rendered)}
    spec = documents["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"].endswith("/ecr-estate:5d41402")
    assert [each.count("--registry=") for each in spec["containers"][0]["args"]][:3] == [1, 1, 0]
    assert documents["ServiceAccount"]["metadata"]["annotations"]


def test_the_strict_set_refuses_and_requires(shop: Shop) -> None:
    rendered = shop.kubernetes.kubectl("kustomize", str(MANIFESTS / "overlays/strict"))
    bindings = [
        each["spec"]
        for each in yaml.safe_load_all(rendered)
        if each["kind"] == "ValidatingAdmissionPolicyBinding"
    ]
    assert len(bindings) == 3
    assert {tuple(each["validationActions"]) for each in bindings} == {("Deny", "Audit")}
    assert {each["paramRef"]["parameterNotFoundAction"] for each in bindings} == {"Deny"}


def test_both_policies_read_the_images_of_an_object_alike() -> None:
    """Which hosts each takes for ECR's differs by intention, and tests/test_regions.py compares them."""
    policies = [
        next(iter(yaml.safe_load_all((MANIFESTS / file).read_text())))["spec"]
        for file in ("base/policy.yaml", "components/only-ours/policy.yaml")
    ]
    one, two = (
        {each["name"]: each["expression"] for each in spec["variables"]} for spec in policies
    )
    assert [one[name] for name in ("images", "fresh")] == [
        two[name] for name in ("images", "fresh")
    ]
    assert policies[0]["matchConstraints"] == policies[1]["matchConstraints"]


def test_the_job_may_do_what_it_has_to_and_no_more(shop: Shop) -> None:
    shop.kubernetes.kubectl("apply", "--filename", str(MANIFESTS / "job/rbac.yaml"))
    who = "--as=system:serviceaccount:ecr-admission:ecr-admission"

    def may(*what: str) -> bool:
        # kubectl fails when the answer is no.
        with suppress(RuntimeError):
            return "yes" in shop.kubernetes.kubectl("auth", "can-i", who, *what)
        return False

    mine = "--namespace=ecr-admission"
    verbs = ("get", "list", "create", "patch", "delete")
    assert eventually(lambda: all(may(verb, "configmaps", mine) for verb in verbs))
    assert not may("list", "secrets", mine)
    assert not may("list", "configmaps", f"--namespace={shop.namespace}")


def test_a_pod_of_many_images_that_share_one_full_key_stays_within_the_costs(shop: Shop) -> None:
    alike = [f"{LOCATION}/team/service-{number}:release" for number in range(lists.MOST_PER_KEY)]
    shop.list(*alike)
    assert shop.run(*(f"{HOST}/team/other-{number}:release" for number in range(30))).status == 201
    assert "service-1999:release has vul" in shop.run(f"{HOST}/team/service-1999:release").message


def test_a_connection_that_the_server_ended_is_opened_anew(
    kubernetes: EmbeddedKubernetes,
) -> None:
    assert kubernetes.request("GET", "/version").status == 200
    kubernetes._connection().sock.shutdown(socket.SHUT_RDWR)
    assert kubernetes.request("GET", "/version").status == 200
