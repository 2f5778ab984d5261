"""The documents say what the program does, and every name in them exists."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import botocore.session
import pytest
import yaml
from pydantic.alias_generators import to_camel

from ecr.cli.commands import operations
from ecr.cli.guidance import GUIDANCE
from ecr.cli.main import main
from ecr.errors import EstateError
from ecr.github.listing import ListingRefusedError
from ecr.ledger.ledger import parse_ledger
from ecr.settings.load import parse_settings
from ecr.settings.models import Settings
from tests.builders import plan, repositories

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
RECORDS = sorted((DOCS / "decisions").glob("0*.md"))
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
MADR = [
    "## Context and Problem Statement",
    "## Decision Drivers",
    "## Considered Options",
    "## Decision Outcome",
    "### Consequences",
    "### Confirmation",
    "## Pros and Cons of the Options",
]
FEATURES = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (DOCS / "reference" / "features.md").read_text().splitlines()
    if line.startswith("| ") and "---" not in line
][1:]
"""What other modules' users ask for: the feature, whether it is here, and what holds it or says why not."""
KEYS = {to_camel(name): field for name, field in Settings.model_fields.items()}

QUESTIONS = [
    "Considerations: monorepo",
    "Considerations: naming convention",
    "Considerations: lifecycle rules",
    "Architecture 1: a single ECR in the artifacts account",
    "Architecture 1: lifecycle rules on tags",
    "Architecture 1: read-only from any account",
    "Architecture 2: multiple ECRs per service",
    "Architecture 3: one ECR per account or set of accounts",
    "Architecture 4: Docker Lambdas",
    "Configuration: when and how",
    "Configuration: each service defines its own",
    "Configuration: centralised",
    "Configuration: a static list",
    "Configuration: generated from GitHub",
    "Namespaces",
    "Namespaces: guidance",
    "Image Scanning",
    "Image Scanning: event notifications",
    "Image Scanning: periodic scans",
    "Image Scanning: rejecting critical images",
    "Lifecycle Policies",
    "Lifecycle Policies: guidance",
    "Image Tagging",
    "Image Tagging: guidance",
    "Tag Immutability",
    "Tag Immutability: guidance",
    "CI/CD",
    "CI/CD: option 1",
    "CI/CD: option 2",
    "CI/CD: option 3",
]
"""The headings of the two documents, and what stands under them as a list, in their order."""

each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def confirmation(record: Path) -> str:
    return record.read_text().partition("### Confirmation\n")[2].partition("\n## ")[0]


def fenced(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def quoted(page: Path) -> str:
    """The message that a runbook opens with."""
    line = next(line for line in page.read_text().splitlines() if line.startswith("> "))
    return line.removeprefix("> ")


def parsed(stack: dict[str, Any]) -> Settings:
    """Settings from a stack's file: the engine hands structured values over as JSON."""
    config = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in stack["config"].items()
    }
    return parse_settings(config, namespace="ecr-estate")


def nav() -> Iterator[str]:
    def pages(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for inner in entry.values() if isinstance(entry, dict) else entry:
                yield from pages(inner)

    return pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])


def test_records_are_numbered_without_a_gap() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))


@each_record
def test_a_record_has_every_section_in_order(record: Path) -> None:
    headings = re.findall(r"^#{2,3} .*$", record.read_text(), re.MULTILINE)
    assert [heading for heading in headings if heading in MADR] == MADR


@each_record
def test_a_record_has_a_status_a_date_and_deciders(record: Path) -> None:
    day = r"\d{4}-\d\d-\d\d"
    pattern = (
        rf"^\*\*Status:\*\* (accepted|superseded by .+) · \*\*Date:\*\* {day}"
        rf"( · \*\*Changed:\*\* {day})? · \*\*Deciders:\*\* .+$"
    )
    assert re.search(pattern, record.read_text(), re.MULTILINE)


@each_record
def test_a_record_is_confirmed_by_tests_or_commands(record: Path) -> None:
    assert re.search(r"`(tests/\S+\.py|make [a-z]+)`", confirmation(record))


@each_record
def test_a_record_is_in_the_index_and_in_the_navigation(record: Path) -> None:
    assert f"]({record.name})" in (DOCS / "decisions/index.md").read_text()
    assert f"decisions/{record.name}" in nav()


@each_page
def test_every_test_file_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


@each_page
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"(?:^|`)make ([a-z-]+)(?:`| +#|$)", page.read_text(), re.MULTILINE)
    assert set(named) <= set(targets)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_file_that_the_repositorys_own_pages_link_to_exists(name: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_production_stack_is_valid() -> None:
    assert parsed(yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())).architecture == "central"


def test_the_production_stack_shows_every_setting() -> None:
    text = (ROOT / "Pulumi.prod.yaml").read_text()
    assert [key for key in KEYS if f"ecr-estate:{key}:" not in text] == []


