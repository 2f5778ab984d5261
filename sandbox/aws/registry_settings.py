"""What a registry of the embedded ECR has besides images: templates, cache rules, signing, exclusions.

Owns these documents, what is refused about them, and which template fits a name. Reads nothing but
the requests. Never makes an image repository: that is the registry's.

Sources: Amazon ECR User Guide, "Templates to control repositories created during a pull through
cache, create on push, or replication action", "Sync an upstream registry with an Amazon ECR private
registry", "Managed signing" and "Pull-time update exclusions"; Amazon ECR API Reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.secretsmanager.models import secretsmanager_backends

from sandbox.aws import lifecycle_documents, policy_documents
from sandbox.aws.refusals import EcrRefusal, invalid
from sandbox.aws.wildcards import matches

if TYPE_CHECKING:
    from sandbox.aws.registry import Registry

ROOT = "ROOT"

ACCOUNT_SETTINGS = {
    "BASIC_SCAN_TYPE_VERSION": ("AWS_NATIVE",),
    "BLOB_MOUNTING": ("DISABLED", "ENABLED"),
    "REGISTRY_POLICY_SCOPE": ("V2",),
}
"""Every value that a setting can be given, the default first (PutAccountSetting, value)."""

_UPSTREAMS = {
    "ecr-public": "public.ecr.aws",
    "quay": "quay.io",
    "k8s": "registry.k8s.io",
    "docker-hub": "registry-1.docker.io",
    "github-container-registry": "ghcr.io",
    "gitlab-container-registry": "registry.gitlab.com",
    "chainguard": "cgr.dev",
}
_WITH_CREDENTIALS = (
    "docker-hub",
    "github-container-registry",
    "gitlab-container-registry",
    "azure-container-registry",
    "chainguard",
)


class RegistrySettings:
    """The documents of one registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._account_settings = {name: values[0] for name, values in ACCOUNT_SETTINGS.items()}
        self.templates: dict[str, dict[str, Any]] = {}
        self.cache_rules: dict[str, dict[str, Any]] = {}
        self.signing: dict[str, Any] | None = None
        self.exclusions: list[str] = []

    # Account settings

    def put_account_setting(self, name: str, value: str) -> None:
        """Change a setting to a value that it takes."""
        self.account_setting(name)
        if value not in ACCOUNT_SETTINGS[name]:
            raise invalid("value", f"{name} takes {' or '.join(ACCOUNT_SETTINGS[name])}")
        self._account_settings[name] = value

    def account_setting(self, name: str) -> str:
        """Return a setting's value."""
        if name not in self._account_settings:
            raise invalid("name", f"must be one of {', '.join(ACCOUNT_SETTINGS)}")
        return self._account_settings[name]

    def let_old_policy_scope(self) -> None:
        """Make this a registry from before 2025, whose policy knows three actions only."""
        self._account_settings["REGISTRY_POLICY_SCOPE"] = "V1"

    # Repository creation templates

    def create_template(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Keep a template for a prefix that has none."""
        prefix = wanted["prefix"].removesuffix("/")
        if prefix in self.templates:
            raise EcrRefusal(
                "TemplateAlreadyExistsException", f"There is a template for {prefix} already"
            )
        most = self._registry.world.quotas.creation_templates
        if len(self.templates) >= most:
            raise EcrRefusal("LimitExceededException", f"At most {most} templates")
        now = self._registry.now()
        template = {
            "imageTagMutability": "MUTABLE",
            "encryptionConfiguration": {"encryptionType": "AES256"},
            **_given(wanted),
            "prefix": prefix,
            "createdAt": now,
            "updatedAt": now,
        }
        self._check_template(template)
        self.templates[prefix] = template
        return template

    def update_template(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Change what is named of a template."""
        template = {
            **self.template(wanted["prefix"]),
            **_given(wanted),
            "updatedAt": self._registry.now(),
        }
        template["prefix"] = wanted["prefix"].removesuffix("/")
        self._check_template(template)
        self.templates[template["prefix"]] = template
        return template

    def template(self, prefix: str) -> dict[str, Any]:
        """Return the template of a prefix."""
        found = self.templates.get(prefix.removesuffix("/"))
        if not found:
            raise EcrRefusal("TemplateNotFoundException", f"There is no template for {prefix}")
        return found

    def delete_template(self, prefix: str) -> dict[str, Any]:
        """Forget a template; what was made from it stays as it is."""
        template = self.template(prefix)
        del self.templates[template["prefix"]]
        return template

    def template_for(self, name: str, action: str) -> dict[str, Any] | None:
        """Return the template of the longest prefix that fits, or ROOT's, for an action."""
        fitting = [
            template
            for prefix, template in self.templates.items()
            if prefix == ROOT or name.startswith(f"{prefix}/")
        ]
        best = max(fitting, key=lambda each: len(each["prefix"].removeprefix(ROOT)), default=None)
        return best if best and action in best["appliedFor"] else None

    def _check_template(self, template: dict[str, Any]) -> None:
        if not template["appliedFor"]:
            raise invalid("appliedFor", "must name what the template is for")
        encryption = template["encryptionConfiguration"]
        if encryption["encryptionType"] == "AES256" and encryption.get("kmsKey"):
            raise invalid("encryptionConfiguration", "kmsKey is for the encryptionType KMS only")
        role = template.get("customRoleArn")
        if role and f":iam::{self._registry.account_id}:role/" not in role:
            raise invalid("customRoleArn", "must be a role of the registry's own account")
        self._registry.check_tags({}, template.get("resourceTags") or [])
        self._registry.check_mutability(
            template["imageTagMutability"], template.get("imageTagMutabilityExclusionFilters")
        )
        policy = template.get("lifecyclePolicy")
        if policy and (found := lifecycle_documents.offences(policy)):
            raise invalid("lifecyclePolicy", *found)
        policy = template.get("repositoryPolicy")
        if policy and (found := policy_documents.repository_policy_offences(policy)):
            raise invalid("repositoryPolicy", *found)

    # Pull through cache rules

    def create_cache_rule(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Keep a rule for a prefix that has none."""
        prefix = wanted["ecrRepositoryPrefix"]
        if prefix in self.cache_rules:
            raise EcrRefusal(
                "PullThroughCacheRuleAlreadyExistsException", f"There is a rule for {prefix}"
            )
        most = self._registry.world.quotas.pull_through_cache_rules
        if len(self.cache_rules) >= most:
            raise EcrRefusal("LimitExceededException", f"At most {most} pull through cache rules")
        rule = {**_given(wanted), "createdAt": self._registry.now(), "updatedAt": None}
        rule["registryId"] = self._registry.account_id
        url = wanted["upstreamRegistryUrl"].removeprefix("https://")
        known = {address: name for name, address in _UPSTREAMS.items()}
        upstream = known.get(url) or next(
            (
                name
                for name, pattern in (
                    ("azure-container-registry", "*.azurecr.io"),
                    ("ecr", "*.dkr.ecr.*.amazonaws.com*"),
                )
                if matches(url, pattern)
            ),
            None,
        )
        if not upstream or wanted.get("upstreamRegistry", upstream) != upstream:
            raise EcrRefusal("UnsupportedUpstreamRegistryException", f"{url} is not supported")
        if upstream in _WITH_CREDENTIALS and not wanted.get("credentialArn"):
            raise invalid("credentialArn", f"is needed for {url}")
        if secret := wanted.get("credentialArn"):
            self._check_secret(secret)
        other = upstream == "ecr" and not url.startswith(self._registry.account_id)
        if other and not wanted.get("customRoleArn"):
            raise invalid("customRoleArn", "is needed for a registry of another account")
        rule["upstreamRegistry"] = upstream
        self.cache_rules[prefix] = rule
        return rule

    def _check_secret(self, arn: str) -> None:
        """Refuse credentials that are nowhere, or in another account or Region than the rule.

        Amazon ECR User Guide, "Creating a pull through cache rule in Amazon ECR", prerequisites; the names of
        the refusals are those of CreatePullThroughCacheRule.
        """
        place = [self._registry.region_name, self._registry.account_id]
        if arn.split(":")[3:5] != place:
            raise invalid("credentialArn", f"must be of {place[1]} in {place[0]}")
        backend = secretsmanager_backends[place[1]][place[0]]
        held = next(
            (
                each
                for each in backend.secrets.values()
                if arn in (each.arn, each.arn.rpartition("-")[0])
            ),
            None,
        )
        if held is None:
            raise EcrRefusal("SecretNotFoundException", f"There is no secret {arn}")
        if held.is_deleted():
            raise EcrRefusal("UnableToAccessSecretException", f"{arn} is marked for deletion")

    def cache_rule(self, prefix: str) -> dict[str, Any]:
        """Return the rule of a prefix."""
        found = self.cache_rules.get(prefix)
        if not found:
            raise EcrRefusal("PullThroughCacheRuleNotFoundException", f"There is no rule {prefix}")
        return found

    def cache_rule_for(self, name: str) -> dict[str, Any] | None:
        """Return the rule of the longest prefix that a name is below, None where there is none."""
        fitting = [each for each in self.cache_rules if name.startswith(f"{each}/")]
        return self.cache_rules[max(fitting, key=len)] if fitting else None

    def update_cache_rule(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Change how a rule gets its credentials."""
        rule = self.cache_rule(wanted["ecrRepositoryPrefix"])
        if not wanted.get("credentialArn") and not wanted.get("customRoleArn"):
            raise invalid("credentialArn", "or customRoleArn is what an update is about")
        if secret := wanted.get("credentialArn"):
            self._check_secret(secret)
        rule |= _given(wanted) | {"updatedAt": self._registry.now()}
        return rule

    # Managed signing

    def put_signing(self, wanted: dict[str, Any]) -> None:
        """Keep the rules by which images are signed."""
        profiles = [rule["signingProfileArn"] for rule in wanted["rules"]]
        region = f":{self._registry.region_name}:"
        if any(region not in profile for profile in profiles):
            raise invalid("signingProfileArn", "must be a profile of the registry's own Region")
        self.signing = wanted

    def get_signing(self) -> dict[str, Any]:
        """Return the rules by which images are signed."""
        if self.signing is None:
            raise EcrRefusal(
                "SigningConfigurationNotFoundException", "There is no signing configuration"
            )
        return self.signing

    def profiles_for(self, name: str) -> list[str]:
        """Return the signing profiles that sign images of a name."""
        return [
            rule["signingProfileArn"]
            for rule in (self.signing or {"rules": []})["rules"]
            if not rule.get("repositoryFilters")
            or any(matches(name, each["filter"]) for each in rule["repositoryFilters"])
        ]

    # Pull-time update exclusions

    def exclude(self, principal: str) -> None:
        """Record no pulls of a role or user any more."""
        if principal in self.exclusions:
            raise EcrRefusal("ExclusionAlreadyExistsException", f"{principal} is excluded already")
        most = self._registry.world.quotas.pull_time_exclusions
        if len(self.exclusions) >= most:
            raise EcrRefusal("LimitExceededException", f"At most {most} exclusions")
        self.exclusions.append(principal)

    def include(self, principal: str) -> None:
        """Record the pulls of a role or user again."""
        if principal not in self.exclusions:
            raise EcrRefusal("ExclusionNotFoundException", f"{principal} is not excluded")
        self.exclusions.remove(principal)


def _given(wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if value is not None}
