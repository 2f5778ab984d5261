"""The table of the page that compares the architectures, for the sandbox's organisation.

Owns where it stands in the page. Reads the page, the names and the program.
"""

from pathlib import Path

from ecr.cli.commands.compare import (
    USUAL,
    architectures_table,
    lambdas_among,
    money_table,
    organisation_of,
    read_names,
    reckoned_with,
    sample_settings,
)
from ecr.plan.comparison import compare_architectures
from pages.markers import replace_between_markers

PROJECT = Path(__file__).resolve().parent.parent

PAGE = "reference/comparison.md"


def comparison_page() -> str:
    """Return the page with its table computed anew."""
    names = read_names(PROJECT / "sandbox/organisation.txt")
    settings = sample_settings(None)
    rows = list(
        compare_architectures(settings, organisation_of(names, lambdas_among(names), settings))
    )
    page = (PROJECT / "docs" / PAGE).read_text(encoding="utf-8")
    page = replace_between_markers(page, "compare", architectures_table(rows))
    money = f"{money_table(rows, USUAL, settings)}\n\n{reckoned_with(USUAL, settings)}"
    return replace_between_markers(page, "money", money)
