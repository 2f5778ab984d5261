"""Rules about image repositories, their tags, policies and who is named in these."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox.aws.rules.table import (
    OTHER,
    REGION,
    Operation,
    Page,
    Stage,
    add_refusal,
    holds,
    refuses,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def _filters(*patterns: str) -> list[dict[str, str]]:
    return [{"filterType": "WILDCARD", "filter": each} for each in patterns]


def statement(principal: Any = "*", action: Any = "ecr:BatchGetImage", **more: Any) -> str:
    """Return a policy of one statement."""
    made = {"Effect": "Allow", "Principal": principal, "Action": action, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [made]})


_CREATE = Operation("CreateRepository")


def _named(name: str) -> Callable[[Stage], Callable[[], object]]:
    return lambda stage: lambda: stage.ecr.create_repository(repositoryName=name)


for _identifier, _name, _says in (
    ("name-with-capitals", "Api", "a repository name with a capital letter"),
    ("name-too-short", "a", "a repository name of one character"),
    ("name-too-long", "a" * 257, "a repository name of 257 characters"),
    ("name-with-two-hyphens", "a--b", "a repository name with two separators side by side"),
    ("name-ends-with-a-slash", "team/", "a repository name that ends with a slash"),
    ("name-begins-with-a-hyphen", "-api", "a repository name that begins with a separator"),
):
    add_refusal(_identifier, _CREATE, _says, _named(_name))


@refuses(_CREATE, "a repository name that exists already", "RepositoryAlreadyExistsException")
def name_taken(stage: Stage) -> Callable[[], object]:
    name = stage.repository()
    return lambda: stage.repository(name)


@refuses(Page.QUOTAS, "one repository more than the quota", "LimitExceededException")
def too_many_repositories(stage: Stage) -> Callable[[], object]:
    stage.world.quotas.repositories = 2
    stage.repository("one")
    stage.repository("two")
    return lambda: stage.repository("three")


@refuses(_CREATE, "a KMS key beside the encryption AES256")
def key_beside_aes256(stage: Stage) -> Callable[[], object]:
    encryption = {"encryptionType": "AES256", "kmsKey": "alias/images"}
    return lambda: stage.repository(encryptionConfiguration=encryption)


@refuses(_CREATE, "51 resource tags at creation", "TooManyTagsException")
def too_many_tags_at_creation(stage: Stage) -> Callable[[], object]:
    return lambda: stage.repository(tags=[{"Key": f"k{n}", "Value": ""} for n in range(51)])


@refuses(Operation("TagResource"), "a 51st resource tag afterwards", "TooManyTagsException")
def too_many_tags_afterwards(stage: Stage) -> Callable[[], object]:
    stage.repository(tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])
    arn = f"arn:aws:ecr:{REGION}:{stage.account}:repository/api"
    return lambda: stage.ecr.tag_resource(resourceArn=arn, tags=[{"Key": "x", "Value": ""}])


@refuses(_CREATE, "a resource tag whose key begins with aws:", "InvalidTagParameterException")
def tag_of_aws_itself(stage: Stage) -> Callable[[], object]:
    return lambda: stage.repository(tags=[{"Key": "aws:team", "Value": "a"}])


@refuses(_CREATE, "a resource tag key of 129 characters", "InvalidTagParameterException")
def tag_key_too_long(stage: Stage) -> Callable[[], object]:
    return lambda: stage.repository(tags=[{"Key": "k" * 129, "Value": "a"}])


@refuses(_CREATE, "a resource tag value of 257 characters", "InvalidTagParameterException")
def tag_value_too_long(stage: Stage) -> Callable[[], object]:
    return lambda: stage.repository(tags=[{"Key": "k", "Value": "v" * 257}])


@refuses(Page.IMMUTABILITY, "exclusion filters beside plain IMMUTABLE")
def filters_without_exclusion(stage: Stage) -> Callable[[], object]:
    return lambda: stage.repository(
        imageTagMutability="IMMUTABLE", imageTagMutabilityExclusionFilters=_filters("a*")
    )


@refuses(Page.IMMUTABILITY, "IMMUTABLE_WITH_EXCLUSION without filters")
def exclusion_without_filters(stage: Stage) -> Callable[[], object]:
    return lambda: stage.repository(imageTagMutability="IMMUTABLE_WITH_EXCLUSION")


@refuses(Page.IMMUTABILITY, "a sixth exclusion filter")
def six_exclusion_filters(stage: Stage) -> Callable[[], object]:
    return lambda: stage.repository(
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=_filters(*"abcdef"),
    )


@refuses(Page.IMMUTABILITY, "an exclusion filter with three wildcards")
def three_wildcards_in_an_exclusion(stage: Stage) -> Callable[[], object]:
    return lambda: stage.repository(
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=_filters("*a*b*"),
    )


@refuses(Operation("PutImageTagMutability"), "exclusion filters that do not fit, in a later change")
def filters_that_do_not_fit_afterwards(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return lambda: stage.ecr.put_image_tag_mutability(
        repositoryName="api",
        imageTagMutability="MUTABLE",
        imageTagMutabilityExclusionFilters=_filters("a*"),
    )


@refuses(
    Operation("DeleteRepository"),
    "deleting a repository with images, without force",
    "RepositoryNotEmptyException",
)
def delete_with_images(stage: Stage) -> Callable[[], object]:
    stage.repository()
    stage.push("v1")
    return lambda: stage.ecr.delete_repository(repositoryName="api")


@refuses(
    Page.ARCHIVING,
    "deleting a repository whose images are all archived, without force",
    "RepositoryNotEmptyException",
)
def delete_with_archived_images(stage: Stage) -> Callable[[], object]:
    stage.repository()
    stage.archive(stage.push("v1"))
    return lambda: stage.ecr.delete_repository(repositoryName="api")


@refuses(
    Operation("DescribeRepositories"),
    "describing a repository that does not exist",
    "RepositoryNotFoundException",
)
def describe_what_is_not_there(stage: Stage) -> Callable[[], object]:
    return lambda: stage.ecr.describe_repositories(repositoryNames=["api"])


@refuses(Operation("DescribeRepositories"), "names together with maxResults")
def names_with_a_page(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return lambda: stage.ecr.describe_repositories(repositoryNames=["api"], maxResults=5)


@holds(Operation("DescribeRepositories"), "more than 100 repositories in one answer are hidden")
def repositories_come_in_pages(stage: Stage) -> bool:
    for number in range(101):
        stage.repository(f"api-{number}")
    answer = stage.ecr.describe_repositories()
    return len(answer["repositories"]) == 100 and "nextToken" in answer


# Policies


@refuses(Page.REPOSITORY_POLICY, "ecr:GetAuthorizationToken in a repository policy")
def token_in_a_repository_policy(stage: Stage) -> Callable[[], object]:
    stage.repository()
    text = statement(action="ecr:GetAuthorizationToken")
    return lambda: stage.ecr.set_repository_policy(repositoryName="api", policyText=text)


@refuses(Page.REPOSITORY_POLICY, "an action of another service in a repository policy")
def foreign_action_in_a_repository_policy(stage: Stage) -> Callable[[], object]:
    stage.repository()
    text = statement(action="s3:GetObject")
    return lambda: stage.ecr.set_repository_policy(repositoryName="api", policyText=text)


@refuses(Page.REPOSITORY_POLICY, "a repository policy without a principal")
def no_principal_in_a_repository_policy(stage: Stage) -> Callable[[], object]:
    stage.repository()
    text = json.dumps({"Statement": [{"Effect": "Allow", "Action": "ecr:*"}]})
    return lambda: stage.ecr.set_repository_policy(repositoryName="api", policyText=text)


@refuses(Page.QUOTAS, "a repository policy of more than 10,240 characters")
def repository_policy_too_long(stage: Stage) -> Callable[[], object]:
    stage.repository()
    text = statement(Sid="s" * 10_240)
    return lambda: stage.ecr.set_repository_policy(repositoryName="api", policyText=text)


@refuses(Page.IAM_PRINCIPAL, "a role that does not exist as the principal of a repository policy")
def unknown_role_in_a_repository_policy(stage: Stage) -> Callable[[], object]:
    stage.repository()
    text = statement({"AWS": f"arn:aws:iam::{stage.account}:role/nobody"})
    return lambda: stage.ecr.set_repository_policy(repositoryName="api", policyText=text)


@refuses(Page.IAM_SLOW, "a role that was made a moment ago as the principal of a policy")
def new_role_in_a_repository_policy(stage: Stage) -> Callable[[], object]:
    stage.world.delays.knowing_a_role = 15
    stage.repository()
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = stage.client("iam").create_role(RoleName="new", AssumeRolePolicyDocument=trust)
    text = statement({"AWS": role["Role"]["Arn"]})
    return lambda: stage.ecr.set_repository_policy(repositoryName="api", policyText=text)


@refuses(Page.REGISTRY_POLICY, "a registry policy without a version")
def registry_policy_without_a_version(stage: Stage) -> Callable[[], object]:
    made = json.loads(statement(Resource="*"))
    del made["Version"]
    return lambda: stage.ecr.put_registry_policy(policyText=json.dumps(made))


@refuses(Page.REGISTRY_POLICY, "a registry policy about the resources of another registry")
def registry_policy_of_another_registry(stage: Stage) -> Callable[[], object]:
    text = statement(Resource=f"arn:aws:ecr:{REGION}:{OTHER}:repository/*")
    return lambda: stage.ecr.put_registry_policy(policyText=text)


@refuses(Page.REGISTRY_POLICY, "a registry policy without resources")
def registry_policy_without_resources(stage: Stage) -> Callable[[], object]:
    return lambda: stage.ecr.put_registry_policy(policyText=statement())


@refuses(Page.REGISTRY_POLICY, "an unknown effect in a registry policy")
def registry_policy_with_an_unknown_effect(stage: Stage) -> Callable[[], object]:
    text = statement(Resource="*", Effect="Maybe")
    return lambda: stage.ecr.put_registry_policy(policyText=text)


@refuses(Page.REGISTRY_POLICY, "an unknown condition operator in a registry policy")
def registry_policy_with_an_unknown_operator(stage: Stage) -> Callable[[], object]:
    text = statement(Resource="*", Condition={"StringSeems": {"aws:PrincipalOrgID": "o-1"}})
    return lambda: stage.ecr.put_registry_policy(policyText=text)


@refuses(Page.QUOTAS, "a registry policy of more than 10,240 characters")
def registry_policy_too_long(stage: Stage) -> Callable[[], object]:
    text = statement(Resource="*", Sid="s" * 10_240)
    return lambda: stage.ecr.put_registry_policy(policyText=text)


# Names in IAM


@refuses(Page.IAM_ROLE, "a role name that exists already", "EntityAlreadyExists")
def role_name_taken(stage: Stage) -> Callable[[], object]:
    iam, trust = stage.client("iam"), json.dumps({"Version": "2012-10-17", "Statement": []})

    def make() -> object:
        return iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=trust)

    make()
    return make


@refuses(Page.IAM_PROVIDER, "an identity provider that exists already", "EntityAlreadyExists")
def identity_provider_taken(stage: Stage) -> Callable[[], object]:
    iam = stage.client("iam")

    def make() -> object:
        return iam.create_open_id_connect_provider(
            Url="https://token.actions.githubusercontent.com", ThumbprintList=["0" * 40]
        )

    make()
    return make
