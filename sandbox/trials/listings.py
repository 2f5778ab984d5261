"""Trials of the listing: what GitHub, the network or a token may do while the organisation is read.

Owns the faults that must stop a deployment before it changes anything, or be outlived by reading
again. Reads the catalogue of the embedded GitHub.
"""

from collections.abc import Iterator
from typing import Any

from sandbox.github import Organisation
from sandbox.session import ORGANISATION
from sandbox.trials.trial import Ground, Stage, Trial, github
from sandbox.trials.verdict import Expectation

GROUP = "Listing"

AS_EVER = r"\d+ repositories in \d+ requests"
"""What the program says when it goes on."""


def small_organisation() -> Organisation:
    """Give six repositories, of every visibility."""
    organisation = Organisation(ORGANISATION)
    for name in ("api", "web", "worker", "cron"):
        organisation.add(name)
    organisation.add("billing", visibility="private")
    organisation.add("audit", visibility="internal")
    return organisation


def paged_organisation() -> Organisation:
    """Give 250 repositories, three pages; every fifth is private."""
    organisation = Organisation(ORGANISATION)
    for number in range(1, 251):
        name = f"service-{number:03d}"
        organisation.add(name, visibility="public" if number % 5 else "private")
    return organisation


SMALL = Ground(small_organisation, {"lambdaReplicas": None, "github": github()})

# Few services, so that deployments are quick, but the first and the last of every page, in both
# directions.
PAGED = Ground(
    paged_organisation,
    {
        "lambdaReplicas": None,
        "github": github(selection={"include": ["*00", "*01", "*50", "*51"]}),
    },
)


def stops(says: str) -> Expectation:
    """Expect that nothing is changed, and that the program says why."""
    return Expectation("stopped", says, changes=0)


def goes_on(says: str = AS_EVER, changes: int | None = 0) -> Expectation:
    """Expect that the fault is outlived."""
    return Expectation("went on", says, changes=changes)


def _fault(
    kind: str,
    expect: Expectation,
    *,
    ground: Ground = SMALL,
    spoils: bool = False,
    note: str = "",
    **how: Any,  # noqa: ANN401 - each fault has its own options
) -> Trial:
    how = {"times": None, **how}
    where = [f"page {how['page']}"] if "page" in how else []
    where += [how["direction"]] if "direction" in how else []
    where += [f"{how['seconds']:,} s"] if "seconds" in how else []
    where += ["for ever" if how["times"] is None else "once"]

    def strike(stage: Stage) -> None:
        stage.session.github.faults.arm(kind, **how)

    return Trial(
        group=GROUP,
        fault=f"{kind}{f' {note}' if note else ''} ({', '.join(where)})",
        ground=ground,
        expect=expect,
        strike=strike,
        spoils=spoils,
    )


def trials() -> Iterator[Trial]:
    """Give every trial of the listing."""
    yield from _first_page()


def _first_page() -> Iterator[Trial]:
    for kind, says in (
        ("status-500", "was answered with 500"),
        ("status-502-html", "was answered with 502"),
        ("status-200-html", "not JSON"),
        ("connection-reset", "got no answer"),
        ("connection-cut", "got no answer"),
        ("json-cut", "not JSON"),
        ("json-no-list", "not a list of repositories"),
        ("page-short", "could not be trusted"),
        ("row-duplicated", "came twice"),
        ("private-hidden", "lists public repositories only"),
    ):
        yield _fault(kind, goes_on(), times=1)
        yield _fault(kind, stops(says))
