"""The CloudFormation templates of what must stand before the first deployment.

Owns their form: one template of a stack in the artifacts account, and one of a StackSet for all others,
which makes in each account what is that account's own. Reads planned accounts. Pure: nothing is asked
of AWS. What holds state or keys is retained when its stack is deleted.

Sources: AWS CloudFormation Template Reference, AWS::IAM::Role, AWS::IAM::ManagedPolicy,
AWS::IAM::OIDCProvider, AWS::S3::Bucket, AWS::S3::BucketPolicy, AWS::KMS::Key, AWS::KMS::Alias,
AWS::SecretsManager::Secret, AWS::Lambda::Function, AWS::Lambda::Url and AWS::Lambda::Permission.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ecr.bootstrap.roles import (
    APP,
    DISPATCH_APP,
    PREVIEW_APP,
    SECRETS,
    WEBHOOK,
    Account,
    ManagedPolicy,
    Pipeline,
    Role,
)
from ecr.plan.access.documents import allow, policy
from ecr.plan.access.push_roles import AUDIENCE, ISSUER
from ecr.registry.registry import Registry

LONGEST = 1_048_576
"""Bytes of a template that CloudFormation reads from Amazon S3 (AWS CloudFormation User Guide,
"Understand CloudFormation quotas")."""

SESSION = 3_600
"""Seconds for which one of the roles may be assumed, until somebody raises it."""

BACKUP_DAYS, HISTORY_DAYS, NONCURRENT_DAYS = 30, 365, 30
"""Days for which the state's bucket keeps the engine's backups, the history of deployments, and versions
that were replaced."""

LOG_DAYS = 30
"""Days for which the function's log is kept."""

Template = Mapping[str, Any]
"""A template, as JSON has it."""


def artifacts_template(
    account: Account,
    registry: Registry,
    pipeline: Pipeline,
    *,
    provider: bool,
    two_apps: bool,
    api: str,
) -> Template:
    """Return the template of the artifacts account: its roles, the state's bucket and the keys.

    ``provider`` is whether GitHub's identity provider is made, of which an account has one at most;
    ``two_apps`` whether previews have a GitHub App of their own. ``api`` is where GitHub's REST API is.
    """
    resources = {**_state(registry, pipeline), **_secrets(registry), **_app("App", APP, registry)}
    if two_apps:
        resources |= _app("PreviewApp", PREVIEW_APP, registry)
    if provider:
        resources["IdentityProvider"] = {
            "Type": "AWS::IAM::OIDCProvider",
            "Properties": {"Url": f"https://{ISSUER}", "ClientIdList": [AUDIENCE]},
        }
    first = ["IdentityProvider"] if provider else []
    resources |= _of_account(account, first=first)
    outputs = None
    if pipeline.webhook:
        resources |= _app("DispatchApp", DISPATCH_APP, registry) | _webhook(pipeline, api)
        outputs = {"WebhookUrl": {"Value": {"Fn::GetAtt": ["WebhookUrl", "FunctionUrl"]}}}
    what = "what deploys the estate, and holds its state"
    return _template(what, resources, outputs=outputs)


def accounts_template(accounts: Sequence[Account]) -> Template:
    """Return the StackSet's template of all other accounts; each makes what is its own."""
    conditions = {
        f"Is{each.account}": {"Fn::Equals": [{"Ref": "AWS::AccountId"}, each.account]}
        for each in accounts
    }
    resources: dict[str, Any] = {}
    for each in accounts:
        for name, resource in _of_account(each, suffix=each.account).items():
            resources[name] = {"Condition": f"Is{each.account}", **resource}
    text = "the roles of an account that holds images of the estate"
    return _template(text, resources, conditions)


def _template(
    what: str,
    resources: Mapping[str, Any],
    conditions: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Any] | None = None,
) -> Template:
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"ecr-estate: {what}. Written by ecr-estate bootstrap.",
        **({"Conditions": conditions} if conditions else {}),
        "Resources": resources,
        **({"Outputs": outputs} if outputs else {}),
    }


