"""Types of single values: what each accepts, in words, as a pattern and as a remedy.

Owns the grammar of every value that a setting may have. Says it once, for the program, for the JSON Schema
and for the reference of all settings. Knows no setting, and compares no two values.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, Strict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ecr.registry import regions

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shape:
    """Text that is wholly ``pattern``; the error says what it should be and the remedy.

    A pattern means the same in Python and in JSON Schema's own dialect (ECMA-262): it spells digits and
    letters out, and has `$` where it looks ahead to the end. ``schema`` is the pattern that the JSON Schema
    gets where one dialect cannot say what the other does; it accepts no less.
    """

    pattern: str
    what: str
    remedy: str
    schema: str | None = None

    def __get_pydantic_core_schema__(
        self, source: type, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Check the text after pydantic has seen that it is one."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Show the pattern, and the text of the error for editors that know `patternErrorMessage`."""
        found = handler(core)
        # Python's `$` is also before a line's end that comes last.
        own = {
            "pattern": f"^(?:{self.schema or self.pattern})$(?!\\n)",
            "patternErrorMessage": f"is not {self.what}; {self.remedy}",
        }
        if "pattern" in found:
            return {**found, "allOf": [*found.get("allOf", ()), own]}
        return {**found, **own}

    def _checked(self, value: str) -> str:
        if re.fullmatch(self.pattern, value):
            return value
        raise PydanticCustomError(
            "shape", "is not {what}; {remedy}", {"what": self.what, "remedy": self.remedy}
        )


class EachOnce:
    """A list whose entries differ."""

    def __get_pydantic_core_schema__(
        self, source: type, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_distinct, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core), "uniqueItems": True}


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


