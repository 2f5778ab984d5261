"""Everything that one stack may be told: the models of the settings, and what contradicts what.

Owns the shape and the meaning of every key under the project's namespace, and the checks that need several
values. Reads nothing: ``load`` does. The steps behind take these frozen models as data.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Literal, NamedTuple

from pydantic import Field
from pydantic.alias_generators import to_camel, to_snake

from ecr.images.image import StorageClass
from ecr.lifecycle.policy import Action, CountType, Rule, TagStatus, check_rules
from ecr.registry import regions
from ecr.registry.registry import Registry
from ecr.settings.checks import Contradiction, SettingPlace, SettingsModel, check, whole
from ecr.settings.prices import Prices
from ecr.settings.types import (
    AccountId,
    CachePrefix,
    CacheSecretArn,
    Count,
    Days,
    Distinct,
    EachOnce,
    EcrAction,
    Endpoint,
    FilePath,
    Flag,
    GitHubId,
    GitHubLogin,
    ImageName,
    ImagePart,
    KeyArn,
    LifecycleTag,
    NamePattern,
    NamespaceName,
    OrganisationId,
    PolicyArn,
    Principal,
    PropertyName,
    PropertyValue,
    PullerText,
    ReaderText,
    RefPattern,
    Region,
    RegistryKey,
    ReplicationPrefix,
    RepositoryName,
    ResourceTagKey,
    ResourceTagValue,
    RoleArn,
    RoleName,
    ScanFilter,
    ServicePattern,
    SomeDistinct,
    StackName,
    StageName,
    StatementName,
    TagPattern,
    UpstreamHost,
    Url,
    VariablesPrefix,
    Whole,
)


class PropertyRule(SettingsModel):
    """Repositories whose GitHub custom property has one of some values."""

    property: PropertyName
    """The custom property's name, as the organisation's settings show it."""
    values: SomeDistinct[str] = ("true",)
    """The values that count; of a multi-select property, any one of them."""


class Selection(SettingsModel):
    """Which repositories of the organisation become services. A repository must pass every rule."""

    archived: Flag = False
    """Whether archived repositories become services."""
    forks: Flag = False
    """Whether forks become services."""
    templates: Flag = False
    """Whether template repositories become services."""
    visibilities: SomeDistinct[Literal["public", "private", "internal"]] = (
        "public",
        "private",
        "internal",
    )
    """The visibilities that become services: public, private, internal."""
    include: Annotated[tuple[NamePattern, ...], Field(min_length=1)] = ("*",)
    """Wildcard patterns, of which a repository's name must match one; case does not count."""
    exclude: tuple[NamePattern, ...] = ()
    """Wildcard patterns, of which a repository's name must match none."""
    property: PropertyRule | None = None
    """A custom property that a repository must have; without the key none is asked for."""


class GitHub(SettingsModel):
    """The organisation that is followed, and how its repositories are selected."""

    organisation: GitHubLogin
    """The organisation's login, as in its address on GitHub. GitHub is asked how it writes it; with a
    static list nobody is, and capitals then count, for push roles trust the login as it is written."""
    base_url: Url | None = None
    """The address of a GitHub Enterprise Server, or `https://SUBDOMAIN.ghe.com` for one with data
    residency; without the key it is github.com."""
    timeout_seconds: Annotated[Whole, Field(ge=5, le=3600)] = 120
    """How long one answer may take, a wait for a rate limit to end included, before the deployment
    stops."""
    selection: Selection = Selection()
    """The rules by which repositories become services."""


class StaticRepository(SettingsModel):
    """One entry of a static list: what the program would otherwise learn from GitHub."""

    id: GitHubId
    """The identity of the entry: GitHub's numeric id, or a number of your own that never
    changes."""
    name: RepositoryName
    """The repository's name, without the organisation."""
    properties: dict[PropertyName, PropertyValue] = Field(default={})
    """What its custom properties would be, for the rules that ask for one."""


class Artifacts(SettingsModel):
    """The central registry: the account and Region that images are pushed to."""

    account: AccountId
    """The id of the artifacts account, quoted."""
    region: Region
    """The Region of the registry."""
    role: RoleArn | None = None
    """The role that is assumed there; without the key the environment's own credentials are
    used."""


class AccountSet(SettingsModel):
    """One registry for a set of accounts, such as production and all others."""

    name: StageName
    """What the set is called; a Lambda account names it under `serves`."""
    account: AccountId
    """The id of the account that holds the registry, quoted."""
    region: Region
    """The Region of the registry."""
    role: RoleArn | None = None
    """The role that is assumed there; without the key the environment's own credentials are
    used."""


class ServiceRule(SettingsModel):
    """Which services: all of them, those whose names match, or those with a custom property."""

    all: Flag = False
    """All services."""
    patterns: tuple[NamePattern, ...] = ()
    """The services whose repository's name matches one of these wildcard patterns."""
    property: PropertyName | None = None
    """The services whose repository has this custom property with one of `values`."""
    values: SomeDistinct[str] = ("true",)
    """The values that count, beside `property`."""

    @check
    def _one_way(self) -> Iterator[Contradiction]:
        if [self.all, bool(self.patterns), self.property is not None].count(True) != 1:
            yield Contradiction(
                (), "must choose exactly one way; write one of all, patterns, property"
            )


class LambdaAccount(SettingsModel):
    """An account that runs Docker Lambdas and needs replicas in its own registries."""

    account: AccountId
    """The id of the account, quoted. In the artifacts account only other Regions than the
    registry's get replicas."""
    regions: SomeDistinct[Region]
    """The Regions in which its functions run; each gets its own replicas."""
    role: RoleArn | None = None
    """The role that is assumed there; without the key the environment's own credentials are
    used."""
    services: ServiceRule | None = None
    """The services that this account needs; without the key those of `lambdaReplicas.services`."""
    serves: StageName | None = None
    """The stage or account set whose images its functions run; without the key those of all
    stages."""


class _Replicas(SettingsModel):
    """Accounts that hold replicas, and the services of which."""

    accounts: tuple[LambdaAccount, ...] = ()
    """The accounts, each once. None by default: then there are no replicas."""

    @check
    def _each_account_once(self) -> Iterator[Contradiction]:
        seen: dict[str, int] = {}
        for index, each in whole(self.accounts):
            first = seen.setdefault(each.account, index)
            if first != index:
                yield Contradiction(
                    ("accounts", index, "account"),
                    f"is already accounts[{first}]; list its Regions in one entry",
                )


class LambdaReplicas(_Replicas):
    """The accounts that run Docker Lambdas, and the services that are replicated to them."""

    services: ServiceRule = ServiceRule(property="lambda")
    """The services that every account needs, where it does not say otherwise."""


class Copies(_Replicas):
    """Replicas for clusters in other Regions or accounts, and for the day on which a Region fails.

    Whoever may pull from the registry that images are pushed to may pull from these, too.
    """

    services: ServiceRule = ServiceRule(all=True)
    """The services that every account gets, where it does not say otherwise."""


RESERVED_TAGS = (
    *("managed-by", "github-owner", "github-repository", "github-id", "service", "image"),
    "creation-template",
)
"""Keys of AWS tags that the program gives itself, and reads after a lost state."""


