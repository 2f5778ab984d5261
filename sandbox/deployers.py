"""The roles of a session, made as the guides have an operator make them, and no wider.

Owns which roles stand in the accounts of a stack's settings, with what `ecr-estate policies --roles`
prints and with the trust policies that the pages print, and the pipeline's own roles, which may assume
those and nothing else. Reads the pages themselves, so that what is printed there is what is tried. Settings
that are refused give no role.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from ecr.engine.stack_file import checked, read_stack_file
from ecr.errors import EstateError
from ecr.plan.access.deploy_roles import deployment_documents, template_documents
from ecr.plan.access.push_roles import AUDIENCE, ISSUER
from ecr.plan.architectures import assumed_roles, configured_registries
from ecr.plan.registry_settings import template_role
from ecr.registry.registry import Registry
from ecr.settings.models import Settings

Job = Literal["pipeline", "previews", "deployments"]
"""Who works: a person at a shell who may do both, or one of the two roles of the pipeline."""

AWS_ORGANISATION = "o-sandbox0001"
ACCOUNT = "111111111111"
"""Where the pipeline's roles are: the sandbox's account for artifacts."""

REGION = "eu-west-1"
SECONDS = 43_200
"""How long a session lasts: the longest that IAM allows, since a shell may stay open all day."""

_PAGES = Path(__file__).resolve().parent.parent
_REPOSITORY = "sandbox-org/ecr-estate"
_REPOSITORY_ID = "123456789"
"""The id that docs/guides/pipeline.md prints for the pipeline's repository."""

_WORKFLOWS: dict[Job, str] = {
    "pipeline": "deploy-stack.yml",
    "previews": "preview.yml",
    "deployments": "deploy-stack.yml",
}
_ROLES: dict[Job, str] = {
    "pipeline": f"arn:aws:iam::{ACCOUNT}:role/ecr-estate-pipeline",
    "previews": f"arn:aws:iam::{ACCOUNT}:role/ecr-estate-preview",
    "deployments": f"arn:aws:iam::{ACCOUNT}:role/ecr-estate-deployment",
}
_SUBJECTS: dict[Job, str] = {
    "pipeline": "environment:production",
    "previews": "ref:refs/heads/main",
    "deployments": "environment:production",
}
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"


def role_of(job: Job) -> str:
    """Return the ARN of a job's role."""
    return _ROLES[job]


