"""Make what bootstrap's templates say, by AWS CloudFormation: one stack, and a StackSet for the other accounts.

Owns the order, what is looked at before anything is made, and how it reads. Reads AWS by the credentials of
an administrator of the artifacts account. A second run changes what differs and nothing else; a run that was
broken off goes on. Never touches what other hands have made: CloudFormation refuses a name that is taken, and
here it is refused before.

Sources: AWS CloudFormation API Reference, CreateChangeSet, CreateStackSet and CreateStackInstances; AWS
CloudFormation User Guide, "Create CloudFormation StackSets with service-managed permissions".
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecr.aws.session import Aws, aws_errors_as
from ecr.bootstrap.templates import Template
from ecr.errors import EstateError
from ecr.registry.registry import Registry

BOOTSTRAP_STACK = "ecr-estate"
"""What the stack and the StackSet are called."""

_CAPABILITIES = ("CAPABILITY_NAMED_IAM",)
LONGEST_BODY = 51_200
"""Bytes of a template that CloudFormation takes with the request ("Understand CloudFormation quotas")."""

PAUSE = 5
"""Seconds between two looks at what is being made."""

_BROKEN = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"})
"""States of a stack that was never whole, and can only be deleted."""

_SERVICE = "member.org.stacksets.cloudformation.amazonaws.com"
"""Whom the organisation has to trust for StackSets ("Activate trusted access for StackSets")."""

_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to stand: the artifacts account's registry and template, and the others' with their accounts.

    ``organisation`` is the id of the AWS organisation, ``others`` the numbers of the other accounts.
    """

    registry: Registry
    template: Template
    organisation: str
    others: tuple[str, ...] = ()
    others_template: Template | None = None


def make_by_templates(access: Aws, wanted: Wanted) -> Iterator[str]:
    """Make it, and yield a line for each thing that was done. Raises EstateError before, or where AWS stops."""
    cloudformation = access.client("cloudformation", wanted.registry)
    with aws_errors_as(f"making the stack {BOOTSTRAP_STACK} of account {wanted.registry.account}"):
        call_as, root = _look(access, cloudformation, wanted)
        yield from _stack(cloudformation, _body(wanted.template))
        if wanted.others_template is not None:
            body = _body(wanted.others_template)
            stack_set = _StackSet(cloudformation, call_as, wanted.registry.region)
            yield from stack_set.applied(body, root, wanted.others)


# What is looked at before anything is made.


def _look(access: Aws, cloudformation: Any, wanted: Wanted) -> tuple[str, str]:  # noqa: ANN401 - boto3's client
    """Return as whom StackSets are called, and the organisation's root. Raises EstateError."""
    call_as, root = "SELF", ""
    offences = []
    found = _organisation(access, wanted)
    if found["Id"] != wanted.organisation:
        offences.append(
            f"account {wanted.registry.account} is in the organisation {found['Id']}, and the settings say "
            f"{wanted.organisation}; correct awsOrganisation, or log in to another account"
        )
    elif wanted.others:
        if found["MasterAccountId"] != wanted.registry.account:
            call_as = "DELEGATED_ADMIN"
        organizations = access.client("organizations", wanted.registry)
        offences += _not_members(organizations, wanted)
        root = organizations.list_roots()["Roots"][0]["Id"]
        if found["MasterAccountId"] in wanted.others:
            offences.append(
                f"account {found['MasterAccountId']} manages the organisation, and a StackSet makes nothing "
                "there; deploy accounts.template.json there by hand, or hold no images in it"
            )
    offences += _taken(access, cloudformation, wanted)
    if offences:
        raise EstateError("Nothing was made.", offences)
    return call_as, root


def _organisation(access: Aws, wanted: Wanted) -> Mapping[str, Any]:
    organizations = access.client("organizations", wanted.registry)
    try:
        found: Mapping[str, Any] = organizations.describe_organization()["Organization"]
    except organizations.exceptions.AWSOrganizationsNotInUseException:
        said = (
            f"account {wanted.registry.account} is in no organisation, and the settings say "
            f"{wanted.organisation}; log in to another account"
        )
        raise EstateError("Nothing was made.", [said]) from None
    return found


