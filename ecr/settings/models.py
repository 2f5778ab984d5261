"""The stack's settings: Pulumi config, checked whole before anything else happens.

Owns the shape and the meaning of every key under the project's namespace. Reads Pulumi config and
nothing else. Never reports the first offence only: one error lists each key path, its value and the
remedy. pydantic lives here, at the boundary; the steps behind it take these frozen models as data.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from ecr.errors import EstateError
from ecr.lifecycle.policy import Action, CountType, Rule, StorageClass, TagStatus, check_rules
from ecr.registry import regions

PROJECT = "ecr-estate"
"""The project's name in Pulumi.yaml: the prefix of every key in a stack's file, and of what it made."""


def _shaped(pattern: str, what: str, remedy: str) -> AfterValidator:
    """Refuse text that is not wholly ``pattern``; the error says what it should be and the remedy."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if compiled.fullmatch(value):
            return value
        raise PydanticCustomError(
            "shape", "is not {what}; {remedy}", {"what": what, "remedy": remedy}
        )

    return AfterValidator(check)


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    repeated = sorted({str(value) for value in values if values.count(value) > 1})
    if repeated:
        raise PydanticCustomError(
            "distinct", "repeats {repeated}; write each once", {"repeated": ", ".join(repeated)}
        )
    return values


def _texts(value: object) -> object:
    """Refuse what a custom property cannot hold, with one error rather than one for each type."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return value
    raise PydanticCustomError("texts", "must be text, or a list of texts; quote it")


def _counted(value: object) -> object:
    """Refuse true for a number, which would be 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "must be a whole number")
    return value


Count = Annotated[int, Field(ge=0), BeforeValidator(_counted)]
AccountId = Annotated[
    str,
    _shaped(r"\d{12}", "a 12-digit AWS account id", 'write all 12 digits, quoted: "012345678901"'),
]
Region = Annotated[
    str,
    _shaped(regions.PATTERN, "an AWS Region code", "write it as AWS does: eu-west-1"),
]
OrganisationId = Annotated[
    str,
    _shaped(
        r"o-[a-z0-9]{10,32}",
        "an AWS Organizations id",
        "take it from `aws organizations describe-organization`: o-a1b2c3d4e5",
    ),
]
RoleArn = Annotated[
    str,
    _shaped(
        r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,576}",
        "the ARN of an IAM role",
        "write arn:aws:iam::ACCOUNT:role/NAME",
    ),
]
PolicyArn = Annotated[
    str,
    _shaped(
        r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]{1,576}",
        "the ARN of an IAM policy",
        "write arn:aws:iam::ACCOUNT:policy/NAME",
    ),
]
RoleName = Annotated[
    str,
    _shaped(
        r"[\w+=,.@-]{1,64}",
        "the name of an IAM role",
        "write the name alone, without arn:aws:iam::ACCOUNT:role/",
    ),
]
KeyArn = Annotated[
    str,
    _shaped(
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/[\w/-]+",
        "the ARN of a KMS key",
        "write arn:aws:kms:REGION:ACCOUNT:key/ID",
    ),
]
Login = Annotated[
    str,
    _shaped(
        r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}",
        "a GitHub organisation's login",
        "take it from the organisation's address on GitHub",
    ),
]
RepositoryName = Annotated[
    str,
    _shaped(
        r"[-A-Za-z0-9_.]{1,100}",
        "a GitHub repository name",
        "write the name alone, without the organisation",
    ),
]
NamePattern = Annotated[
    str,
    _shaped(
        r"[-A-Za-z0-9_.*?]{1,100}",
        "a pattern for repository names",
        "use letters, digits, `-`, `_`, `.`, and the wildcards `*` and `?`",
    ),
]
ImageName = Annotated[
    str,
    _shaped(
        r"(?=.{2,256}\Z)(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*",
        "a name that ECR accepts",
        "use 2 to 256 lower-case letters and digits, joined by single `-`, `_`, `.` or `/`",
    ),
]
ImagePart = Annotated[
    str,
    _shaped(
        r"(?=.{1,100}\Z)[a-z0-9]+(?:[._-][a-z0-9]+)*",
        "an image's name",
        "use at most 100 lower-case letters and digits, joined by single `-`, `_` or `.`",
    ),
]
TagPattern = Annotated[
    str,
    _shaped(
        r"(?!(?:[^*]*\*){3})[\w.*-]{1,128}",
        "a filter for image tags",
        "use at most 128 letters, digits, `_`, `.`, `-`, and at most two `*`",
    ),
]
ScanFilter = Annotated[
    str,
    _shaped(
        r"[a-z0-9*](?:[._/*-]?[a-z0-9*]+)*",
        "a scanning filter",
        "write an image repository's name, with `*` for any run of characters",
    ),
]
PropertyName = Annotated[
    str,
    _shaped(
        r"[A-Za-z0-9_#$-]{1,75}",
        "a GitHub custom property's name",
        "write it as the organisation's settings show it",
    ),
]
PropertyValue = Annotated[str | tuple[str, ...], BeforeValidator(_texts)]
ResourceTagKey = Annotated[
    str,
    _shaped(
        r"(?!aws:)[\w .:/=+@-]{1,128}", "an AWS tag key", "use at most 128 characters, not aws:…"
    ),
]
ResourceTagValue = Annotated[
    str, _shaped(r"[\w .:/=+@-]{0,256}", "an AWS tag value", "use at most 256 characters")
]
Url = Annotated[
    str,
    _shaped(r"https?://[^\s/]+(/[^\s]*)?", "an HTTP address", "write https://github.example.com/"),
]
FilePath = Annotated[
    str, _shaped(r"[^\0\n]{1,1024}", "a file's path", "write it from the project's folder on")
]
Stack = Annotated[
    str,
    _shaped(r"[A-Za-z0-9_.-]{1,100}", "the name of a stack", "write it as `pulumi stack ls` does"),
]
StageName = Annotated[
    str,
    _shaped(
        r"(?=.{1,30}\Z)[a-z0-9]+(?:-[a-z0-9]+)*",
        "the name of a stage or account set",
        "use at most 30 lower-case letters and digits, joined by single `-`",
    ),
]
ServicePattern = Annotated[
    str,
    _shaped(
        r"[-A-Za-z0-9_.*?/]{1,256}",
        "a pattern for services' names",
        "use letters, digits, `-`, `_`, `.`, `/`, and the wildcards `*` and `?`",
    ),
]
NamespaceName = Annotated[
    str,
    _shaped(
        r"(?=.{1,100}\Z)[a-z0-9]+(?:[._-][a-z0-9]+)*",
        "a namespace that ECR accepts",
        "use at most 100 lower-case letters and digits, joined by single `-`, `_` or `.`",
    ),
]
Reader = Annotated[
    str,
    _shaped(
        r"\d{12}|arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,576}"
        r"|o-[a-z0-9]{10,32}(/r-[a-z0-9]{4,32}(/ou-[a-z0-9]{4,32}-[a-z0-9]{8,32})*)?/?",
        "an account, a role or an organisation path",
        "write a 12-digit account id, quoted, arn:aws:iam::ACCOUNT:role/NAME, or a path such as "
        "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/",
    ),
]
RefPattern = Annotated[
    str,
    _shaped(
        r"[\w .()/@+*?-]{1,255}",
        "the name of a branch, tag or environment",
        "use letters, digits, ` ._/@+()-`, and the wildcards `*` and `?`",
    ),
]
VariablesPrefix = Annotated[
    str,
    _shaped(
        r"(?!GITHUB_)[A-Z_][A-Z0-9_]{0,99}",
        "the beginning of a variable's name",
        "use capitals, digits and underscores, no digit first, and not GITHUB_",
    ),
]
GITHUB_TOKEN = "github:token"  # noqa: S105 - the key, not the token
"""The GitHub provider's own config key; the program has no second place for the same secret."""

