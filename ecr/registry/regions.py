"""AWS Regions: how their codes are written, and the partition and the domains that each belongs to.

Sources: IAM User Guide, "Amazon Resource Names"; AWS Fault Isolation Boundaries, "Partitions"; for the
domains, botocore's table of partitions. A new Region is usable without a change here, as long as it is
named after a point of the compass.
"""

COMPASS = "north|south|east|west|central|northeast|northwest|southeast|southwest"
REGION_PATTERN = rf"([a-z]{{2}}(-gov|-iso[a-z]?)?|eusc-[a-z]{{2}})-({COMPASS})-[0-9]"
"""What the code of a Region looks like."""

_STANDARD = ("aws", "amazonaws.com", "on.aws")
_OTHERS = {
    "cn-": ("aws-cn", "amazonaws.com.cn", "on.amazonwebservices.com.cn"),
    "us-gov-": ("aws-us-gov", "amazonaws.com", "on.aws"),
    "eusc-": ("aws-eusc", "amazonaws.eu", "on.amazonwebservices.eu"),
    "us-iso-": ("aws-iso", "c2s.ic.gov", "on.aws.ic.gov"),
    "us-isob-": ("aws-iso-b", "sc2s.sgov.gov", "on.aws.scloud"),
    "eu-isoe-": ("aws-iso-e", "cloud.adc-e.uk", "on.cloud-aws.adc-e.uk"),
    "us-isof-": ("aws-iso-f", "csp.hci.ic.gov", "on.aws.hci.ic.gov"),
}


def partition_of(region: str) -> str:
    """Return the partition of a Region, as ARNs begin with it."""
    return _of(region)[0]


def domain_of(region: str) -> str:
    """Return the domain that the hosts of a Region end in."""
    return _of(region)[1]


def dual_stack_domain_of(region: str) -> str:
    """Return the domain that those hosts of a Region end in that IPv6 reaches as well."""
    return _of(region)[2]


def _of(region: str) -> tuple[str, str, str]:
    found = (partition for start, partition in _OTHERS.items() if region.startswith(start))
    return next(found, _STANDARD)
