"""The site as it is built, served on loopback, and Chromium to look at it."""

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from ecr.errors import EstateError
from pages import __main__ as pages
from pages import browser, vendor

ROOT = Path(__file__).resolve().parents[2]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="session")
def axe() -> str:
    return fetched(vendor.AXE).joinpath("axe.min.js").read_text(encoding="utf-8")


def fetched(package: vendor.Package) -> Path:
    try:
        return vendor.fetched(package)
    except EstateError as error:
        pytest.skip(f"{error}; `make browser` says more")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site with all its parts, and the sandbox's estate, whatever is in docs/."""
    fetched(vendor.PYODIDE)
    built = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", built],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    pages.write_estate([], None, built)
    pages.write_usage(None, built)
    pages.write_playground(built)
    pages.bring_parts(built, whole=True)
    return built


@pytest.fixture(scope="session")
def served(site: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        running = threading.Thread(target=server.serve_forever)
        running.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        running.join()


class Windows:
    """Chromium, with one context for each way of looking, so that what it has loaded it keeps."""

    def __init__(self, opened: Browser) -> None:
        self._open = functools.cache(
            lambda width, height, scheme: opened.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
        )

    def page(self, size: tuple[int, int], scheme: str) -> Page:
        """Open a page of this size, in the light or in the dark."""
        page: Page = self._open(*size, scheme).new_page()
        return page


# Not for the whole session: while it is open, its event loop runs, and no other test may start one.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Windows]:
    path = browser.chromium()
    if path is None:
        pytest.skip("Chromium is missing; `make browser` installs it or says how")
    expect.set_options(timeout=30_000)  # the machine may do other things; five seconds were too few
    with sync_playwright() as running:
        opened = running.chromium.launch(executable_path=path)
        yield Windows(opened)
        opened.close()


def first_found(page: Page, words: str) -> Locator:
    """Search by the keys, and return the first result, which is seen.

    The key opens the search once the page's script listens, and words are looked up once the index is there:
    neither is to be missed on a busy machine.
    """
    field, state = page.locator(".md-search__input"), page.locator(".md-search-result__meta")
    for _ in range(30):
        page.keyboard.press("/")
        try:
            expect(field).to_be_focused(timeout=1_000)
        except AssertionError:
            continue
        break
    expect(state).to_have_text("Type to start searching")
    page.keyboard.type(words, delay=5)
    first = page.locator(".md-search-result__link").first
    expect(first).to_be_visible(timeout=30_000)
    return first