def printed(page: str, sid: str) -> dict[str, Any]:
    """Return the JSON document of a page whose first statement has this Sid."""
    text = (_PAGES / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^ *(?:```|~~~)json\n(.*?)^ *(?:```|~~~)$", text, re.DOTALL | re.MULTILINE)
    for block in blocks:
        document = json.loads(block)
        if isinstance(document, dict) and document["Statement"][0].get("Sid") == sid:
            return document
    raise LookupError(f"{page} prints no document whose first statement is {sid}")


def role_trust(jobs: Iterable[Job]) -> str:
    """Return the trust policy that docs/guides/first-deployment.md prints for the roles of the accounts."""
    document = printed("docs/guides/first-deployment.md", "Pipeline")
    (statement,) = document["Statement"]
    trusted = [_ROLES[each] for each in jobs]
    statement["Principal"]["AWS"] = trusted[0] if len(trusted) == 1 else trusted
    statement["Condition"]["StringEquals"]["aws:PrincipalOrgID"] = AWS_ORGANISATION
    return json.dumps(document)


def pipeline_trust(sid: str) -> str:
    """Return the trust policy that docs/guides/pipeline.md prints for one of the pipeline's roles."""
    text = json.dumps(printed("docs/guides/pipeline.md", sid))
    return text.replace("111122223333", ACCOUNT).replace("acme/ecr-estate", _REPOSITORY)


class Accounts(Protocol):
    """What makes roles in the accounts of an AWS: the embedded one, or another."""

    def put_role(
        self, arn: str, trust: str, policies: Mapping[str, str], *, seconds: int = ...
    ) -> None:
        """Make a role, or change one that stands."""

    def put_provider(self, arn: str, audience: str) -> None:
        """Make an identity provider."""

    def remove_provider(self, arn: str) -> None:
        """Take an identity provider away."""

    def session_of(
        self, role: str, claims: Mapping[str, str], *, region: str, seconds: int = ...
    ) -> dict[str, str]:
        """Return credentials of a role for a job with these claims."""


class Roles:
    """Makes the roles of a session, and gives sessions of those of the pipeline.

    A setting that is taken away is cleared away with the document from before; so each role has, of
    each stack, the document of the settings and that of those before.
    """

    def __init__(self, aws: Accounts) -> None:
        self._aws = aws
        self._documents: dict[str, dict[str, str]] = {}
        self._trusts: dict[str, str] = {}
        self._provider = False
        self._sessions: dict[Job, dict[str, str]] = {}

    def grant(self, stack: str, file: Path) -> None:
        """Make the roles for a stack's settings, or change those that stand.

        Settings that are refused give nobody more than the pipeline's own roles.
        """
        self._stand()
        try:
            settings = checked(read_stack_file(file))
        except EstateError:
            settings = None
        for role, trust, document in _roles_of(settings) if settings else ():
            self._trusts[role] = trust or self._trusts[role]
            held = self._documents.setdefault(role, {})
            if stack in held and held[stack] != document:
                held[f"{stack}-before"] = held[stack]
            held[stack] = document
        for role, documents in self._documents.items():
            self._aws.put_role(role, self._trusts[role], documents, seconds=SECONDS)
        push_roles = settings.push_roles if settings else None
        if self._provider and push_roles and push_roles.create_provider:
            # The estate is to make it. Whoever has a session keeps it.
            self._sessions = {job: self._session(job) for job in _ROLES}
            self._aws.remove_provider(PROVIDER)
            self._provider = False

    def add(self, job: Job, document: str) -> None:
        """Let a job's role do more, until the session ends."""
        role = _ROLES[job]
        held = self._documents[role]
        held[f"added-{len(held)}"] = document
        self._aws.put_role(role, self._trusts[role], held, seconds=SECONDS)

    def _stand(self) -> None:
        """Make the provider and the pipeline's roles, once."""
        if self._trusts:
            return
        self._aws.put_provider(PROVIDER, AUDIENCE)
        self._provider = True
        for job, role in _ROLES.items():
            sid = "Read" if job == "previews" else "Deploy"
            self._trusts[role], self._documents[role] = pipeline_trust(sid), {}

    def session_of(self, job: Job) -> dict[str, str]:
        """Return the variables of a job's session."""
        if job not in self._sessions:
            self._sessions[job] = self._session(job)
        return {key.upper(): value for key, value in self._sessions[job].items()}

    def _session(self, job: Job) -> dict[str, str]:
        claims = {
            "iss": f"https://{ISSUER}",
            "aud": AUDIENCE,
            "sub": f"repo:{_REPOSITORY}:{_SUBJECTS[job]}",
            "repository": _REPOSITORY,
            "repository_id": _REPOSITORY_ID,
            "job_workflow_ref": f"{_REPOSITORY}/.github/workflows/{_WORKFLOWS[job]}@refs/heads/main",
        }
        return self._aws.session_of(_ROLES[job], claims, region=REGION, seconds=SECONDS)


_TEMPLATE_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ecr.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
"""Who assumes the role that ECR needs for creation templates."""


def _roles_of(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yield each role of the settings: its ARN, its trust policy if it is an account's, its document."""
    documents = deployment_documents(settings)
    deploying = configured_registries(settings)
    reading = assumed_roles(settings, preview=True)
    writes = {role for role in deploying.values() if role}
    reads = {role for role in reading.values() if role}
    documents_of = {account: pair[0].text for account, pair in documents.items()}
    yield from _of_registries(deploying, documents_of, role_trust(["pipeline", "deployments"]))
    if settings.preview_role:
        documents_of = {account: pair[1].text for account, pair in documents.items()}
        yield from _of_registries(reading, documents_of, role_trust(["previews", "pipeline"]))
    makers = {account: each.text for account, each in template_documents(settings).items()}
    for registry in deploying:
        role = template_role(registry, settings)
        if role and (text := makers.pop(registry.account, None)):
            yield role, _TEMPLATE_TRUST, text
    assumes: dict[Job, set[str]] = {
        "pipeline": {*writes, *reads},
        "previews": reads if settings.preview_role else set(),
        "deployments": writes,
    }
    for job, roles in assumes.items():
        if roles:
            yield _ROLES[job], "", _assuming(roles)


def _of_registries(
    registries: dict[Registry, str | None], documents: dict[str, str], trust: str
) -> Iterator[tuple[str, str, str]]:
    for registry, role in registries.items():
        if role:
            yield role, trust, documents[registry.account]


def _assuming(roles: set[str]) -> str:
    """Return the document that lets assume roles, and nothing else."""
    statement = {
        "Sid": "Assume",
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Resource": sorted(roles),
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