def _not_members(organizations: Any, wanted: Wanted) -> Iterator[str]:  # noqa: ANN401 - boto3's client
    """Yield the accounts that are not in the organisation, or that nobody here may ask about."""
    for account in wanted.others:
        try:
            organizations.describe_account(AccountId=account)
        except organizations.exceptions.AccountNotFoundException:
            yield (
                f"account {account} is not in the organisation {wanted.organisation}; correct the settings, "
                "or invite it first"
            )
        except organizations.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "AccessDeniedException":
                raise
            ours = wanted.registry.account
            said = (
                f"account {ours} may not administer StackSets for the organisation; in its management account, "
                f"run `aws organizations enable-aws-service-access --service-principal {_SERVICE}` and `aws "
                "organizations register-delegated-administrator --service-principal "
                f"{_SERVICE} --account-id {ours}`"
            )
            raise EstateError("Nothing was made.", [said]) from error


def _taken(access: Aws, cloudformation: Any, wanted: Wanted) -> Iterator[str]:  # noqa: ANN401 - boto3's client
    """Yield what the template would make and stands already by other hands."""
    held = _held(cloudformation)
    for logical, resource in wanted.template["Resources"].items():
        if logical in held or resource["Type"] not in _LOOKS:
            continue
        looks = _LOOKS[resource["Type"]]
        if said := looks(access, wanted.registry, resource["Properties"]):
            yield f"{said}, by other hands"


def _held(cloudformation: Any) -> set[str]:  # noqa: ANN401 - boto3's client
    """Return the logical names of what the stack has made already."""
    state = _state(cloudformation)
    if state is None or state == "REVIEW_IN_PROGRESS":
        return set()
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=BOOTSTRAP_STACK)
    return {
        each["LogicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceStatus"] != "DELETE_COMPLETE"
    }


def _role(access: Aws, registry: Registry, properties: Mapping[str, Any]) -> str | None:
    iam, name = access.client("iam", registry), properties["RoleName"]
    try:
        arn = iam.get_role(RoleName=name)["Role"]["Arn"]
    except iam.exceptions.NoSuchEntityException:
        return None
    return f"the role {arn} stands already; delete it, or name another in the settings"


def _policy(access: Aws, registry: Registry, properties: Mapping[str, Any]) -> str | None:
    iam = access.client("iam", registry)
    start = f"arn:{registry.partition}:iam::{registry.account}:policy"
    arn = f"{start}{properties['Path']}{properties['ManagedPolicyName']}"
    try:
        iam.get_policy(PolicyArn=arn)
    except iam.exceptions.NoSuchEntityException:
        return None
    return f"the policy {arn} stands already; delete it"


def _provider(access: Aws, registry: Registry, properties: Mapping[str, Any]) -> str | None:
    iam = access.client("iam", registry)
    end = f":oidc-provider/{properties['Url'].removeprefix('https://')}"
    listed = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    if not any(each["Arn"].endswith(end) for each in listed):
        return None
    return "GitHub's identity provider stands already; give --provider-exists"


def _bucket(access: Aws, registry: Registry, properties: Mapping[str, Any]) -> str | None:
    s3, name = access.client("s3", registry), properties["BucketName"]
    try:
        s3.head_bucket(Bucket=name)
    except s3.exceptions.ClientError as error:
        code = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code == 404:  # noqa: PLR2004 - HTTP's own number
            return None
        if code != 403:  # noqa: PLR2004 - as above
            raise
        return f"the bucket {name} stands already, in another account; name another by --bucket"
    return f"the bucket {name} stands already; name another by --bucket"


def _alias(access: Aws, registry: Registry, properties: Mapping[str, Any]) -> str | None:
    kms, name = access.client("kms", registry), properties["AliasName"]
    pages = kms.get_paginator("list_aliases").paginate()
    if not any(each["AliasName"] == name for page in pages for each in page["Aliases"]):
        return None
    return f"the key {name} stands already; delete that alias"


