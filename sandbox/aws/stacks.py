"""AWS CloudFormation as far as moto lacks it: the resources that bootstrap's templates make, as AWS makes them.

Owns how each kind of resource is made, changed and taken away, what stops a stack, and where the instances
of a StackSet go. Reads moto's CloudFormation, which it changes as long as a context lasts. What a template
makes is decided about like anything that others have made.

Sources: AWS CloudFormation User Guide, "Name type" (a name that is taken), "Acknowledging IAM resources in
CloudFormation templates", "Understand CloudFormation quotas", "DeletionPolicy attribute", "Create CloudFormation
StackSets with service-managed permissions" (no instance in the management account) and "AccountFilterType" of
the API Reference's DeploymentTargets.
"""

from __future__ import annotations

import json
import secrets
import string
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from moto.cloudformation import models, parsing
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.iam.access_control import PermissionResult
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.logs.models import logs_backends
from moto.s3.models import FakeBucket, s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.utilities.utils import get_partition

from sandbox.aws import function_urls as functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandbox.aws.identity import Organisation

LONGEST_BODY = 51_200
"""Bytes of a template that is sent with the request, and not read from Amazon S3."""

_NAMED_IAM = "CAPABILITY_NAMED_IAM"


class TakenError(Exception):
    """A name that a template gives is taken already, so that its stack cannot be made."""


@dataclass
class Made:
    """What a template has made: its id, its attributes, and how it is taken away."""

    physical_resource_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    remove: Callable[[], object] = lambda: None
    cf_resource_type: str = ""
    logical_resource_id: str = ""

    def is_created(self) -> bool:
        """Return that it is whole."""
        return True

    def has_cfn_attr(self, attribute: str) -> bool:
        """Return whether `Fn::GetAtt` may ask for an attribute."""
        return attribute in self.attributes

    def get_cfn_attribute(self, attribute: str) -> str:
        """Return what `Fn::GetAtt` gives."""
        return self.attributes[attribute]

    def delete(self, _account: str, _region: str) -> None:
        """Take it away."""
        self.remove()


@dataclass(frozen=True, slots=True)
class _Place:
    account: str
    region: str
    identity: str
    """The physical id that it has already; empty of one that is new."""

    @property
    def partition(self) -> str:
        return get_partition(self.region)

    @property
    def iam(self) -> Any:  # noqa: ANN401 - moto's
        return iam_backends[self.account][self.partition]


def _taken(kind: str, name: str) -> TakenError:
    return TakenError(f"Resource handler returned message: {kind} {name} already exists.")


def _role(place: _Place, name: str, given: dict[str, Any]) -> Made:
    iam = place.iam
    trust = json.dumps(given["AssumeRolePolicyDocument"])
    held = next((each for each in iam.roles.values() if each.name.lower() == name.lower()), None)
    if held is None:
        seconds = str(given.get("MaxSessionDuration", 3600))
        path, boundary = given.get("Path", "/"), given.get("PermissionsBoundary")
        held = iam.create_role(
            name, trust, path, boundary, given.get("Description", ""), [], seconds
        )
    elif not place.identity:
        raise _taken("Role", name)
    held.assume_role_policy_document = trust
    held.permissions_boundary_arn = given.get("PermissionsBoundary")
    policies = {
        each["PolicyName"]: json.dumps(each["PolicyDocument"]) for each in given.get("Policies", [])
    }
    for old in held.policies.keys() - policies.keys():
        held.delete_policy(old)
    for policy, text in policies.items():
        held.put_policy(policy, text)

    def remove() -> None:
        for policy in list(held.policies):
            held.delete_policy(policy)
        iam.delete_role(name)

    return Made(name, {"Arn": held.arn, "RoleId": held.id}, remove)


def _managed(place: _Place, name: str, given: dict[str, Any]) -> Made:
    arn = f"arn:{place.partition}:iam::{place.account}:policy{given.get('Path', '/')}{name}"
    text = json.dumps(given["PolicyDocument"])
    held = place.iam.managed_policies.get(arn)
    if held is None:
        place.iam.create_policy(given.get("Description"), given.get("Path", "/"), text, name, [])
    elif not place.identity:
        raise _taken("ManagedPolicy", name)
    else:
        next(each for each in held.versions if each.is_default).document = text
    return Made(arn, {"PolicyArn": arn}, lambda: place.iam.managed_policies.pop(arn, None))


