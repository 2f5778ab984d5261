"""Settings: every offence at once, each with its key path, value and remedy."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from ecr.errors import EstateError
from ecr.settings.load import RENAMED, parse_settings, settings_schema
from ecr.settings.models import Scanning
from tests.builders import ARTIFACTS, LAMBDA, config, settings

ROLE = f"arn:aws:iam::{ARTIFACTS}:role/a"


def offences(**changes: Any) -> tuple[str, ...]:
    with pytest.raises(EstateError) as refused:
        settings(**changes)
    return refused.value.offences


def test_the_plainest_settings_are_accepted_with_the_recorded_defaults() -> None:
    plain = settings()
    assert plain.architecture == "central"
    assert plain.images.immutable
    assert not plain.strict
    assert not plain.github.selection.archived


def test_keys_of_other_namespaces_are_none_of_our_business() -> None:
    values = {**config(), "aws:region": "eu-west-1", "pulumi:tags": "{}"}
    assert parse_settings(values, namespace="ecr-estate") == settings()


def test_every_offence_is_reported_in_one_error() -> None:
    found = offences(
        github={"organisation": "not a login"},
        artifacts={"account": "1", "region": "Ireland"},
        awsOrganisation="acme",
    )
    assert len(found) == 4
    assert [line.split(" ")[0] for line in found] == [
        "ecr-estate:github.organisation",
        "ecr-estate:artifacts.account",
        "ecr-estate:artifacts.region",
        "ecr-estate:awsOrganisation",
    ]


def test_a_list_of_one_wrong_entry_is_not_called_short_as_well() -> None:
    (found,) = offences(images={"named": {"services": {"api": ["Worker"]}}})
    assert found.startswith('ecr-estate:images.named.services.api[0] = "Worker": is not an image')


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"artefacts": {}}, "ecr-estate:artefacts: is not a setting; did you mean artifacts?"),
        ({"github": {"organization": "a"}}, "did you mean organisation?"),
        ({"zebra": 1}, "ecr-estate:zebra: is not a setting; remove it"),
        ({"artifacts": None}, "ecr-estate:artifacts: is missing; add it"),
        ({"artifacts": {"account": 12345678901, "region": "eu-west-1"}}, "must be text; quote it"),
        ({"artifacts": "111111111111"}, "must be a map of settings"),
        (
            {"artifacts": {"account": ARTIFACTS, "region": "eu-west-1", "role": "admin"}},
            "is not the ARN of an IAM role",
        ),
        ({"awsOrganisation": "o-1"}, "is not an AWS Organizations id"),
        ({"strict": "maybe"}, "must be true or false"),
        ({"lifecycle": {"untaggedDays": 0}}, "is too small; write at least 1"),
        ({"lifecycle": {"untaggedDays": 4000}}, "is too large; write at most 3650"),
        ({"lifecycle": {"preset": "forever"}}, "write 'commit-sha', 'semver', 'source"),
        ({"scanning": {"onPushOnly": ["*"]}}, "beside type: BASIC"),
        ({"lifecycle": {"preset": "custom"}}, "lifecycle.rules: must be there if preset is custom"),
        ({"lifecycle": {"overrides": [{"preset": "none"}]}}, "write names, property or both"),
        (
            {
                "lifecycle": {
                    "overrides": [
                        {
                            "names": ["a"],
                            "preset": "custom",
                            "rules": [
                                {
                                    "tagStatus": "any",
                                    "countType": "sinceImagePulled",
                                    "countNumber": 7,
                                }
                            ],
                        }
                    ]
                }
            },
            'ecr-estate:lifecycle.overrides[0].rules[0].countType = "sinceImagePulled": is for',
        ),
        ({"lifecycle": {"protectedTags": ["a*b*c*"]}}, "at most two `*`"),
        ({"lifecycle": {"protectedTags": ["*"]}}, "protects every tag; choose the preset none"),
        (
            {"lifecycle": {"protectedTags": ["v", "-x*"]}},
            "is how no tag begins",
        ),
        ({"images": {"mutableTags": [f"t{n}" for n in range(6)]}}, "write at most 5"),
        ({"images": {"mutableTags": ["x"], "immutable": False}}, "beside immutable: false"),
        ({"images": {"immutableTags": ["v*"]}}, "needs immutable: false"),
        (
            {"github": {"organisation": "acme", "selection": {"include": ["a b"]}}},
            "is not a pattern",
        ),
        (
            {"github": {"organisation": "acme", "selection": {"visibilities": []}}},
            "too few entries",
        ),
        ({"names": {"api": "API"}}, "is not a name that ECR accepts"),
        ({"names": {"a": "same", "b": "same"}}, "is already names.a; choose another"),
        ({"names": {"docs": "aa", "Docs": "bb"}}, "is names.docs already, for GitHub ignores case"),
        ({"successors": {"api": 9, "web": 9}}, "is already successors.api"),
        ({"confirm": {"vanished": True}}, "must be a whole number"),
        ({"artifacts": {"account": ARTIFACTS, "region": "eu-wset-1"}}, "is not an AWS Region code"),
        (
            {"artifacts": {"account": "\u0661" * 12, "region": "eu-west-1"}},
            "is not a 12-digit AWS account id",
        ),
        (
            {"lambdaReplicas": {"accounts": [{"account": LAMBDA, "regions": ["cn-north-1"]}]}},
            'regions[0] = "cn-north-1": is in aws-cn, and the artifacts registry in aws',
        ),
        (
            {"artifacts": {"account": ARTIFACTS, "region": "cn-north-1", "role": ROLE}},
            'artifacts.role = "arn:aws:iam::111111111111:role/a": is not in the partition aws-cn',
        ),
        (
            {
                "artifacts": {"account": ARTIFACTS, "region": "eu-west-1", "role": ROLE},
                "architecture": "per-account-set",
                "accountSets": [
                    {
                        "name": "prod",
                        "account": ARTIFACTS,
                        "region": "us-east-1",
                        "role": ROLE.replace("role/a", "role/b"),
                    }
                ],
            },
            "write the same role in both places",
        ),
        ({"retire": ["api", "api"]}, "repeats api; write each once"),
        ({"tags": {"aws:x": "y"}}, "is not free of the prefix aws:"),
        ({"static": []}, "write at least 1"),
        ({"static": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "is already static[0]"),
        ({"static": [{"id": 1, "name": "a"}, {"id": 2, "name": "A"}]}, "GitHub ignores case"),
        ({"static": [{"id": 1, "name": "a/b"}]}, "is not a GitHub repository name"),
        ({"static": [{"name": "a"}]}, "ecr-estate:static[0].id: is missing; add it"),
        ({"lambdaReplicas": {"services": {"all": True, "patterns": ["x"]}}}, "exactly one way"),
        ({"images": {"kmsKey": f"arn:aws:kms:us-east-1:{ARTIFACTS}:key/1"}}, "name a key of"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(changes: dict[str, Any], expected: str) -> None:
    found = offences(**changes)
    assert any(expected in line for line in found), found


def test_another_region_of_the_artifacts_account_gets_replicas_and_its_own_does_not() -> None:
    def of(*regions: str) -> list[str]:
        accounts = [{"account": ARTIFACTS, "regions": regions}]
        return list(offences(lambdaReplicas={"accounts": accounts}))

    settings(lambdaReplicas={"accounts": [{"account": ARTIFACTS, "regions": ["us-east-1"]}]})
    (found,) = of("us-east-1", "eu-west-1")
    assert "accounts[0].regions[1]" in found
    assert "is the artifacts registry" in found


def test_a_registry_of_replicas_is_not_the_artifacts_registry_and_is_listed_once() -> None:
    accounts = [
        {"account": account, "regions": ["eu-west-1"]} for account in (ARTIFACTS, LAMBDA, LAMBDA)
    ]
    found = offences(lambdaReplicas={"accounts": accounts})
    assert len(found) == 2
    assert "accounts[0].regions[0]" in found[0]
    assert "is the artifacts registry" in found[0]
    assert "accounts[2].account" in found[1]
    assert "list its Regions in one entry" in found[1]


def test_a_role_of_another_account_is_refused() -> None:
    role = f"arn:aws:iam::{LAMBDA}:role/deploy"
    found = offences(artifacts={"account": ARTIFACTS, "region": "eu-west-1", "role": role})
    assert "is a role of another account" in found[0]


def test_a_secret_value_is_never_shown() -> None:
    with pytest.raises(EstateError) as refused:
        parse_settings(
            config(awsOrganisation="hunter2"),
            namespace="ecr-estate",
            secret_keys={"ecr-estate:awsOrganisation"},
        )
    assert "hunter2" not in str(refused.value)
    assert "[secret]" in str(refused.value)


def test_structured_values_that_are_not_json_are_reported_and_not_guessed() -> None:
    broken = {**config(), "ecr-estate:artifacts": '{"account": '}
    with pytest.raises(EstateError, match="must be a map of settings"):
        parse_settings(broken, namespace="ecr-estate")


def test_a_long_value_is_shortened_in_the_error() -> None:
    long = json.dumps({"x": "y" * 500})
    with pytest.raises(EstateError) as refused:
        parse_settings({**config(), "ecr-estate:retire": long}, namespace="ecr-estate")
    assert len(max(str(refused.value).splitlines(), key=len)) < 200


def test_contradictions_are_reported_in_the_round_of_what_is_wrong_by_itself() -> None:
    found = offences(
        awsOrganisation="acme",
        images={"immutable": False, "mutableTags": ["latest"], "count": "maybe"},
        scanning={"onPushOnly": ["*"]},
        lambdaReplicas={
            "accounts": [
                {"account": "1", "regions": ["eu-west-1"]},
                {"account": ARTIFACTS, "regions": ["eu-west-1"]},
            ]
        },
    )
    assert [line.split(": ")[0].split(" = ")[0] for line in found] == [
        "ecr-estate:awsOrganisation",
        "ecr-estate:lambdaReplicas.accounts[0].account",
        "ecr-estate:images.count",
        "ecr-estate:images.mutableTags",
        "ecr-estate:lambdaReplicas.accounts[1].regions[0]",
        "ecr-estate:scanning.onPushOnly",
    ]


def test_a_check_that_needs_a_wrong_value_is_not_made() -> None:
    found = offences(stages=["UPPER"], architecture="per-stage")
    assert len(found) == 1


def test_a_contradiction_never_shows_a_secret() -> None:
    values = config(static=[{"id": 1, "name": "hunter"}, {"id": 2, "name": "hunter"}])
    with pytest.raises(EstateError) as refused:
        parse_settings(values, namespace="ecr-estate", secret_keys={"ecr-estate:static"})
    assert "hunter" not in str(refused.value)


def test_a_model_by_itself_refuses_its_contradictions_too() -> None:
    with pytest.raises(ValidationError, match="stands beside type: BASIC"):
        Scanning.model_validate({"onPushOnly": ["*"]})


def test_a_setting_of_the_version_before_is_understood_with_a_notice() -> None:
    told: list[str] = []
    values = config(confirm={"endedReplicas": 5})
    chosen = parse_settings(values, namespace="ecr-estate", tell=told.append)
    assert chosen.confirm.unfilled_replicas == 5
    (notice,) = told
    assert notice.startswith("confirm.endedReplicas is called confirm.unfilledReplicas now")


def test_a_setting_under_both_its_names_is_refused() -> None:
    (found,) = offences(confirm={"endedReplicas": 5, "unfilledReplicas": 6})
    assert "stands beside confirm.unfilledReplicas" in found


def test_every_renamed_setting_leads_to_one_that_there_is() -> None:
    properties = settings_schema()
    for path, now in RENAMED.items():
        assert f'"{now}"' in json.dumps(properties)
        assert f'"{path[-1]}"' not in json.dumps(properties)


@pytest.mark.parametrize(
    "tags", [{"team": "Köln"}, {"größe": "1"}, {"a b": "x+y=z@w"}, {"чей": "мой/наш"}, {"a": ""}]
)
def test_tags_take_letters_and_digits_of_any_language(tags: dict[str, str]) -> None:
    assert settings(tags=tags).tags == tags


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"AWS:x": "1"}, "prefix aws:"),
        ({"x": "aWs:1"}, "prefix aws:"),
        ({"x": "y" * 257}, "at most 256 characters"),
        ({"x" * 129: "y"}, "1 to 128 characters"),
        ({"": "y"}, "1 to 128 characters"),
        ({"x": "a;b"}, "letters and digits of any language"),
        ({"x": "a\tb"}, "letters and digits of any language"),
        ({"x": "\U0001f600"}, "letters and digits of any language"),
    ],
)
def test_a_tag_is_refused_by_the_rule_that_it_breaks(tags: dict[str, str], expected: str) -> None:
    (found,) = offences(tags=tags)
    assert expected in found


def test_a_choice_counts_whatever_the_case_of_the_repository() -> None:
    assert settings(names={"Docs": "documents"}).chosen_names == {"docs": "documents"}
