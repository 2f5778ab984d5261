"""Access: each document grants what its name says and nothing more."""

import json
from typing import Any

from ecr.plan.access import functions_may_pull, organisation_may_pull, sources_may_replicate
from ecr.plan.model import Registry

SOURCE = Registry("111111111111", "eu-west-1")
DESTINATION = Registry("222222222222", "us-east-1")


def statement(document: str) -> dict[str, Any]:
    parsed = json.loads(document)
    assert parsed["Version"] == "2012-10-17"
    (only,) = parsed["Statement"]
    assert isinstance(only, dict)
    return only


def test_the_organisation_may_pull_and_nobody_else() -> None:
    granted = statement(organisation_may_pull(SOURCE, "o-a1b2c3d4e5"))
    assert granted["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}
    assert granted["Resource"] == "arn:aws:ecr:eu-west-1:111111111111:repository/*"


def test_the_organisation_changes_nothing() -> None:
    actions = statement(organisation_may_pull(SOURCE, "o-a1b2c3d4e5"))["Action"]
    assert all(
        action.startswith(("ecr:Batch", "ecr:Get", "ecr:Describe", "ecr:List"))
        for action in actions
    )
    assert "ecr:BatchDeleteImage" not in actions


def test_no_document_names_an_action_that_ecr_refuses_in_resource_policies() -> None:
    for document in (
        organisation_may_pull(SOURCE, "o-a1b2c3d4e5"),
        sources_may_replicate(DESTINATION, [SOURCE]),
        functions_may_pull(DESTINATION),
    ):
        assert "GetAuthorizationToken" not in document


def test_replication_may_fill_image_repositories_but_never_create_them() -> None:
    assert statement(sources_may_replicate(DESTINATION, [SOURCE]))["Action"] == [
        "ecr:ReplicateImage"
    ]


def test_functions_of_the_same_account_and_region_may_pull() -> None:
    granted = statement(functions_may_pull(DESTINATION))
    assert granted["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert granted["Condition"]["StringLike"] == {
        "aws:sourceArn": "arn:aws:lambda:us-east-1:222222222222:function:*"
    }
