"""What Amazon charges for images: the table of prices, as a setting, and the sums that it leads to.

Owns every price that the program knows, with its date and its source, and the arithmetic of a month's bill.
Reads nothing: prices change, differ by Region and by contract, and are therefore never asked for.

Sources of the defaults, all for US East (N. Virginia): "Amazon Elastic Container Registry pricing" and
"Amazon Inspector pricing" as the AWS Price List gave them to others in March 2026, and "Amazon EC2 On-Demand
Pricing", data transfer to other Regions.
"""

from typing import Annotated

from pydantic import Field

from ecr.settings.checks import SettingsModel
from ecr.settings.types import Amount, IsoDate

GB = 2**30
"""Bytes of the gigabyte that Amazon bills storage by."""


class Prices(SettingsModel):
    """What a month costs, in one currency. Replace what differs in your Regions or by your contract."""

    as_of: IsoDate = "2026-03-22"
    """The day on which these prices were looked up; reports name it."""
    source: Annotated[str, Field(min_length=1, max_length=256)] = (
        "Amazon ECR, Amazon Inspector and Amazon EC2 pricing pages, US East (N. Virginia)"
    )
    """Where these prices are from; reports name it."""
    currency: Annotated[str, Field(min_length=1, max_length=8)] = "USD"
    """The currency of all amounts."""
    standard_gb_month: Amount = 0.10
    """A gigabyte for a month in the standard storage class."""
    archive_gb_month: Amount = 0.10
    """A gigabyte for a month in the archive, up to `archiveTierGb` of a registry."""
    archive_tier_gb: Amount = 153_600
    """The gigabytes of a registry's archive that cost `archiveGbMonth`: 150 TB."""
    archive_gb_month_above: Amount = 0.07
    """A gigabyte for a month in the archive beyond `archiveTierGb`."""
    transfer_gb: Amount = 0.02
    """A gigabyte from one Region to another, by replication or by a pull. Within a Region it is free."""
    enhanced_scan: Amount = 0.09
    """The first scan of an image by Amazon Inspector. Basic scans are free."""

    def standard(self, stored: float) -> float:
        """Return what so many bytes in the standard storage class cost a month."""
        return stored / GB * self.standard_gb_month

    def archive(self, stored: float) -> float:
        """Return what so many bytes in the archive of one registry cost a month."""
        held = stored / GB
        within = min(held, self.archive_tier_gb)
        return within * self.archive_gb_month + (held - within) * self.archive_gb_month_above

    def transfer(self, moved: float) -> float:
        """Return what it costs to move so many bytes to another Region."""
        return moved / GB * self.transfer_gb