def _of_account(
    account: Account, *, suffix: str = "", first: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    boundary = f"Boundary{suffix}"
    resources = {boundary: _managed(account.boundary)}
    for index, each in enumerate(account.further, 1):
        resources[f"Further{index}Boundary{suffix}"] = _managed(each)
    named = {role.arn: f"{_logical(role.name)}{suffix}" for role in account.roles}
    for role in account.roles:
        trusted = {
            named[arn]
            for statement in role.trust["Statement"]
            for arn in _principals(statement["Principal"])
            if arn in named
        }
        federated = any("Federated" in each["Principal"] for each in role.trust["Statement"])
        after = sorted({*trusted, *(first if federated else ())})
        resources[named[role.arn]] = _role(role, boundary, after)
    return resources


def _principals(principal: Mapping[str, str | list[str]]) -> list[str]:
    named = principal.get("AWS", [])
    return [named] if isinstance(named, str) else named


def _logical(name: str) -> str:
    words = "".join(each if each.isalnum() else " " for each in name).split()
    return "".join(word[:1].upper() + word[1:] for word in words) + "Role"


def _role(role: Role, boundary: str, after: Sequence[str]) -> dict[str, Any]:
    return {
        "Type": "AWS::IAM::Role",
        # A role that a trust policy names must exist before.
        **({"DependsOn": list(after)} if after else {}),
        "Properties": {
            "RoleName": role.name,
            "Path": role.path,
            "Description": f"ecr-estate: {role.purpose}",
            "MaxSessionDuration": SESSION,
            "AssumeRolePolicyDocument": role.trust,
            "PermissionsBoundary": {"Ref": boundary},
            "Policies": [
                {"PolicyName": name, "PolicyDocument": document}
                for name, document in role.policies.items()
            ],
        },
    }


def _managed(managed: ManagedPolicy) -> dict[str, Any]:
    return {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {
            "ManagedPolicyName": managed.name,
            "Path": managed.path,
            "PolicyDocument": managed.document,
        },
    }


def state_bucket(
    registry: Registry, pipeline: Pipeline
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the properties of the state's bucket, as AWS::S3::Bucket has them, and its policy's document."""
    arn = f"arn:{registry.partition}:s3:::{pipeline.bucket}"
    tls_only = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    bucket = {
        "BucketName": pipeline.bucket,
        "VersioningConfiguration": {"Status": "Enabled"},
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            ]
        },
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "LifecycleConfiguration": {
            "Rules": [
                _expiring("backups", ".pulumi/backups/", BACKUP_DAYS),
                _expiring("history", ".pulumi/history/", HISTORY_DAYS),
                {
                    "Id": "replaced",
                    "Status": "Enabled",
                    "NoncurrentVersionExpiration": {"NoncurrentDays": NONCURRENT_DAYS},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                },
            ]
        },
    }
    return bucket, policy(tls_only)


def _state(registry: Registry, pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    bucket, document = state_bucket(registry, pipeline)
    return {
        "State": _kept("AWS::S3::Bucket", bucket),
        "StatePolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "State"}, "PolicyDocument": document},
        },
    }


def _expiring(name: str, prefix: str, days: int) -> dict[str, Any]:
    return {"Id": name, "Status": "Enabled", "Prefix": prefix, "ExpirationInDays": days}


def _kept(kind: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Type": kind,
        # Where making the stack fails, nothing is left that would stand in the way of the next try.
        "DeletionPolicy": "RetainExceptOnCreate",
        "UpdateReplacePolicy": "Retain",
        "Properties": properties,
    }


def _secrets(registry: Registry) -> dict[str, dict[str, Any]]:
    key = {
        "Description": "ecr-estate: secrets of the state",
        "EnableKeyRotation": True,
        "KeyPolicy": _key_policy(registry),
    }
    return {"Secrets": _kept("AWS::KMS::Key", key), "SecretsAlias": _alias("Secrets", SECRETS)}


def _app(logical: str, alias: str, registry: Registry) -> dict[str, dict[str, Any]]:
    """Return the key that waits for an app's private key.

    AWS KMS Developer Guide, "Importing key material for AWS KMS keys".
    """
    key = {
        "Description": f"ecr-estate: the private key of the GitHub App, {alias}",
        "KeySpec": "RSA_2048",
        "KeyUsage": "SIGN_VERIFY",
        "Origin": "EXTERNAL",
        "KeyPolicy": _key_policy(registry),
    }
    return {
        f"{logical}Key": _kept("AWS::KMS::Key", key),
        f"{logical}Alias": _alias(f"{logical}Key", alias),
    }


def _webhook(pipeline: Pipeline, api: str) -> dict[str, dict[str, Any]]:
    """Return the function that starts deployments, with its address, its secret and its log.

    An address that nobody has to log in to needs both permissions (AWS Lambda Developer Guide, "Control access
    to Lambda function URLs"); who calls it is known by the signature.
    """
    secret = {
        "Name": WEBHOOK,
        "Description": "ecr-estate: by which GitHub signs what it sends to the webhook",
        "GenerateSecretString": {"PasswordLength": 40, "ExcludePunctuation": True},
    }
    function = {
        "FunctionName": WEBHOOK,
        "Description": "ecr-estate: starts a deployment when a repository has come, gone or changed",
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": {"Fn::GetAtt": ["EcrEstateWebhookRole", "Arn"]},
        "Timeout": 10,
        "Code": {"ZipFile": (Path(__file__).parent / "webhook.py").read_text(encoding="utf-8")},
        "Environment": {
            "Variables": {
                "API": api,
                "REPOSITORY": pipeline.repository,
                "KEY": {"Ref": "DispatchAppKey"},
                "SECRET": {"Ref": "WebhookSecret"},
            }
        },
    }
    target = {"Fn::GetAtt": ["Webhook", "Arn"]}
    anybody = {"FunctionName": target, "Principal": "*"}
    return {
        "WebhookSecret": {"Type": "AWS::SecretsManager::Secret", "Properties": secret},
        "WebhookLog": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"LogGroupName": f"/aws/lambda/{WEBHOOK}", "RetentionInDays": LOG_DAYS},
        },
        "Webhook": {
            "Type": "AWS::Lambda::Function",
            "DependsOn": ["WebhookLog"],
            "Properties": function,
        },
        "WebhookUrl": {
            "Type": "AWS::Lambda::Url",
            "Properties": {"TargetFunctionArn": target, "AuthType": "NONE"},
        },
        "WebhookUrlOpen": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                **anybody,
                "Action": "lambda:InvokeFunctionUrl",
                "FunctionUrlAuthType": "NONE",
            },
        },
        "WebhookOpen": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                **anybody,
                "Action": "lambda:InvokeFunction",
                "InvokedViaFunctionUrl": True,
            },
        },
    }


def _alias(key: str, name: str) -> dict[str, Any]:
    return {
        "Type": "AWS::KMS::Alias",
        "Properties": {"AliasName": f"alias/{name}", "TargetKeyId": {"Ref": key}},
    }


def _key_policy(registry: Registry) -> dict[str, Any]:
    """Let the account's identity policies decide (AWS KMS Developer Guide, "Default key policy")."""
    root = {"AWS": f"arn:{registry.partition}:iam::{registry.account}:root"}
    return policy({**allow("Account", "kms:*", "*"), "Principal": root})