Days = Annotated[int, Field(ge=1, le=3650)]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_default=True,
        use_attribute_docstrings=True,
    )


class PropertyRule(_Model):
    """Repositories whose GitHub custom property has one of some values."""

    property: PropertyName
    """The custom property's name, as the organisation's settings show it."""
    values: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_distinct)] = ("true",)
    """The values that count; of a multi-select property, any one of them."""


class Selection(_Model):
    """Which repositories of the organisation become services. A repository must pass every rule."""

    archived: bool = False
    """Whether archived repositories become services."""
    forks: bool = False
    """Whether forks become services."""
    templates: bool = False
    """Whether template repositories become services."""
    visibilities: Annotated[
        tuple[Literal["public", "private", "internal"], ...],
        Field(min_length=1),
        AfterValidator(_distinct),
    ] = ("public", "private", "internal")
    """The visibilities that become services: public, private, internal."""
    include: Annotated[tuple[NamePattern, ...], Field(min_length=1)] = ("*",)
    """Wildcard patterns, of which a repository's name must match one; case does not count."""
    exclude: tuple[NamePattern, ...] = ()
    """Wildcard patterns, of which a repository's name must match none."""
    property: PropertyRule | None = None
    """A custom property that a repository must have; without the key none is asked for."""


class GitHub(_Model):
    """The organisation that is followed, and how its repositories are selected."""

    organisation: Login
    """The organisation's login, as in its address on GitHub. GitHub is asked how it writes it; with a
    static list nobody is, and capitals then count, for push roles trust the login as it is written."""
    base_url: Url | None = None
    """The address of a GitHub Enterprise Server, or `https://SUBDOMAIN.ghe.com` for one with data
    residency; without the key it is github.com."""
    timeout_seconds: Annotated[int, Field(ge=5, le=3600)] = 120
    """How long one answer may take, a wait for a rate limit to end included, before the deployment
    stops."""
    selection: Selection = Selection()
    """The rules by which repositories become services."""


class StaticRepository(_Model):
    """One entry of a static list: what the program would otherwise learn from GitHub."""

    id: Annotated[int, Field(gt=0)]
    """The identity of the entry: GitHub's numeric id, or a number of your own that never
    changes."""
    name: RepositoryName
    """The repository's name, without the organisation."""
    properties: dict[PropertyName, PropertyValue] = {}
    """What its custom properties would be, for the rules that ask for one."""