def test_what_the_production_stack_has_commented_out_is_valid_too() -> None:
    text = (ROOT / "Pulumi.prod.yaml").read_text()
    whole = re.sub(r"^( *)# (?=( *- | *[\w:-]+:( |$)).*$)", r"\1", text, flags=re.MULTILINE)
    stack = yaml.safe_load(whole)
    own_github = stack["config"]["ecr-estate:github"].pop("baseUrl")
    assert parsed(stack).push_roles
    # AWS knows the ids of repositories of github.com only.
    stack["config"]["ecr-estate:github"]["baseUrl"] = own_github
    del stack["config"]["ecr-estate:pushRoles"]
    chosen = parsed(stack)
    assert chosen.static
    assert chosen.github.base_url
    assert chosen.github.selection.property


def test_the_engine_asks_for_the_settings_that_no_stack_can_do_without_and_no_others() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert set(declared) == {key for key, field in KEYS.items() if field.is_required()}
    assert all(set(each) == {"type", "description"} for each in declared.values())


@pytest.mark.parametrize("snippet", fenced(DOCS / "guides/settings-by-example.md", "yaml"))
def test_every_example_of_settings_is_valid(snippet: str) -> None:
    stack = yaml.safe_load(fenced(DOCS / "guides/settings-by-example.md", "yaml")[0])
    if not snippet.startswith("config:"):
        stack["config"] |= yaml.safe_load(snippet)
    parsed(stack)


def test_every_permission_asked_for_is_an_action_of_ecr_that_touches_no_image() -> None:
    operations = botocore.session.get_session().get_service_model("ecr").operation_names
    policies = fenced(DOCS / "guides/first-deployment.md", "json")
    actions = set(re.findall(r'"ecr:(\w+)"', "".join(policies)))
    assert [json.loads(policy)["Version"] for policy in policies] == ["2012-10-17"] * 3
    assert actions
    assert actions <= set(operations)
    assert not [
        each
        for each in actions
        if re.search(r"Image(?!Tag)|Layer|DeleteRepository$", each)
        # The number of a retiring image repository's, and what the provider reads of one that stands.
        and each not in {"ListImages", "DescribeImages"}
    ]


@each_page
def test_a_page_is_written_as_in_britain(page: Path) -> None:
    # What stands as code, in quotation marks or in italics is somebody else's word.
    quoted = r"```.*?```|`[^`]*`|\"[^\"]*\"|\*[^*\n]*\*|\]\([^)]*\)|https?://\S+|AWS Organizations|Access Analyzer"
    prose = re.sub(quoted, "", page.read_text(), flags=re.DOTALL)
    american = (
        r"(?i)\b\w*(?:organiz|behavior|recogniz|customiz|analyz|favor|colors?\b|centers?\b)\w*"
    )
    # These quote what programs say, and the titles of others' pages.
    written = page.name not in {"faults.md", "sandbox-rules.md"}
    assert not written or re.findall(american, prose) == []


def test_the_runbooks_quote_the_messages_that_they_are_for() -> None:
    runbooks = DOCS / "runbooks"
    assert quoted(runbooks / "listing-refused.md") == ListingRefusedError("what", "remedy").problem
    with pytest.raises(EstateError) as unreadable:
        parse_ledger("damaged")
    assert quoted(runbooks / "ledger-unreadable.md") == unreadable.value.problem
    everything = repositories(*(f"service-{number}" for number in range(140)))
    held = plan(*everything[:128], ledger=plan(*everything).ledger)
    (guard,) = (each for each in held.guards if each.tripped)
    assert quoted(runbooks / "guard-tripped.md") == guard.summary


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it, without what comes by npm."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    return folder


def test_the_site_builds_strictly_and_asks_no_other_host_for_anything(built: Path) -> None:
    pages = list(built.rglob("*.html"))
    assert len(pages) > len(RECORDS)
    fetched = r"<(?:script|img|iframe|link|source)[^>]+(?:src|href)=[\"']?(?:https?:)?//"
    assert [page for page in pages if re.search(fetched, page.read_text())] == []


