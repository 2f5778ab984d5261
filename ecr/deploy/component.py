"""One service's image repository as a component, for the service's own program in any language.

Owns what the component takes and gives. The image repository is planned as the central program would plan it,
from that program's output ``forServices``, and is registered by the same code.
"""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from ecr.deploy.resources import declare_image_repository
from ecr.deploy.service import Estate


class ServiceImageRepositoryArgs(TypedDict):
    """What the component needs to know."""

    forServices: pulumi.Input[dict[str, Any]]
    """The output `forServices` of the central stack."""
    organisation: pulumi.Input[str]
    """The GitHub organisation's login."""
    repository: pulumi.Input[str]
    """The GitHub repository's name; in lower case it is the image repository's."""
    owner: NotRequired[pulumi.Input[str]]
    """The stack that has it, for the tag `managed-by`; without it `service/STACK`."""


class ServiceImageRepository(pulumi.ComponentResource):
    """The image repository of one service, in the artifacts registry of the estate.

    It uses the AWS provider among its own options, which must work in the artifacts account; the Region is that
    of the registry. Raises NameRefusedError where ECR has no such name, and EstateError where the central stack
    has no output ``forServices``.
    """

    name: pulumi.Output[str]
    """The name of the image repository in ECR."""
    url: pulumi.Output[str]
    """What images are tagged and pushed by."""
    replicated_to: pulumi.Output[list[str]]
    """The registries, as ACCOUNT/REGION, to which the estate's rules send what is pushed."""

    def __init__(
        self,
        name: str,
        args: ServiceImageRepositoryArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ecr-estate:index:ServiceImageRepository", name, dict(args), opts)
        owner = args.get("owner", f"service/{pulumi.get_stack()}")
        # Whether there is a lifecycle policy is known with the arguments only. They are known in a preview
        # too, as outputs of a stack that is deployed; so what is registered here is seen there.
        made = pulumi.Output.all(
            estate=args["forServices"],
            organisation=args["organisation"],
            repository=args["repository"],
            owner=owner,
        ).apply(self._made)
        self.name = made.apply(lambda each: each.name)
        self.url = made.apply(lambda each: each.repository_url)
        self.replicated_to = pulumi.Output.all(args["forServices"], self.name).apply(
            lambda known: list(Estate.of(known[0]).replicated_to(known[1]))
        )
        self.register_outputs(
            {"name": self.name, "url": self.url, "replicatedTo": self.replicated_to}
        )

    def _made(self, args: Mapping[str, Any]) -> aws.ecr.Repository:
        planned = Estate.of(args["estate"]).image_repository(
            args["organisation"], args["repository"], owner=args["owner"]
        )
        return declare_image_repository(planned, parent=self)
