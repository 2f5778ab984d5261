"""Regions, registries and their hosts, compared with what botocore knows of every partition."""

import json
import re
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import botocore
import pytest
import yaml

from ecr.aws.session import Aws
from ecr.cli.commands import admission
from ecr.cli.registries import selected_registries
from ecr.errors import EstateError
from ecr.promotion.aws import Side
from ecr.registry.regions import REGION_PATTERN, domain_of, dual_stack_domain_of, partition_of
from ecr.registry.registry import ImageReference, Placement, Registry
from tests.builders import outputs_file

ACCOUNT = "111122223333"
DATA = Path(botocore.__file__).parent / "data"
POLICIES = Path(__file__).parents[1] / "kubernetes/admission"


def known() -> Iterator[tuple[str, str, str, str]]:
    """Yield each Region with its partition, its domain and its dual-stack domain."""
    for partition in json.loads((DATA / "partitions.json").read_text())["partitions"]:
        endpoints = json.loads((DATA / "endpoints.json").read_text())["partitions"]
        listed = next(each for each in endpoints if each["partition"] == partition["id"])
        outputs = partition["outputs"]
        # Hosts of images end as those of the API do, but for the first word.
        dual_stack = re.sub(r"^api\.", "on.", outputs["dualStackDnsSuffix"])
        for region in sorted({*partition["regions"], *listed["regions"]}):
            if not region.endswith("-global"):
                yield region, partition["id"], outputs["dnsSuffix"], dual_stack


KNOWN = list(known())
HOSTS = [
    (region, f"{ACCOUNT}.{form}.{region}.{suffix}")
    for region, _, domain, dual_stack in KNOWN
    for form, suffix in (
        ("dkr.ecr", domain),
        ("dkr.ecr-fips", domain),
        ("dkr-ecr", dual_stack),
        ("dkr-ecr-fips", dual_stack),
    )
]
FOREIGN = [
    f"{ACCOUNT}.dkr.ecr.eu-west-1.evil.net",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com.evil.net",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.evil.net.amazonaws.com",
    f"{ACCOUNT}.dkr-ecr.eu-west-1.amazonaws.com",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.on.aws",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com:",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com..",
    f"1{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com",
    "public.ecr.aws",
    "registry.example.org",
]


def expression(policy: str, variable: str) -> re.Pattern[str]:
    """Return the regular expression for hosts in a variable of an admission policy."""
    whole = next(yaml.safe_load_all((POLICIES / policy).read_text()))
    named = {each["name"]: each["expression"] for each in whole["spec"]["variables"]}
    found = re.search(r"'(\^[^']+)'", named[variable])
    assert found
    return re.compile(found[1])


DENIED = expression("base/policy.yaml", "ours")
ONLY_OURS = expression("components/only-ours/policy.yaml", "host")


@pytest.mark.parametrize(("region", "partition", "domain", "dual_stack"), KNOWN)
def test_every_region_of_aws_is_one_and_belongs_where_aws_says(
    region: str, partition: str, domain: str, dual_stack: str
) -> None:
    assert re.fullmatch(REGION_PATTERN, region)
    assert partition_of(region) == partition
    assert (domain_of(region), dual_stack_domain_of(region)) == (domain, dual_stack)


@pytest.mark.parametrize(
    "region", ["eu-wset-1", "zz-top-9", "eu-west", "Ireland", "eu-west-\u0661"]
)
def test_what_only_looks_like_a_region_is_none(region: str) -> None:
    assert not re.fullmatch(REGION_PATTERN, region)
    with pytest.raises(EstateError, match="There is no such registry"):
        Registry.parse(f"{ACCOUNT}/{region}")
    assert Registry.of_host(f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com") is None


@pytest.mark.parametrize("region", [region for region, *_ in KNOWN])
def test_a_registry_of_every_region_is_read_as_it_is_written(region: str) -> None:
    registry = Registry(ACCOUNT, region)
    assert Registry.parse(registry.key) == registry
    assert Registry.of_host(registry.host) == registry
    assert Placement.at(Placement(registry, "team/api").location) == Placement(registry, "team/api")


@pytest.mark.parametrize("region", [region for region, *_ in KNOWN])
def test_commands_take_a_registry_of_every_region_by_option_and_by_outputs(
    region: str, tmp_path: Path
) -> None:
    registry = Registry(ACCOUNT, region)
    urls = {"api": [f"{registry.host}/api"]}
    report = {"registries": [registry.key]}
    file = outputs_file(tmp_path, report=report, imageRepositories=urls, replicas=urls)
    estate = selected_registries(Namespace(outputs=[file], registry=[]))
    assert estate.registries == estate.placements["api"] == estate.replicas["api"] == (registry,)
    assert selected_registries(Namespace(outputs=[], registry=[registry.key])).registries == (
        registry,
    )
    asked = Namespace(outputs=file, registry=None)
    assert admission._registries(asked) == {registry: ["api", "api"]}
    asked = Namespace(outputs=None, registry=[registry.key])
    assert admission._registries(asked) == {registry: ()}


@pytest.mark.parametrize(("region", "host"), HOSTS)
@pytest.mark.parametrize("port", ["", ":443", ".", ".:443"])
def test_every_host_of_ecr_is_known_in_any_case(region: str, host: str, port: str) -> None:
    for written in (host, host.upper()):
        name = f"{written}{port}/team/api:v1"
        registry = Registry(ACCOUNT, region)
        assert ImageReference.parse(name) == ImageReference(registry, "team/api", "v1")
        assert DENIED.search(f"{written}{port}".lower())
        assert ONLY_OURS.search(f"{written}{port}".lower())


@pytest.mark.parametrize("host", FOREIGN)
def test_a_host_of_somebody_else_is_no_registry_and_is_not_let_in_as_ours(host: str) -> None:
    assert Registry.of_host(host) is None
    assert not ONLY_OURS.search(host)


def test_an_image_of_somebody_else_has_no_logins_and_no_scan_of_ecr() -> None:
    assert list(Side(Aws()).logins("registry.example.org/api")) == []
    assert not Side(Aws()).scan("registry.example.org/api", f"sha256:{'0' * 64}").finished
