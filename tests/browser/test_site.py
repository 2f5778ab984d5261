"""The site in a real browser: it renders, it asks nobody, it can be read, and its two tools work."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from ecr.cli.commands.estate import estate_of
from ecr.deploy.outputs import outputs
from ecr.engine.outputs import Outputs
from ecr.ledger.ledger import Source
from pages.playground import Example, examples
from pages.playground_bridge import play
from tests.browser.conftest import Windows, first_found
from tests.builders import plan, repositories, repository, settings, with_replicas

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    str(page.relative_to(DOCS).with_suffix(".html"))
    for page in DOCS.rglob("*.md")
    if "diagrams" not in page.parts
)
KINDS = (
    "index.html",
    "how-it-works.html",
    "estate/index.html",
    "playground/index.html",
    "guides/admission.html",
    "runbooks/adopt.html",
    "reference/settings.html",
    "reference/comparison.html",
    "decisions/0001-where-images-live.html",
)
"""A page of each kind: what differs in the dark is the style, which they share."""

DESKTOP, PHONE = (1280, 900), (390, 844)
WAIT = 60_000
"""Milliseconds for Python to start in the browser, on a machine that does other things too."""


class Visit:
    """A page of the site that was opened, and everything about it that should not be."""

    def __init__(
        self,
        chromium: Windows,
        served: str,
        size: tuple[int, int] = DESKTOP,
        scheme: str = "light",
    ) -> None:
        self.served = served
        self.page = chromium.page(size, scheme)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)

    def _said(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.faults.append(f"{message.type}: {message.text}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.served, "blob:", "data:")):
            self.faults.append(f"asked {request.url}")

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status} {response.url}")

    def __call__(self, path: str) -> Page:
        self.page.goto(f"{self.served}/{path}")
        return self.page


@pytest.fixture
def visit(chromium: Windows, served: str) -> Iterator[Visit]:
    visit = Visit(chromium, served)
    yield visit
    visit.page.close()
    assert visit.faults == []


def settled(page: Page) -> None:
    """Wait until the playground, if this is it, has answered."""
    if page.locator("#playground").count():
        expect(page.locator("#playground-verdicts tbody tr").first).to_be_visible(timeout=WAIT)


def offences(page: Page, axe: str) -> list[str]:
    """What axe holds against the page at any level, by WCAG 2.2 AA and by good practice."""
    page.evaluate(axe)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate(
        "runOnly => axe.run(document, {runOnly, resultTypes: ['violations']})", tags
    )
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_renders_without_errors_is_accessible_and_fits_a_phone(
    path: str, visit: Visit, axe: str
) -> None:
    page = visit(path)
    settled(page)
    expect(page.locator("h1").first).to_be_visible()
    assert offences(page, axe) == []
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


@pytest.mark.parametrize("path", KINDS)
def test_a_page_of_each_kind_is_accessible_in_the_dark_on_a_phone(
    path: str, chromium: Windows, served: str, axe: str
) -> None:
    visit = Visit(chromium, served, PHONE, "dark")
    page = visit(path)
    settled(page)
    found = offences(page, axe)
    page.close()
    assert found + visit.faults == []


@pytest.mark.parametrize(
    "path",
    [
        "reference/comparison.html",
        "reference/access.html",
        "reference/faults.html",
        "decisions/0001-where-images-live.html",
    ],
)
def test_a_wide_table_is_seen_whole_on_a_desktop(path: str, visit: Visit) -> None:
    page = visit(path)
    hidden = "tables => tables.filter(each => each.scrollWidth > each.clientWidth).length"
    assert page.locator(".md-typeset__scrollwrap").evaluate_all(hidden) == 0


def test_the_search_finds_and_leads_to_what_it_found(visit: Visit) -> None:
    page = visit("index.html")
    first_found(page, "pull from another account").click()
    expect(page.locator("h1").first).to_be_visible()
    assert page.url != f"{visit.served}/index.html"


def test_the_site_can_be_read_and_searched_from_a_folder(chromium: Windows, site: Path) -> None:
    visit = Visit(chromium, site.as_uri())
    page = visit("index.html")
    page.get_by_role("link", name="How it works").first.click()
    expect(page.locator("h1").first).to_have_text(re.compile("How it works"))
    first_found(page, "retire")
    page.close()
    assert visit.faults == []


def test_the_home_page_answers_which_option_to_choose_in_one_screen(visit: Visit) -> None:
    page = visit("index.html")
    box = page.locator("ol.tree").bounding_box()
    assert box
    assert box["y"] + box["height"] <= DESKTOP[1]
    page.locator("ol.tree").get_by_role("link", name="Per set of accounts").click()
    expect(page).to_have_url(re.compile(r"practice/ci-cd\.html#per-account-set$"))


def test_the_keyboard_alone_gets_to_the_text(visit: Visit) -> None:
    page = visit("how-it-works.html")
    page.keyboard.press("Tab")
    expect(page.locator(".md-skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"#how-it-works$"))


# The playground


def shown(page: Page) -> dict[str, tuple[str, str]]:
    """What the page says of each image: whether it goes, and by which rule."""
    rows = page.locator("#playground-verdicts tbody tr")
    cells = rows.evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return {name: (today, rule) for name, _, _, today, rule, _ in cells}


def expected(example: Example) -> dict[str, tuple[str, str]]:
    answer = play(example.policy, example.images, 1_800_000_000.0, example.days, example.pushes)
    return {
        each["imageDigest"]: (
            "is deleted" if each["action"] else "stays",
            str(each["rule"] or "-"),
        )
        for each in answer["images"]
    }


def test_the_playground_gives_the_simulators_results_for_every_example(visit: Visit) -> None:
    page = visit("playground/index.html")
    settled(page)
    for example in examples():
        page.get_by_role("button", name=example.name, exact=True).click()
        first = expected(example)
        expect(page.locator("#playground-status")).to_have_text(
            f"{len(first)} images: {len(example.goes)} go today, "
            f"{len(first) - len(example.goes)} stay."
        )
        assert shown(page) == first
        expect(page.locator("#playground-later")).to_be_visible(visible=bool(example.days))


def test_the_playground_says_what_is_wrong_and_where(visit: Visit) -> None:
    page = visit("playground/index.html")
    settled(page)
    page.get_by_label("Images: name").fill("A 3d v1\nB soon\n")
    page.get_by_role("button", name="Simulate").click()
    problem = page.locator("#playground-problem")
    expect(problem).to_contain_text("The images cannot be read.")
    expect(problem).to_contain_text("line 2:")
    page.get_by_label("Images: name").fill("A 3d v1\nB 4d\n")
    page.get_by_role("button", name="Simulate").click()
    expect(page.locator("#playground-status")).to_have_text("2 images: 0 go today, 2 stay.")
    expect(problem).to_be_hidden()


def test_the_playground_says_when_the_site_was_built_without_python(
    chromium: Windows, served: str
) -> None:
    visit = Visit(chromium, served)
    visit.page.route("**/vendor/pyodide/*", lambda route: route.fulfill(status=404))
    page = visit("playground/index.html")
    expect(page.locator("#playground-status")).to_contain_text(
        "Python could not be loaded.", timeout=WAIT
    )
    page.close()


def test_python_is_loaded_on_the_playgrounds_page_only(visit: Visit) -> None:
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    visit("estate/index.html")
    assert [url for url in asked if "pyodide" in url] == []


# The estate


@pytest.fixture
def estate(visit: Visit) -> Any:
    """Open the estate page on a stack of one's own."""

    def opened(stack: dict[str, Any], path: str = "estate/index.html") -> Page:
        source = Source("The outputs cannot be read.", "here", "write them anew")
        shown = estate_of(Outputs.of(stack, source), stack="prod")
        script = f"window.estate = {json.dumps(shown)};"
        visit.page.route(
            "**/estate/data.js",
            lambda route: route.fulfill(body=script, content_type="text/javascript"),
        )
        return visit(path)

    return opened


