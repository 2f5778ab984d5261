"""What readers come for: six tasks, each in at most three clicks or one search, and the walk of the keys."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Windows, first_found
from tests.browser.test_site import DESKTOP, KINDS, PHONE, WAIT, Visit, settled

pytestmark = pytest.mark.browser

TABLET = (768, 1024)
MOST_CLICKS = 3
MOST_STOPS = 60
"""Presses of Tab that are looked at; a closed drawer alone had 93 of them."""

SEEN = """() => {
    const at = document.activeElement;
    if (!at || at === document.body) return "nothing";
    // The switch of the colours is a radio button without a size, seen by its label.
    const box = (at.matches(".md-option") ? at.nextElementSibling : at).getBoundingClientRect();
    const shown = at.checkVisibility({visibilityProperty: true, opacityProperty: false});
    const within = box.right > 0 && box.left < innerWidth && box.width > 0 && box.height > 0;
    return shown && within ? "" : at.outerHTML.slice(0, 120);
}"""
"""What has the focus and is not to be seen: outside the window at the side, or hidden."""


@pytest.fixture
def visit(chromium: Windows, served: str) -> Any:
    visit = Visit(chromium, served)
    yield visit
    visit.page.close()
    assert visit.faults == []


class Reader:
    """Somebody new, who clicks and searches; clicks are counted, and a search is one."""

    def __init__(self, visit: Visit) -> None:
        self.page: Page = visit("index.html")
        self.clicks = 0

    def click(self, name: str) -> None:
        """Follow the first link of that name in the text, or else in the navigation."""
        text = self.page.locator(".md-content").get_by_role("link", name=name, exact=True)
        anywhere = self.page.get_by_role("link", name=name, exact=True)
        (text if text.count() else anywhere).first.click()
        self.clicks += 1
        assert self.clicks <= MOST_CLICKS

    def search(self, words: str) -> None:
        """Search, and follow the first page that is found."""
        first_found(self.page, words).click()

    def reads(self, words: str) -> None:
        """Expect that the words are in the text of the page."""
        expect(self.page.locator("article")).to_contain_text(words)


def test_somebody_chooses_an_option(visit: Visit) -> None:
    reader = Reader(visit)
    picture = reader.page.get_by_role("img", name="A build pushes to one registry")
    expect(picture).to_be_visible()
    reader.click("Central")
    expect(reader.page).to_have_url(re.compile(r"ci-cd\.html#central$"))
    reader.reads("Images in one account, others pull")


def test_somebody_finds_why_a_push_is_denied(visit: Visit) -> None:
    reader = Reader(visit)
    reader.click("Runbooks")
    reader.click("A push is denied")
    reader.reads("The role does not trust the workflow")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("ImageTagAlreadyExistsException", "Tags cannot be moved"),
        ("RepositoryNotFoundException", "There is no image repository of that name"),
        ("ImagePullBackOff", "The events of the pod have the real reason"),
        ("CannotPullContainerError", "ECS could not pull"),
        ("KmsException", "ECR cannot use the KMS key"),
        ("InitiateLayerUpload", "may not push"),
    ],
)
def test_the_search_finds_the_names_of_errors(name: str, answer: str, visit: Visit) -> None:
    reader = Reader(visit)
    reader.search(name)
    reader.reads(answer)


@pytest.mark.parametrize(
    "pasted",
    [
        "111111111111.dkr.ecr.eu-west-1.amazonaws.com/atmos",
        "111111111111.dkr.ecr.eu-west-1.amazonaws.com/atmos:v1.4.0",
        f"111111111111.dkr.ecr.eu-west-1.amazonaws.com/atmos@sha256:{'0e' * 32}",
        f"111111111111.dkr.ecr.eu-west-1.amazonaws.com/atmos:v1@sha256:{'0e' * 32}",
        "docker://111111111111.dkr.ecr.eu-west-1.amazonaws.com/atmos:v1",
        "arn:aws:ecr:eu-west-1:111111111111:repository/atmos",
        "111111111111/eu-west-1/atmos",
        "sandbox-org/atmos",
        "https://github.com/sandbox-org/atmos.git",
        "git@github.com:sandbox-org/atmos.git",
        "41000010",
    ],
)
def test_somebody_finds_whose_an_address_is(pasted: str, visit: Visit) -> None:
    reader = Reader(visit)
    reader.click("The estate")
    reader.page.get_by_label("Find").fill(pasted)
    rows = reader.page.locator("#estate-services tbody tr")
    expect(rows).to_have_count(1)
    expect(rows.locator("th strong")).to_have_text("atmos")


def test_somebody_finds_why_a_repository_has_no_image_repository(visit: Visit) -> None:
    reader = Reader(visit)
    reader.click("The estate")
    outside = reader.page.locator("#estate-left-out tbody tr")
    reader.page.get_by_label("Find").fill("sandbox-org/.github")
    expect(outside).to_have_count(1)
    expect(outside).to_contain_text("left out")
    reader.page.get_by_label("Find").fill("archived")
    expect(outside).to_have_count(3)
    expect(outside.first).to_contain_text("deselected")
    reader.page.get_by_label("Find").fill(f"sha256:{'0e' * 32}")
    expect(reader.page.locator("#estate-hint")).to_contain_text("A digest alone")


def test_the_picture_of_the_estate_is_told_in_words(visit: Visit) -> None:
    page = visit("estate/index.html")
    expect(page.get_by_role("img", name=re.compile("which services push to: 92 active"))).to_be_visible()  # fmt: skip


def test_somebody_sees_what_a_policy_would_delete(visit: Visit) -> None:
    reader = Reader(visit)
    reader.click("The playground")
    status = reader.page.locator("#playground-status")
    expect(status).to_contain_text("go today", timeout=WAIT)


def test_somebody_finds_what_it_will_cost(visit: Visit) -> None:
    reader = Reader(visit)
    reader.reads("$100 a month")
    reader.click("What it costs")
    reader.reads("transfer to another Region")


def test_somebody_whose_state_is_lost_finds_what_to_do(visit: Visit) -> None:
    reader = Reader(visit)
    reader.click("Runbooks")
    reader.click("The state is lost")
    reader.reads("pulumi stack init")


@pytest.mark.parametrize("size", [PHONE, TABLET, DESKTOP], ids=lambda size: f"{size[0]} wide")
@pytest.mark.parametrize("path", KINDS)
def test_the_keys_stop_at_nothing_that_cannot_be_seen(
    path: str, size: tuple[int, int], chromium: Windows, served: str
) -> None:
    visit = Visit(chromium, served, size)
    page = visit(path)
    settled(page)
    unseen = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        at = page.evaluate(SEEN)
        if at == "nothing":
            break
        unseen += [at] if at else []
    page.close()
    assert unseen == []


def test_the_menu_of_a_phone_opens_and_closes_by_keys(chromium: Windows, served: str) -> None:
    page = Visit(chromium, served, PHONE)("practice/lifecycle.html")
    button = page.get_by_role("button", name="Menu")
    link = page.locator(".md-sidebar--primary").get_by_role("link", name="Scanning")
    button.focus()
    expect(link).to_be_hidden()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(button).to_have_attribute("aria-expanded", "false")
    expect(button).to_be_focused()
    page.close()
