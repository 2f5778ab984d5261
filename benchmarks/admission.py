"""`python -m benchmarks.admission`: how long the lists take to make, and what they cost an admission.

Makes lists from 100,000 findings over 10,000 images in the embedded AWS, and admits pods on a real API
server with lists of growing length. Exits 1 when the lists took too long.
"""

import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from statistics import median

import boto3

from benchmarks.measure import filled_aws
from ecr.admission import cluster, lists
from ecr.cli.main import main as command
from sandbox.aws import EmbeddedAws
from sandbox.aws.findings import put_findings
from sandbox.kubernetes import EmbeddedKubernetes, ensure_parts, eventually

IMAGES, FINDINGS, REPOSITORIES = 10_000, 10, 100
MOST_SECONDS = 60.0
SIZES = (0, 1_000, 10_000, 50_000, 100_000)
SAMPLES = 100
ACCOUNT, REGION = EmbeddedAws.default_account, "eu-west-1"
LOCATION = f"{ACCOUNT}/{REGION}"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
MANIFESTS = Path(__file__).parent.parent / "kubernetes/admission"
MILLISECONDS = 1_000


def main() -> int:
    """Measure both, print them, and say whether the bound is held."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = _lists(Path(folder))
        _admissions(Path(folder))
        _one_key(Path(folder))
    held = seconds < MOST_SECONDS
    print(f"{'held' if held else 'NOT HELD'}: {seconds:.1f} s of at most {MOST_SECONDS:.0f} s")
    return 0 if held else 1


def _lists(folder: Path) -> float:
    """Run the command on an estate in the embedded AWS; give its seconds."""
    with filled_aws(_fill) as url, _environment(AWS_ENDPOINT_URL=url):
        began, used = time.perf_counter(), time.process_time()
        out = StringIO()
        with redirect_stdout(out):
            arguments = ["--registry", LOCATION, "--rate", "100000", "--workers", "4", "--json"]
            code = command(["admission", *arguments, "--output", str(folder / "lists.yaml")])
        seconds, used = time.perf_counter() - began, time.process_time() - used
    if code:
        raise RuntimeError(f"ecr-estate admission ended with {code}")
    report = json.loads(out.getvalue())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{report['findings']:,} findings over {report['images']:,} images: {seconds:.1f} s "
        f"({used:.1f} s of CPU, beside the embedded AWS's), "
        f"{report['calls']:,} calls ({report['calls'] / seconds:.0f} a second), "
        f"{len(report['denied']):,} denied, {sum(report['entries'].values()):,} entries in "
        f"{len(report['lists'])} lists, {peak:.0f} MiB"
    )
    return seconds


def _fill(url: str) -> None:
    """Push images that each have ten findings, one of them critical in every fourth image."""
    with _environment(AWS_ENDPOINT_URL=url):
        ecr = boto3.client("ecr", region_name=REGION)
        for number in range(REPOSITORIES):
            ecr.create_repository(repositoryName=f"team/service-{number:03}")
        for number in range(IMAGES):
            name = f"team/service-{number % REPOSITORIES:03}"
            kind = "application/vnd.docker.distribution.manifest.v2+json"
            manifest = {"schemaVersion": 2, "mediaType": kind, "annotations": {"made": str(number)}}
            pushed = ecr.put_image(
                repositoryName=name, imageTag=_sha(number)[:40], imageManifest=json.dumps(manifest)
            )
            findings = {
                f"CVE-2026-{number * FINDINGS + each:06}": "HIGH" for each in range(1, FINDINGS)
            }
            worst = "LOW" if number % 4 else "CRITICAL"
            findings[f"CVE-2026-{number * FINDINGS:06}"] = worst
            put_findings(ACCOUNT, REGION, name, pushed["image"]["imageId"]["imageDigest"], findings)


def _admissions(folder: Path) -> None:
    with _admitting(folder / "admissions") as kubernetes:
        pods = {"1 image": _clean(1), "10 images": _clean(10), "1 from elsewhere": ["nginx"]}
        print("milliseconds to admit a pod, median (95th percentile), and the server's own CPU:")
        print(f"{'no policy':>15}: {_latencies(kubernetes, pods)}")
        kubernetes.kubectl("apply", "--kustomize", str(MANIFESTS / "overlays/deny"))
        for size in SIZES:
            count = _apply(kubernetes, [_entry(number) for number in range(size)])
            print(f"{size:>7,} in {count:>2} l.: {_latencies(kubernetes, pods)}", flush=True)


def _one_key(folder: Path) -> None:
    """Say how many images of one pod may meet one full key before the policy costs too much."""
    with _admitting(folder / "key") as kubernetes:
        kubernetes.kubectl("apply", "--kustomize", str(MANIFESTS / "overlays/deny"))
        alike = [f"{LOCATION}/team/service-{number:04}:release" for number in range(10_000)]
        _apply(kubernetes, alike[: lists.MOST_PER_KEY])
        most = 0
        for images in range(5, 201, 5):
            pod = [f"{HOST}/team/other-{number}:release" for number in range(images)]
            if kubernetes.request("POST", *_pod(pod)).status >= 300:  # noqa: PLR2004 - HTTP
                break
            most = images
        print(f"one pod may have {most} images below one key of {lists.MOST_PER_KEY:,} entries")


@contextmanager
def _admitting(folder: Path) -> Iterator[EmbeddedKubernetes]:
    with (
        EmbeddedKubernetes(ensure_parts(print), folder) as kubernetes,
        _environment(**kubernetes.environment),
    ):
        kubernetes.request("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
        yield kubernetes


def _apply(kubernetes: EmbeddedKubernetes, entries: Sequence[str]) -> int:
    canary = f"canary:{len(entries)}"
    documents = lists.lists({"vulnerable": [*entries, f"{LOCATION}/{canary}"]})
    cluster.apply(documents, lists.run_record({}))
    eventually(lambda: kubernetes.request("POST", *_pod([f"{HOST}/{canary}"])).message)
    return len(documents)


def _latencies(kubernetes: EmbeddedKubernetes, pods: dict[str, list[str]]) -> str:
    return ", ".join(f"{what} {_latency(kubernetes, pod)}" for what, pod in pods.items())


def _latency(kubernetes: EmbeddedKubernetes, images: list[str]) -> str:
    times = []
    cpu = kubernetes.cpu_seconds()
    for _ in range(SAMPLES):
        began = time.perf_counter()
        answer = kubernetes.request("POST", *_pod(images))
        times.append((time.perf_counter() - began) * MILLISECONDS)
        if answer.message:
            raise RuntimeError(answer.message)
    cpu = (kubernetes.cpu_seconds() - cpu) / SAMPLES * MILLISECONDS
    return f"{median(times):.1f} ({sorted(times)[SAMPLES * 95 // 100]:.1f}, CPU {cpu:.1f})"


def _pod(images: Sequence[str]) -> tuple[str, dict[str, object]]:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    pod = {"metadata": {"generateName": "pod-"}, "spec": {"containers": containers}}
    return "/api/v1/namespaces/shop/pods?dryRun=All", pod


def _clean(count: int) -> list[str]:
    return [f"{HOST}/team/service-001:{_sha(-number - 1)[:40]}" for number in range(count)]


def _entry(number: int) -> str:
    name = f"{LOCATION}/team/service-{number % 500:03}"
    return f"{name}@sha256:{_sha(number)}" if number % 2 else f"{name}:{_sha(number)[:40]}"


def _sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(AWS_ACCESS_KEY_ID="fake", AWS_SECRET_ACCESS_KEY="fake", **values)  # noqa: S106
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    sys.exit(main())
