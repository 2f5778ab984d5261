"""How the pages read: what is measured, what is refused, and what is only listed."""

from datetime import date

import pytest

from pages.prose import (
    UNREAD,
    main,
    odd_words,
    offences,
    reading,
    sentences,
    stale,
    undated,
    unread,
)

SOURCES = "\n## Sources\n\n- [A page](https://example.com/a), read 2026-11-27\n"


def test_sentences_are_those_of_paragraphs_lists_and_cells_and_not_code_or_headings() -> None:
    page = (
        "# A title of five words\n\nThe first one is short. The second one\nis too.\n\n```sh\nmake it so now\n```\n\n"
        "- An item of a list\n\n| one cell of it | `code` in a cell |\n" + SOURCES
    )
    assert list(sentences(page)) == [
        "The first one is short.",
        "The second one is too.",
        "An item of a list",
        "one cell of it",
        "code in a cell",
    ]


def test_a_page_of_long_sentences_is_beyond_the_bound_and_one_of_short_ones_is_not() -> None:
    assert reading(f"{'word ' * 40}. " * 3).is_beyond
    assert not reading("A short sentence is easy to read. " * 40).is_beyond


def test_a_page_that_states_facts_names_its_sources_with_the_day() -> None:
    assert offences({"guides/a.md": "One is here now." + SOURCES}) == []
    (missing,) = offences({"guides/a.md": "One is here now."})
    assert "names no source" in missing
    undated_line = "- [A page](https://example.com/a)"
    assert undated(f"\n## Sources\n\n{undated_line}\n") == [undated_line]


def test_a_source_that_nobody_has_read_again_says_so_and_is_counted_and_not_refused() -> None:
    line = f"- [A page](https://example.com/a), as others quote it, {UNREAD}"
    page = f"One is here now.\n\n## Sources\n\n{line}\n"
    assert unread(page) == ["https://example.com/a"]
    assert offences({"guides/a.md": page}) == []
    assert stale({"guides/a.md": page}, date(2099, 1, 1)) == []
    assert unread(SOURCES) == []
    refused = offences({"guides/a.md": page.replace(UNREAD, "not read")})
    assert refused[-1].endswith(f"add ', read YYYY-MM-DD' or ', {UNREAD}'")


def test_the_sources_that_are_to_be_read_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "sources are to be read" in capsys.readouterr().out


def test_a_source_that_was_read_more_than_a_year_ago_is_listed() -> None:
    texts = {"guides/a.md": "One is here now." + SOURCES}
    assert stale(texts, date(2027, 11, 27)) == []
    (line,) = stale(texts, date(2027, 11, 28))
    assert line.startswith("guides/a.md: a source was read 2026-11-27")


def test_words_with_a_plainer_one_are_named_outside_quotations() -> None:
    assert odd_words("It was made by other\nhands.") == ["other hands"]
    assert odd_words("> made by other hands\n\n*made by other hands* and `at hand`") == []


def test_every_page_of_the_site_is_within_the_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0, capsys.readouterr().err