def _provider(place: _Place, _: str, given: dict[str, Any]) -> Made:
    url = given["Url"]
    arn = f"arn:{place.partition}:iam::{place.account}:oidc-provider/{url.removeprefix('https://')}"
    held = place.iam.open_id_providers.get(arn)
    if held is None:
        place.iam.create_open_id_connect_provider(url, [], given["ClientIdList"], [])
    elif not place.identity:
        raise _taken("OIDCProvider", url)
    else:
        held.client_id_list = given["ClientIdList"]
    return Made(arn, {"Arn": arn}, lambda: place.iam.delete_open_id_connect_provider(arn))


def _bucket(place: _Place, name: str, given: dict[str, Any]) -> Made:
    # The name of a bucket is one in all accounts (Amazon S3 User Guide, "General purpose bucket naming rules").
    elsewhere = any(name in each[place.partition].buckets for each in s3_backends.values())
    own = s3_backends[place.account][place.partition]
    if elsewhere and not place.identity:
        raise _taken("Bucket", name)
    if name not in own.buckets:
        own.create_bucket(name, place.region)
    _set_up(own, name, given)
    return Made(
        name, {"Arn": f"arn:{place.partition}:s3:::{name}"}, lambda: own.delete_bucket(name)
    )


def _set_up(own: Any, name: str, given: dict[str, Any]) -> None:  # noqa: ANN401 - moto's
    """Set a bucket up as its template says (CloudFormation Template Reference, AWS::S3::Bucket)."""
    if versions := given.get("VersioningConfiguration"):
        own.put_bucket_versioning(name, versions["Status"])
    encryption = given.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration")
    # Every bucket is encrypted, whether or not its maker says so (Amazon S3 User Guide, "Setting default
    # server-side encryption behavior for Amazon S3 buckets").
    (rule,) = encryption or [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    default = rule["ServerSideEncryptionByDefault"]
    own.put_bucket_encryption(name, {"Rule": {"ApplyServerSideEncryptionByDefault": default}})
    if closed := given.get("PublicAccessBlockConfiguration"):
        flags = {key: str(value).lower() for key, value in closed.items()}
        own.put_public_access_block(name, flags)
    owned = given.get("OwnershipControls", {}).get("Rules") or [{}]
    own.put_bucket_ownership_controls(name, owned[0].get("ObjectOwnership", "BucketOwnerEnforced"))
    if rules := given.get("LifecycleConfiguration", {}).get("Rules"):
        own.put_bucket_lifecycle_configuration(name, [_lifecycle_rule(each) for each in rules])


def _lifecycle_rule(given: dict[str, Any]) -> dict[str, Any]:
    """Return a rule of a template as Amazon S3's API has it."""
    rule = {"ID": given["Id"], "Status": given["Status"], "Prefix": given.get("Prefix", "")}
    if "ExpirationInDays" in given:
        rule["Expiration"] = {"Days": given["ExpirationInDays"]}
    same = ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
    return {**rule, **{key: given[key] for key in same if key in given}}


def _bucket_policy(place: _Place, _: str, given: dict[str, Any]) -> Made:
    own = s3_backends[place.account][place.partition]
    own.put_bucket_policy(given["Bucket"], json.dumps(given["PolicyDocument"]).encode())
    return Made(given["Bucket"], {}, lambda: own.delete_bucket_policy(given["Bucket"]))


def _key(place: _Place, _: str, given: dict[str, Any]) -> Made:
    backend = kms_backends[place.account][place.region]
    policy = json.dumps(given["KeyPolicy"])
    held = backend.keys.get(place.identity)
    if held is None:
        held = backend.create_key(
            policy,
            given.get("KeyUsage", "ENCRYPT_DECRYPT"),
            given.get("KeySpec", "SYMMETRIC_DEFAULT"),
            given.get("Description", ""),
            [],
        )
        if given.get("Origin") == "EXTERNAL":
            # AWS KMS Developer Guide, "Key states": it can do nothing before its material is imported.
            held.origin, held.key_state = "EXTERNAL", "PendingImport"
    held.policy = policy
    held.key_rotation_status = bool(given.get("EnableKeyRotation", False))
    return Made(held.id, {"Arn": held.arn}, lambda: backend.schedule_key_deletion(held.id, 7))


def _alias(place: _Place, _: str, given: dict[str, Any]) -> Made:
    backend = kms_backends[place.account][place.region]
    name, target = given["AliasName"], given["TargetKeyId"]
    if not place.identity:
        if backend.get_key_id_from_alias(name):
            raise _taken("Alias", name)
        backend.create_alias(target, name)
    return Made(name, {}, lambda: backend.delete_alias(name))


def _secret(place: _Place, name: str, given: dict[str, Any]) -> Made:
    backend = secretsmanager_backends[place.account][place.region]
    held = backend.secrets.get(name)
    if held is None:
        wanted = given["GenerateSecretString"]
        letters = string.ascii_letters + string.digits
        if not wanted.get("ExcludePunctuation"):
            letters += string.punctuation
        text = "".join(secrets.choice(letters) for _ in range(wanted.get("PasswordLength", 32)))
        backend.create_secret(name, text, None, None, [], None, None, [], force_overwrite=False)
        held = backend.secrets[name]
    elif not place.identity:
        raise _taken("Secret", name)
    arn = held.arn
    return Made(arn, {"Id": arn}, lambda: backend.delete_secret(name, 0, True))


def _function(place: _Place, name: str, given: dict[str, Any]) -> Made:
    key = (place.account, place.region, name)
    if key in functions.HELD and not place.identity:
        raise _taken("Function", name)
    code = given["Code"]["ZipFile"]
    if len(code.encode()) > functions.LONGEST_INLINE:
        raise ValidationError(
            message=f"Properties validation failed for resource {name}: /Code/ZipFile"
        )
    functions.HELD[key] = functions.Held(
        code,
        given["Role"],
        dict(given.get("Environment", {}).get("Variables", {})),
        int(given.get("Timeout", 3)),
    )
    arn = f"arn:{place.partition}:lambda:{place.region}:{place.account}:function:{name}"
    return Made(name, {"Arn": arn}, lambda: functions.HELD.pop(key, None))


def _function_of(place: _Place, given: str) -> functions.Held:
    return functions.HELD[place.account, place.region, given.rpartition(":")[2]]


def _function_url(place: _Place, _: str, given: dict[str, Any]) -> Made:
    arn = given["TargetFunctionArn"]
    held = _function_of(place, arn)
    held.auth = given["AuthType"]
    url = functions.address(place.account, place.region, arn.rpartition(":")[2])
    return Made(arn, {"FunctionUrl": url, "FunctionArn": arn}, lambda: setattr(held, "auth", ""))


def _permission(place: _Place, _: str, given: dict[str, Any]) -> Made:
    held = _function_of(place, given["FunctionName"])
    held.allowed.add((given["Action"], str(given["Principal"])))
    identity = f"{given['FunctionName']}-{given['Action']}"
    return Made(identity, {}, held.allowed.clear)


def _log_group(place: _Place, name: str, given: dict[str, Any]) -> Made:
    backend = logs_backends[place.account][place.region]
    if name not in backend.groups:
        backend.create_log_group(name, {}, retentionInDays=given.get("RetentionInDays"))
    elif not place.identity:
        raise _taken("LogGroup", name)
    return Made(name, {"Arn": backend.groups[name].arn}, lambda: backend.delete_log_group(name))


_KINDS: Mapping[str, tuple[str, Callable[[_Place, str, dict[str, Any]], Made]]] = {
    "AWS::IAM::ManagedPolicy": ("ManagedPolicyName", _managed),
    "AWS::IAM::OIDCProvider": ("", _provider),
    "AWS::IAM::Role": ("RoleName", _role),
    "AWS::KMS::Alias": ("", _alias),
    "AWS::KMS::Key": ("", _key),
    "AWS::Lambda::Function": ("FunctionName", _function),
    "AWS::Lambda::Permission": ("", _permission),
    "AWS::Lambda::Url": ("", _function_url),
    "AWS::Logs::LogGroup": ("LogGroupName", _log_group),
    "AWS::S3::Bucket": ("BucketName", _bucket),
    "AWS::S3::BucketPolicy": ("", _bucket_policy),
    "AWS::SecretsManager::Secret": ("Name", _secret),
}
"""Of each kind the property that names it, and how it is made or changed."""


def _maker(make: Callable[[_Place, str, dict[str, Any]], Made], key: str) -> type:
    """Return what moto's CloudFormation takes for a kind of resource, whose name is the property ``key``."""

    class Kind:
        @staticmethod
        def has_cfn_attr(_: str) -> bool:
            return True  # what is made says which it has

        @staticmethod
        def create_from_cloudformation_json(
            name: str,
            document: dict[str, Any],
            account: str,
            region: str,
            **_: Any,  # noqa: ANN401 - moto's
        ) -> Made:
            given = document.get("Properties", {})
            return make(_Place(account, region, ""), given.get(key, name), given)

        @staticmethod
        def update_from_cloudformation_json(
            original_resource: Made | None,
            new_resource_name: str,
            cloudformation_json: dict[str, Any],
            account_id: str,
            region_name: str,
        ) -> Made:
            if original_resource is None or not original_resource.physical_resource_id:
                return Made("")  # its condition does not hold here, so that it was never made
            place = _Place(account_id, region_name, original_resource.physical_resource_id)
            given = cloudformation_json.get("Properties", {})
            return make(place, given.get(key, new_resource_name), given)

        @staticmethod
        def delete_from_cloudformation_json(*_: Any) -> None:  # noqa: ANN401 - moto's
            """Do nothing: what was made takes itself away, and this is of what a condition left out."""

    return Kind


@contextmanager
def made_by_templates(organisation: Organisation) -> Iterator[None]:
    """Let CloudFormation make what AWS makes, and refuse what AWS refuses, as long as the context lasts."""
    functions.HELD.clear()
    kinds = {name: _maker(make, key) for name, (key, make) in _KINDS.items()}
    with ExitStack() as changed:
        changed.enter_context(patch.dict(parsing.get_model_map(), kinds))
        for operation in ("create_stack", "update_stack", "create_change_set", "create_stack_set",
                          "update_stack_set"):  # fmt: skip
            before = getattr(CloudFormationResponse, operation)
            changed.enter_context(patch.object(CloudFormationResponse, operation, _asked(before)))
        backend = models.CloudFormationBackend
        changed.enter_context(patch.object(backend, "execute_change_set", _executed))
        instances = _instances(organisation)
        changed.enter_context(patch.object(models.StackInstances, "create_instances", instances))
        changed.enter_context(patch.object(models.StackSet, "update", _updated))
        changed.enter_context(patch.object(models.Stack, "create_resources", _created))
        # Whether a request is let through is decided before; moto's S3 would not look at conditions.
        permitted = patch.object(
            FakeBucket, "get_permission", lambda *_: PermissionResult.PERMITTED
        )
        changed.enter_context(permitted)
        told = _operation(models.StackSet._create_operation)  # noqa: SLF001 - moto offers no other way
        changed.enter_context(patch.object(models.StackSet, "_create_operation", told))
        changed.enter_context(
            patch.object(CloudFormationResponse, "list_stack_set_operation_results", _results)
        )
        yield


def _asked(before: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def operation(self: Any) -> Any:  # noqa: ANN401 - moto's response
        body = self._get_param("TemplateBody") or ""
        if len(body.encode()) > LONGEST_BODY:
            raise ValidationError(
                message="1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "
                f"Member must have length less than or equal to {LONGEST_BODY}"
            )
        if '"AWS::IAM::' in body and _NAMED_IAM not in (self._get_param("Capabilities") or []):
            raise InsufficientCapabilities(f"Requires capabilities : [{_NAMED_IAM}]")
        return before(self)

    return operation


class InsufficientCapabilities(ServiceException):
    """The template makes what somebody has to acknowledge (AWS CloudFormation API Reference, CreateStack)."""

    code = "InsufficientCapabilitiesException"


def _executed(self: Any, change_set_name: str, stack_name: str | None = None) -> None:  # noqa: ANN401 - moto's
    """Carry a change set out; where a name is taken, take back what was made."""
    found = [
        each
        for key, each in self.change_sets.items()
        if change_set_name in {key, each.change_set_name}
        and (stack_name is None or stack_name in {each.stack.name, each.stack.stack_id})
    ]
    if not found:
        raise ValidationError(change_set_name)
    change_set = found[-1]
    stack, kind = self.stacks[change_set.stack_id], change_set.change_set_type
    stack._add_stack_event(f"{kind}_IN_PROGRESS", resource_status_reason="User Initiated")  # noqa: SLF001
    if not _done_or_undone(stack, kind, change_set.apply):
        change_set.execution_status = "EXECUTE_FAILED"
        return
    change_set.execution_status = "EXECUTE_COMPLETE"
    stack.template = change_set.template
    stack._parse_template()  # noqa: SLF001 - moto offers no other way
    stack.parameters = change_set.parameters
    stack.output_map = stack._create_output_map()  # noqa: SLF001 - as above


def _done_or_undone(stack: Any, kind: str, act: Callable[[], object]) -> bool:  # noqa: ANN401 - moto's
    """Do something to a stack; where a name is taken, take back what was made, and return False."""
    resources = stack.resource_map
    before = dict(resources._parsed_resources)  # noqa: SLF001 - moto offers no other way
    template, documents = resources._template, resources._resource_json_map  # noqa: SLF001 - as above
    try:
        act()
    except TakenError as taken:
        for key, made in reversed(list(resources._parsed_resources.items())):  # noqa: SLF001 - as above
            if key not in before and isinstance(made, Made):
                made.remove()
        resources._parsed_resources = before  # noqa: SLF001 - as above
        resources._template, resources._resource_json_map = template, documents  # noqa: SLF001 - as above
        stack._add_stack_event(f"{kind}_FAILED", resource_status_reason=str(taken))  # noqa: SLF001 - as above
        stack.status = "ROLLBACK_COMPLETE" if kind == "CREATE" else "UPDATE_ROLLBACK_COMPLETE"
        return False
    stack.status = f"{kind}_COMPLETE"
    stack._add_stack_event(stack.status)  # noqa: SLF001 - as above
    return True


def _created(self: Any) -> None:  # noqa: ANN401 - moto's
    """Make the resources of a stack that is made without a change set."""
    _done_or_undone(self, "CREATE", lambda: self.resource_map.create(self.template_dict))
    self.description = self.template_dict.get("Description")


def _instances(organisation: Organisation) -> Callable[..., list[dict[str, Any]]]:
    def create_instances(  # noqa: PLR0917 - moto's
        self: Any,  # noqa: ANN401 - moto's
        accounts: list[str],
        regions: list[str],
        parameters: Any,  # noqa: ANN401 - moto's
        deployment_targets: dict[str, Any],
        permission_model: str,
    ) -> list[dict[str, Any]]:
        if permission_model == "SERVICE_MANAGED":
            chosen = deployment_targets.get("Accounts", [])
            if deployment_targets.get("AccountFilterType") != "INTERSECTION":
                raise ValidationError(
                    message="AccountFilterType other than INTERSECTION is not embedded"
                )
            accounts = [
                each
                for each in chosen
                if organisation.has(each) and each != organisation.management
            ]
        new = []
        self.reasons = {}
        for region in regions:
            for account in accounts:
                if self.get_instance(account, region) is None:
                    instance = models.StackInstance(
                        account_id=account,
                        region_name=region,
                        stackset_id=self.stackset_id,
                        stack_name=self.stack_name,
                        name=self.stackset_name,
                        template=self.template,
                        parameters=parameters or [],
                        permission_model=permission_model,
                    )
                    if instance.stack.status == "CREATE_COMPLETE":
                        self.stack_instances.append(instance)
                        new.append(instance.to_dict())
                    else:
                        reason = instance.stack.events[-1].resource_status_reason
                        self.reasons[account, region] = str(reason)
        return new

    return create_instances


def _updated(  # noqa: PLR0917 - moto's
    self: Any,  # noqa: ANN401 - moto's
    template: str,
    description: str,
    parameters: Any,  # noqa: ANN401 - moto's
    tags: Any,  # noqa: ANN401 - moto's
    admin_role: str,
    execution_role: str,
    accounts: list[str],
    regions: list[str],
    operation_id: str,
) -> dict[str, Any]:
    """Give every instance the new template, as UpdateStackSet does without named accounts."""
    del description, tags, admin_role, execution_role
    self.template = self.instances.template = template or self.template
    self.instances.reasons = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # moto warns of what a condition has left out
        for instance in self.stack_instances:
            instance.stack.update(self.template, parameters=parameters or {})
    operation: dict[str, Any] = self._create_operation(
        operation_id=operation_id,
        action="UPDATE",
        status="SUCCEEDED",
        accounts=accounts,
        regions=regions,
    )
    return operation


def _operation(before: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def create_operation(self: Any, **given: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's
        reasons = getattr(self.instances, "reasons", {})
        operation = before(self, **{**given, "status": "FAILED" if reasons else given["status"]})
        operation["Reasons"] = dict(reasons)
        return operation

    return create_operation


def _results(self: Any) -> ActionResult:  # noqa: ANN401 - moto's response
    stack_set = self.cloudformation_backend.describe_stack_set(self._get_param("StackSetName"))
    operation = stack_set.get_operation(self._get_param("OperationId"))
    failed = [
        {"Account": account, "Region": region, "Status": "FAILED", "StatusReason": reason}
        for (account, region), reason in operation["Reasons"].items()
    ]
    return ActionResult({"Summaries": failed})