class Artifacts(_Model):
    """The central registry: the account and Region that images are pushed to."""

    account: AccountId
    """The id of the artifacts account, quoted."""
    region: Region
    """The Region of the registry."""
    role: RoleArn | None = None
    """The role that is assumed there; without the key the environment's own credentials are
    used."""


class AccountSet(_Model):
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


class ServiceRule(_Model):
    """Which services: all of them, those whose names match, or those with a custom property."""

    all: bool = False
    """All services."""
    patterns: tuple[NamePattern, ...] = ()
    """The services whose repository's name matches one of these wildcard patterns."""
    property: PropertyName | None = None
    """The services whose repository has this custom property with one of `values`."""
    values: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_distinct)] = ("true",)
    """The values that count, beside `property`."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if [self.all, bool(self.patterns), self.property is not None].count(True) != 1:
            raise PydanticCustomError(
                "one_way", "must choose exactly one way; write one of all, patterns, property"
            )
        return self


class LambdaAccount(_Model):
    """An account that runs Docker Lambdas and needs replicas in its own registries."""

    account: AccountId
    """The id of the account, quoted. It cannot be the artifacts account."""
    regions: Annotated[tuple[Region, ...], Field(min_length=1), AfterValidator(_distinct)]
    """The Regions in which its functions run; each gets its own replicas."""
    role: RoleArn | None = None
    """The role that is assumed there; without the key the environment's own credentials are
    used."""
    services: ServiceRule | None = None
    """The services that this account needs; without the key those of `lambdaReplicas.services`."""
    serves: StageName | None = None
    """The stage or account set whose images its functions run; without the key those of all
    stages."""


class LambdaReplicas(_Model):
    """The accounts that run Docker Lambdas, and the services that are replicated to them."""

    accounts: tuple[LambdaAccount, ...] = ()
    """The accounts, each once. None by default: then there are no replicas."""
    services: ServiceRule = ServiceRule(property="lambda")
    """The services that every account needs, where it does not say otherwise."""


class ForServices(_Model):
    """The services that an override is for. The first that a service meets applies to it."""

    names: tuple[ServicePattern, ...] = ()
    """Wildcard patterns, of which the service's name must match one, with its namespace where it has
    one; a renamed repository keeps its service's name."""
    property: PropertyRule | None = None
    """A custom property that the repository must have, beside `names` or instead of them."""

    @model_validator(mode="after")
    def _meets_some(self) -> Self:
        if not self.names and self.property is None:
            raise PydanticCustomError(
                "override", "says not for which services; write names, property or both"
            )
        return self


class Mutability(_Model):
    """Whether tags can be moved to another image."""

    immutable: bool = True
    """Whether a tag that has been pushed can never be moved to another image."""
    mutable_tags: Annotated[
        tuple[TagPattern, ...], Field(max_length=5), AfterValidator(_distinct)
    ] = ()
    """Filters for the tags that may be moved all the same, such as latest."""

    @model_validator(mode="after")
    def _filters_need_immutability(self) -> Self:
        if self.mutable_tags and not self.immutable:
            raise PydanticCustomError(
                "mutable_tags",
                "lists mutableTags beside immutable: false; drop one, for all tags are mutable then",
            )
        return self


class ImagesOverride(ForServices, Mutability):
    """Another choice for some services, whole: nothing of it is taken from `images`."""


class NamedImages(_Model):
    """Services that build several images.

    Each further image has image repositories of its own, SERVICE/IMAGE, beside the service's.
    """

    services: dict[
        ImageName,
        Annotated[tuple[ImagePart, ...], Field(min_length=1), AfterValidator(_distinct)],
    ] = {}
    """The further images of each service, by the service's name."""
    property: PropertyName | None = None
    """A custom property that lists a repository's further images: multi-select, or text with commas
    between."""


class Images(Mutability):
    """How every image repository is made. Encryption cannot be changed once it exists."""

    kms_key: KeyArn | None = None
    """A KMS key for placements, in the artifacts account and Region; without the key AES-256."""
    overrides: tuple[ImagesOverride, ...] = ()
    """Other choices of which tags may move, for some services."""
    named: NamedImages = NamedImages()
    """The services that build several images."""
    count: bool = False
    """Whether a preview counts the images of every image repository, to warn before one is full. It
    costs a request for each."""


LifecycleTag = Annotated[
    str,
    _shaped(
        r"(?!(?:[^*]*\*){5})[\w.*-]{1,128}",
        "a tag or a pattern of tags",
        "use at most 128 letters, digits, `_`, `.`, `-`, and at most four `*`",
    ),
]


class LifecycleRule(_Model):
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
    count_number: Annotated[int, Field(ge=1)]
    """The number of images that stay, or of days after which they go."""
    action: Action = "expire"
    """expire deletes; transition moves to the storage class archive, whence nothing can be
    pulled."""


