"""The summary of the page of faults counts what its tables say."""

from pages.faults import faults_page, summary

HEAD = "| fault | what the program said | exit | image repositories lost | unmanaged |\n|---|---|---|---:|---:|\n"


def test_the_summary_counts_each_group_and_says_the_pass_rate_first() -> None:
    page = (
        "<!-- faults:begin -->\n\n## Listing\n\n"
        + HEAD
        + "| one | said \\| so | stopped | 0 | 0 |\n"
        "| two | said | went on | 0 | 1 |\n\n## AWS\n\n"
        + HEAD
        + "| one | said | went on | 0 | 0 |\n"
        "\n<!-- faults:end -->\n"
    )
    first, _, _, _, listing, aws = summary(page).splitlines()
    assert first == "**2 of 3 faults (66.7 %) left nothing lost and nothing unmanaged.**"
    assert listing == "| [Listing](#listing) | 2 | 1 | 1 | 1 |"
    assert aws == "| [AWS](#aws) | 1 | 1 | 0 | 1 |"


def test_the_summary_stands_before_the_tables_of_the_page() -> None:
    page = faults_page()
    assert page.index("<!-- summary:begin -->") < page.index("<!-- faults:begin -->")
    assert "nothing lost and nothing unmanaged.**" in page
