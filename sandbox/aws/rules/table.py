"""What a rule of the embedded AWS is, and how each is tried.

Owns the form of a rule, the AWS pages that rules cite, the stage on which a rule is tried, and the
verdict. Reads nothing. Each rule is tried against an embedded AWS of its own, by the API alone but for
what no API can do: moving the clock and lowering a quota.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from sandbox.aws.embedded import EmbeddedAws
from sandbox.citations import CitedPage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REGION = "eu-west-1"
ELSEWHERE = "us-east-1"
OTHER = "222222222222"
ORGANISATION = "o-sandbox0001"
IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

_GUIDE = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/"
_DOCS = "https://docs.aws.amazon.com/"
_REFERENCES = {
    "ecr": ("Amazon ECR", f"{_DOCS}AmazonECR/latest/APIReference/API_"),
    "events": ("Amazon EventBridge", f"{_DOCS}eventbridge/latest/APIReference/API_"),
    "iam": ("IAM", f"{_DOCS}IAM/latest/APIReference/API_"),
    "kms": ("AWS KMS", f"{_DOCS}kms/latest/APIReference/API_"),
    "sns": ("Amazon SNS", f"{_DOCS}sns/latest/api/API_"),
    "sts": ("AWS STS", f"{_DOCS}STS/latest/APIReference/API_"),
}
_IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
_STS = "https://docs.aws.amazon.com/STS/latest/APIReference/API_"


class Page(CitedPage):
    """A page of Amazon's."""

    ARCHIVING = ("Archiving an image in Amazon ECR", f"{_GUIDE}archive-image.html")
    ASSUME_ROLE = ("AWS STS API Reference: AssumeRole", f"{_STS}AssumeRole.html")
    BOUNDARIES = (
        "Permissions boundaries for IAM entities",
        f"{_IAM}access_policies_boundaries.html",
    )
    BACKFILL = ("Replication backfill", f"{_GUIDE}replication-backfill.html")
    CACHE_ECR = (
        "Setting up permissions for cross-account ECR to ECR PTC",
        f"{_GUIDE}pull-through-cache-private.html",
    )
    CACHE_IAM = (
        "IAM permissions required to sync an upstream registry with an Amazon ECR private registry",
        f"{_GUIDE}pull-through-cache-iam.html",
    )
    CACHE_ROLE = (
        "Amazon ECR service-linked role for pull through cache",
        f"{_GUIDE}slr-pullthroughcache.html",
    )
    CACHE_RULE = (
        "Creating a pull through cache rule in Amazon ECR",
        f"{_GUIDE}pull-through-cache-creating-rule.html",
    )
    CACHE = (
        "Sync an upstream registry with an Amazon ECR private registry",
        f"{_GUIDE}pull-through-cache.html",
    )
    COMMON_ERRORS = ("Troubleshooting Amazon ECR error messages", f"{_GUIDE}common-errors.html")
    CROSS_ACCOUNT = (
        "Cross-account policy evaluation logic",
        f"{_IAM}reference_policies_evaluation-logic-cross-account.html",
    )
    ECR_ACTIONS = (
        "Actions, resources, and condition keys for Amazon Elastic Container Registry",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html",
    )
    ECR_ERRORS = (
        "Amazon ECR API Reference: Common Errors",
        "https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html",
    )
    ENCRYPTION = ("Encryption at rest", f"{_GUIDE}encryption-at-rest.html")
    EVALUATION = ("Policy evaluation logic", f"{_IAM}reference_policies_evaluation-logic.html")
    EXTERNAL_ID = (
        "Access to AWS accounts owned by third parties",
        f"{_IAM}id_roles_common-scenarios_third-party.html",
    )
    GLOBAL_KEYS = (
        "AWS global condition context keys",
        f"{_IAM}reference_policies_condition-keys.html",
    )
    KEY_POLICIES = (
        "Key policies in AWS KMS",
        "https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html",
    )
    LINKED_ROLES = (
        "Using service-linked roles for Amazon ECR",
        f"{_GUIDE}using-service-linked-roles.html",
    )
    SCP = (
        "SCP evaluation",
        "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html",
    )
    STS_KEYS = (
        "IAM and AWS STS condition context keys",
        f"{_IAM}reference_policies_iam-condition-keys.html",
    )
    WEB_IDENTITY = (
        "AWS STS API Reference: AssumeRoleWithWebIdentity",
        f"{_STS}AssumeRoleWithWebIdentity.html",
    )
    DELETING = ("Deleting an image in Amazon ECR", f"{_GUIDE}delete_image.html")
    DELETIONS = ("Replicating image deletions in Amazon ECR", f"{_GUIDE}replication-delete.html")
    EVENTS = ("Amazon ECR events and EventBridge", f"{_GUIDE}ecr-eventbridge.html")
    EVENTBRIDGE = (
        "Using resource-based policies for Amazon EventBridge",
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html",
    )
    ENCRYPTED_TOPICS = (
        "Managing Amazon SNS encryption keys and costs",
        "https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html",
    )
    EXCLUSIONS = ("Pull-time update exclusions", f"{_GUIDE}pull-time-update-exclusions.html")
    IAM_PRINCIPAL = (
        "AWS JSON policy elements: Principal",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
    )
    IAM_SLOW = (
        "Troubleshoot IAM: changes that I make are not always immediately visible",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html",
    )
    IAM_ROLE = (
        "CreateRole",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html",
    )
    IAM_PROVIDER = (
        "CreateOpenIDConnectProvider",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html",
    )
    IMMUTABILITY = (
        "Preventing image tags from being overwritten in Amazon ECR",
        f"{_GUIDE}image-tag-mutability.html",
    )
    INSPECTOR = (
        "Amazon Inspector: configuring the Amazon ECR re-scan duration",
        "https://docs.aws.amazon.com/inspector/latest/user/scanning_resources_configure_duration_setting_ecr.html",
    )
    LIFECYCLE = (
        "Lifecycle policy properties in Amazon ECR",
        f"{_GUIDE}lifecycle_policy_parameters.html",
    )
    LIFECYCLE_RULES = (
        "Automate the cleanup of images by using lifecycle policies in Amazon ECR",
        f"{_GUIDE}LifecyclePolicies.html",
    )
    SUBSCRIBING = (
        "Amazon SNS API Reference: Subscribe",
        "https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html",
    )
    UNCONFIRMED = (
        "Amazon SNS supports automatic deletion of unconfirmed subscriptions",
        "https://aws.amazon.com/about-aws/whats-new/2023/05/amazon-sns-automatic-deletion-unconfirmed-subscriptions/",
    )
    PASS_ROLE = (
        "Grant a user permissions to pass a role to an AWS service",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html",
    )
    QUOTAS = ("Amazon ECR service quotas", f"{_GUIDE}service-quotas.html")
    REGISTRY_POLICY = (
        "Private registry permissions in Amazon ECR",
        f"{_GUIDE}registry-permissions.html",
    )
    REPLICATION = ("Private image replication in Amazon ECR", f"{_GUIDE}replication.html")
    REPLICATION_POLICY = (
        "Granting registry permissions for cross account replication in Amazon ECR",
        f"{_GUIDE}registry-permissions-create-replication.html",
    )
    REPOSITORY_POLICY = (
        "Private repository policies in Amazon ECR",
        f"{_GUIDE}repository-policies.html",
    )
    SCANNING = (
        "Scan images for software vulnerabilities in Amazon ECR",
        f"{_GUIDE}image-scanning.html",
    )
    SCAN_FILTERS = (
        "Filters to choose which repositories are scanned in Amazon ECR",
        f"{_GUIDE}image-scanning-filters.html",
    )
    SIGNING = ("Managed signing", f"{_GUIDE}managed-signing.html")
    TEMPLATES = (
        (
            "Templates to control repositories created during a pull through cache, create on push, "
            "or replication action"
        ),
        f"{_GUIDE}repository-creation-templates.html",
    )
    TEMPLATE_MAKING = (
        "Creating a repository creation template in Amazon ECR",
        f"{_GUIDE}repository-creation-templates-create.html",
    )
    TEMPLATE_POLICY = (
        "Create a custom policy for repository creation templates",
        f"{_GUIDE}repository-creation-templates-custom.html",
    )
    TEMPLATE_LINKED_ROLE = (
        "AWS Managed Policy Reference: ECRTemplateServiceRolePolicy",
        "https://docs.aws.amazon.com/aws-managed-policy/latest/reference/ECRTemplateServiceRolePolicy.html",
    )
    TEMPLATE_ROLE = (
        "Create an IAM role for repository creation templates",
        f"{_GUIDE}repository-creation-templates-create-iam.html",
    )


