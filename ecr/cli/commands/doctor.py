"""Say which roles, keys and bucket are missing, may too much or are out of date, by what bootstrap would write now.

Owns how they are read and how a finding reads. Reads each role with its trust, its policies and its
boundary from AWS IAM, in every account by a role that looks, and with them the keys of that account's
images; in the artifacts account GitHub's identity provider, the state's bucket, and the keys of the
state's secrets and of the GitHub Apps. With --assume it tries instead whether the roles of the accounts
can be assumed, as the pipeline does. With --github it also reads how the repository that deploys is set
up. Changes nothing.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ecr.aws.session import Aws, aws_errors_as, is_refusal
from ecr.bootstrap.bucket import bucket_differences
from ecr.bootstrap.differences import RoleDifference, RoleState, difference
from ecr.bootstrap.repository import repository_differences
from ecr.bootstrap.roles import (
    AUDIT,
    SECRETS,
    Account,
    ManagedPolicy,
    Pipeline,
    Role,
    planned_accounts,
    planned_keys,
    writes_variables,
)
from ecr.cli.exit_codes import FOUND
from ecr.cli.pipeline_options import add_pipeline_options, pipeline_of
from ecr.engine.stack_file import checked, read_stack_file
from ecr.errors import EstateError
from ecr.github.http import environment_fetch
from ecr.plan.access.push_roles import AUDIENCE, provider_arn
from ecr.plan.architectures import artifacts_registry, assumed_roles, configured_registries
from ecr.plan.keys import chosen_keys, standing_key, why_unusable
from ecr.plan.model import StandingKey
from ecr.registry.registry import Registry
from ecr.settings.models import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_pipeline_options(parser)
    parser.add_argument(
        "--role-name",
        metavar="NAME",
        default=AUDIT,
        help="the role by which it looks in each account (%(default)s); an empty text for the "
        "environment's own credentials",
    )
    parser.add_argument(
        "--assume",
        choices=["deploy", "preview"],
        help="only try whether the roles that deploy, or preview, can be assumed; for the job that is to",
    )
    parser.add_argument(
        "--github",
        action="store_true",
        help="also compare the environments, the ruleset and the variables of the repository; needs GITHUB_TOKEN",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the findings."""
    settings = checked(read_stack_file(options.settings))
    pipeline = pipeline_of(options, settings)
    accounts = planned_accounts(settings, pipeline)
    encrypting = chosen_keys(configured_registries(settings), settings)
    one_of = {each.account: each for each in reversed(list(configured_registries(settings)))}
    if options.assume:
        looked = "roles can be assumed"
        findings = list(_not_assumed(settings, preview=options.assume == "preview"))
    else:
        looked = "roles and keys, and the bucket, are as bootstrap writes them"
        findings = [
            finding
            for account in accounts
            for finding in _of_account(
                account,
                one_of[account.account],
                options.role_name,
                {key: each for each, key in encrypting.items() if each.account == account.account},
                (planned_keys(settings, pipeline), pipeline)
                if account.account == settings.artifacts.account
                else None,
            )
        ]
    if options.github:
        looked += ", and GitHub's side is as its script sets it up"
        findings += _of_github(settings, pipeline)
    if options.json:
        found = [asdict(each) for each in findings]
        sys.stdout.write(json.dumps({"findings": found}, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for each in findings for line in _lines(each))
        if not findings:
            sys.stdout.write(f"All {looked}.\n")
    return FOUND if findings else 0


def _lines(finding: RoleDifference) -> Iterator[str]:
    yield f"{finding.where}: {finding.state}: {finding.what}"
    yield from (f"  - lacks {each}" for each in finding.missing)
    yield from (f"  + has {each}" for each in finding.surplus)


def _of_github(settings: Settings, pipeline: Pipeline) -> list[RoleDifference]:
    two_apps = writes_variables(settings)
    with environment_fetch(settings.github.base_url) as fetch:
        return asyncio.run(
            repository_differences(fetch, artifacts_registry(settings), pipeline, two_apps=two_apps)
        )


def _not_assumed(settings: Settings, *, preview: bool) -> Iterator[RoleDifference]:
    roles = {
        registry.account: (registry, role)
        for registry, role in assumed_roles(settings, preview=preview).items()
        if role
    }
    for account, (registry, role) in roles.items():
        yield from _denied(Aws(roles={account: role}), registry, role)


def _denied(access: Aws, registry: Registry, role: str) -> Iterator[RoleDifference]:
    """Yield a finding where a role cannot be assumed; raise EstateError where AWS cannot be asked."""
    try:
        access.caller(registry)
    except EstateError as error:
        if not is_refusal(error, "AccessDenied"):
            raise
        yield RoleDifference(role, "missing", f"it cannot be assumed: {error.offences[0]}")


def _of_account(
    account: Account,
    registry: Registry,
    name: str,
    encrypting: Mapping[str, Registry],
    artifacts: tuple[Sequence[str], Pipeline] | None,
) -> Iterator[RoleDifference]:
    access = Aws(name)
    denied = list(_denied(access, registry, registry.role(name)))
    if denied:
        yield from denied
        return
    iam = access.client("iam", registry)
    with aws_errors_as(f"reading the roles of account {account.account}"):
        for managed in (account.boundary, *account.further):
            yield from _of_managed(iam, managed)
        for role in account.roles:
            yield from _of_role(iam, role, account.boundary.arn)
    with aws_errors_as(f"reading the keys of the images of account {account.account}"):
        for key, place in encrypting.items():
            yield from _of_image_key(access.client("kms", place), key, place)
    if artifacts:
        keys, pipeline = artifacts
        kms = access.client("kms", registry)
        with aws_errors_as(f"reading the keys of account {account.account}"):
            yield from _of_provider(iam, registry)
            pages = kms.get_paginator("list_aliases").paginate()
            held = {
                each["AliasName"]: each["TargetKeyId"]
                for page in pages
                for each in page["Aliases"]
                if "TargetKeyId" in each
            }
            for alias in keys:
                yield from _of_key(kms, alias, held.get(f"alias/{alias}"))
        with aws_errors_as(f"reading the state's bucket in account {account.account}"):
            yield from bucket_differences(access.client("s3", registry), registry, pipeline)


def _of_provider(iam: Any, registry: Registry) -> Iterator[RoleDifference]:  # noqa: ANN401 - boto3's client
    arn = provider_arn(registry)
    try:
        held = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    except iam.exceptions.NoSuchEntityException:
        yield RoleDifference(arn, "missing", "there is no such identity provider")
        return
    if AUDIENCE not in held["ClientIDList"]:
        listed = ", ".join(held["ClientIDList"]) or "none"
        yield RoleDifference(
            arn, "out of date", f"its audiences are {listed}, and not {AUDIENCE}; add it"
        )


def _of_key(kms: Any, alias: str, number: str | None) -> Iterator[RoleDifference]:  # noqa: ANN401 - boto3's client
    """Yield what is wrong with the key of an alias; that of the secrets alone can rotate."""
    where = f"alias/{alias}"
    if number is None:
        yield RoleDifference(where, "missing", "there is no such key")
        return
    key = kms.describe_key(KeyId=number)["KeyMetadata"]
    if key["KeyState"] == "PendingImport":
        yield RoleDifference(
            where, "missing", "it waits for the app's private key; run bootstrap/app-key.sh"
        )
    elif key["KeyState"] != "Enabled":
        state = key["KeyState"]
        said = f"its state is {state}, and not Enabled; enable it, or cancel its deletion"
        yield RoleDifference(where, "out of date", said)
    elif (
        alias == SECRETS
        and not kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
    ):
        yield RoleDifference(where, "out of date", "it does not rotate; let it rotate")


def _of_image_key(kms: Any, arn: str, registry: Registry) -> Iterator[RoleDifference]:  # noqa: ANN401 - boto3's client
    """Yield why the key of a registry's images cannot encrypt them, as a deployment would say it."""
    try:
        key = standing_key(arn, kms.describe_key(KeyId=arn)["KeyMetadata"])
    except kms.exceptions.NotFoundException:
        key = standing_key(arn, None)
    except kms.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        key = StandingKey(arn, read=False)
    if wrong := why_unusable(key):
        state: RoleState = "missing" if key.read and key.state is None else "out of date"
        what = f"the key of the images of {registry.key}: {wrong}"
        yield RoleDifference(arn, state, what)


def _of_managed(iam: Any, managed: ManagedPolicy) -> Iterator[RoleDifference]:  # noqa: ANN401 - boto3's client
    try:
        version = iam.get_policy(PolicyArn=managed.arn)["Policy"]["DefaultVersionId"]
    except iam.exceptions.NoSuchEntityException:
        yield RoleDifference(managed.arn, "missing", "there is no such policy")
        return
    held = iam.get_policy_version(PolicyArn=managed.arn, VersionId=version)
    document = held["PolicyVersion"]["Document"]
    yield from difference(managed.arn, "the boundary", managed.document, document)


def _of_role(iam: Any, role: Role, boundary: str) -> Iterator[RoleDifference]:  # noqa: ANN401 - boto3's client
    try:
        held = iam.get_role(RoleName=role.name)["Role"]
    except iam.exceptions.NoSuchEntityException:
        yield RoleDifference(role.arn, "missing", "there is no such role")
        return
    if held["Arn"] != role.arn:
        yield RoleDifference(role.arn, "out of date", f"it stands as {held['Arn']}")
    trust = held["AssumeRolePolicyDocument"]
    yield from difference(role.arn, "whom it trusts", role.trust, trust)
    bound = held.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    if bound != boundary:
        state: RoleState = "out of date" if bound else "missing"
        yield RoleDifference(
            role.arn, state, f"its boundary is {bound or 'none'}, and not {boundary}"
        )
    yield from _of_policies(iam, role)


def _of_policies(iam: Any, role: Role) -> Iterator[RoleDifference]:  # noqa: ANN401 - boto3's client
    names = _all(iam, "list_role_policies", "PolicyNames", role)
    for name in sorted(role.policies.keys() - names):
        yield RoleDifference(role.arn, "missing", f"it has no policy {name}")
    for name in sorted(names):
        document = iam.get_role_policy(RoleName=role.name, PolicyName=name)["PolicyDocument"]
        planned: Mapping[str, Any] = role.policies.get(name, {})
        yield from difference(role.arn, f"its policy {name}", planned, document)
    for each in _all(iam, "list_attached_role_policies", "AttachedPolicies", role):
        yield RoleDifference(role.arn, "too much", f"it has the policy {each['PolicyArn']}")


def _all(iam: Any, operation: str, key: str, role: Role) -> list[Any]:  # noqa: ANN401 - boto3's client
    pages = iam.get_paginator(operation).paginate(RoleName=role.name)
    return [each for page in pages for each in page[key]]