class LifecycleChoice(_Model):
    """When images go: a preset and its numbers, or rules of one's own."""

    preset: Literal["commit-sha", "semver", "source-sample", "none", "custom"] = "commit-sha"
    """commit-sha protects some tags and keeps the newest of the others; semver protects versions
    too; source-sample is the sample of older guides; none deletes nothing; custom takes `rules`."""
    untagged_days: Days = 7
    """Under commit-sha and semver, the days after which an untagged image goes."""
    keep_images: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Under commit-sha and semver, how many tagged images are kept. Protected images fill places
    too."""
    protected_tags: Annotated[
        tuple[TagPattern, ...], Field(max_length=40), AfterValidator(_distinct)
    ] = ("live-*", "v*")
    """Under commit-sha and semver, patterns for tags whose images never go."""
    rules: Annotated[tuple[LifecycleRule, ...], Field(max_length=50)] = ()
    """Under custom, the rules in order of priority."""

    @model_validator(mode="after")
    def _rules_are_custom(self) -> Self:
        if (self.preset == "custom") != bool(self.rules):
            raise PydanticCustomError(
                "custom_rules",
                "must have rules if preset is custom, and only then; write both, or neither",
            )
        return self

    def typed_rules(self) -> Iterator[Rule]:
        """Give the rules of one's own as the lifecycle grammar has them."""
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


class Scanning(_Model):
    """Registry scanning: basic on push, or enhanced (Amazon Inspector, billed)."""

    type: Literal["BASIC", "ENHANCED"] = "BASIC"
    """BASIC scans each image when it is pushed; ENHANCED is Amazon Inspector, continuous,
    billed."""
    filters: Annotated[
        tuple[ScanFilter, ...], Field(min_length=1, max_length=100), AfterValidator(_distinct)
    ] = ("*",)
    """Which image repositories are scanned, by name, with `*` for any run of characters."""
    on_push_only: Annotated[
        tuple[ScanFilter, ...], Field(max_length=100), AfterValidator(_distinct)
    ] = ()
    """Under ENHANCED, image repositories that are scanned when pushed to, and not again. One that
    `filters` has too is scanned continuously."""

    @model_validator(mode="after")
    def _basic_is_on_push(self) -> Self:
        if self.on_push_only and self.type == "BASIC":
            raise PydanticCustomError(
                "on_push_only", "lists onPushOnly beside type: BASIC, which is that; drop one"
            )
        return self


class Alerts(_Model):
    """Messages about vulnerabilities and failed replication, by a topic for each registry."""

    severities: Annotated[
        tuple[Literal["CRITICAL", "HIGH", "MEDIUM", "LOW"], ...],
        Field(min_length=1),
        AfterValidator(_distinct),
    ] = ("CRITICAL",)
    """The severities of vulnerabilities that are worth a message."""


class Namespace(_Model):
    """Who may do what with the image repositories of one namespace."""

    readers: tuple[Reader, ...] | None = None
    """Who may pull from other accounts: accounts, roles, and organisation paths with all that is below
    them. Without the key whoever may pull the rest; an empty list is nobody."""
    pushers: Annotated[tuple[RoleArn, ...], AfterValidator(_distinct)] = ()
    """Roles, of whichever account, that may push to every image repository of the namespace."""


class Namespaces(_Model):
    """First parts of image repositories' names, chosen when a service is placed and never after."""

    known: dict[NamespaceName, Namespace] = {}
    """The namespaces by name, and who may do what in each."""
    repositories: dict[RepositoryName, NamespaceName] = {}
    """The namespaces of repositories, by the repository's name. It comes before `property`."""
    property: PropertyName | None = None
    """The custom property whose value is a repository's namespace."""
    required: bool = False
    """Whether a repository without a namespace is left out; otherwise its name has only one part."""


class Functions(_Model):
    """Lambda functions of other accounts that run images straight from the registry."""

    accounts: Annotated[tuple[AccountId, ...], Field(min_length=1), AfterValidator(_distinct)]
    """The ids of the accounts, quoted. Functions must be in the registry's own Region."""
    services: ServiceRule
    """The services whose images they may run. Each costs the engine one resource more."""


class Lock(_Model):
    """Nobody deletes image repositories or changes policies but the deploy roles and these."""

    break_glass: Annotated[tuple[RoleArn, ...], Field(min_length=1), AfterValidator(_distinct)]
    """The roles that still may, beside the `role` of each registry: for the day on which that one is
    lost. At least one of each account with a registry, where it must exist: AWS then lets nobody else
    change the policy that says so."""


class Access(_Model):
    """Who may pull, and by which documents."""

    policy: Literal["registry", "repository"] = "registry"
    """registry is one policy for a whole registry; repository one on each image repository, for
    registries that stay on the scope V1, at one resource more for each."""
    readers: Annotated[tuple[Reader, ...], AfterValidator(_distinct)] = ()
    """Who may pull beside the organisation: accounts, roles, and organisation paths."""
    functions: Functions | None = None
    """Lambda functions that run images straight from the registry, instead of replicas."""
    lock: Lock | None = None
    """Refuses deletions and changes of policies in every registry; without the key identity policies
    alone decide. Every registry must then have its `role`."""