def services(page: Page) -> list[str]:
    names = page.locator("#estate-services tbody th strong")
    return list(names.all_text_contents())


def test_the_estate_of_the_sandbox_is_there(visit: Visit) -> None:
    page = visit("estate/index.html")
    expect(page.locator("#estate-about")).to_contain_text("The stack sandbox: 92 services")
    left_out = page.locator("#estate-left-out tbody tr")
    expect(left_out.filter(has_text="left out")).to_have_count(1)
    expect(left_out.filter(has_text="deselected")).to_have_count(7)


def test_the_estate_is_filtered_by_text_state_and_namespace(estate: Any) -> None:
    names: dict[str, Any] = {"names": {"api": "blue/api", "web": "blue/web", "job": "green/job"}}
    before = plan(*repositories("api", "web", "job"), **names).ledger
    done = plan(
        repository(1, "api"),
        repository(2, "web", archived=True),
        repository(3, "job"),
        repository(4, "bad--name"),
        ledger=before,
        **names,
    )
    page = estate(outputs(settings(**names), done))
    assert services(page) == ["blue/api", "blue/web", "green/job"]
    page.get_by_label("Find").fill("ARCHIVED blue")
    assert services(page) == ["blue/web"]
    expect(page.get_by_role("status").first).to_have_text("1 of 3 services")
    assert page.url.endswith("?text=ARCHIVED+blue")
    page.get_by_label("Find").fill("")
    page.get_by_label("Namespace").select_option("blue")
    page.get_by_label("State", exact=True).select_option("active")
    assert services(page) == ["blue/api"]
    expect(page.locator("#estate-left-out tbody th")).to_contain_text("bad--name")


