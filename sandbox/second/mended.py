"""Ministack as the second opinion has it: run as a program, by an interpreter that finds ministack.

Owns what is added to ministack and what is mended in it, each by name in the two tables; the decisions about
permissions are ministack's own, and nothing here touches them but for what they are asked about. Reads Amazon's own
pages. Never imports anything of this project: it runs with the packages that ministack wants.
"""

# ruff: noqa: SLF001 - what is mended is inside
from __future__ import annotations

import base64
import importlib
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Fields = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]

ecr: Any = importlib.import_module("ministack.services.ecr")
iam_actions: Any = importlib.import_module("ministack.core.iam_actions")
iam_evaluator: Any = importlib.import_module("ministack.core.iam_evaluator")
responses: Any = importlib.import_module("ministack.core.responses")
sts: Any = importlib.import_module("ministack.services.sts")

ORGANISATION = os.environ["SECOND_ORGANISATION"]

ADDED: dict[str, Callable[[Fields], Answer]] = {}
"""Operations of Amazon ECR that ministack has not, or has without what the program reads of them."""

_registries: Any = responses.AccountRegionScopedDict()


def operation(function: Callable[[Fields], Answer]) -> Callable[[Fields], Answer]:
    """Add an operation by the name of its function."""
    ADDED["".join(part.title() for part in function.__name__.split("_"))] = function
    return function


def said(value: Fields) -> Answer:
    """Answer with an object."""
    answer: Answer = responses.json_response(value)
    return answer


def refused(code: str, message: str) -> Answer:
    """Answer with an error of the service."""
    answer: Answer = responses.error_response_json(code, message, 400)
    return answer


def mine() -> Fields:
    """Give the documents of the registry that is asked, those of a new one at first."""
    if "registry" not in _registries:
        _registries["registry"] = {
            "policy": None,
            "replication": {"rules": []},
            "scanning": {"scanType": "BASIC", "rules": []},
            "settings": {"BASIC_SCAN_TYPE_VERSION": "AWS_NATIVE", "REGISTRY_POLICY_SCOPE": "V2"},
            "exclusions": [],
        }
    held: Fields = _registries["registry"]
    return held


def registry_id() -> str:
    """Give the registry that is asked."""
    return str(responses.get_account_id())


@operation
def get_registry_policy(_: Fields) -> Answer:
    """Amazon ECR API Reference, GetRegistryPolicy."""
    if mine()["policy"] is None:
        return refused("RegistryPolicyNotFoundException", f"no policy in {registry_id()}")
    return said({"registryId": registry_id(), "policyText": mine()["policy"]})


@operation
def put_registry_policy(asked: Fields) -> Answer:
    """Amazon ECR API Reference, PutRegistryPolicy."""
    if problem := iam_evaluator.validate_policy_document(asked["policyText"]):
        return refused("InvalidParameterException", problem)
    mine()["policy"] = asked["policyText"]
    return said({"registryId": registry_id(), "policyText": asked["policyText"]})


@operation
def delete_registry_policy(_: Fields) -> Answer:
    """Amazon ECR API Reference, DeleteRegistryPolicy."""
    answer = get_registry_policy({})
    mine()["policy"] = None
    return answer


@operation
def get_registry_scanning_configuration(_: Fields) -> Answer:
    """Amazon ECR API Reference, GetRegistryScanningConfiguration."""
    return said({"registryId": registry_id(), "scanningConfiguration": mine()["scanning"]})


@operation
def put_registry_scanning_configuration(asked: Fields) -> Answer:
    """Amazon ECR API Reference, PutRegistryScanningConfiguration."""
    mine()["scanning"] = {
        "scanType": asked.get("scanType", "BASIC"),
        "rules": asked.get("rules", []),
    }
    return said({"registryScanningConfiguration": mine()["scanning"]})


@operation
def describe_registry(_: Fields) -> Answer:
    """Amazon ECR API Reference, DescribeRegistry: ministack says of every registry that nothing replicates."""
    return said({"registryId": registry_id(), "replicationConfiguration": mine()["replication"]})