class Owners(SettingsModel):
    """Who answers for each service: in AWS tags, in the ledger, and wherever services are listed."""

    property: PropertyName | None = None
    """The custom property whose value is a repository's owner, such as a team's name."""
    repositories: dict[RepositoryName, ResourceTagValue] = Field(default={})
    """The owners of repositories, by the repository's name. It comes before `property`."""
    default: ResourceTagValue | None = None
    """The owner of every other repository; without the key nobody owns it."""
    tag: ResourceTagKey = "owner"
    """The AWS tag that has the owner as its value. Activate it as a cost allocation tag to see it in bills."""
    tags: dict[ResourceTagKey, PropertyName] = Field(default={})
    """Further AWS tags, such as a cost centre, each with the custom property whose value it has."""

    @cached_property
    def chosen(self) -> Mapping[str, str]:
        """``repositories`` by repository in lower case, for GitHub ignores case; computed once."""
        return {repository.lower(): owner for repository, owner in self.repositories.items()}

    @check
    def _tags_are_free(self) -> Iterator[Contradiction]:
        for place, key in ((("tag",), self.tag), *((("tags", key), key) for key in self.tags)):
            if key in RESERVED_TAGS:
                yield Contradiction(place, "is a tag of the program's own; choose another")
        if self.tag in self.tags:
            yield Contradiction(("tags", self.tag), "is the tag of the owner already; remove it")


class ForServices(SettingsModel):
    """The services that an override is for. The first that a service meets applies to it."""

    names: tuple[ServicePattern, ...] = ()
    """Wildcard patterns, of which the service's name must match one, with its namespace where it has
    one; a renamed repository keeps its service's name."""
    property: PropertyRule | None = None
    """A custom property that the repository must have, beside `names` or instead of them."""

    @check
    def _meets_some(self) -> Iterator[Contradiction]:
        if not self.names and self.property is None:
            yield Contradiction((), "says not for which services; write names, property or both")


class Mutability(SettingsModel):
    """Whether tags can be moved to another image."""

    immutable: Flag = True
    """Whether a tag that has been pushed can never be moved to another image."""
    mutable_tags: Annotated[tuple[TagPattern, ...], Field(max_length=5), EachOnce()] = ()
    """Filters for the tags that may be moved all the same, such as latest."""
    immutable_tags: Annotated[tuple[TagPattern, ...], Field(max_length=5), EachOnce()] = ()
    """With `immutable: false`, filters for the tags that can never be moved all the same, such as v*."""

    @check
    def _filters_are_of_their_mode(self) -> Iterator[Contradiction]:
        if self.mutable_tags and not self.immutable:
            yield Contradiction(
                ("mutable_tags",),
                "stands beside immutable: false; drop one, or name under immutableTags what must not "
                "move",
            )
        if self.immutable_tags and self.immutable:
            yield Contradiction(
                ("immutable_tags",),
                "needs immutable: false beside it, for otherwise no tag moves; drop it, or write that",
            )


class ImagesOverride(ForServices, Mutability):
    """Another choice for some services, whole: nothing of it is taken from `images`."""


class NamedImages(SettingsModel):
    """Services that build several images.

    Each further image has image repositories of its own, SERVICE/IMAGE, beside the service's.
    """

    services: dict[
        ImageName,
        SomeDistinct[ImagePart],
    ] = Field(default={})
    """The further images of each service, by the service's name."""
    property: PropertyName | None = None
    """A custom property that lists a repository's further images: multi-select, or text with commas
    between."""


class Images(Mutability):
    """How every image repository is made. Encryption cannot be changed once it exists."""

    kms_key: KeyArn | None = None
    """A KMS key for placements, in the artifacts account and Region; without the key AES-256."""
    kms_keys: dict[RegistryKey, KeyArn] = Field(default={})
    """The KMS keys of registries, by ACCOUNT/REGION: of account sets, of replicas, and of the artifacts
    registry instead of `kmsKey`. Each is in its registry's account and Region. Without one AES-256."""
    dual_layer: Flag = False
    """Whether the keys encrypt in two layers (KMS_DSSE), which ECR does in the GovCloud Regions only."""
    overrides: tuple[ImagesOverride, ...] = ()
    """Other choices of which tags may move, for some services."""
    named: NamedImages = NamedImages()
    """The services that build several images."""
    count: Flag = False
    """Whether a preview counts the images of every image repository, to warn before one is full. It
    costs a request for each."""


class LifecycleRule(SettingsModel):
    """One rule in ECR's own words; its priority is its place in the list."""

    description: Annotated[str, Field(max_length=256)] = ""
    """What the rule is for, in your own words."""
    tag_status: TagStatus
    """Which images: tagged ones, untagged ones, or any."""
    tag_pattern_list: tuple[LifecycleTag, ...] = ()
    """With tagged, patterns that must all be met, each by any of an image's tags."""
    tag_prefix_list: tuple[LifecycleTag, ...] = ()
    """With tagged, instead of patterns: prefixes that must all be met."""
    storage_class: StorageClass = "standard"
    """The storage class that the rule is about."""
    count_type: CountType
    """What is measured: a number of images, or days since they were pushed, pulled or
    transitioned."""
    count_number: Annotated[Whole, Field(ge=1)]
    """The number of images that stay, or of days after which they go."""
    action: Action = "expire"
    """expire deletes; transition moves to the storage class archive, whence nothing can be
    pulled."""


class LifecycleChoice(SettingsModel):
    """When images go: a preset and its numbers, or rules of one's own."""

    preset: Literal["commit-sha", "semver", "source-sample", "none", "custom"] = "commit-sha"
    """commit-sha protects some tags and keeps the newest of the others; semver protects versions
    too; source-sample is the sample of older guides; none deletes nothing; custom takes `rules`."""
    untagged_days: Days = 7
    """Under commit-sha and semver, the days after which an untagged image goes."""
    keep_images: Annotated[Whole, Field(ge=1, le=100_000)] = 500
    """Under commit-sha and semver, how many tagged images are kept. Protected images fill places
    too."""
    companions_by_tag: Annotated[Whole, Field(ge=0, le=10)] = 2
    """Under commit-sha and semver, how many signatures, attestations and the like are pushed by tag for
    each image (`sha256-DIGEST.sig`, `.att`). ECR counts them as images, so the count has room for as
    many beside each image that is kept. 0 where nothing is signed, or signed by referrers."""
    protected_tags: Annotated[tuple[TagPattern, ...], Field(max_length=40), EachOnce()] = (
        "live-*",
        "v*.*",
    )
    """Under commit-sha and semver, patterns for tags whose images never go. `sha256-*`, what signs
    them, is protected beside these."""
    rules: Annotated[tuple[LifecycleRule, ...], Field(max_length=50)] = ()
    """Under custom, the rules in order of priority."""

    @check
    def _rules_are_custom(self) -> Iterator[Contradiction]:
        if (self.preset == "custom") != bool(self.rules):
            yield Contradiction(
                ("rules",),
                "must be there if preset is custom, and only then; write both, or neither",
            )

    @check
    def _rules_are_of_ecr(self) -> Iterator[Contradiction]:
        """Find what ECR would refuse, under the settings' names for the keys of its document."""
        for index, key, wrong in check_rules(tuple(self.typed_rules())):
            name = to_snake(key.rpartition(".")[2])
            known = name in LifecycleRule.model_fields
            _, value, text = wrong.rpartition(": ") if wrong[:1] == "=" else ("", "", wrong)
            yield Contradiction(
                ("rules", index, name) if known else ("rules", index),
                (text or value).replace(". ", " "),
            )

    @check
    def _protected_tags_can_be(self) -> Iterator[Contradiction]:
        for index, pattern in enumerate(self.protected_tags):
            place = ("protected_tags", index)
            if pattern == "*" and self.preset in ("commit-sha", "semver"):
                yield Contradiction(place, "protects every tag; choose the preset none")
            if pattern[:1] in (".", "-"):
                yield Contradiction(place, "is how no tag begins; correct it")

    def typed_rules(self) -> Iterator[Rule]:
        """Yield the rules of one's own as the lifecycle grammar has them."""
        for priority, rule in enumerate(self.rules, 1):
            yield Rule(
                priority=priority,
                tag_status=rule.tag_status,
                count_type=rule.count_type,
                count=rule.count_number,
                patterns=rule.tag_pattern_list,
                prefixes=rule.tag_prefix_list,
                storage_class=rule.storage_class,
                action=rule.action,
                description=rule.description,
            )