@dataclass(frozen=True, slots=True)
class Operation:
    """A page of a service's API Reference, Amazon ECR's by default, by the name of the operation or type."""

    name: str
    service: str = "ecr"

    @property
    def title(self) -> str:
        """The page's title."""
        return f"{_REFERENCES[self.service][0]} API Reference: {self.name}"

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"{_REFERENCES[self.service][1]}{self.name}.html"


@cache
def _session() -> Any:
    import boto3  # noqa: PLC0415 - a quarter of a second, for one command of the sandbox

    return boto3.Session("fake", "fake")


class Stage:
    """An embedded AWS on which one rule is tried, and short ways to bring it into a state."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws = aws
        self.world = aws.world
        self.account = aws.default_account

    def client(
        self,
        service: str,
        account: str = "",
        region: str = REGION,
        keys: Mapping[str, object] | None = None,
    ) -> Any:
        """Return a client that sends whatever it is given, in an account of its own or by some keys."""
        from botocore.config import Config  # noqa: PLC0415 - see _session

        keys = keys or {}
        if account:
            role = f"arn:aws:iam::{account}:role/rules"
            given = self.client("sts").assume_role(RoleArn=role, RoleSessionName="rules")
            keys = {
                "aws_access_key_id": given["Credentials"]["AccessKeyId"],
                "aws_secret_access_key": given["Credentials"]["SecretAccessKey"],
                "aws_session_token": given["Credentials"]["SessionToken"],
            }
        # What an SDK would refuse by itself must reach the server, and nothing is tried twice.
        config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
        return _session().client(
            service, region_name=region, endpoint_url=self.aws.url, config=config, **keys
        )

    @cached_property
    def ecr(self) -> Any:
        """The registry of the default account."""
        return self.client("ecr")

    def repository(self, name: str = "api", **settings: Any) -> str:
        """Create an image repository, and return its name."""
        self.ecr.create_repository(repositoryName=name, **settings)
        return name

    def push(self, tag: str = "", content: str = "first", **more: Any) -> str:
        """Push an image into `api`, or the `name` given, and return its digest."""
        name, ecr = more.pop("name", "api"), more.pop("ecr", self.ecr)
        text = manifest(content, **more)
        ecr.put_image(repositoryName=name, imageManifest=text, **({"imageTag": tag} if tag else {}))
        return digest_of(text)

    def push_list(self, tag: str, *parts: str, name: str = "api") -> str:
        """Push an index of what was pushed, and return its digest."""
        named = [{"mediaType": IMAGE, "digest": part, "size": 1} for part in parts]
        return self.push(tag, "index", name=name, mediaType=INDEX, manifests=named)

    def tags(self, name: str = "api", ecr: Any = None, **more: Any) -> dict[str, list[str]]:
        """Return the tags of the images that are shown, by digest."""
        shown = (ecr or self.ecr).describe_images(repositoryName=name, **more)["imageDetails"]
        return {each["imageDigest"]: each.get("imageTags", []) for each in shown}

    def statuses(self, name: str = "api") -> dict[str, str]:
        """Return the status of every image, archived ones too, by digest."""
        shown = self.ecr.describe_images(repositoryName=name, filter={"imageStatus": "ANY"})
        return {each["imageDigest"]: each["imageStatus"] for each in shown["imageDetails"]}

    def archive(self, digest: str, name: str = "api") -> str:
        """Archive an image, and return its digest."""
        self.ecr.update_image_storage_class(
            repositoryName=name, imageId={"imageDigest": digest}, targetStorageClass="ARCHIVE"
        )
        return digest

    def restore(self, digest: str, name: str = "api") -> None:
        """Ask for an archived image."""
        self.ecr.update_image_storage_class(
            repositoryName=name, imageId={"imageDigest": digest}, targetStorageClass="STANDARD"
        )

    def lifecycle(self, *rules: dict[str, Any], name: str = "api") -> None:
        """Put a lifecycle policy."""
        self.ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=policy_of(*rules))

    def replicate(self, *destinations: tuple[str, str], **more: Any) -> None:
        """Replicate to accounts and Regions by one rule."""
        named = [{"registryId": account, "region": region} for account, region in destinations]
        self.ecr.put_replication_configuration(
            replicationConfiguration={"rules": [{"destinations": named, **more}]}
        )

    def failures(self, *asked: dict[str, str], operation: str = "batch_delete_image") -> list[str]:
        """Return the failure codes of a batch about images of `api`."""
        call = getattr(self.ecr, operation)
        answer = call(repositoryName="api", imageIds=list(asked))
        return [each["failureCode"] for each in answer["failures"]]


def manifest(content: str = "first", **more: Any) -> str:
    """Return the manifest of an image that is told from others by its content."""
    made = {"schemaVersion": 2, "mediaType": IMAGE, "annotations": {"it": content}, **more}
    return json.dumps({name: value for name, value in made.items() if value is not None})


def digest_of(text: str) -> str:
    """Return the digest of a manifest."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def lifecycle_rule(priority: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a rule that expires any image beyond one, with changes to its selection or `action`."""
    action = changes.pop("action", {"type": "expire"})
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1, **changes}
    return {"rulePriority": priority, "selection": selection, "action": action}