_LOOKS: Mapping[str, Callable[[Aws, Registry, Mapping[str, Any]], str | None]] = {
    "AWS::IAM::ManagedPolicy": _policy,
    "AWS::IAM::OIDCProvider": _provider,
    "AWS::IAM::Role": _role,
    "AWS::KMS::Alias": _alias,
    "AWS::S3::Bucket": _bucket,
}
"""How each kind of thing with a name is looked for."""


# The stack.


def _body(template: Template) -> str:
    text = json.dumps(template, separators=(",", ":"))
    if len(text.encode()) > LONGEST_BODY:
        said = (
            f"a template has {len(text.encode()):,} bytes, and CloudFormation takes {LONGEST_BODY:,} with a "
            "request; write it by --output, put it into a bucket, and deploy it by its --template-url"
        )
        raise EstateError("Nothing was made.", [said])
    return text


def _state(cloudformation: Any) -> str | None:  # noqa: ANN401 - boto3's client
    try:
        (stack,) = cloudformation.describe_stacks(StackName=BOOTSTRAP_STACK)["Stacks"]
    except cloudformation.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return None
    state: str = stack["StackStatus"]
    return state


def _stack(cloudformation: Any, body: str) -> Iterator[str]:  # noqa: ANN401 - boto3's client
    state = _state(cloudformation)
    if state and state.endswith("_IN_PROGRESS") and state != "REVIEW_IN_PROGRESS":
        raise EstateError(
            "Nothing was made.",
            [
                f"the stack {BOOTSTRAP_STACK} is {state}: somebody else is at it; run the command again later"
            ],
        )
    if state in _BROKEN:
        yield f"stack {BOOTSTRAP_STACK}: is {state} from an earlier try, and is made anew"
        cloudformation.delete_stack(StackName=BOOTSTRAP_STACK)
        _until(lambda: _state(cloudformation) in {None, "DELETE_COMPLETE"})
        state = None
    new = state in {None, "REVIEW_IN_PROGRESS"}
    name = f"bootstrap-{time.time_ns()}"
    cloudformation.create_change_set(
        StackName=BOOTSTRAP_STACK,
        ChangeSetName=name,
        ChangeSetType="CREATE" if new else "UPDATE",
        TemplateBody=body,
        Capabilities=list(_CAPABILITIES),
    )
    asked = {"StackName": BOOTSTRAP_STACK, "ChangeSetName": name}
    found = _waited(lambda: cloudformation.describe_change_set(**asked), "Status")
    if found["Status"] == "FAILED":
        cloudformation.delete_change_set(**asked)
        if not any(each in found.get("StatusReason", "") for each in _NO_CHANGES):
            raise EstateError(
                "AWS CloudFormation takes no such template.",
                [found.get("StatusReason", "no reason")],
            )
        yield f"stack {BOOTSTRAP_STACK}: as it was"
        return
    for each in found["Changes"]:
        change = each["ResourceChange"]
        yield f"stack {BOOTSTRAP_STACK}: {change['Action'].lower()} {change['LogicalResourceId']} ({change['ResourceType']})"
    cloudformation.execute_change_set(**asked)
    _until(lambda: not str(_state(cloudformation)).endswith("_IN_PROGRESS"))
    ended = str(_state(cloudformation))
    if ended not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise EstateError(
            f"The stack {BOOTSTRAP_STACK} is {ended}.", list(_reasons(cloudformation))
        )
    yield f"stack {BOOTSTRAP_STACK}: is {ended}"