class LifecycleOverride(ForServices, LifecycleChoice):
    """Another choice for some services. What it leaves out is as in `lifecycle`."""


class Lifecycle(LifecycleChoice):
    """When images go. The presets are described in the decision record on lifecycle."""

    overrides: tuple[LifecycleOverride, ...] = ()
    """Other choices for some services; the first that a service meets applies to it."""


class Scanning(SettingsModel):
    """Registry scanning: basic on push, or enhanced (Amazon Inspector, billed)."""

    type: Literal["BASIC", "ENHANCED"] = "BASIC"
    """BASIC scans each image when it is pushed; ENHANCED is Amazon Inspector, continuous,
    billed."""
    filters: Annotated[tuple[ScanFilter, ...], Field(min_length=1, max_length=100), EachOnce()] = (
        "*",
    )
    """Which image repositories are scanned, by name, with `*` for any run of characters."""
    on_push_only: Annotated[tuple[ScanFilter, ...], Field(max_length=100), EachOnce()] = ()
    """Under ENHANCED, image repositories that are scanned when pushed to, and not again. One that
    `filters` has too is scanned continuously."""

    @check
    def _basic_is_on_push(self) -> Iterator[Contradiction]:
        if self.on_push_only and self.type == "BASIC":
            yield Contradiction(
                ("on_push_only",), "stands beside type: BASIC, which is that; drop one"
            )


AlertFormat = Literal["text", "chat"]
"""How a message reads: as text for people, or as JSON for Amazon Q Developer in chat applications."""


class Subscription(SettingsModel):
    """Somebody who is told: a mailbox, an HTTPS address, a queue or a function."""

    protocol: Literal["email", "https", "sqs", "lambda"]
    """How: a mailbox and an HTTPS address have to confirm what AWS sends them before they hear anything else;
    a queue or a function has to let the topic in by a policy of its own."""
    endpoint: Endpoint
    """Where: an address of mail, an HTTPS address, or the ARN of an Amazon SQS queue or a Lambda function."""
    registries: Distinct[RegistryKey] = ()
    """The registries, as ACCOUNT/REGION, whose alerts are sent; without the key all of them, but to a queue or
    function only those of its own account, for AWS has others confirmed by hand."""

    @property
    def account(self) -> str | None:
        """The account of a queue or function; None of an address."""
        return self.endpoint.split(":")[4] if self.endpoint.startswith("arn:") else None

    @check
    def _endpoint_is_of_the_protocol(self) -> Iterator[Contradiction]:
        wanted = {
            "email": (r"[^@\s:/]+@[^@\s:/]+", "an address such as team@example.com"),
            "https": (r"https://[^\s/]+(/[^\s]*)?", "an address that begins with https://"),
            "sqs": (r"arn:aws[a-z-]*:sqs:[^\s]+", "the ARN of a queue"),
            "lambda": (r"arn:aws[a-z-]*:lambda:[^\s]+", "the ARN of a function"),
        }
        pattern, what = wanted[self.protocol]
        if not re.fullmatch(pattern, self.endpoint):
            yield Contradiction(("endpoint",), f"is none of {self.protocol}; write {what}")


class Alerts(SettingsModel):
    """Messages about vulnerabilities and failed replication, by a topic for each registry."""

    severities: SomeDistinct[Literal["CRITICAL", "HIGH", "MEDIUM", "LOW"]] = ("CRITICAL",)
    """The severities of vulnerabilities that are worth a message."""
    format: AlertFormat = "text"
    """text is for mail; chat is what Amazon Q Developer takes to Slack and Microsoft Teams."""
    subscriptions: tuple[Subscription, ...] = ()
    """Who is told. A chat is not among them: Amazon Q Developer subscribes itself."""

    @check
    def _each_endpoint_once(self) -> Iterator[Contradiction]:
        seen: dict[tuple[str, str], int] = {}
        for index, each in whole(self.subscriptions):
            first = seen.setdefault((each.protocol, each.endpoint), index)
            if first != index:
                yield Contradiction(
                    ("subscriptions", index, "endpoint"),
                    f"is already subscriptions[{first}]; list its registries there",
                )


class Namespace(SettingsModel):
    """Who may do what with the image repositories of one namespace."""

    readers: tuple[ReaderText, ...] | None = None
    """Who may pull from other accounts: accounts, roles, and organisation paths with all that is below
    them. Without the key whoever may pull the rest; an empty list is nobody."""
    pushers: Distinct[RoleArn] = ()
    """Roles, of whichever account, that may push to every image repository of the namespace."""
    create_on_push: Flag = False
    """Whether a push to an image repository of the namespace that does not exist yet makes it, by a
    creation template, and the next deployment takes it up. Whoever may push then chooses the name. Needs
    `registries.templateRole`."""


class Namespaces(SettingsModel):
    """First parts of image repositories' names, chosen when a service is placed and never after."""

    known: dict[NamespaceName, Namespace] = Field(default={})
    """The namespaces by name, and who may do what in each."""
    repositories: dict[RepositoryName, NamespaceName] = Field(default={})
    """The namespaces of repositories, by the repository's name. It comes before `property`."""
    property: PropertyName | None = None
    """The custom property whose value is a repository's namespace."""
    required: Flag = False
    """Whether a repository without a namespace is left out; otherwise its name has only one part."""

    @cached_property
    def chosen(self) -> Mapping[str, str]:
        """``repositories`` by repository in lower case, for GitHub ignores case; computed once."""
        return {repository.lower(): name for repository, name in self.repositories.items()}

    @check
    def _namespaces_are_known(self) -> Iterator[Contradiction]:
        for repository, name in self.repositories.items():
            if name not in self.known:
                near = difflib.get_close_matches(name, self.known, 1)
                advice = f"did you mean {near[0]}?" if near else "add it there"
                yield Contradiction(
                    ("repositories", repository), f"is not in namespaces.known; {advice}"
                )

    @check
    def _some_namespace_is_known(self) -> Iterator[Contradiction]:
        if self.known:
            return
        if self.property:
            yield Contradiction(
                ("known",), "is missing; list the values that namespaces.property may have"
            )
        if self.required:
            yield Contradiction(
                ("known",), "is missing; without it every service would be left out"
            )