def policy_of(*rules: Any) -> str:
    """Return a lifecycle policy; it is long enough for the API, which takes no less than 100."""
    return json.dumps({"rules": rules}).ljust(100)


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that AWS refuses or hides.

    ``violate`` is tried on a stage, and returns what was accepted or shown against the rule; "" where
    the rule held. ``code`` is that of the error, "" where nothing is refused; ``topic`` is the module
    that has the rule.
    """

    identifier: str
    says: str
    page: Page | Operation
    violate: Callable[[Stage], str]
    code: str = ""
    topic: str = ""


def tried(rule: Rule) -> str:
    """Try to break a rule, and return what AWS accepted or showed; "" where the rule is enforced."""
    strict = rule.topic == "authorisation"  # elsewhere any keys are an administrator's
    with EmbeddedAws(strict=strict, organisation=ORGANISATION) as aws:
        return rule.violate(Stage(aws))


RULES: list[Rule] = []
"""Every rule, in the order of the table. The modules of this package add to it."""


def add_refusal(
    identifier: str,
    page: Page | Operation,
    says: str,
    attempt: Callable[[Stage], Callable[[], object]],
    code: str = "InvalidParameterException",
) -> None:
    """Add a rule: what the attempt returns is called, and must fail with the code.

    What the attempt does before it returns must succeed: it prepares the stage.
    """

    def violate(stage: Stage) -> str:
        return accepted(attempt(stage), code)

    RULES.append(Rule(identifier, says, page, violate, code, _topic(attempt)))


def refuses(
    page: Page | Operation, says: str, code: str = "InvalidParameterException"
) -> Callable[[Callable[[Stage], Callable[[], object]]], object]:
    """Add the decorated function as the attempt of a refusal (see `add_refusal`)."""

    def add(attempt: Callable[[Stage], Callable[[], object]]) -> object:
        add_refusal(attempt.__name__.replace("_", "-"), page, says, attempt, code)
        return attempt

    return add


def accepted(call: Callable[[], object], code: str) -> str:
    """Make a call that must fail with a code, and return how it did not; "" where it did."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - see _session

    try:
        call()
    except ClientError as refused:
        error = refused.response["Error"]
        return (
            ""
            if error["Code"] == code
            else f"{error['Code']} instead of {code}: {error['Message']}"
        )
    return "it was accepted"


def holds(page: Page | Operation, says: str) -> Callable[[Callable[[Stage], bool]], object]:
    """Add a rule about what is hidden, kept or done: the decorated function says whether it holds."""

    def add(attempt: Callable[[Stage], bool]) -> object:
        def violate(stage: Stage) -> str:
            return "" if attempt(stage) else "it is not so"

        name = attempt.__name__.replace("_", "-")
        RULES.append(Rule(name, says, page, violate, topic=_topic(attempt)))
        return attempt

    return add


def _topic(attempt: Callable[..., object]) -> str:
    return attempt.__module__.rpartition(".")[2]
