"""The barest Pulumi program for an estate: a loop over names, nothing checked, nothing remembered.

It registers what the project's program registers for services without replicas, with the same
inputs, and is what the benchmark compares with. NAMES holds the names, one a line. With TURNS set it
yields to the event loop and rests the collector as ``ecr.deploy.resources`` does, and is barest but for that.
"""

import asyncio
import gc
import os
from pathlib import Path

import pulumi
import pulumi_aws as aws

ACCOUNT, REGION = "111111111111", "eu-west-1"
LIFECYCLE = os.environ["LIFECYCLE"]
POLICY = os.environ["POLICY"]

ROLE = f"arn:aws:iam::{ACCOUNT}:role/ecr-estate-deploy"

provider = aws.Provider(
    ACCOUNT,
    region=REGION,
    allowed_account_ids=[ACCOUNT],
    assume_roles=[aws.ProviderAssumeRoleArgs(role_arn=ROLE, session_name="ecr-estate")],
)
options = pulumi.ResourceOptions(provider=provider)
aws.ecr.RegistryPolicy("registry", region=REGION, policy=POLICY, opts=options)
aws.ecr.RegistryScanningConfiguration(
    "registry",
    region=REGION,
    scan_type="BASIC",
    rules=[
        aws.ecr.RegistryScanningConfigurationRuleArgs(
            scan_frequency="SCAN_ON_PUSH",
            repository_filters=[
                aws.ecr.RegistryScanningConfigurationRuleRepositoryFilterArgs(
                    filter="*", filter_type="WILDCARD"
                )
            ],
        )
    ],
    opts=options,
)
NAMES = Path(os.environ["NAMES"]).read_text().split()


def declare(number: int, name: str) -> None:
    """Register one service."""
    repository = aws.ecr.Repository(
        name,
        name=name,
        region=REGION,
        force_delete=False,
        image_tag_mutability="IMMUTABLE",
        encryption_configurations=[
            aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="AES256")
        ],
        tags={
            "managed-by": "ecr-estate",
            "github-owner": "sandbox-org",
            "github-repository": name,
            "github-id": str(number),
        },
        opts=pulumi.ResourceOptions(provider=provider, protect=True),
    )
    aws.ecr.LifecyclePolicy(
        name,
        repository=repository.name,
        region=REGION,
        policy=LIFECYCLE,
        opts=options,
    )


async def in_turns() -> None:
    """Register all, with the turns of the program that is measured."""
    gc.collect()
    gc.disable()
    for number, name in enumerate(NAMES, 1):
        declare(number, name)
        if number % 100 == 0:
            await asyncio.sleep(0)


if os.environ.get("TURNS"):
    pulumi.run(in_turns)
else:
    for number, name in enumerate(NAMES, 1):
        declare(number, name)