def test_the_estate_is_sorted_by_its_headings(estate: Any) -> None:
    page = estate(outputs(settings(), plan(*repositories("b", "c", "a")[::-1], names={"b": "bb", "c": "cc", "a": "aa"})))  # fmt: skip
    heading = page.get_by_role("columnheader", name="Service")
    page.get_by_role("button", name="Service").click()
    assert services(page) == ["cc", "bb", "aa"]
    expect(heading).to_have_attribute("aria-sort", "descending")


def test_an_estate_of_ten_thousand_services_is_found_in(estate: Any) -> None:
    names = (f"service-{number:05}" for number in range(10_000))
    chosen = with_replicas()
    page = estate(outputs(settings(**chosen), plan(*repositories(*names), **chosen)))
    expect(page.get_by_role("status").first).to_have_text("10,000 of 10,000 services")
    assert len(services(page)) == 100
    page.get_by_role("button", name="Show 100 more of 9,900").click()
    assert len(services(page)) == 200
    page.get_by_label("Find").fill("service-07")
    expect(page.get_by_role("status").first).to_have_text("1,000 of 10,000 services")
    assert estate_is_linked(page) == ["service-07000"]


def estate_is_linked(page: Page) -> list[str]:
    page.goto(page.url.replace("service-07", "service-07000"))
    expect(page.get_by_role("status").first).to_have_text("1 of 10,000 services")
    return services(page)


# What it costs


def test_the_usage_of_the_sandbox_is_told_in_sizes_that_suit(visit: Visit) -> None:
    page = visit("usage/index.html")
    expect(page.locator("#usage-about")).to_contain_text("14 services in 4 registries, 1.93 MB")
    expect(page.locator("#usage-lines tbody tr")).to_have_count(14)
    first = page.locator("#usage-lines tbody tr").first
    expect(first).to_contain_text("610 kB")
    expect(first).to_contain_text("under 0.01")
    expect(page.locator("#usage-bars-about .usage-sign")).to_have_count(3)
    page.locator("#usage-by").select_option("registry")
    expect(page.locator("#usage-lines tbody tr")).to_have_count(4)
    assert page.url.endswith("?by=registry")
