"""The plan as plain data: everything that will exist, and why. No behaviour beyond names."""

from collections.abc import Container, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from ecr.errors import Guard
from ecr.ledger.ledger import Ledger, LedgerState
from ecr.registry.registry import Placement, Registry
from ecr.settings.models import RegistrySetting

MENTIONED = 5
"""Replicas that a message names; it says how many there are."""

PUSH_ROLE_PATH = "/ecr-estate/"
"""The path of push roles, by which a policy can name them all."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a repository's workflows, by its name in capitals, as it stands on GitHub.

    ``value`` is None for one that the engine's state holds, and ``urn`` the engine's name of it there.
    """

    value: str | None = None
    urn: str | None = None


@dataclass(frozen=True, slots=True)
class StandingSettings:
    """What stands once for a registry by other hands, as far as it was asked for.

    ``now`` is a JSON text by setting, None for a setting that is not there; ``held`` are the settings
    that the engine's state holds, whatever the ledger says.
    """

    now: Mapping[RegistrySetting, str | None] = field(default_factory=dict)
    held: AbstractSet[RegistrySetting] = frozenset()


@dataclass(frozen=True, slots=True)
class StandingExclusions:
    """Whose pulls leave no time in one registry, by ARN, and those among them that the engine's state holds."""

    now: AbstractSet[str] = frozenset()
    held: AbstractSet[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CachePlan:
    """A pull-through cache rule: the prefix of the names in the registry, and where ECR fills them from.

    ``upstream`` is a host, ``upstream_prefix`` how names begin there, None for all; ``credentials`` is the ARN
    of a secret, and ``role`` that of the role by which ECR pulls from the ECR of another account.
    """

    prefix: str
    upstream: str
    upstream_prefix: str | None = None
    credentials: str | None = None
    role: str | None = None

    @property
    def source(self) -> str:
        """Return where it caches from, as a person reads it."""
        return "/".join(filter(None, (self.upstream, self.upstream_prefix)))


@dataclass(frozen=True, slots=True)
class StandingCaches:
    """The cache rules of one registry by prefix, the prefixes of those that the engine's state holds, and secrets.

    ``secrets`` says of secrets that ECR could not use why, by their ARNs.
    """

    now: Mapping[str, CachePlan] = field(default_factory=dict)
    held: AbstractSet[str] = frozenset()
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StandingTemplates:
    """The creation templates of one registry: their descriptions by prefix, and the prefixes in the engine's state."""

    now: Mapping[str, str] = field(default_factory=dict)
    held: AbstractSet[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DeletionRule:
    """A replication rule that stands and replicates deletions. No prefix at all means every name."""

    source: Registry
    destinations: tuple[Registry, ...]
    prefixes: tuple[str, ...] = ()

    def reaches(self, placement: Placement) -> bool:
        """Return whether what the source deletes goes in this image repository too."""
        return placement.registry in self.destinations and (
            not self.prefixes or placement.name.startswith(self.prefixes)
        )


@dataclass(frozen=True, slots=True)
class StandingAlerts:
    """What stands of the alerts of one registry, where the engine's state does not hold all of it.

    ``topic_key`` is the key of a topic that stands and is not in the state, "" for one without a key,
    None where there is none. ``keys`` are the ARNs of enabled keys that have the tag of the alerts and
    are not in the state, and ``held_key`` is the one that is. ``rules`` are event rules of other hands by
    name, each with what it does. ``topic_unused`` says that nobody has subscribed to the topic, and
    ``topic_policy`` is its policy.
    """

    topic_key: str | None = None
    keys: tuple[str, ...] = ()
    held_key: str | None = None
    rules: Mapping[str, str] = field(default_factory=dict)
    topic_unused: bool = False
    topic_policy: str | None = None


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Somebody whom a topic tells: a protocol of Amazon SNS, and where by it."""

    protocol: str
    endpoint: str

    @property
    def shown(self) -> str:
        """Return what it is called: of an HTTPS address the host, for the rest may be a secret."""
        if self.protocol != "https":
            return self.endpoint
        return self.endpoint.removeprefix("https://").partition("/")[0]

    @property
    def name(self) -> str:
        """Return what tells it from all others, and no secret."""
        if self.protocol != "https":
            return f"{self.protocol}/{self.endpoint}"
        return f"https/{self.shown}/{sha256(self.endpoint.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Standing:
    """Something of other hands beside image repositories that stands where the plan would have its own.

    ``now`` is what it is, ``then`` what is planned; ``note`` is one sentence with the remedy.
    """

    kind: Literal[
        "push role",
        "spare push role",
        "variable",
        "identity provider",
        "topic",
        "event rule",
        "key",
    ]
    name: str
    now: str
    then: str
    note: str


@dataclass(frozen=True, slots=True)
class StandingKey:
    """The KMS key of a registry's images, as KMS describes it.

    ``state`` is None where there is no such key; ``read`` is false where the role may not look.
    """

    arn: str
    state: str | None = None
    spec: str = ""
    usage: str = ""
    read: bool = True


@dataclass(frozen=True, slots=True)
class Observed:
    """What the registries hold, as far as the ledger does not say.

    ``unknown`` are the tags of image repositories that the ledger does not know, and ``managed``
    locations that the engine's state holds, read only where something is unknown or absent;
    ``absent`` are image repositories that the ledger knows and no registry lists; ``images`` are the
    numbers of images in those that are retiring, and in all where the settings ask for it. All by
    location. ``variables`` are those that repositories have, by id and name, where push roles come
    with variables; a repository that has none of ours in the state was asked, and ``unread`` says why
    one could not be. ``templates`` are of what GitHub makes the subjects of a repository's tokens, by its
    id, where its push role is not in the state and GitHub says so; ``notes`` is what an operator should
    know of the reading. ``registries``
    are the settings of registries that the ledger does not call this stack's own, and ``exclusions``
    those from pull times, where some that are wanted are not this stack's, as are ``templates_made`` for creation
    templates. ``caches`` are the cache rules
    of registries for which the settings have some. ``deletions`` are replication
    rules that stand and replicate deletions. ``roles`` are
    the paths, by name, of roles that are called as push roles are; ``audiences`` are those of GitHub's
    identity provider, None where there is none; ``alerts`` are by registry: all three only of what
    stands in AWS and not in the engine's state. ``unconfirmed`` are those whom alerts are to tell, and who have
    not confirmed that. ``keys`` are those of the settings, by registry. ``reads`` counts the questions.
    """

    unknown: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    managed: Container[str] = frozenset()
    absent: AbstractSet[str] = frozenset()
    images: Mapping[str, int] = field(default_factory=dict)
    variables: Mapping[int, Mapping[str, Variable]] = field(default_factory=dict)
    unread: Mapping[int, str] = field(default_factory=dict)
    templates: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    registries: Mapping[Registry, StandingSettings] = field(default_factory=dict)
    exclusions: Mapping[Registry, StandingExclusions] = field(default_factory=dict)
    caches: Mapping[Registry, StandingCaches] = field(default_factory=dict)
    templates_made: Mapping[Registry, StandingTemplates] = field(default_factory=dict)
    deletions: tuple[DeletionRule, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    audiences: tuple[str, ...] | None = None
    alerts: Mapping[Registry, StandingAlerts] = field(default_factory=dict)
    unconfirmed: Mapping[Registry, tuple[Subscriber, ...]] = field(default_factory=dict)
    keys: Mapping[Registry, StandingKey] = field(default_factory=dict)
    reads: int = field(default=0, compare=False)


def encryption_word(key: str | None, *, dual_layer: bool) -> str:
    """Return ECR's word for an encryption (Amazon ECR API Reference, "EncryptionConfiguration")."""
    if not key:
        return "AES256"
    return "KMS_DSSE" if dual_layer else "KMS"


def mutability_word(*, immutable: bool, exclusions: tuple[str, ...]) -> str:
    """Return ECR's word for how tags may move (Amazon ECR API Reference, "Repository")."""
    word = "IMMUTABLE" if immutable else "MUTABLE"
    return f"{word}_WITH_EXCLUSION" if exclusions else word


@dataclass(frozen=True, slots=True)
class CreationTemplate:
    """What ECR gives an image repository that it makes by itself under a prefix, ``ROOT`` being every other.

    ``applied_for`` are ECR's words for the occasions, ``exclusions`` the wildcards of tags for which
    ``mutability`` does not hold, ``lifecycle`` and ``policy`` JSON documents, and ``role`` the ARN of the role
    that ECR assumes, which alone can give ``tags``.
    """

    prefix: str
    applied_for: tuple[str, ...]
    description: str
    mutability: str
    exclusions: tuple[str, ...] = ()
    encryption: str = "AES256"
    kms_key: str | None = None
    lifecycle: str | None = None
    policy: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    role: str | None = None


@dataclass(frozen=True, slots=True)
class ImageRepository:
    """An image repository as it will be declared.

    ``lifecycle`` and ``policy`` are JSON documents, None where there is none. ``mutable_tags`` are
    the wildcards that immutability leaves out, and ``immutable_tags`` those of tags that never move
    though all others may. ``dual_layer`` says whether ``kms_key`` encrypts twice. ``found`` is one that stands in AWS but not in the
    engine's state, which takes it up instead of making it.
    """

    placement: Placement
    kind: Literal["placement", "replica"]
    state: LedgerState
    tags: Mapping[str, str]
    immutable: bool
    mutable_tags: tuple[str, ...] = ()
    immutable_tags: tuple[str, ...] = ()
    kms_key: str | None = None
    dual_layer: bool = False
    lifecycle: str | None = None
    policy: str | None = None
    found: bool = False

    @property
    def encryption(self) -> str:
        """Return ECR's word for how it is encrypted (Amazon ECR API Reference, "EncryptionConfiguration")."""
        return encryption_word(self.kms_key, dual_layer=self.dual_layer)

    @property
    def exclusions(self) -> tuple[str, ...]:
        """Return the wildcards of the tags for which ``mutability`` does not hold."""
        return self.mutable_tags if self.immutable else self.immutable_tags

    @property
    def mutability(self) -> str:
        """Return ECR's word for how the tags may move (Amazon ECR API Reference, "Repository")."""
        return mutability_word(immutable=self.immutable, exclusions=self.exclusions)

    @property
    def protected(self) -> bool:
        """Return whether the engine refuses to delete it: always, until an operator retires it."""
        return self.state != "retiring"

    @property
    def url(self) -> str:
        """Return what `docker push` and `docker pull` take, without a tag."""
        return f"{self.placement.registry.host}/{self.placement.name}"


@dataclass(frozen=True, slots=True)
class ReplicationRule:
    """Which names go where. No filter at all means every name."""

    destinations: tuple[Registry, ...]
    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RegistryPlan:
    """What is set once for a whole registry. ``policy`` is a JSON document, None where there is none.

    ``scan_on_push`` are the filters of a second scanning rule, beside that of ``scan_frequency``.
    ``alone`` are settings that are left as they stand, ``left`` those among them that the engine's state
    holds, ``waiting`` those of other hands that wait to be adopted, and ``replaced`` those of other hands
    that this deployment replaces, for the registry is adopted. ``exclusions`` are the ARNs of those whose
    pulls leave no time, ``found_exclusions`` those among them that stand and are taken up, and
    ``other_exclusions`` those of other hands, which are left alone. ``caches``, ``found_caches`` and
    ``other_caches`` are the same of the cache rules, the latter two by prefix, and ``templates``,
    ``found_templates`` and ``other_templates`` of the creation templates.
    """

    registry: Registry
    role: str | None
    policy: str | None
    policy_scope: str | None
    scan_type: str
    scan_frequency: str
    scan_filters: tuple[str, ...]
    scan_on_push: tuple[str, ...] = ()
    replication: tuple[ReplicationRule, ...] = ()
    alone: AbstractSet[RegistrySetting] = frozenset()
    left: AbstractSet[RegistrySetting] = frozenset()
    waiting: tuple["SettingOfOthers", ...] = ()
    replaced: tuple["SettingOfOthers", ...] = ()
    exclusions: tuple[str, ...] = ()
    found_exclusions: AbstractSet[str] = frozenset()
    other_exclusions: AbstractSet[str] = frozenset()
    caches: tuple[CachePlan, ...] = ()
    found_caches: AbstractSet[str] = frozenset()
    other_caches: AbstractSet[str] = frozenset()
    templates: tuple[CreationTemplate, ...] = ()
    found_templates: AbstractSet[str] = frozenset()
    other_templates: AbstractSet[str] = frozenset()

    def scanning_rules(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the scanning rules, each as its frequency and its filters."""
        if self.scan_filters:
            yield self.scan_frequency, self.scan_filters
        if self.scan_on_push:
            yield "SCAN_ON_PUSH", self.scan_on_push

    @property
    def own_policy(self) -> str | None:
        """Return the policy that this deployment writes."""
        return None if "policy" in self.alone else self.policy

    @property
    def own_replication(self) -> tuple[ReplicationRule, ...]:
        """Return the replication rules that this deployment writes."""
        return () if "replication" in self.alone else self.replication


@dataclass(frozen=True, slots=True)
class SettingOfOthers:
    """A setting of a registry by other hands, as it stands and as it is planned: two JSON texts.

    A topic or an event rule with the name of an alert is shown as one too, a rule in words.
    """

    registry: Registry
    setting: str
    now: str
    then: str

    def described(self) -> dict[str, str]:
        """Return it as plain data."""
        return {
            "registry": self.registry.key,
            "setting": self.setting,
            "now": self.now,
            "then": self.then,
        }


def push_role_arn(registry: Registry, name: str) -> str:
    """Return the ARN of the push role of this name in a registry's account."""
    return f"arn:{registry.partition}:iam::{registry.account}:role{PUSH_ROLE_PATH}{name}"


@dataclass(frozen=True, slots=True)
class PushRole:
    """The role by which the workflows of one repository push the images of its service.

    ``trust`` and ``policy`` are JSON documents, and ``boundary`` is the ARN of a policy; ``repository`` is the repository's name on GitHub.
    ``variables`` are those that it gets there, the role's own ARN among them. Of these, ``found`` stand
    on GitHub as they are planned, and are taken up; ``held`` are the engine's names of those that its
    state holds. ``left_alone`` are those that stand there with another value, by other hands, and
    ``wanted`` is what all of them would be.
    ``stands_at`` is the path of a role of this name that stands in AWS and not in the engine's state.
    """

    registry: Registry
    service: str
    repository: str
    name: str
    trust: str
    policy: str
    boundary: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    found: frozenset[str] = frozenset()
    held: Mapping[str, str] = field(default_factory=dict)
    left_alone: Mapping[str, str] = field(default_factory=dict)
    wanted: Mapping[str, str] = field(default_factory=dict)
    stands_at: str | None = None

    @property
    def arn(self) -> str:
        """Return the ARN that the role will have."""
        return push_role_arn(self.registry, self.name)

    @property
    def github_id(self) -> int:
        """Return the id of its repository, with which the name ends."""
        return int(self.name.rpartition("-")[2])


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A repository that was selected but cannot be placed, or one of its image repositories.

    ``stands`` is the location of other hands that is in its way, if that is the reason.
    """

    id: int
    repository: str
    reason: str
    stands: str | None = None


@dataclass(frozen=True, slots=True)
class Bleed:
    """Names that a replication prefix covers though no replica of them is wanted there."""

    prefix: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplicatedDeletion:
    """What a source registry deletes goes in these replicas of a destination too, by their names."""

    source: Registry
    destination: Registry
    names: tuple[str, ...]

    def described(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "source": self.source.key,
            "destination": self.destination.key,
            "replicas": list(self.names),
            "means": str(self),
        }

    def __str__(self) -> str:
        """Return what it means, and what to do."""
        rest = len(self.names) - MENTIONED
        named = ", ".join(self.names[:MENTIONED]) + (f" and {rest} more" if rest > 0 else "")
        return (
            f"{self.source.key}: delete replication is on; what expires, is deleted or loses its last tag "
            f"there is deleted in {self.destination.key} as well, from {len(self.names)} replicas "
            f"({named}), whatever their own policies protect; put the replication rules again without "
            "deleteReplication"
        )


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One EventBridge rule. ``pattern`` is JSON; ``paths`` are the placeholders of ``template``."""

    name: str
    description: str
    pattern: str
    paths: Mapping[str, str]
    template: str


@dataclass(frozen=True, slots=True)
class AlertPlan:
    """The alerts of one registry: an encrypted topic, the rules that publish to it, and who is told.

    ``found_key`` is the ARN of a key that stands, and ``found_topic`` says whether the topic does: the
    engine's state does not hold them, and takes them up.
    """

    registry: Registry
    topic: str
    topic_arn: str
    topic_policy: str
    key_policy: str
    rules: tuple[AlertRule, ...]
    subscribers: tuple[Subscriber, ...] = ()
    found_key: str | None = None
    found_topic: bool = False


What = Literal[
    "created",
    "taken up",
    "renamed",
    "handed over",
    "returned",
    "kept",
    "retiring",
    "deleted",
    "missing",
    "left out",
]
"""The kinds of change; ``ecr.plan.changes`` says what each means."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one service, or of one repository that is none.

    ``name`` is what an operator would look for; ``locations`` are the image repositories that it
    touches.
    """

    what: What
    name: str
    reason: str
    locations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EstatePlan:
    """Everything that will exist after the deployment, and what was decided on the way.

    ``identity_providers`` are registries whose accounts get GitHub's, ``found_providers`` those among
    them where it stands and is taken up, and ``namespaces`` the identity
    policies for pulling from each. ``standing`` is what stands in the way of other things than image
    repositories, by other hands.
    """

    registries: tuple[RegistryPlan, ...]
    image_repositories: tuple[ImageRepository, ...]
    ledger: Ledger
    left_out: tuple[LeftOut, ...] = ()
    bleeds: tuple[Bleed, ...] = ()
    alerts: tuple[AlertPlan, ...] = ()
    push_roles: tuple[PushRole, ...] = ()
    identity_providers: tuple[Registry, ...] = ()
    found_providers: tuple[Registry, ...] = ()
    namespaces: Mapping[str, str] = field(default_factory=dict)
    standing: tuple[Standing, ...] = ()
    replaced_alerts: tuple[SettingOfOthers, ...] = ()
    deletions: tuple[ReplicatedDeletion, ...] = ()
    notes: tuple[str, ...] = ()
    deselected: Mapping[str, int] = field(default_factory=dict)
    unselected: tuple[LeftOut, ...] = ()
    stages: tuple[str, ...] = ()
    guards: tuple[Guard, ...] = field(default=(), compare=False)
    changes: tuple[Change, ...] = field(default=(), compare=False)

    @property
    def waiting_settings(self) -> tuple[SettingOfOthers, ...]:
        """Return the settings of registries by other hands that wait to be adopted."""
        return tuple(each for plan in self.registries for each in plan.waiting)

    @property
    def replaced_settings(self) -> tuple[SettingOfOthers, ...]:
        """Return the settings of registries by other hands that this deployment replaces."""
        settings = (each for plan in self.registries for each in plan.replaced)
        return (*settings, *self.replaced_alerts)
