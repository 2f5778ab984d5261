"""GitHub's side of what must stand before the first deployment, and the import of the app's key.

Owns the two scripts, whose bodies are the files beside this one, and the app's manifest. Asks nothing:
a person runs the scripts, with rights that no program should have.

Sources: GitHub Docs, "Registering a GitHub App from a manifest", "REST API endpoints for deployment
environments", "REST API endpoints for rules".
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ecr.bootstrap.roles import (
    APP,
    DEPLOYMENT,
    DISPATCH_APP,
    PREVIEW,
    PREVIEW_APP,
    WEBHOOK,
    Pipeline,
)
from ecr.registry.registry import Registry
from ecr.settings.models import Settings

_HERE = Path(__file__).parent
_START = "#!/usr/bin/env bash\n# Written by ecr-estate bootstrap.\nset -euo pipefail\n"


PRODUCTION, GUARDED = "production", "production-guarded"
"""The environments: of every deployment, and of one that a guard holds, which somebody reviews."""

BRANCH = "main"
"""The branch from which deployments go."""

RULESET: Mapping[str, Any] = {
    "name": "ecr-estate",
    "target": "branch",
    "enforcement": "active",
    "conditions": {"ref_name": {"include": [f"refs/heads/{BRANCH}"], "exclude": []}},
    "rules": [
        {"type": "deletion"},
        {"type": "non_fast_forward"},
        {
            "type": "pull_request",
            "parameters": {
                "required_approving_review_count": 1,
                "dismiss_stale_reviews_on_push": True,
                "require_code_owner_review": False,
                "require_last_push_approval": True,
                "required_review_thread_resolution": False,
            },
        },
    ],
}
"""Whoever may push to the branch deploys: nobody does without a review."""


def github_script(
    registry: Registry,
    pipeline: Pipeline,
    reviewers: Sequence[str],
    *,
    two_apps: bool,
) -> str:
    """Return the script that sets the repository up: environments, ruleset and variables.

    ``reviewers`` are as in ``team:platform`` or ``user:octocat``; ``two_apps`` is whether previews have an
    app of their own.
    """
    values = {
        "repository": pipeline.repository,
        "repository_id": str(pipeline.repository_id),
        "stacks": json.dumps(list(pipeline.stacks)),
        "backend": f"s3://{pipeline.bucket}",
        "region": registry.region,
        "preview_role": registry.role(PREVIEW),
        "deploy_role": registry.role(DEPLOYMENT),
        "app_key": _key(registry, APP),
        "preview_app_key": _key(registry, PREVIEW_APP),
        "two_apps": str(two_apps).lower(),
        "webhook": WEBHOOK if pipeline.webhook else "",
        "rules": json.dumps(RULESET),
    }
    listed = " ".join(shlex.quote(each) for each in reviewers)
    return f"{_START}{_assigned(values)}reviewers=({listed})\n\n{_body('github.sh')}"


def planned_variables(
    registry: Registry, pipeline: Pipeline, *, two_apps: bool
) -> dict[str, str | None]:
    """Return the repository's variables that the script sets; None for what only the apps can say."""
    backend = f"s3://{pipeline.bucket}"
    planned: dict[str, str | None] = {
        "ECR_ESTATE_STACKS": json.dumps(list(pipeline.stacks)),
        "ECR_ESTATE_BACKEND": backend,
        "ECR_ESTATE_OUTPUTS": f"{backend}/outputs/",
        "ECR_ESTATE_REGION": registry.region,
        "ECR_ESTATE_PREVIEW_ROLE": registry.role(PREVIEW),
        "ECR_ESTATE_APP": None,
        "ECR_ESTATE_APP_INSTALLATION": None,
        "ECR_ESTATE_APP_KEY": _key(registry, APP),
    }
    if two_apps:
        planned |= {
            "ECR_ESTATE_PREVIEW_APP": None,
            "ECR_ESTATE_PREVIEW_APP_INSTALLATION": None,
            "ECR_ESTATE_PREVIEW_APP_KEY": _key(registry, PREVIEW_APP),
            "ECR_ESTATE_VARIABLES": "true",
        }
    return {
        **planned,
        "ECR_ESTATE_GUARDED": "true",
        "ECR_ESTATE_DEPLOY_ROLE": registry.role(DEPLOYMENT),
    }


def app_key_script(registry: Registry) -> str:
    """Return the script that imports an app's private key into AWS KMS, by openssl alone."""
    values = {"account": registry.account, "region": registry.region}
    return f"{_START}{_assigned(values)}\n{_body('app-key.sh')}"


def app_page(settings: Settings, pipeline: Pipeline, *, two_apps: bool) -> str:
    """Return a page with a button for each app, which hands its manifest to GitHub.

    A manifest is only taken from a form of a browser, where somebody is logged in who owns the
    organisation.
    """
    owner = pipeline.repository.partition("/")[0]
    permissions = {"metadata": "read", "organization_custom_properties": "read"}
    apps = {"ecr-estate": permissions}
    if two_apps:
        apps = {
            "ecr-estate": {**permissions, "actions_variables": "write"},
            "ecr-estate-preview": {**permissions, "actions_variables": "read"},
        }
    if pipeline.webhook:
        # It is installed for the one repository that deploys, and for no other.
        apps[DISPATCH_APP] = {"actions": "read", "contents": "write", "metadata": "read"}
    forms = "\n".join(_form(settings, pipeline, owner, *each) for each in apps.items())
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>GitHub App of ecr-estate</title>\n'
        f"<h1>GitHub App of ecr-estate</h1>\n{forms}\n"
        "<p>GitHub then shows the repository's page; the address has the code behind "
        "<code>?code=</code>.</p>\n</html>\n"
    )


def _form(
    settings: Settings,
    pipeline: Pipeline,
    owner: str,
    name: str,
    permissions: Mapping[str, str],
) -> str:
    github = (settings.github.base_url or "https://github.com").rstrip("/")
    manifest = {
        "name": f"{owner}-{name}",
        "url": f"{github}/{pipeline.repository}",
        "redirect_url": f"{github}/{pipeline.repository}",
        "public": False,
        "hook_attributes": {"url": f"{github}/{pipeline.repository}", "active": False},
        "default_permissions": permissions,
    }
    text = escape(json.dumps(manifest), quote=True)
    return (
        f'<form action="{escape(github)}/organizations/{escape(owner)}/settings/apps/new" method="post">\n'
        f'<input type="hidden" name="manifest" value="{text}">\n'
        f"<button>Make {escape(owner)}-{escape(name)}</button>\n</form>"
    )


def _key(registry: Registry, alias: str) -> str:
    return f"arn:{registry.partition}:kms:{registry.region}:{registry.account}:alias/{alias}"


def _assigned(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def _body(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