class Functions(SettingsModel):
    """Lambda functions of other accounts that run images straight from the registry."""

    accounts: SomeDistinct[AccountId]
    """The ids of the accounts, quoted. Functions must be in the registry's own Region."""
    services: ServiceRule
    """The services whose images they may run. Each costs the engine one resource more."""


class Lock(SettingsModel):
    """Nobody deletes image repositories or changes policies but the deploy roles and these."""

    break_glass: SomeDistinct[RoleArn]
    """The roles that still may, beside the `role` of each registry: for the day on which that one is
    lost. At least one of each account with a registry, where it must exist: AWS then lets nobody else
    change the policy that says so."""


class OwnStatement(SettingsModel):
    """A statement of one's own in the policies of the registries that images are pushed to."""

    name: StatementName
    """What it is called; the policy has it as OwnNAME."""
    effect: Literal["Allow", "Deny"] = "Allow"
    """Whether it allows or denies."""
    principals: SomeDistinct[Principal]
    """Whom it is about: accounts, roles, users, services of AWS, or `*` for everybody."""
    actions: SomeDistinct[EcrAction]
    """What it is about, such as ecr:ReplicateImage."""
    repositories: SomeDistinct[ScanFilter] = ("*",)
    """The image repositories, by name, with `*` for any run of characters."""
    conditions: dict[str, dict[str, SomeDistinct[str]]] = Field(default={})
    """Conditions in IAM's own words: operator, key, values."""

    @check
    def _everybody_is_narrowed(self) -> Iterator[Contradiction]:
        if self.effect == "Allow" and "*" in self.principals and not self.conditions:
            yield Contradiction(
                ("principals",), "allows everybody; name somebody, or narrow it by conditions"
            )


class Access(SettingsModel):
    """Who may pull, and by which documents."""

    policy: Literal["registry", "repository"] = "registry"
    """registry is one policy for a whole registry; repository one on each image repository, for
    registries that stay on the scope V1, at one resource more for each."""
    readers: Distinct[ReaderText] = ()
    """Who may pull beside the organisation: accounts, roles, and organisation paths."""
    functions: Functions | None = None
    """Lambda functions that run images straight from the registry, instead of replicas."""
    statements: tuple[OwnStatement, ...] = ()
    """Statements of one's own, beside those that the program writes in the policy of each registry that
    images are pushed to."""
    lock: Lock | None = None
    """Refuses deletions and changes of policies in every registry; without the key identity policies
    alone decide. Every registry must then have its `role`."""

    @check
    def _statements_are_of_registries(self) -> Iterator[Contradiction]:
        if self.statements and self.policy == "repository":
            yield Contradiction(
                ("statements",),
                "are part of a registry policy; remove them, or write policy: registry",
            )
        names: set[str] = set()
        for index, each in whole(self.statements):
            if each.name in names:
                yield Contradiction(
                    ("statements", index, "name"), "is taken already; choose another"
                )
            names.add(each.name)

    @check
    def _locks_are_of_registries(self) -> Iterator[Contradiction]:
        if self.lock and self.policy == "repository":
            yield Contradiction(
                ("lock",), "is part of a registry policy; remove it, or write policy: registry"
            )


class PushRoles(SettingsModel):
    """Roles by which GitHub's workflows push: one for each service, which trusts its repository."""

    services: ServiceRule = ServiceRule(all=True)
    """The services that have one."""
    branches: Distinct[RefPattern] = ()
    """Branches whose workflows are trusted. Without these three keys every workflow of the repository
    is."""
    tags: Distinct[RefPattern] = ()
    """Tags whose workflows are trusted."""
    environments: Distinct[RefPattern] = ()
    """GitHub environments whose jobs are trusted; such a job is no longer known by its branch. As with
    branches and tags, capitals count: write it as the workflows do."""
    create_provider: Flag = False
    """Whether the accounts get GitHub's identity provider too; an account has one at most, and
    otherwise it must be there."""
    permissions_boundary: PolicyArn | None = None
    """A managed policy that bounds whatever these roles may ever do. With it the role that deploys need
    not be trusted to write any role it likes."""
    variables: Flag = False
    """Whether each repository gets ECR_PUSH_ROLE, ECR_REGION and ECR_REPOSITORY as Actions variables."""
    variables_prefix: VariablesPrefix = "ECR_"
    """What the names of these variables begin with. A repository's variable hides the organisation's
    of the same name."""
    adopted: Distinct[RepositoryName] = ()
    """Repositories whose variables of other hands are replaced where they have the names of these; see
    `ecr-estate adopt` first."""
    organisation_id: GitHubId | None = None
    """The organisation's numeric id on GitHub. It is asked of GitHub, but with a static list, whose ids
    then must be GitHub's own, it has to be written."""


RegistrySetting = Literal["policy", "replication", "scanning", "accountSettings"]
"""What stands once for a registry, and is replaced whole by whoever writes it."""


class Registries(SettingsModel):
    """What stands once for a registry already, made by other hands: what is left alone or adopted."""

    unmanaged: Distinct[RegistrySetting] = ()
    """What this program leaves alone in every registry: policy, replication, scanning,
    accountSettings. What it had written stays as it is then."""
    adopted: Distinct[RegistryKey] = ()
    """Registries, as ACCOUNT/REGION, whose settings of other hands are replaced by the planned ones, and
    topics and event rules that have the names of the alerts' too; see `ecr-estate adopt` first."""
    pull_time_exclusions: Annotated[tuple[PullerText, ...], Field(max_length=100), EachOnce()] = ()
    """Who only reads images, such as the roles of audits, admission and scanners: ECR records no time of
    their pulls, in any registry. A name alone is the role of that name in each registry's own account."""
    templates: Flag = False
    """Whether each registry has a creation template for what ECR makes by itself there, by replication or
    as a cache: it then has the tag mutability, the encryption and the lifecycle policy of `images` and
    `lifecycle`, instead of tags that move and no lifecycle policy."""
    template_role: RoleName | None = None
    """The name of a role, alike in every account, that ECR assumes to make image repositories by templates
    with a KMS key or AWS tags; `bootstrap` makes it. Without the key templates give no tags."""


class OwnReplication(SettingsModel):
    """A replication rule of one's own, beside those that fill replicas."""

    source: RegistryKey | None = None
    """The registry that it is a rule of, as ACCOUNT/REGION; without the key the artifacts registry."""
    destinations: SomeDistinct[RegistryKey]
    """The registries that it copies to, as ACCOUNT/REGION. ECR makes the image repositories there."""
    prefixes: Annotated[tuple[ReplicationPrefix, ...], Field(max_length=100), EachOnce()] = ()
    """How the names begin that are copied; without the key everything is."""


class Replication(SettingsModel):
    """Replication beside that of replicas, such as to another Region for the day of a disaster."""

    rules: Annotated[tuple[OwnReplication, ...], Field(max_length=10)] = ()
    """Rules of one's own. They count among the ten of a registry."""