class PushRoles(_Model):
    """Roles by which GitHub's workflows push: one for each service, which trusts its repository."""

    services: ServiceRule = ServiceRule(all=True)
    """The services that have one."""
    branches: Annotated[tuple[RefPattern, ...], AfterValidator(_distinct)] = ()
    """Branches whose workflows are trusted. Without these three keys every workflow of the repository
    is."""
    tags: Annotated[tuple[RefPattern, ...], AfterValidator(_distinct)] = ()
    """Tags whose workflows are trusted."""
    environments: Annotated[tuple[RefPattern, ...], AfterValidator(_distinct)] = ()
    """GitHub environments whose jobs are trusted; such a job is no longer known by its branch. As with
    branches and tags, capitals count: write it as the workflows do."""
    create_provider: bool = False
    """Whether the accounts get GitHub's identity provider too; an account has one at most, and
    otherwise it must be there."""
    permissions_boundary: PolicyArn | None = None
    """A managed policy that bounds whatever these roles may ever do. With it the role that deploys need
    not be trusted to write any role it likes."""
    variables: bool = False
    """Whether each repository gets ECR_PUSH_ROLE, ECR_REGION and ECR_REPOSITORY as Actions variables."""
    variables_prefix: VariablesPrefix = "ECR_"
    """What the names of these variables begin with. A repository's variable hides the organisation's
    of the same name."""
    organisation_id: Annotated[int, Field(gt=0)] | None = None
    """The organisation's numeric id on GitHub. It is asked of GitHub, but with a static list, whose ids
    then must be GitHub's own, it has to be written."""


class Confirm(_Model):
    """What an operator has looked at and lets pass, once, by the number that the guard named."""

    vanished: Count = 0
    """How many services may vanish in one deployment, where the guard stopped at that number."""
    renamed: Count = 0
    """How many repositories may be renamed in one deployment, where the guard stopped."""
    ended_replicas: Count = 0
    """How many replicas may cease to be filled in one deployment, where the guard stopped."""


class Settings(_Model):
    """Everything that one stack is told."""

    github: GitHub
    """The organisation that is followed. With `static`, only its login is used, for tags."""
    static: Annotated[tuple[StaticRepository, ...], Field(min_length=1)] | None = None
    """A list of repositories to use instead of asking GitHub."""
    static_file: FilePath | None = None
    """A YAML file with such a list, by its path from the project's folder; `python -m ecr list`
    writes one. Not beside `static`."""
    artifacts: Artifacts
    """The central registry, in the artifacts account."""
    aws_organisation: OrganisationId
    """The AWS organisation whose principals may pull."""
    architecture: Literal["central", "per-stage", "per-account-set"] = "central"
    """Where images live: central is one image repository a service in the artifacts registry,
    per-stage one for each of `stages` there, per-account-set one in the registry of each of
    `accountSets`."""
    stages: Annotated[tuple[StageName, ...], AfterValidator(_distinct)] = ()
    """Under per-stage, the stages in the order of promotion."""
    account_sets: tuple[AccountSet, ...] = ()
    """Under per-account-set, the sets in the order of promotion. One may be the artifacts
    registry. Under another architecture they are the registries whose images are kept."""
    lambda_replicas: LambdaReplicas = LambdaReplicas()
    """Copies of image repositories in accounts that run Docker Lambdas."""
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
    names: dict[RepositoryName, ImageName] = {}
    """Names of image repositories, by repository, where the repository's own will not do. For a
    service that has another name already, new image repositories are made under this one, and what
    it had is kept."""
    tags: dict[ResourceTagKey, ResourceTagValue] = {}
    """AWS tags of every image repository, beside the program's own."""
    retire: Annotated[tuple[ImageName, ...], AfterValidator(_distinct)] = ()
    """Names of image repositories to end, over two deployments. Only kept ones end, and only when
    they hold no image."""
    successors: dict[ImageName, Annotated[int, Field(gt=0)]] = {}
    """Kept services, by name, and the id of the repository that each goes to, such as one that was
    deleted and made anew."""
    adopted: Annotated[tuple[ImageName, ...], AfterValidator(_distinct)] = ()
    """Names of image repositories that were made by other hands, for the deployment to import and
    change in place; see `python -m ecr adopt` first."""
    confirm: Confirm = Confirm()
    """What an operator has looked at and lets pass, for one deployment."""
    preview_role: RoleName | None = None
    """The name of a role, alike in every account, that a preview assumes there instead of `role`. It
    only needs to read, so a preview can change nothing. Without the key a preview assumes `role`."""
    shards: Annotated[tuple[Stack, ...], Field(max_length=100), AfterValidator(_distinct)] = ()
    """The stacks of this program that share the estate, in every one's file alike: each has the
    services whose GitHub id leaves its place in this list, from 0, when divided by the length of
    the list, and the first has what is set once for a registry. Without the key the estate is one
    stack."""
    strict: bool = False
    """Whether a repository that cannot be placed stops the deployment, instead of being left
    out."""


def load_settings() -> Settings:
    """Read the settings of the stack that is being deployed.

    Raises EstateError, listing every offence, when any value is wrong.
    """
    import pulumi  # noqa: PLC0415 - the checks themselves are pure, and are used without an engine

    values, secret_keys = _config()
    return parse_settings(values, namespace=pulumi.get_project(), secret_keys=secret_keys)


