"""AWS Regions: how their codes are written, and the partition and the domain that each belongs to.

Sources: IAM User Guide, "Amazon Resource Names"; AWS Fault Isolation Boundaries, "Partitions". A new
Region is usable without a change here, as long as it is named after a point of the compass.
"""

COMPASS = "north|south|east|west|central|northeast|northwest|southeast|southwest"
PATTERN = rf"([a-z]{{2}}(-gov|-iso[a-z]?)?|eusc-[a-z]{{2}})-({COMPASS})-[0-9]"
"""What the code of a Region looks like."""

_PARTITIONS = {
    "cn-": ("aws-cn", "amazonaws.com.cn"),
    "us-gov-": ("aws-us-gov", "amazonaws.com"),
    "eusc-": ("aws-eusc", "amazonaws.eu"),
    "us-iso-": ("aws-iso", "c2s.ic.gov"),
    "us-isob-": ("aws-iso-b", "sc2s.sgov.gov"),
    "eu-isoe-": ("aws-iso-e", "cloud.adc-e.uk"),
    "us-isof-": ("aws-iso-f", "csp.hci.ic.gov"),
}


def partition_of(region: str) -> str:
    """Give the partition of a Region, as ARNs begin with it."""
    return _of(region)[0]


def domain_of(region: str) -> str:
    """Give the domain that the hosts of a Region end in."""
    return _of(region)[1]


def _of(region: str) -> tuple[str, str]:
    found = (each for start, each in _PARTITIONS.items() if region.startswith(start))
    return next(found, ("aws", "amazonaws.com"))