OPEN_UPSTREAMS = ("public.ecr.aws", "quay.io", "registry.k8s.io")
"""Registries that ECR caches without credentials (Amazon ECR User Guide, "Sync an upstream registry with an
Amazon ECR private registry"); Amazon ECR itself goes by a role, and all others by a secret."""


class CacheRule(SettingsModel):
    """A prefix below which ECR makes image repositories itself, and fills them from another registry.

    What it makes is of no service: the estate neither manages nor retires it.
    """

    prefix: CachePrefix
    """How the names of the cached image repositories begin, before a `/`: no service or namespace may be
    called so."""
    upstream: UpstreamHost
    """The registry that images come from, by its host."""
    upstream_prefix: CachePrefix | None = None
    """Of another ECR registry, how the names begin there, before a `/`; without the key every image can be
    cached."""
    credentials: CacheSecretArn | None = None
    """The ARN of the secret with the upstream's user name and token, in the account and Region of the rule's
    registry. ECR reads it by a role of its own, and this program never does."""
    role: RoleArn | None = None
    """Of the ECR of another account, the role of the rule's own account by which ECR pulls there."""
    registry: RegistryKey | None = None
    """The registry that has the cache, as ACCOUNT/REGION; without the key the artifacts registry."""

    @property
    def upstream_registry(self) -> Registry | None:
        """Return the registry of an upstream that is an ECR; None of any other."""
        return Registry.of_host(self.upstream)

    @check
    def _credentials_are_of_the_upstream(self) -> Iterator[Contradiction]:
        private = ".dkr.ecr." in self.upstream
        if private and self.upstream_registry is None:
            yield Contradiction(
                ("upstream",),
                "is no host of ECR; write ACCOUNT.dkr.ecr.REGION.amazonaws.com, with the domain of its Region",
            )
        needed = not private and self.upstream not in OPEN_UPSTREAMS
        if needed and self.credentials is None:
            yield Contradiction(
                ("credentials",),
                f"is missing, and {self.upstream} gives ECR nothing without; name the ARN of a secret called "
                "ecr-pullthroughcache/NAME",
            )
        if self.credentials and not needed:
            by = "by a role" if private else "without credentials"
            yield Contradiction(
                ("credentials",), f"stands beside {self.upstream}, which ECR reads {by}; remove it"
            )
        if self.upstream_prefix and not private:
            yield Contradiction(
                ("upstream_prefix",), "is for the ECR of an account only; remove it"
            )
        if self.role and not private:
            yield Contradiction(("role",), "is for the ECR of another account only; remove it")


class PullThroughCache(SettingsModel):
    """Caches of other registries, such as Docker Hub, or of the ECR of another account or Region."""

    rules: Annotated[tuple[CacheRule, ...], Field(max_length=50)] = ()
    """The caches. Whoever may pull from their registry may fill them by pulling."""
    days: Days = 30
    """The days after which a cached image goes, counted from when it was cached; a pull caches it again. What
    ECR makes for a cache gets such a lifecycle policy, the registry's key, and tags that move as the upstream's
    do, by a creation template. One that stands keeps what it had."""

    @check
    def _each_prefix_once(self) -> Iterator[Contradiction]:
        seen: dict[tuple[str | None, str], int] = {}
        for index, each in whole(self.rules):
            first = seen.setdefault((each.registry, each.prefix), index)
            if first != index:
                yield Contradiction(
                    ("rules", index, "prefix"),
                    f"is already rules[{first}] in this registry; choose another",
                )


class Confirm(SettingsModel):
    """What an operator has looked at and lets pass, once, by the number that the guard named."""

    vanished: Count = 0
    """How many services may vanish in one deployment, where the guard stopped at that number."""
    renamed: Count = 0
    """How many repositories may be renamed in one deployment, where the guard stopped."""
    unfilled_replicas: Count = 0
    """How many replicas may cease to be filled in one deployment, where the guard stopped."""


class _RegistryRole(NamedTuple):
    """A registry's place in the settings, its account, and the role that is assumed there."""

    place: SettingPlace
    account: str
    role: str | None