Distinct: TypeAlias = Annotated[tuple[T, ...], EachOnce()]
"""A list that has no entry twice."""
SomeDistinct: TypeAlias = Annotated[tuple[T, ...], Field(min_length=1), EachOnce()]
"""Such a list of at least one entry. A bound stands before the check, or the JSON Schema would lose it."""
Flag = Annotated[bool, Strict()]
"""true or false, and no text or number that could be meant for one."""
Whole = Annotated[int, Strict()]
"""A whole number, and neither true nor a text of digits."""
Count = Annotated[Whole, Field(ge=0)]
GitHubId = Annotated[Whole, Field(gt=0)]
Days = Annotated[Whole, Field(ge=1, le=3650)]
Amount = Annotated[float, Strict(), Field(ge=0)]
"""An amount of money, or of something that has parts: a number that is not below 0."""
IsoDate = Annotated[
    str,
    Shape(
        r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])",
        "a date",
        'write year, month and day, quoted: "2026-11-27"',
    ),
]
AccountId = Annotated[
    str,
    Shape(r"[0-9]{12}", "a 12-digit AWS account id", 'write all 12 digits, quoted: "012345678901"'),
]
Region = Annotated[
    str,
    Shape(regions.REGION_PATTERN, "an AWS Region code", "write it as AWS does: eu-west-1"),
]
OrganisationId = Annotated[
    str,
    Shape(
        r"o-[a-z0-9]{10,32}",
        "an AWS Organizations id",
        "take it from `aws organizations describe-organization`: o-a1b2c3d4e5",
    ),
]
RoleArn = Annotated[
    str,
    Shape(
        r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}",
        "the ARN of an IAM role",
        "write arn:aws:iam::ACCOUNT:role/NAME",
    ),
]
PolicyArn = Annotated[
    str,
    Shape(
        r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9_+=,.@/-]{1,576}",
        "the ARN of an IAM policy",
        "write arn:aws:iam::ACCOUNT:policy/NAME",
    ),
]
RoleName = Annotated[
    str,
    Shape(
        r"[A-Za-z0-9_+=,.@-]{1,64}",
        "the name of an IAM role",
        "write the name alone, without arn:aws:iam::ACCOUNT:role/",
    ),
]
PullerText = Annotated[
    str,
    Shape(
        r"(?=.{1,200}$)(?:arn:aws(?:-[a-z]+)*:iam::[0-9]{12}:(?:role|user)/[A-Za-z0-9_+=,.@-]+"
        r"(?:/[A-Za-z0-9_+=,.@-]+)*|[A-Za-z0-9_+=,.@-]{1,64})",
        "the name of an IAM role, or the ARN of a role or user of at most 200 characters",
        "write NAME, or arn:aws:iam::ACCOUNT:role/NAME",
    ),
]
"""Who pulls without a trace (Amazon ECR API Reference, RegisterPullTimeUpdateExclusion, principalArn)."""
KeyArn = Annotated[
    str,
    Shape(
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9_/-]+",
        "the ARN of a KMS key",
        "write arn:aws:kms:REGION:ACCOUNT:key/ID",
    ),
]
GitHubLogin = Annotated[
    str,
    Shape(
        r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}",
        "a GitHub organisation's login",
        "take it from the organisation's address on GitHub",
    ),
]
RepositoryName = Annotated[
    str,
    Shape(
        r"[-A-Za-z0-9_.]{1,100}",
        "a GitHub repository name",
        "write the name alone, without the organisation",
    ),
]
NamePattern = Annotated[
    str,
    Shape(
        r"[-A-Za-z0-9_.*?]{1,100}",
        "a pattern for repository names",
        "use letters, digits, `-`, `_`, `.`, and the wildcards `*` and `?`",
    ),
]
ImageName = Annotated[
    str,
    Shape(
        r"(?=.{2,256}$)(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*",
        "a name that ECR accepts",
        "use 2 to 256 lower-case letters and digits, joined by single `-`, `_`, `.` or `/`",
    ),
]
ImagePart = Annotated[
    str,
    Shape(
        r"(?=.{1,100}$)[a-z0-9]+(?:[._-][a-z0-9]+)*",
        "an image's name",
        "use at most 100 lower-case letters and digits, joined by single `-`, `_` or `.`",
    ),
]
TagPattern = Annotated[
    str,
    Shape(
        r"(?!(?:[^*]*\*){3})[A-Za-z0-9_.*-]{1,128}",
        "a filter for image tags",
        "use at most 128 letters, digits, `_`, `.`, `-`, and at most two `*`",
    ),
]
ScanFilter = Annotated[
    str,
    Shape(
        r"[a-z0-9*](?:[._/*-]?[a-z0-9*]+)*",
        "a scanning filter",
        "write an image repository's name, with `*` for any run of characters",
    ),
]
PropertyName = Annotated[
    str,
    Shape(
        r"[A-Za-z0-9_#$-]{1,75}",
        "a GitHub custom property's name",
        "write it as the organisation's settings show it",
    ),
]
PropertyValue = Annotated[str | tuple[str, ...], BeforeValidator(_texts)]
_TAG_CHARACTERS = (
    r"[\w .:/=+@\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000-]*",
    "made of the characters that AWS takes in tags",
    "use letters and digits of any language, spaces, and `+ - = . _ : / @`",
    # ECMA-262 has no class for letters of any language that Python has too: what is beyond ASCII passes.
    r"[^\u0000-\u001f!\u0022#$%&'()*,;<>?\[\\\]^`{|}~\u007f]*",
)
_NOT_OF_AWS = (
    r"(?![aA][wW][sS]:)[\s\S]*",
    "free of the prefix aws:, which AWS keeps for itself",
    "begin it otherwise",
)
ResourceTagKey = Annotated[
    str,
    Shape(r"[\s\S]{1,128}", "an AWS tag key", "use 1 to 128 characters"),
    Shape(*_NOT_OF_AWS),
    Shape(*_TAG_CHARACTERS),
]
"""Source: AWS Batch User Guide, "Tag restrictions", which all services share: letters, numbers and spaces
representable in UTF-8, and + - = . _ : / @, and in any case no `aws:` before a key or a value."""
ResourceTagValue = Annotated[
    str,
    Shape(r"[\s\S]{0,256}", "an AWS tag value", "use at most 256 characters"),
    Shape(*_NOT_OF_AWS),
    Shape(*_TAG_CHARACTERS),
]
Url = Annotated[
    str,
    # Without TLS a token can be read on the way; what stays on this machine has none.
    Shape(
        r"(https://[^\s/]+|http://(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]+)?)(/[^\s]*)?",
        "an HTTPS address",
        "write https://github.example.com/",
    ),
]
FilePath = Annotated[
    str, Shape(r"[^\0\n]{1,1024}", "a file's path", "write it from the project's folder on")
]
StackName = Annotated[
    str,
    Shape(r"[A-Za-z0-9_.-]{1,100}", "the name of a stack", "write it as `pulumi stack ls` does"),
]
StageName = Annotated[
    str,
    Shape(
        r"(?=.{1,30}$)[a-z0-9]+(?:-[a-z0-9]+)*",
        "the name of a stage or account set",
        "use at most 30 lower-case letters and digits, joined by single `-`",
    ),
]
ServicePattern = Annotated[
    str,
    Shape(
        r"[-A-Za-z0-9_.*?/]{1,256}",
        "a pattern for services' names",
        "use letters, digits, `-`, `_`, `.`, `/`, and the wildcards `*` and `?`",
    ),
]
NamespaceName = Annotated[
    str,
    Shape(
        r"(?=.{1,100}$)[a-z0-9]+(?:[._-][a-z0-9]+)*",
        "a namespace that ECR accepts",
        "use at most 100 lower-case letters and digits, joined by single `-`, `_` or `.`",
    ),
]
ReaderText = Annotated[
    str,
    Shape(
        r"[0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}"
        r"|o-[a-z0-9]{10,32}(/r-[a-z0-9]{4,32}(/ou-[a-z0-9]{4,32}-[a-z0-9]{8,32})*)?/?",
        "an account, a role or an organisation path",
        "write a 12-digit account id, quoted, arn:aws:iam::ACCOUNT:role/NAME, or a path such as "
        "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/",
    ),
]
RefPattern = Annotated[
    str,
    Shape(
        r"[A-Za-z0-9_ .()/@+*?-]{1,255}",
        "the name of a branch, tag or environment",
        "use letters, digits, ` ._/@+()-`, and the wildcards `*` and `?`",
    ),
]