class Links(HTMLParser):
    """What a page of the site refers to within the site, and where it can be referred to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.anchors: set[str] = {"", "__comments"}
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {given.get("id") or "", given.get("name") or ""}
        for name in ("href", "src"):
            target = given.get(name) or ""
            if tag != "base" and target and not re.match(r"[a-z]+:|//", target):
                self.targets.add(target)


def broken(site: Path) -> list[str]:
    """Links and anchors of the site that lead nowhere, those written as HTML included."""
    links = {page: Links(page) for page in site.rglob("*.html") if page.name != "404.html"}
    found = []
    for page, held in links.items():
        for target in held.targets:
            path, _, anchor = target.partition("#")
            led = (page.parent / path.partition("?")[0]).resolve() if path else page
            ignored = led.is_relative_to(site / "vendor") or led.name == "data.js"
            there = unquote(anchor) in links[led].anchors if led in links else led.is_file()
            if not there and not ignored:
                found.append(f"{page.relative_to(site)}: {target}")
    return found


def test_every_link_and_anchor_leads_somewhere(built: Path, tmp_path: Path) -> None:
    assert broken(built.resolve()) == []
    (tmp_path / "a.html").write_text('<a href="b.html#y"></a><a href="c.html"></a><p id="x">')
    (tmp_path / "b.html").write_text('<a href="a.html#x"></a><a href="#nowhere"></a>')
    assert sorted(broken(tmp_path.resolve())) == [
        "a.html: b.html#y",
        "a.html: c.html",
        "b.html: #nowhere",
    ]


def test_every_question_of_the_two_documents_is_answered_by_a_page() -> None:
    page = (DOCS / "practice/questions.md").read_text()
    rows = re.findall(r"^\| (?!heading|---)(.+?) \| (.+?) \| (.+) \|$", page, re.MULTILINE)
    assert [heading for heading, _, _ in rows] == QUESTIONS
    for _, _, answer in rows:
        targets = re.findall(r"\]\(([^)#]+)(?:#([^)]+))?\)", answer)
        assert targets
        for path, anchor in targets:
            answering = (DOCS / "practice" / path).read_text()
            headings = re.findall(r"^#+ (.*?)(?: \{ #(.*) \})?$", answering, re.MULTILINE)
            anchors = {named or title.lower().replace(" ", "-") for title, named in headings}
            assert not anchor or anchor in anchors


def test_no_page_of_the_site_has_a_diagram_that_the_site_does_not_draw() -> None:
    # GitHub draws Mermaid, so that the README may have it; the site shows its source.
    assert [page for page in DOCS.rglob("*.md") if "```mermaid" in page.read_text()] == []


@pytest.mark.parametrize(
    "diagram", sorted((DOCS / "diagrams").glob("*.svg")), ids=lambda diagram: str(diagram.stem)
)
def test_a_diagram_has_a_title_and_a_description_for_who_cannot_see_it(diagram: Path) -> None:
    text = diagram.read_text()
    (labels,) = re.findall(r'<svg[^>]* role="img" aria-labelledby="([^"]+)"', text)
    described = dict(re.findall(r'<(?:title|desc) id="([^"]+)">([^<]+)<', text))
    assert labels.split() == list(described)
    assert all(len(words) > 10 for words in described.values())


def superseding(texts: dict[str, str]) -> list[str]:
    """What is wrong with records that say that another has taken their place."""
    found = []
    for name, text in texts.items():
        stated = re.search(r"^\*\*Status:\*\* superseded by (.*?) · ", text, re.MULTILINE)
        if not stated:
            continue
        link = re.fullmatch(r"\[(\d{4})\]\((\d{4}-[\w-]+\.md)\)", stated[1])
        if not link or link[2] not in texts:
            found.append(f"{name}: names no record that supersedes it")
        elif f"upersedes [{name[:4]}]({name})" not in texts[link[2]]:
            found.append(f"{link[2]}: does not say that it supersedes {name}")
    return found


def test_a_record_that_is_superseded_and_its_successor_name_each_other() -> None:
    assert superseding({record.name: record.read_text() for record in RECORDS}) == []
    old = "**Status:** superseded by [0002](0002-new.md) · **Date:** 2027-01-01"
    assert superseding({"0001-old.md": old}) == ["0001-old.md: names no record that supersedes it"]
    both = {"0001-old.md": old, "0002-new.md": "Supersedes [0001](0001-old.md)."}
    assert superseding(both) == []
    assert superseding({**both, "0002-new.md": ""}) == [
        "0002-new.md: does not say that it supersedes 0001-old.md"
    ]


def test_every_command_that_asks_aws_has_a_page() -> None:
    asking = {name for name, module in operations().items() if hasattr(module, "Aws")}
    assert asking >= {"audit", "replicas", "rescan", "simulate"}
    for name in asking:
        assert f"ecr-estate {name}" in (DOCS / GUIDANCE[name].page).read_text()


@pytest.mark.parametrize("row", FEATURES, ids=lambda row: row[0])
def test_every_feature_names_its_test_and_every_other_the_record_that_says_why_not(
    row: list[str],
) -> None:
    _, here, held = row
    if here.startswith("yes"):
        assert re.search(r"`tests/[\w/]+\.py`", held)
    else:
        assert re.search(r"\.\./decisions/\d{4}-[\w-]+\.md", held)


@pytest.mark.parametrize("name", sorted(operations()))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "--json" in shown or name == "settings"


def test_every_page_that_a_message_names_is_there() -> None:
    sources = [path.read_text() for path in (ROOT / "ecr").rglob("*.py")]
    named = {name for text in sources for name in re.findall(r"docs/([\w/-]+\.md)", text)}
    named |= {name for text in sources for name in re.findall(r'page="([\w/-]+\.md)"', text)}
    assert "runbooks/listing-refused.md" in named
    assert [name for name in sorted(named) if not (DOCS / name).exists()] == []
    assert str(ListingRefusedError("what", "remedy")).endswith(
        "See docs/runbooks/listing-refused.md."
    )
