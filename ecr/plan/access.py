"""Access: every policy document of the estate, written from the plan's own names and accounts.

Owns who may do what to images. Never names a principal wider than the sentence in the docstring, and
never ecr:GetAuthorizationToken, which ECR refuses in resource policies.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ecr.plan.model import Registry

PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
"""What `docker pull` needs (Amazon ECR User Guide, "Repository policy examples")."""

LOOK = ("ecr:DescribeImages", "ecr:ListImages")
"""What finding a tag's digest needs."""


def organisation_may_pull(registry: Registry, organisation: str) -> str:
    """Let every principal of one AWS organisation pull, and look, but change nothing.

    A registry policy of the V2 scope covers these actions for every image repository at once
    (Amazon ECR User Guide, "Private registry permissions").
    """
    return _document(
        {
            "Sid": "OrganisationPull",
            "Effect": "Allow",
            "Principal": "*",
            "Action": [*PULL, *LOOK],
            "Resource": registry.arn("*"),
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": organisation}},
        }
    )


def sources_may_replicate(destination: Registry, sources: Iterable[Registry]) -> str:
    """Let the replication of the source accounts write into image repositories that exist.

    Without ecr:CreateRepository a prefix that covers too much finds nothing to write into.
    """
    roots = sorted({f"arn:{each.partition}:iam::{each.account}:root" for each in sources})
    return _document(
        {
            "Sid": "Replication",
            "Effect": "Allow",
            "Principal": {"AWS": roots[0] if len(roots) == 1 else roots},
            "Action": ["ecr:ReplicateImage"],
            "Resource": destination.arn("*"),
        }
    )


def functions_may_pull(registry: Registry) -> str:
    """Let the Lambda service fetch images for functions of the same account and Region.

    Lambda writes a statement of its own if it finds none, which would show as drift
    (AWS Lambda Developer Guide, "Create a Lambda function using a container image").
    """
    functions = f"arn:{registry.partition}:lambda:{registry.region}:{registry.account}:function:*"
    return _document(
        {
            "Sid": "LambdaECRImageRetrievalPolicy",
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Condition": {"StringLike": {"aws:sourceArn": functions}},
        }
    )


def _document(*statements: Mapping[str, Any]) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":")
    )