def load_github_token() -> str | None:
    """Read the GitHub provider's own token setting; None where the environment has it instead.

    Raises EstateError when it lies unencrypted in the stack's file.
    """
    values, secret_keys = _config()
    token = values.get(GITHUB_TOKEN)
    if token and GITHUB_TOKEN not in secret_keys:
        raise EstateError(
            "The GitHub token lies unencrypted in the stack's settings; nothing was changed.",
            [f"{GITHUB_TOKEN}: revoke it, and store a new one with `pulumi config set --secret`"],
        )
    return token


def _config() -> tuple[dict[str, str], set[str]]:
    """Give all config values of the deployment by full key, and which keys are secret."""
    from pulumi.runtime import config  # noqa: PLC0415

    return (
        {**config.get_config_env(), **config.CONFIG.get()},
        {*config.get_config_secret_keys_env(), *config._SECRET_KEYS.get()},  # noqa: SLF001 - the SDK has no public list of them
    )


def parse_settings(
    config: Mapping[str, str], *, namespace: str, secret_keys: AbstractSet[str] = frozenset()
) -> Settings:
    """Check the config values of one namespace and give the settings.

    ``config`` maps full keys to values as the engine hands them over: text, and JSON for anything
    that is structured. Raises EstateError, listing every offence.
    """
    raw = {
        key.removeprefix(f"{namespace}:"): value
        for key, value in config.items()
        if key.startswith(f"{namespace}:")
    }
    offences = []
    try:
        settings = Settings.model_validate({key: _decode(value) for key, value in raw.items()})
        offences = list(_contradictions(settings))
    except ValidationError as error:
        hidden = {key.removeprefix(f"{namespace}:") for key in secret_keys}
        offences = _described(error, hidden=hidden)
    if offences:
        raise EstateError(
            f"The settings of this stack are wrong in {len(offences)} place(s); nothing was changed.",
            [f"{namespace}:{offence}" for offence in offences],
        )
    return settings


def parse_static(entries: object) -> tuple[StaticRepository, ...]:
    """Check a list of repositories that does not stand in the settings.

    Raises EstateError, listing every offence by its place, such as ``static[0].id``.
    """
    try:
        listed = _STATIC.validate_python({"static": entries})["static"]
        offences = list(_repeats("static", listed))
    except ValidationError as error:
        offences = _described(error, hidden=frozenset())
    if offences:
        raise EstateError("The list of repositories is wrong; nothing was changed.", offences)
    return listed


_STATIC: TypeAdapter[dict[str, tuple[StaticRepository, ...]]] = TypeAdapter(
    dict[str, Annotated[tuple[StaticRepository, ...], Field(min_length=1)]]
)


def _decode(value: str) -> object:
    """Structured values arrive as JSON and scalars as bare text; only the former are decoded."""
    if value.lstrip().startswith(("{", "[")) or value in {"true", "false"}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _contradictions(settings: Settings) -> Iterator[str]:
    """Find what no single value shows: accounts alike, lists that repeat, rules that cannot be met."""
    accounts = settings.lambda_replicas.accounts
    seen: dict[str, int] = {}
    for index, account in enumerate(accounts):
        path = f"lambdaReplicas.accounts[{index}].account"
        if account.account == settings.artifacts.account:
            yield (
                f"{path} = {account.account!r}: is the artifacts account; Lambda functions there "
                "use the artifacts registry itself, so remove the entry"
            )
        elif account.account in seen:
            yield (
                f"{path} = {account.account!r}: is already accounts[{seen[account.account]}]; "
                "list its Regions in one entry"
            )
        seen.setdefault(account.account, index)
    for path, account_id, role in _roles(settings):
        if role and role.split(":")[4] != account_id:
            yield f"{path} = {role!r}: is a role of another account; name one of {account_id}"
    key = settings.images.kms_key
    if key and key.split(":")[3:5] != [settings.artifacts.region, settings.artifacts.account]:
        yield (
            f"images.kmsKey = {key!r}: is not in the artifacts registry's account and Region; name "
            f"a key of {settings.artifacts.account} in {settings.artifacts.region}"
        )
    yield from _one_role_an_account(settings)
    yield from _one_partition(settings)
    yield from _architecture(settings)
    yield from _access(settings)
    yield from _lifecycle_offences("lifecycle", settings.lifecycle)
    for index, override in enumerate(settings.lifecycle.overrides):
        yield from _lifecycle_offences(f"lifecycle.overrides[{index}]", override)
    if settings.static is not None and settings.static_file is not None:
        yield (
            f"staticFile = {settings.static_file!r}: stands beside static; keep one of the two lists"
        )
    yield from _repeats("static", settings.static or ())
    yield from _shared_names(settings.names)
    yield from _successors(settings.successors)


def _one_role_an_account(settings: Settings) -> Iterator[str]:
    """Find accounts with several roles: the program works in an account as one of them only."""
    first: dict[str, tuple[str, str | None]] = {}
    for path, account, role in _roles(settings):
        before, known = first.setdefault(account, (path, role))
        if role != known:
            yield (
                f"{path} = {role!r}: is not {before}, {known!r}, and both are for {account}; give "
                "the same role in both places"
            )


