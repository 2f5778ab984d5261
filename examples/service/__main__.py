"""One service in one deployment: repository, image repository, push role and Actions variables."""

import hashlib
import json
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_github as github

from ecr.deploy.component import ServiceImageRepository
from ecr.deploy.resources import declare_providers
from ecr.deploy.service import Estate
from ecr.plan.access.push_roles import GitHubRepository, push_policy, push_trust
from ecr.plan.naming import service_name
from ecr.registry.registry import Placement


def _role_name(service: str) -> str:
    """Return the role's name, of 64 characters at most; two long names that begin alike stay apart."""
    name = f"push-{service}"
    if len(name) <= 64:  # noqa: PLR2004 - "IAM and AWS STS quotas"
        return name
    return f"{name[:53]}-{hashlib.sha256(service.encode()).hexdigest()[:10]}"


async def main() -> dict[str, Any]:
    """Deploy the service of this stack."""
    config = pulumi.Config()
    name, organisation = config.require("name"), config.require("organisation")
    central = pulumi.StackReference(config.require("central"))
    told: Any = (await central.get_output_details("forServices")).value
    estate = Estate.of(told)

    on_github = pulumi.ResourceOptions(
        provider=github.Provider("github", owner=organisation, base_url=config.get("githubUrl"))
    )
    repository = github.Repository(
        name,
        name=name,
        visibility="private",
        archive_on_destroy=True,
        opts=pulumi.ResourceOptions.merge(on_github, pulumi.ResourceOptions(protect=True)),
    )

    registry = estate.registry
    in_aws = declare_providers({registry: config.get("role")})[registry.account]
    image_repository = ServiceImageRepository(
        name,
        {"forServices": told, "organisation": organisation, "repository": name},
        pulumi.ResourceOptions(providers=[in_aws]),
    )
    placement = Placement(registry, service_name(name, {}))

    said = github.get_rest_api_output(
        endpoint=f"orgs/{organisation}",
        opts=pulumi.InvokeOutputOptions(provider=on_github.provider),
    )
    role = aws.iam.Role(
        "push",
        name=_role_name(placement.name),
        assume_role_policy=pulumi.Output.all(said.body, repository.repo_id).apply(
            lambda known: push_trust(
                registry,
                GitHubRepository(
                    # As GitHub writes it: AWS compares a token's subject with its case.
                    json.loads(known[0])["login"],
                    json.loads(known[0])["id"],
                    name,
                    int(known[1]),
                ),
            )
        ),
        opts=pulumi.ResourceOptions(provider=in_aws),
    )
    aws.iam.RolePolicy(
        "push",
        role=role.name,
        policy=push_policy([placement]),
        opts=pulumi.ResourceOptions(provider=in_aws),
    )

    variables: dict[str, pulumi.Input[str]] = {
        "ECR_REGION": registry.region,
        "ECR_PUSH_ROLE": role.arn,
        "ECR_REPOSITORY": image_repository.url,
    }
    for variable, value in variables.items():
        github.ActionsVariable(
            variable,
            repository=repository.name,
            variable_name=variable,
            value=value,
            opts=on_github,
        )
    return {
        "imageRepository": image_repository.url,
        "pushRole": role.arn,
        "replicatedTo": image_repository.replicated_to,
    }


pulumi.run(main)
