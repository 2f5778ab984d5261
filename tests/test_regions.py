"""Regions, compared with what botocore knows of every partition."""

import json
import re
from pathlib import Path

import botocore
import pytest

from ecr.registry.regions import PATTERN, domain_of, partition_of

PARTITIONS = json.loads((Path(botocore.__file__).parent / "data/partitions.json").read_text())
KNOWN = [
    (region, each["id"], each["outputs"]["dnsSuffix"])
    for each in PARTITIONS["partitions"]
    for region in each["regions"]
    if not region.endswith("-global")
]


@pytest.mark.parametrize(("region", "partition", "domain"), KNOWN)
def test_every_region_of_aws_is_one_and_belongs_where_aws_says(
    region: str, partition: str, domain: str
) -> None:
    assert re.fullmatch(PATTERN, region)
    assert (partition_of(region), domain_of(region)) == (partition, domain)


@pytest.mark.parametrize(
    "region", ["eu-wset-1", "zz-top-9", "eu-west", "Ireland", "eu-west-\u0661"]
)
def test_what_only_looks_like_a_region_is_none(region: str) -> None:
    assert not re.fullmatch(PATTERN, region)