StatementName = Annotated[
    str,
    Shape(r"[A-Za-z0-9]{1,64}", "a statement's name", "use at most 64 letters and digits"),
]
EcrAction = Annotated[
    str,
    Shape(
        r"ecr:(?!GetAuthorizationToken$)[A-Za-z*]{1,64}",
        "an action that a registry policy takes",
        "write ecr:NAME, with `*` for any run of letters; ecr:GetAuthorizationToken has no registry",
    ),
]
Principal = Annotated[
    str,
    Shape(
        r"\*|[0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:(?:root|(?:role|user)/[A-Za-z0-9_+=,.@/-]{1,576})"
        r"|[a-z0-9.-]+\.amazonaws\.com",
        "a principal",
        "write a 12-digit account id, quoted, the ARN of a role or user, a service such as "
        "inspector2.amazonaws.com, or `*`",
    ),
]
ReplicationPrefix = Annotated[
    str,
    Shape(
        r"[a-z0-9][a-z0-9._/-]{1,255}",
        "a prefix of image repositories' names",
        "use at least two lower-case letters, digits, `.`, `_`, `-` and `/`",
    ),
]
Endpoint = Annotated[
    str,
    Shape(
        r"(?!.*::)[^\s\0]{3,2048}",
        "an endpoint",
        "write an address of mail, one that begins with https://, or the ARN of a queue or function",
    ),
]
"""Where alerts go (Amazon SNS API Reference, Subscribe, Endpoint)."""
CachePrefix = Annotated[
    str,
    Shape(
        r"(?=.{2,30}$)(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*",
        "a prefix of a cache",
        "use 2 to 30 lower-case letters and digits, joined by single `-`, `_`, `.` or `/`",
    ),
]
"""Amazon ECR API Reference, CreatePullThroughCacheRule, ecrRepositoryPrefix; ROOT, which would answer for
every name that is misspelt, is left out."""
UpstreamHost = Annotated[
    str,
    Shape(
        r"public\.ecr\.aws|quay\.io|registry\.k8s\.io|registry-1\.docker\.io|ghcr\.io|registry\.gitlab\.com"
        r"|cgr\.dev|[a-z0-9]{5,50}\.azurecr\.io|[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.[a-z0-9.-]+",
        "a registry that ECR caches",
        "write public.ecr.aws, quay.io, registry.k8s.io, registry-1.docker.io, ghcr.io, registry.gitlab.com, "
        "cgr.dev, NAME.azurecr.io or ACCOUNT.dkr.ecr.REGION.amazonaws.com",
    ),
]
"""Amazon ECR API Reference, CreatePullThroughCacheRule, upstreamRegistryUrl."""
CacheSecretArn = Annotated[
    str,
    Shape(
        r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:ecr-pullthroughcache/[A-Za-z0-9/_+=.@-]{1,500}",
        "the ARN of a secret of pull-through caches",
        "write arn:aws:secretsmanager:REGION:ACCOUNT:secret:ecr-pullthroughcache/NAME",
    ),
]
"""Amazon ECR API Reference, CreatePullThroughCacheRule, credentialArn."""
RegistryKey = Annotated[
    str,
    Shape(
        rf"[0-9]{{12}}/{regions.REGION_PATTERN}",
        "a registry",
        "write its account and Region: 111122223333/eu-west-1",
    ),
]

LifecycleTag = Annotated[
    str,
    Shape(
        r"(?!(?:[^*]*\*){5})[A-Za-z0-9_.*-]{1,128}",
        "a tag or a pattern of tags",
        "use at most 128 letters, digits, `_`, `.`, `-`, and at most four `*`",
    ),
]
VariablesPrefix = Annotated[
    str,
    Shape(
        r"(?!GITHUB_)[A-Z_][A-Z0-9_]{0,99}",
        "the beginning of a variable's name",
        "use capitals, digits and underscores, no digit first, and not GITHUB_",
    ),
]