class Settings(SettingsModel):
    """Everything that one stack is told."""

    github: GitHub
    """The organisation that is followed. With `static`, only its login is used, for tags."""
    static: Annotated[tuple[StaticRepository, ...], Field(min_length=1)] | None = None
    """A list of repositories to use instead of asking GitHub."""
    static_file: FilePath | None = None
    """A YAML file with such a list, by its path from the project's folder; `ecr-estate list`
    writes one. Not beside `static`."""
    artifacts: Artifacts
    """The central registry, in the artifacts account."""
    aws_organisation: OrganisationId
    """The AWS organisation whose principals may pull."""
    architecture: Literal["central", "per-stage", "per-account-set"] = "central"
    """Where images live: central is one image repository a service in the artifacts registry,
    per-stage one for each of `stages` there, per-account-set one in the registry of each of
    `accountSets`."""
    stages: Distinct[StageName] = ()
    """Under per-stage, the stages in the order of promotion."""
    account_sets: tuple[AccountSet, ...] = ()
    """Under per-account-set, the sets in the order of promotion. One may be the artifacts
    registry. Under another architecture they are the registries whose images are kept."""
    lambda_replicas: LambdaReplicas = LambdaReplicas()
    """Copies of image repositories in accounts that run Docker Lambdas."""
    copies: Copies = Copies()
    """Copies of image repositories for clusters and for recovery, by the same plan as those for Lambda."""
    images: Images = Images()
    """How every image repository is made."""
    lifecycle: Lifecycle = Lifecycle()
    """When images go."""
    scanning: Scanning = Scanning()
    """How registries are scanned."""
    alerts: Alerts | None = None
    """Who is told of vulnerabilities and failed replication; without the key nobody is. An empty map
    takes the defaults."""
    namespaces: Namespaces = Namespaces()
    """First parts of names, by which readers and pushers can be told apart."""
    access: Access = Access()
    """Who may pull beside the organisation, and by which documents."""
    push_roles: PushRoles | None = None
    """Roles by which GitHub's workflows push, without any long-lived key; without the key there are
    none."""
    registry_policy_scope: Literal["V1", "V2"] | None = None
    """The scope of registry policies, set in every registry. Without the key it is left alone; an
    account from before the end of 2024 may need V2."""
    names: dict[RepositoryName, ImageName] = Field(default={})
    """Names of image repositories, by repository, where the repository's own will not do. For a
    service that has another name already, new image repositories are made under this one, and what
    it had is kept."""
    tags: dict[ResourceTagKey, ResourceTagValue] = Field(default={})
    """AWS tags of every image repository, beside the program's own."""
    owners: Owners = Owners()
    """Who answers for each service, by a custom property of its repository."""
    retire: Distinct[ImageName] = ()
    """Names of image repositories to end, over two deployments. Only kept ones end, and only when
    they hold no image."""
    successors: dict[ImageName, GitHubId] = Field(default={})
    """Kept services, by name, and the id of the repository that each goes to, such as one that was
    deleted and made anew."""
    adopted: Distinct[ImageName] = ()
    """Names of image repositories that were made by other hands, for the deployment to import and
    change in place; see `ecr-estate adopt` first."""
    replication: Replication = Replication()
    """Replication beside that of replicas."""
    registries: Registries = Registries()
    """What stands once for a registry, and was made by other hands. Without the key it stays as it is
    wherever it is neither AWS's default nor what is planned, and everything else is deployed."""
    pull_through_cache: PullThroughCache = PullThroughCache()
    """Caches of other registries, which ECR fills at a pull."""
    prices: Prices = Prices()
    """What `ecr-estate usage` and `ecr-estate compare` reckon with. A deployment does not read it."""
    confirm: Confirm = Confirm()
    """What an operator has looked at and lets pass, for one deployment."""
    preview_role: RoleName | None = None
    """The name of a role, alike in every account, that a preview assumes there instead of `role`. It
    only needs to read, so a preview can change nothing. Without the key a preview assumes `role`."""
    shards: Annotated[tuple[StackName, ...], Field(max_length=100), EachOnce()] = ()
    """The stacks of this program that share the estate, in every one's file alike: each has the
    services whose GitHub id leaves its place in this list, from 0, when divided by the length of
    the list, and the first has what is set once for a registry. Without the key the estate is one
    stack."""
    strict: Flag = False
    """Whether the deployment stops where a repository cannot be placed or changes wait for a
    confirmation. Otherwise these are left out or held, and everything else is deployed."""

    @cached_property
    def chosen_names(self) -> Mapping[str, str]:
        """``names`` by repository in lower case, for GitHub ignores case; computed once."""
        return {repository.lower(): name for repository, name in self.names.items()}

    def _registry_roles(self) -> Iterator[_RegistryRole]:
        """Yield each registry that is right by itself; the role is None where there is none."""
        yield _RegistryRole(("artifacts", "role"), self.artifacts.account, self.artifacts.role)
        for index, each in whole(self.account_sets):
            yield _RegistryRole(("account_sets", index, "role"), each.account, each.role)
        for place, account in self._replica_accounts():
            yield _RegistryRole((*place, "role"), account.account, account.role)

    def _replica_accounts(self) -> Iterator[tuple[SettingPlace, LambdaAccount]]:
        """Yield every account with replicas that is right by itself, with its place."""
        for index, each in whole(self.lambda_replicas.accounts):
            yield ("lambda_replicas", "accounts", index), each
        for index, each in whole(self.copies.accounts):
            yield ("copies", "accounts", index), each

    @property
    def replica_accounts(self) -> tuple[LambdaAccount, ...]:
        """The accounts with replicas, for Lambda and for clusters, each with its services."""
        return tuple(
            account.model_copy(update={"services": account.services or chosen.services})
            for chosen in (self.lambda_replicas, self.copies)
            for account in chosen.accounts
        )

    @check
    def _a_registry_has_replicas_once(self) -> Iterator[Contradiction]:
        lambdas = {
            (each.account, region)
            for _, each in whole(self.lambda_replicas.accounts)
            for region in each.regions
        }
        for index, each in whole(self.copies.accounts):
            for number, region in enumerate(each.regions):
                if (each.account, region) in lambdas:
                    yield Contradiction(
                        ("copies", "accounts", index, "regions", number),
                        "has replicas under lambdaReplicas already, from which clusters of that account may "
                        "pull; remove it from one of the two",
                    )

    @check
    def _owners_tags_are_not_set_for_all(self) -> Iterator[Contradiction]:
        for key in (self.owners.tag, *self.owners.tags):
            if key in self.tags:
                yield Contradiction(
                    ("tags", key), "is also a tag of owners; remove it from one of the two"
                )

    @check
    def _replicas_are_elsewhere(self) -> Iterator[Contradiction]:
        for place, each in self._replica_accounts():
            for number, region in enumerate(each.regions):
                if (each.account, region) == (self.artifacts.account, self.artifacts.region):
                    yield Contradiction(
                        (*place, "regions", number),
                        "is the artifacts registry; what runs in its account and Region uses it itself, so "
                        "remove the Region",
                    )

    @check
    def _replication_begins_where_images_are_pushed(self) -> Iterator[Contradiction]:
        artifacts = f"{self.artifacts.account}/{self.artifacts.region}"
        sources = {
            artifacts,
            *(f"{each.account}/{each.region}" for _, each in whole(self.account_sets)),
        }
        ours = regions.partition_of(self.artifacts.region)
        for index, rule in whole(self.replication.rules):
            place = ("replication", "rules", index)
            source = rule.source or artifacts
            if source not in sources:
                yield Contradiction(
                    (*place, "source"),
                    f"is no registry that images are pushed to; write one of {', '.join(sorted(sources))}",
                )
            for number, each in enumerate(rule.destinations):
                where = (*place, "destinations", number)
                if each == source:
                    yield Contradiction(where, "is the source itself; remove it")
                elif regions.partition_of(each.partition("/")[2]) != ours:
                    yield Contradiction(where, f"is not in the partition {ours}; remove it")

    def _known_registries(self) -> Iterator[str]:
        """Yield ACCOUNT/REGION of every registry that is right by itself."""
        yield f"{self.artifacts.account}/{self.artifacts.region}"
        yield from (f"{each.account}/{each.region}" for _, each in whole(self.account_sets))
        for _, account in self._replica_accounts():
            yield from (f"{account.account}/{region}" for region in account.regions)

    @check
    def _adopted_registries_are_known(self) -> Iterator[Contradiction]:
        known = set(self._known_registries())
        for index, key in enumerate(self.registries.adopted):
            if key not in known:
                yield Contradiction(
                    ("registries", "adopted", index),
                    f"is no registry of these settings; write one of {', '.join(sorted(known))}",
                )

    @check
    def _subscriptions_are_to_known_registries(self) -> Iterator[Contradiction]:
        known = set(self._known_registries())
        for index, each in whole(self.alerts.subscriptions if self.alerts else ()):
            place = ("alerts", "subscriptions", index)
            for number, key in enumerate(each.registries):
                if key not in known:
                    yield Contradiction(
                        (*place, "registries", number),
                        f"is no registry of these settings; write one of {', '.join(sorted(known))}",
                    )
                elif each.account not in {None, key.partition("/")[0]}:
                    yield Contradiction(
                        (*place, "registries", number),
                        f"is of another account than the endpoint, whose owner has to subscribe it there; name "
                        f"registries of {each.account}",
                    )
            accounts = {key.partition("/")[0] for key in known}
            if each.account and not each.registries and each.account not in accounts:
                yield Contradiction(
                    (*place, "endpoint"),
                    "is in an account without a registry of these settings; have its owner subscribe it to the "
                    "topics",
                )

    @check
    def _caches_are_of_their_registries(self) -> Iterator[Contradiction]:
        known, artifacts = (
            set(self._known_registries()),
            f"{self.artifacts.account}/{self.artifacts.region}",
        )
        for index, rule in whole(self.pull_through_cache.rules):
            place = ("pull_through_cache", "rules", index)
            account, _, region = (rule.registry or artifacts).partition("/")
            if f"{account}/{region}" not in known:
                yield Contradiction(
                    (*place, "registry"),
                    f"is no registry of these settings; write one of {', '.join(sorted(known))}",
                )
                continue
            if rule.credentials and rule.credentials.split(":")[3:5] != [region, account]:
                yield Contradiction(
                    (*place, "credentials"),
                    "is not in the account and Region of the rule's registry, where ECR looks for it; name a "
                    f"secret of {account}/{region}",
                )
            if rule.role and rule.role.split(":")[4] != account:
                yield Contradiction(
                    (*place, "role"),
                    f"is a role of another account than the rule's registry; name one of {account}",
                )
            yield from self._upstream_is_elsewhere(place, rule, account, region)

    def _upstream_is_elsewhere(
        self, place: SettingPlace, rule: CacheRule, account: str, region: str
    ) -> Iterator[Contradiction]:
        """Find caches of a registry in itself, and roles that are missing or of no use."""
        upstream = rule.upstream_registry
        if upstream is None:
            return
        if upstream == Registry(account, region):
            yield Contradiction((*place, "upstream"), "is the rule's own registry; name another")
        elif upstream.partition != regions.partition_of(region):
            yield Contradiction(
                (*place, "upstream"), f"is not in the partition of {region}; name another"
            )
        if upstream.account != account and rule.role is None:
            yield Contradiction(
                (*place, "role"),
                f"is missing, and the ECR of {upstream.account} is read by one; name a role of {account}",
            )
        if upstream.account == account and rule.role:
            yield Contradiction(
                (*place, "role"), "is for the ECR of another account only; remove it"
            )

    @check
    def _caches_are_beside_namespaces(self) -> Iterator[Contradiction]:
        for index, rule in whole(self.pull_through_cache.rules):
            if rule.prefix.partition("/")[0] in self.namespaces.known:
                yield Contradiction(
                    ("pull_through_cache", "rules", index, "prefix"),
                    "is in a namespace of the estate; choose another",
                )

    @check
    def _caches_are_opened_by_registry_policies(self) -> Iterator[Contradiction]:
        if self.access.policy == "repository" and self.pull_through_cache.rules:
            yield Contradiction(
                ("pull_through_cache", "rules"),
                "needs a registry policy, by which whoever may pull may fill a cache; write access.policy: "
                "registry, or remove the rules",
            )

    @check
    def _roles_are_of_their_accounts(self) -> Iterator[Contradiction]:
        for place, account, role in self._registry_roles():
            if role and role.split(":")[4] != account:
                yield Contradiction(place, f"is a role of another account; name one of {account}")

    @check
    def _accounts_have_one_role(self) -> Iterator[Contradiction]:
        """Find accounts with several roles: the program works in an account as one of them only."""
        first: dict[str, _RegistryRole] = {}
        for each in self._registry_roles():
            known = first.setdefault(each.account, each)
            if each.role != known.role:
                yield Contradiction(
                    each.place,
                    f"is not {_dotted(known.place)}, {known.role or 'which is not set'}, and both are "
                    f"for {each.account}; write the same role in both places",
                )

    @check
    def _key_is_of_the_registry(self) -> Iterator[Contradiction]:
        key, artifacts = self.images.kms_key, self.artifacts
        if key and key.split(":")[3:5] != [artifacts.region, artifacts.account]:
            yield Contradiction(
                ("images", "kms_key"),
                "is not in the artifacts registry's account and Region; name a key of "
                f"{artifacts.account} in {artifacts.region}",
            )

    @check
    def _keys_are_of_their_registries(self) -> Iterator[Contradiction]:
        known = set(self._known_registries())
        artifacts = f"{self.artifacts.account}/{self.artifacts.region}"
        for registry, key in self.images.kms_keys.items():
            place = ("images", "kms_keys", registry)
            account, _, region = registry.partition("/")
            if registry not in known:
                yield Contradiction(
                    place,
                    f"{registry} is no registry of these settings; write one of "
                    f"{', '.join(sorted(known))}",
                )
            elif key.split(":")[3:5] != [region, account]:
                yield Contradiction(
                    place, f"is not in the registry's account and Region; name a key of {registry}"
                )
            elif registry == artifacts and self.images.kms_key:
                yield Contradiction(
                    place, "stands beside images.kmsKey, which is the same; keep one"
                )

    @check
    def _templates_have_the_role_that_they_need(self) -> Iterator[Contradiction]:
        if self.registries.template_role is not None:
            return
        place = ("registries", "template_role")
        artifacts = f"{self.artifacts.account}/{self.artifacts.region}"
        for name, each in self.namespaces.known.items():
            if each.create_on_push:
                yield Contradiction(
                    place,
                    f"is missing, and namespaces.known.{name}.createOnPush needs it for the tag by which the "
                    "next deployment knows what a push made; name a role, such as ecr-estate-templates",
                )
        cached = any(
            (rule.registry or artifacts) in self.images.kms_keys
            or (self.images.kms_key and rule.registry in {None, artifacts})
            for _, rule in whole(self.pull_through_cache.rules)
        )
        keys = self.images.kms_key or self.images.kms_keys
        if cached or (self.registries.templates and keys):
            yield Contradiction(
                place,
                "is missing, and a template with a KMS key needs it; name a role, such as "
                "ecr-estate-templates",
            )

    @check
    def _two_layers_need_a_key(self) -> Iterator[Contradiction]:
        if self.images.dual_layer and not (self.images.kms_key or self.images.kms_keys):
            yield Contradiction(
                ("images", "dual_layer"), "needs a key; name one under images.kmsKey or kmsKeys"
            )
        if self.images.dual_layer and regions.partition_of(self.artifacts.region) != "aws-us-gov":
            yield Contradiction(
                ("images", "dual_layer"),
                "is only for the GovCloud Regions (Amazon ECR User Guide, Encryption at rest); remove it",
            )

    @check
    def _regions_are_of_one_partition(self) -> Iterator[Contradiction]:
        ours = regions.partition_of(self.artifacts.region)
        for place, region in self._further_regions():
            theirs = regions.partition_of(region)
            if theirs != ours:
                yield Contradiction(
                    place,
                    f"is in {theirs}, and the artifacts registry in {ours}, from which nothing is "
                    "replicated or read; remove it",
                )

    def _further_regions(self) -> Iterator[tuple[SettingPlace, str]]:
        """Yield every Region beside the artifacts registry's, with its place."""
        for index, each in whole(self.account_sets):
            yield ("account_sets", index, "region"), each.region
        for place, account in self._replica_accounts():
            for number, region in enumerate(account.regions):
                yield (*place, "regions", number), region

    @check
    def _roles_are_of_one_partition(self) -> Iterator[Contradiction]:
        arns = ((each.place, each.role) for each in self._registry_roles())
        yield from self._of_other_partitions(arns)

    @check
    def _keys_are_of_one_partition(self) -> Iterator[Contradiction]:
        yield from self._of_other_partitions([(("images", "kms_key"), self.images.kms_key)])

    @check
    def _locks_are_of_one_partition(self) -> Iterator[Contradiction]:
        roles = self.access.lock.break_glass if self.access.lock else ()
        yield from self._of_other_partitions(
            (("access", "lock", "break_glass", number), role) for number, role in enumerate(roles)
        )

    @check
    def _namespaces_are_of_one_partition(self) -> Iterator[Contradiction]:
        yield from self._of_other_partitions(
            (("namespaces", "known", name, key, number), arn)
            for name, each in self.namespaces.known.items()
            for key, arns in (("pushers", each.pushers), ("readers", each.readers or ()))
            for number, arn in enumerate(arns)
            if arn.startswith("arn:")
        )

    @check
    def _readers_are_of_one_partition(self) -> Iterator[Contradiction]:
        yield from self._of_other_partitions(
            (("access", "readers", number), reader)
            for number, reader in enumerate(self.access.readers)
            if reader.startswith("arn:")
        )

    @check
    def _pullers_are_of_one_partition(self) -> Iterator[Contradiction]:
        yield from self._of_other_partitions(
            (("registries", "pull_time_exclusions", number), puller)
            for number, puller in enumerate(self.registries.pull_time_exclusions)
            if puller.startswith("arn:")
        )

    @check
    def _caches_are_of_one_partition(self) -> Iterator[Contradiction]:
        yield from self._of_other_partitions(
            (("pull_through_cache", "rules", index, key), arn)
            for index, rule in whole(self.pull_through_cache.rules)
            for key, arn in (("credentials", rule.credentials), ("role", rule.role))
        )

    def _of_other_partitions(
        self, arns: Iterable[tuple[SettingPlace, str | None]]
    ) -> Iterator[Contradiction]:
        ours = regions.partition_of(self.artifacts.region)
        for place, arn in arns:
            if arn and arn.split(":")[1] != ours:
                yield Contradiction(
                    place, f"is not in the partition {ours}; it begins with arn:{ours}:"
                )

    @check
    def _architecture_has_its_list(self) -> Iterator[Contradiction]:
        if self.architecture == "per-stage" and not self.stages:
            yield Contradiction(("stages",), "is missing; list them, for architecture is per-stage")
        if self.architecture == "per-account-set" and not self.account_sets:
            yield Contradiction(
                ("account_sets",), "is missing; list them, for architecture is per-account-set"
            )

    @check
    def _account_sets_differ(self) -> Iterator[Contradiction]:
        names: set[str] = set()
        registries: set[tuple[str, str]] = set()
        for index, each in whole(self.account_sets):
            if each.name in names:
                yield Contradiction(
                    ("account_sets", index, "name"), "is taken already; choose another"
                )
            if (each.account, each.region) in registries:
                yield Contradiction(
                    ("account_sets", index),
                    "is the registry of another set already; give each set its own",
                )
            names.add(each.name)
            registries.add((each.account, each.region))

    @check
    def _lambda_accounts_serve_a_stage(self) -> Iterator[Contradiction]:
        sets = tuple(each.name for each in self.account_sets)
        stages = {"central": (), "per-stage": self.stages, "per-account-set": sets}[
            self.architecture
        ]
        for at, each in self._replica_accounts():
            place = (*at, "serves")
            if each.serves is not None and each.serves not in stages:
                remedy = f"write one of {', '.join(stages)}" if stages else "remove it"
                yield Contradiction(place, f"is not a stage or account set; {remedy}")
            if each.serves is None and self.architecture == "per-account-set" and len(sets) > 1:
                yield Contradiction(place, "is missing; name the account set whose images it runs")

    @check
    def _lambda_accounts_are_no_account_sets(self) -> Iterator[Contradiction]:
        registries = {(each.account, each.region) for _, each in whole(self.account_sets)}
        for place, each in self._replica_accounts():
            for region in each.regions:
                if (each.account, region) in registries:
                    yield Contradiction(
                        place,
                        f"{each.account} in {region} is the registry of an account set; what runs there "
                        "uses it itself, so remove the entry",
                    )

    @check
    def _registry_policies_have_an_effect(self) -> Iterator[Contradiction]:
        if self.registry_policy_scope == "V1" and self.access.policy == "registry":
            yield Contradiction(
                ("access", "policy"),
                "has no effect under registryPolicyScope: V1; write repository",
            )

    @check
    def _locks_leave_the_program_in(self) -> Iterator[Contradiction]:
        if self.access.lock:
            for place, _, role in self._registry_roles():
                if not role:
                    yield Contradiction(
                        place, "is missing; access.lock would lock this program out of the registry"
                    )

    @check
    def _locks_can_be_opened(self) -> Iterator[Contradiction]:
        """Find locks that only the deploy role could open: a registry's policy names its own account."""
        if self.access.lock:
            accounts = {each.account for each in self._registry_roles()}
            named = {role.split(":")[4] for role in self.access.lock.break_glass}
            for account in sorted(accounts - named):
                yield Contradiction(
                    ("access", "lock", "break_glass"),
                    f"has no role of {account}, and nobody else can open the lock of a registry there; "
                    "add one",
                )

    @check
    def _push_roles_are_of_github_com(self) -> Iterator[Contradiction]:
        if self.push_roles and self.github.base_url:
            yield Contradiction(
                ("push_roles",),
                "stands beside github.baseUrl, and AWS knows the ids of repositories of github.com "
                "only; remove one of the two",
            )

    @check
    def _push_roles_know_the_organisation(self) -> Iterator[Contradiction]:
        listed = self.static is not None or self.static_file is not None
        if self.push_roles and listed and not self.push_roles.organisation_id:
            yield Contradiction(
                ("push_roles", "organisation_id"), "is missing; a static list does not say it"
            )

    @check
    def _there_is_one_list(self) -> Iterator[Contradiction]:
        if self.static is not None and self.static_file is not None:
            yield Contradiction(("static_file",), "stands beside static; keep one of the two lists")

    @check
    def _repositories_are_listed_once(self) -> Iterator[Contradiction]:
        for each in repeated_repositories((each for _, each in whole(self.static or ())), "static"):
            yield Contradiction(("static", *each.place), each.text)

    @check
    def _names_differ(self) -> Iterator[Contradiction]:
        chosen: dict[str, str] = {}
        named: dict[str, str] = {}
        for repository, name in self.names.items():
            first = chosen.setdefault(name, repository)
            alike = named.setdefault(repository.lower(), repository)
            if alike != repository:
                yield Contradiction(
                    ("names", repository),
                    f"is names.{alike} already, for GitHub ignores case; name it once",
                )
            elif first != repository:
                yield Contradiction(
                    ("names", repository), f"is already names.{first}; choose another"
                )

    @check
    def _successors_differ(self) -> Iterator[Contradiction]:
        taken: dict[int, str] = {}
        for service, successor in self.successors.items():
            first = taken.setdefault(successor, service)
            if first != service:
                yield Contradiction(
                    ("successors", service),
                    f"is already successors.{first}, and a repository takes over one service; remove "
                    "one of the two",
                )


def repeated_repositories(listed: Iterable[StaticRepository], path: str) -> Iterator[Contradiction]:
    """Yield the entries of a list that are there already; ``path`` is what the list is called."""
    ids: dict[int, int] = {}
    names: dict[str, int] = {}
    for index, repository in enumerate(listed):
        first = ids.setdefault(repository.id, index)
        if first != index:
            yield Contradiction((index, "id"), f"is already {path}[{first}]; list it once")
        first = names.setdefault(repository.name.lower(), index)
        if first != index:
            yield Contradiction(
                (index, "name"),
                f"is already {path}[{first}], for GitHub ignores case; list it once",
            )


def _dotted(place: SettingPlace) -> str:
    return "".join(
        f"[{part}]" if isinstance(part, int) else f".{to_camel(part)}" for part in place
    )[1:]