def _reasons(cloudformation: Any) -> Iterator[str]:  # noqa: ANN401 - boto3's client
    """Yield why a stack has failed, by its latest events; each with the remedy that is always right."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(
        StackName=BOOTSTRAP_STACK
    )
    for page in pages:
        for event in page["StackEvents"]:
            reason = event.get("ResourceStatusReason", "")
            if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
                yield f"{event['LogicalResourceId']}: {reason} Correct it and run the command again."


# The StackSet.


@dataclass(frozen=True, slots=True)
class _StackSet:
    cloudformation: Any
    call_as: str
    region: str

    def applied(self, body: str, root: str, accounts: Sequence[str]) -> Iterator[str]:
        """Make it or change it, and give each account its instance."""
        held = self._held()
        if held is None:
            self.cloudformation.create_stack_set(
                StackSetName=BOOTSTRAP_STACK,
                Description="ecr-estate: the roles of the accounts that hold images",
                TemplateBody=body,
                PermissionModel="SERVICE_MANAGED",
                AutoDeployment={"Enabled": False},
                Capabilities=list(_CAPABILITIES),
                CallAs=self.call_as,
            )
            yield f"StackSet {BOOTSTRAP_STACK}: made"
        elif json.loads(held) != json.loads(body):
            answer = self.cloudformation.update_stack_set(
                StackSetName=BOOTSTRAP_STACK,
                TemplateBody=body,
                Capabilities=list(_CAPABILITIES),
                CallAs=self.call_as,
            )
            self._wait(answer["OperationId"])
            yield f"StackSet {BOOTSTRAP_STACK}: changed"
        else:
            yield f"StackSet {BOOTSTRAP_STACK}: as it was"
        there = self._accounts()
        missing = [each for each in accounts if each not in there]
        if missing:
            answer = self.cloudformation.create_stack_instances(
                StackSetName=BOOTSTRAP_STACK,
                DeploymentTargets={
                    "OrganizationalUnitIds": [root],
                    "Accounts": missing,
                    "AccountFilterType": "INTERSECTION",
                },
                Regions=[self.region],
                OperationPreferences={
                    "FailureTolerancePercentage": 100,
                    "MaxConcurrentPercentage": 100,
                },
                CallAs=self.call_as,
            )
            self._wait(answer["OperationId"])
            yield from (f"StackSet {BOOTSTRAP_STACK}: made in account {each}" for each in missing)
        for each in sorted(there - {*accounts}):
            yield (
                f"StackSet {BOOTSTRAP_STACK}: is in account {each}, which has left the settings; when nothing of the "
                "estate is there any more, delete that instance"
            )

    def _held(self) -> str | None:
        try:
            found = self.cloudformation.describe_stack_set(
                StackSetName=BOOTSTRAP_STACK, CallAs=self.call_as
            )
        except self.cloudformation.exceptions.StackSetNotFoundException:
            return None
        body: str = found["StackSet"]["TemplateBody"]
        return body

    def _accounts(self) -> set[str]:
        pages = self.cloudformation.get_paginator("list_stack_instances")
        listed = pages.paginate(StackSetName=BOOTSTRAP_STACK, CallAs=self.call_as)
        return {each["Account"] for page in listed for each in page["Summaries"]}

    def _wait(self, operation: str) -> None:
        asked = {"StackSetName": BOOTSTRAP_STACK, "OperationId": operation, "CallAs": self.call_as}
        describe = self.cloudformation.describe_stack_set_operation
        found = _waited(lambda: describe(**asked)["StackSetOperation"], "Status")
        listed = self.cloudformation.get_paginator("list_stack_set_operation_results").paginate(
            **asked
        )
        failed = [
            f"account {each['Account']}: {each.get('StatusReason', each['Status'])}; correct it there and run "
            "the command again"
            for page in listed
            for each in page["Summaries"]
            if each["Status"] in {"FAILED", "CANCELLED"}
        ]
        if failed or found["Status"] != "SUCCEEDED":
            said = failed or [f"its operation {operation} is {found['Status']}"]
            raise EstateError(f"The StackSet {BOOTSTRAP_STACK} is not in every account.", said)


def _waited(look: Callable[[], Any], key: str) -> Any:  # noqa: ANN401 - an answer of boto3
    """Return an answer once AWS is no longer at work on what it describes."""
    while True:
        found = look()
        if found[key] not in {
            "CREATE_PENDING",
            "CREATE_IN_PROGRESS",
            "QUEUED",
            "RUNNING",
            "STOPPING",
        }:
            return found
        time.sleep(PAUSE)


def _until(done: Callable[[], bool]) -> None:
    while not done():
        time.sleep(PAUSE)
