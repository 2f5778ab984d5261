"""Selection: which repositories become services, and the static list."""

from typing import Any

import pytest

from ecr.github.model import why_deselected
from ecr.github.static_list import static_inventory
from ecr.settings.models import Selection, StaticRepository
from tests.builders import repository


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
