"""One real API server for all tests here, and a shop on it that wants to run images."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ecr.admission import cluster
from ecr.admission.lists import lists, run_record
from sandbox.kubernetes import Answer, EmbeddedKubernetes, ensure_parts, eventually
from sandbox.toolchain import ToolchainError

MANIFESTS = Path(__file__).resolve().parents[2] / "kubernetes/admission"
HOST = "111111111111.dkr.ecr.eu-west-1.amazonaws.com"
LOCATION = "111111111111/eu-west-1"
NUMBERS = count()
WORKLOADS = {
    "Deployment": "apps",
    "StatefulSet": "apps",
    "DaemonSet": "apps",
    "Job": "batch",
    "CronJob": "batch",
}


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKubernetes]:
    try:
        parts = ensure_parts(print)
    except ToolchainError as error:
        pytest.skip(f"No Kubernetes API server: {error}")
    with EmbeddedKubernetes(parts, tmp_path_factory.mktemp("kubernetes") / "embedded") as running:
        running.kubectl("apply", "--kustomize", str(MANIFESTS / "overlays/deny"))
        yield running


def pod_spec(*images: str) -> dict[str, Any]:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return {"containers": containers}


def workload(kind: str, image: str) -> dict[str, Any]:
    labels = {"app": "checkout"}
    template = {"metadata": {"labels": labels}, "spec": pod_spec(image)}
    body: dict[str, Any] = {"metadata": {"generateName": "checkout-"}}
    if kind in ("Job", "CronJob"):
        template["spec"]["restartPolicy"] = "Never"
        job = {"template": template}
        schedule = {"schedule": "0 * * * *", "jobTemplate": {"spec": job}}
        return body | {"spec": schedule if kind == "CronJob" else job}
    more = {"serviceName": "checkout"} if kind == "StatefulSet" else {}
    return body | {"spec": {"selector": {"matchLabels": labels}, "template": template, **more}}


class Shop:
    """A namespace, and what an operator and a team do with it."""

    def __init__(self, kubernetes: EmbeddedKubernetes) -> None:
        self.kubernetes = kubernetes
        self.namespace = self.add_namespace()
        self.enforced = ""

    def add_namespace(self, **labels: str) -> str:
        name = f"shop-{next(NUMBERS)}"
        metadata = {"name": name, "labels": {f"ecr-estate/{key}": labels[key] for key in labels}}
        assert (
            self.kubernetes.request("POST", "/api/v1/namespaces", {"metadata": metadata}).status
            < 300
        )
        return name

    def enforce(self, overlay: str) -> None:
        self.enforced = overlay
        self.kubernetes.kubectl("apply", "--kustomize", str(MANIFESTS / overlay))

    def deny_again(self) -> None:
        """Undo `enforce`, and wait until both bindings are what they were."""
        self.enforce("overlays/deny")
        self.list(f"{LOCATION}/denied:1")
        eventually(lambda: self.run(f"{HOST}/denied:1").status == 422)
        eventually(lambda: self.deploy("Deployment", f"{HOST}/denied:1").status == 422)

    def list(self, *vulnerable: str, unscanned: tuple[str, ...] = ()) -> int:
        """Let these be the lists, and wait until they are in force; give their number."""
        canary = f"canary-{next(NUMBERS)}"
        entries = {
            "vulnerable": [*vulnerable, f"{LOCATION}/{canary}:1"],
            "unscanned": list(unscanned),
        }
        documents = lists(entries)
        cluster.apply(documents, run_record({"written": "2026-11-22T00:00:00+00:00"}))
        eventually(lambda: self.refuses(f"{HOST}/{canary}:1"))
        return len(documents)

    def run(self, *images: str, namespace: str = "", dry: bool = True) -> Answer:
        body = {"metadata": {"generateName": "pod-"}, "spec": pod_spec(*images)}
        path = f"/api/v1/namespaces/{namespace or self.namespace}/pods"
        return self.kubernetes.request("POST", path + ("?dryRun=All" if dry else ""), body)

    def deploy(self, kind: str, image: str) -> Answer:
        path = f"/apis/{WORKLOADS[kind]}/v1/namespaces/{self.namespace}/{kind.lower()}s"
        return self.kubernetes.request("POST", path + "?dryRun=All", workload(kind, image))

    def refuses(self, *images: str) -> bool:
        answer = self.run(*images)
        return answer.status == 422 or bool(answer.warnings)


@pytest.fixture
def shop(kubernetes: EmbeddedKubernetes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    for name, value in kubernetes.environment.items():
        monkeypatch.setenv(name, value)
    opened = Shop(kubernetes)
    yield opened
    if opened.enforced:
        opened.deny_again()