@operation
def put_replication_configuration(asked: Fields) -> Answer:
    """Amazon ECR API Reference, PutReplicationConfiguration; nothing is copied."""
    mine()["replication"] = asked["replicationConfiguration"]
    return said({"replicationConfiguration": mine()["replication"]})


@operation
def get_account_setting(asked: Fields) -> Answer:
    """Amazon ECR API Reference, GetAccountSetting."""
    return said({"name": asked["name"], "value": mine()["settings"].get(asked["name"], "DISABLED")})


@operation
def put_account_setting(asked: Fields) -> Answer:
    """Amazon ECR API Reference, PutAccountSetting."""
    mine()["settings"][asked["name"]] = asked["value"]
    return said({"name": asked["name"], "value": asked["value"]})


@operation
def describe_repositories(asked: Fields) -> Answer:
    """Amazon ECR API Reference, DescribeRepositories: by pages, and with the filters of mutability."""
    names = asked.get("repositoryNames") or []
    for name in names:
        if name not in ecr._repositories:
            text = f"The repository with name '{name}' does not exist"
            return refused("RepositoryNotFoundException", text)
    held = names or sorted(ecr._repositories.keys())
    first, most = int(asked.get("nextToken") or 0), int(asked.get("maxResults") or 100)
    shown = held if names else held[first : first + most]
    more = {} if names or first + most >= len(held) else {"nextToken": str(first + most)}
    return said({"repositories": [shape(ecr._repositories[name]) for name in shown], **more})


@operation
def create_repository(asked: Fields) -> Answer:
    """Amazon ECR API Reference, CreateRepository: with the filters of mutability."""
    answer: Answer = ecr._create_repository(asked)
    if answer[0] == 200:  # noqa: PLR2004 - the status of HTTP
        keep_filters(asked)
        return said({"repository": shape(ecr._repositories[asked["repositoryName"]])})
    return answer


@operation
def put_image_tag_mutability(asked: Fields) -> Answer:
    """Amazon ECR API Reference, PutImageTagMutability: with the filters of mutability."""
    answer: Answer = ecr._put_image_tag_mutability(asked)
    if answer[0] == 200:  # noqa: PLR2004 - the status of HTTP
        keep_filters(asked)
    return answer


@operation
def start_lifecycle_policy_preview(asked: Fields) -> Answer:
    """Amazon ECR API Reference, StartLifecyclePolicyPreview: nothing is ever evaluated here."""
    if asked.get("repositoryName") not in ecr._repositories:
        return refused("RepositoryNotFoundException", "The repository does not exist")
    return said({**asked, "registryId": registry_id(), "status": "IN_PROGRESS"})


@operation
def register_pull_time_update_exclusion(asked: Fields) -> Answer:
    """Amazon ECR API Reference, RegisterPullTimeUpdateExclusion."""
    if asked["principalArn"] in mine()["exclusions"]:
        return refused("ExclusionAlreadyExistsException", "The principal is excluded already")
    mine()["exclusions"].append(asked["principalArn"])
    return said({"principalArn": asked["principalArn"], "createdAt": time.time()})


@operation
def deregister_pull_time_update_exclusion(asked: Fields) -> Answer:
    """Amazon ECR API Reference, DeregisterPullTimeUpdateExclusion."""
    if asked["principalArn"] not in mine()["exclusions"]:
        return refused("ExclusionNotFoundException", "The principal is not excluded")
    mine()["exclusions"].remove(asked["principalArn"])
    return said({"principalArn": asked["principalArn"]})


@operation
def list_pull_time_update_exclusions(_: Fields) -> Answer:
    """Amazon ECR API Reference, ListPullTimeUpdateExclusions."""
    return said({"pullTimeUpdateExclusions": mine()["exclusions"]})


@operation
def describe_repository_creation_templates(_: Fields) -> Answer:
    """Amazon ECR API Reference, DescribeRepositoryCreationTemplates: there are none."""
    return said({"registryId": registry_id(), "repositoryCreationTemplates": []})


@operation
def describe_pull_through_cache_rules(_: Fields) -> Answer:
    """Amazon ECR API Reference, DescribePullThroughCacheRules: there are none."""
    return said({"pullThroughCacheRules": []})