def _one_partition(settings: Settings) -> Iterator[str]:
    """Find Regions and ARNs of another partition than the artifacts registry's."""
    ours = regions.partition_of(settings.artifacts.region)
    for path, region in _regions(settings):
        if regions.partition_of(region) != ours:
            yield (
                f"{path} = {region!r}: is in {regions.partition_of(region)}, and the artifacts "
                f"registry in {ours}, from which nothing is replicated or read; remove it"
            )
    lock = settings.access.lock
    for path, arns in (
        *((path, (role,)) for path, _, role in _roles(settings)),
        ("images.kmsKey", (settings.images.kms_key,)),
        ("access.lock.breakGlass", lock.break_glass if lock else ()),
        *(
            (f"namespaces.known.{name}.{key}", arns)
            for name, each in settings.namespaces.known.items()
            for key, arns in (
                ("pushers", each.pushers),
                ("readers", [reader for reader in each.readers or () if reader[:4] == "arn:"]),
            )
        ),
    ):
        for arn in filter(None, arns):
            if arn.split(":")[1] != ours:
                yield f"{path} = {arn!r}: is not in the partition {ours}; it begins with arn:{ours}:"


def _regions(settings: Settings) -> Iterator[tuple[str, str]]:
    """Give every Region beside the artifacts registry's by its key path."""
    for index, each in enumerate(settings.account_sets):
        yield f"accountSets[{index}].region", each.region
    for index, account in enumerate(settings.lambda_replicas.accounts):
        for place, region in enumerate(account.regions):
            yield f"lambdaReplicas.accounts[{index}].regions[{place}]", region


def _architecture(settings: Settings) -> Iterator[str]:
    """Find what does not go with the architecture, or with the Lambda accounts on top of it."""
    if settings.architecture == "per-stage" and not settings.stages:
        yield "stages: is missing; list them, for architecture is per-stage"
    if settings.architecture == "per-account-set" and not settings.account_sets:
        yield "accountSets: is missing; list them, for architecture is per-account-set"
    sets = settings.account_sets
    registries = [(each.account, each.region) for each in sets]
    for index, each in enumerate(sets):
        path = f"accountSets[{index}]"
        if each.name in [other.name for other in sets[:index]]:
            yield f"{path}.name = {each.name!r}: is taken already; choose another"
        if registries[index] in registries[:index]:
            yield f"{path}: is the registry of another set already; give each set its own"
    stages = {
        "central": (),
        "per-stage": settings.stages,
        "per-account-set": tuple(each.name for each in sets),
    }[settings.architecture]
    for index, account in enumerate(settings.lambda_replicas.accounts):
        path = f"lambdaReplicas.accounts[{index}]"
        if account.serves is not None and account.serves not in stages:
            choices = f"write one of {', '.join(stages)}" if stages else "remove it"
            yield f"{path}.serves = {account.serves!r}: is no stage or account set; {choices}"
        if account.serves is None and settings.architecture == "per-account-set" and len(sets) > 1:
            yield f"{path}.serves: is missing; name the account set whose images it runs"
        yield from (
            f"{path}: {account.account} in {region} is the registry of an account set; Lambda "
            "functions there use it itself, so remove the entry"
            for region in account.regions
            if (account.account, region) in registries
        )


def _access(settings: Settings) -> Iterator[str]:
    """Find namespaces that nobody knows, and grants that cannot be written as they are asked for."""
    known = settings.namespaces.known
    for repository, name in settings.namespaces.repositories.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            advice = f"did you mean {near[0]}?" if near else "add it there"
            yield (
                f"namespaces.repositories.{repository} = {name!r}: is not in namespaces.known; {advice}"
            )
    if settings.namespaces.property and not known:
        yield "namespaces.known: is missing; list the values that namespaces.property may have"
    if settings.namespaces.required and not known:
        yield "namespaces.known: is missing; without it every service would be left out"
    if settings.registry_policy_scope == "V1" and settings.access.policy == "registry":
        yield (
            "access.policy = 'registry': has no effect under registryPolicyScope: V1; write repository"
        )
    if settings.access.lock:
        if settings.access.policy == "repository":
            yield "access.lock: is part of a registry policy; remove it, or write policy: registry"
        yield from (
            f"{path}: is missing; access.lock would lock this program out of the registry"
            for path, _, role in _roles(settings)
            if not role
        )
        yield from _break_glass(settings, settings.access.lock)
    roles = settings.push_roles
    if roles and settings.github.base_url:
        yield (
            "pushRoles: stands beside github.baseUrl, and AWS knows the ids of repositories of "
            "github.com only; remove one of the two"
        )
    listed = settings.static is not None or settings.static_file is not None
    if roles and listed and not roles.organisation_id:
        yield "pushRoles.organisationId: is missing; a static list does not say it"


