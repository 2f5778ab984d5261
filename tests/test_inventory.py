"""Selection: which repositories become services, and the static list."""

from typing import Any

import pytest

from ecr.github.inventory import misspelt_properties
from ecr.github.model import why_deselected
from ecr.github.static_list import static_inventory
from ecr.settings.models import Selection, StaticRepository
from tests.builders import inventory, repository, settings


@pytest.mark.parametrize(
    ("facts", "rules", "reason"),
    [
        ({}, {}, None),
        ({"archived": True}, {}, "archived"),
        ({"archived": True}, {"archived": True}, None),
        ({"fork": True}, {}, "fork"),
        ({"fork": True}, {"forks": True}, None),
        ({"template": True}, {}, "template"),
        ({"template": True}, {"templates": True}, None),
        ({"visibility": "public"}, {"visibilities": ["private", "internal"]}, "public"),
        ({}, {"include": ["web-*"]}, "matches no include pattern"),
        ({}, {"include": ["API"]}, None),
        ({}, {"exclude": ["a*"]}, "matches an exclude pattern"),
        ({}, {"property": {"property": "container"}}, "custom property container is not true"),
        ({"properties": {"container": "true"}}, {"property": {"property": "container"}}, None),
        (
            {"properties": {"kinds": ("image", "chart")}},
            {"property": {"property": "kinds", "values": ["image"]}},
            None,
        ),
    ],
)
def test_a_selection_rule_decides_and_names_itself(
    facts: dict[str, Any], rules: dict[str, Any], reason: str | None
) -> None:
    assert why_deselected(repository(1, "api", **facts), Selection.model_validate(rules)) == reason


def test_a_static_list_is_the_whole_truth_in_the_order_of_ids() -> None:
    listed = static_inventory(
        [StaticRepository(id=2, name="web"), StaticRepository(id=1, name="api")]
    )
    assert [each.name for each in listed.repositories] == ["api", "web"]
    assert listed.calls == 0
    assert not listed.deselected


def test_a_property_in_other_capitals_than_repositories_have_is_said() -> None:
    rules: dict[str, Any] = {
        "github": {"organisation": "acme", "selection": {"property": {"property": "Container"}}},
        "access": {"functions": {"accounts": ["333333333333"], "services": {"property": "lambda"}}},
    }
    chosen = settings(**rules)
    listed = inventory(repository(1, "api", properties={"container": "true", "lambda": "true"}))
    (said,) = misspelt_properties(chosen, listed)
    assert said.startswith("the settings ask for the custom property Container, which no repo")
    assert "repositories have container; write it in the same capitals" in said
    assert not [*misspelt_properties(settings(), listed)]