@operation
def get_signing_configuration(_: Fields) -> Answer:
    """Amazon ECR API Reference, GetSigningConfiguration: there is none."""
    return refused("SigningConfigurationNotFoundException", "There is no signing configuration")


_FILTERS = "imageTagMutabilityExclusionFilters"


def keep_filters(asked: Fields) -> None:
    """Keep the filters of a request with its image repository."""
    ecr._repositories[asked["repositoryName"]][_FILTERS] = asked.get(_FILTERS) or []


def shape(repository: Fields) -> Fields:
    """Give an image repository as DescribeRepositories shows it."""
    filters = repository.get(_FILTERS)
    return {**ecr._repo_shape(repository), **({_FILTERS: filters} if filters else {})}


MENDED: dict[str, Callable[[Fields, str, str], str]] = {
    # Service Authorization Reference: the resource of each is what the request names.
    "ecr": lambda asked, region, account: (
        asked.get("resourceArn")
        or (
            f"arn:aws:ecr:{region}:{account}:repository/{asked.get('repositoryName') or '*'}"
            if asked.get("repositoryName") or asked["Action"] == "DescribeRepositories"
            else ""
        )
    ),
    "events": lambda asked, region, account: (
        asked.get("ResourceARN")
        or (
            f"arn:aws:events:{region}:{account}:rule/{asked.get('Rule') or asked.get('Name')}"
            if asked.get("Rule") or asked.get("Name")
            else ""
        )
    ),
    "iam": lambda asked, _, account: (
        asked.get("OpenIDConnectProviderArn")
        or (
            f"arn:aws:iam::{account}:oidc-provider/{asked['Url'].removeprefix('https://')}"
            if "Url" in asked
            else ""
        )
    ),
    "kms": lambda asked, region, account: (
        f"arn:aws:kms:{region}:{account}:key/{asked['TargetKeyId'].rpartition('/')[2]}"
        if "TargetKeyId" in asked
        else f"arn:aws:kms:{region}:{account}:{asked['AliasName']}"
        if "AliasName" in asked
        else ""
    ),
    "sns": lambda asked, _, __: asked.get("ResourceArn") or "",
}
"""ARNs that ministack makes of a request in another form than AWS, by service."""


def mend() -> None:
    """Put all of it in place."""
    theirs, arns, claims = (
        ecr.handle_request,
        iam_actions.extract_resource_arn,
        sts._web_identity_principal,
    )

    async def handle(method: str, path: str, headers: Fields, body: bytes, query: Fields) -> Answer:
        added = ADDED.get(headers.get("x-amz-target", "").rpartition(".")[2])
        if added:
            return added(json.loads(body or b"{}"))
        answer: Answer = await theirs(method, path, headers, body, query)
        return answer

    def arn(service: str, *request: Any) -> str:  # noqa: ANN401 - as theirs is
        headers, body, query, *place = request[2:]
        mended = MENDED.get(service)
        asked = {
            key: value[0] if isinstance(value, list) else value for key, value in query.items()
        }
        if body.startswith(b"{"):
            asked |= json.loads(body)
            asked["Action"] = headers.get("x-amz-target", "").rpartition(".")[2]
        return (mended(asked, *place) if mended else "") or str(arns(service, *request))

    def principal(token: str, provider: str, role: str) -> tuple[str, Fields]:
        # IAM User Guide, "Available keys for AWS OIDC federation": GitHub's claims are keys, too.
        named, keys = claims(token, provider, role)
        issuer = named.partition("oidc-provider/")[2]
        body = token.split(".")[1]
        given = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return named, {
            **{f"{issuer}:{name}".lower(): str(value) for name, value in given.items()},
            **keys,
        }

    ecr.handle_request = handle
    iam_actions.extract_resource_arn = arn
    sts._web_identity_principal = principal
    # Every account is in the one organisation; ministack gives each its own.
    iam_evaluator._principal_org_id = lambda _: ORGANISATION


if __name__ == "__main__":
    mend()
    sys.argv = ["ministack"]
    importlib.import_module("ministack.app").main()