def _break_glass(settings: Settings, lock: Lock) -> Iterator[str]:
    """Find locks that only the deploy role could open, for a registry takes a policy of its own account."""
    accounts = {account for _, account, _ in _roles(settings)}
    named = {role.split(":")[4] for role in lock.break_glass}
    yield from (
        f"access.lock.breakGlass: has no role of {account}, and nobody else can open the lock of a "
        "registry there; add one"
        for account in sorted(accounts - named)
    )


def _roles(settings: Settings) -> Iterator[tuple[str, str, str | None]]:
    """Give key path, account and role of each registry; the role is None where there is none."""
    yield "artifacts.role", settings.artifacts.account, settings.artifacts.role
    for index, each in enumerate(settings.account_sets):
        yield f"accountSets[{index}].role", each.account, each.role
    for index, account in enumerate(settings.lambda_replicas.accounts):
        yield f"lambdaReplicas.accounts[{index}].role", account.account, account.role


def _lifecycle_offences(path: str, choice: LifecycleChoice) -> Iterator[str]:
    """Find what ECR would refuse about rules of one's own, under the settings' names for the keys."""
    for index, key, wrong in check_rules(tuple(choice.typed_rules())):
        yield f"{path}.rules[{index}].{key.rpartition('.')[2]} {wrong}".replace(". ", " ")


def _repeats(path: str, repositories: Sequence[StaticRepository]) -> Iterator[str]:
    ids: dict[int, int] = {}
    names: dict[str, int] = {}
    for index, repository in enumerate(repositories):
        first = ids.setdefault(repository.id, index)
        if first != index:
            yield f"{path}[{index}].id = {repository.id}: is already {path}[{first}]; list it once"
        first = names.setdefault(repository.name.lower(), index)
        if first != index:
            yield (
                f"{path}[{index}].name = {repository.name!r}: is already {path}[{first}], for GitHub "
                "ignores case; list it once"
            )


def _shared_names(names: Mapping[str, str]) -> Iterator[str]:
    chosen: dict[str, str] = {}
    named: dict[str, str] = {}
    for repository, name in names.items():
        first = chosen.setdefault(name, repository)
        alike = named.setdefault(repository.lower(), repository)
        if alike != repository:
            yield (
                f"names.{repository} = {name!r}: is names.{alike} already, for GitHub ignores case; "
                "name it once"
            )
        elif first != repository:
            yield f"names.{repository} = {name!r}: is already names.{first}; choose another"


def _successors(successors: Mapping[str, int]) -> Iterator[str]:
    taken: dict[int, str] = {}
    for service, successor in successors.items():
        first = taken.setdefault(successor, service)
        if first != service:
            yield (
                f"successors.{service} = {successor}: is already successors.{first}, and a repository "
                "takes over one service; remove one of the two"
            )


_REMEDIES = {
    "missing": "is missing; add it",
    "string_type": "must be text; quote it",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "tuple_type": "must be a list",
    "dict_type": "must be a map",
    "model_type": "must be a map of settings",
    "model_attributes_type": "must be a map of settings",
    "too_short": "has too few entries; write at least {min_length}",
    "too_long": "has {actual_length} entries; write at most {max_length}",
    "greater_than_equal": "is too small; write at least {ge}",
    "greater_than": "is too small; write more than {gt}",
    "less_than_equal": "is too large; write at most {le}",
    "literal_error": "is not one of the choices; write {expected}",
}


def _described(error: ValidationError, *, hidden: AbstractSet[str]) -> list[str]:
    """Describe every offence but a list's shortness where only its wrong entries were not counted."""
    return [
        _describe(detail, hidden=hidden)
        for detail in error.errors(include_url=False)
        if detail["type"] != "too_short" or len(detail["input"]) < detail["ctx"]["min_length"]
    ]


def _describe(detail: ErrorDetails, *, hidden: AbstractSet[str]) -> str:
    path = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}"
        for part in detail["loc"]
        if part != "[key]"
    )[1:]
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(detail["loc"][-1]), _known_keys(detail["loc"][:-1]), 1)
        advice = f"did you mean {near[0]}?" if near else "remove it"
        return f"{path}: is not a setting; {advice}"
    known = _REMEDIES.get(detail["type"])
    said = known.format(**detail.get("ctx", {})) if known else detail["msg"]
    if detail["type"] == "missing":
        return f"{path}: {said}"
    value = (
        "[secret]" if str(detail["loc"][0]) in hidden else json.dumps(detail["input"], default=str)
    )
    return f"{path} = {_shorten(value)}: {said}"


def _shorten(value: str) -> str:
    return value if len(value) <= 80 else f"{value[:77]}..."  # noqa: PLR2004 - a line of a terminal


def _known_keys(path: Sequence[str | int]) -> list[str]:
    """Give the keys that the model at ``path`` takes, for a suggestion beside a misspelt one."""
    model: Any = Settings
    for part in path:
        if isinstance(part, int):
            continue
        field = next((f for n, f in model.model_fields.items() if to_camel(n) == part), None)
        model = _model_within(field.annotation) if field else None
        if model is None:
            return []
    return [to_camel(name) for name in model.model_fields]


def _model_within(annotation: Any) -> Any:  # noqa: ANN401 - a type expression has no narrower type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_within(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)
