"""Trials of the listing: what GitHub, the network or a token may do while the organisation is read.

Owns the faults that must stop a deployment before it changes anything, or be outlived by reading
again. Reads the catalogue of the embedded GitHub.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from sandbox.github import Organisation, synthetic_organisation, tokens
from sandbox.session import ORGANISATION
from sandbox.trials.trial import QUIET, Ground, Stage, Trial, github
from sandbox.trials.verdict import Expectation

GROUP = "Listing"

AS_EVER = r"\d+ repositories in \d+ requests"
"""What the program says when it goes on."""


def small_organisation() -> Organisation:
    """Return six repositories, of every visibility."""
    organisation = Organisation(ORGANISATION)
    for name in ("api", "web", "worker", "cron"):
        organisation.add(name)
    organisation.add("billing", visibility="private")
    organisation.add("audit", visibility="internal")
    return organisation


def paged_organisation() -> Organisation:
    """Return 250 repositories, three pages; every fifth is private."""
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
    """Return every trial of the listing, those that share a session beside each other."""
    yield from _first_page()
    yield from _limits()
    yield from _other_requests()
    yield from _tokens()
    yield from _later_pages()
    yield from _meanwhile()
    yield from _organisations()
    yield from _sizes()


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
    yield _fault("status-301", goes_on(), times=1)
    yield _fault("status-301", stops("got no answer"))
    yield _fault("rows-reordered", goes_on())
    for kind, says in (
        ("status-401", "set a new GITHUB_TOKEN"),
        ("status-403", "was answered with 403"),
        ("status-404", "was answered with 404"),
        ("page-empty", "lists no repository at all"),
        ("request-id-missing", "without GitHub's request id"),
        ("sso-partial", "authorise the token for the organisation's SSO"),
        ("sso-required", "was answered with 403"),
        ("timeout", "got no answer in 5 s"),
    ):
        yield _fault(kind, stops(says), times=1)


def _limits() -> Iterator[Trial]:
    for kind in (
        "rate-limit-403",
        "rate-limit-429",
        "secondary-limit",
        "secondary-limit-retry-after",
    ):
        yield _fault(kind, goes_on(), times=1, seconds=2)
        yield _fault(kind, stops(r"limits? the rate|rate limit"), seconds=3600)


def _other_requests() -> Iterator[Trial]:
    """Return faults of the organisation's own document, and of the question what became of one repository.

    The provider asks for the organisation when it starts, so that the program's request is the second.
    """
    organisation: dict[str, Any] = {
        "path": r"^/orgs/[^/]+$",
        "nth": 2,
        "note": "of the organisation",
    }
    yield _fault("status-500", goes_on(), times=1, **organisation)
    yield _fault("status-500", stops("was answered with 500"), **organisation)
    yield _fault("status-404", stops("was answered with 404"), **organisation)
    yield _fault("json-cut", goes_on(), times=1, **organisation)
    yield _fault("json-cut", stops("not JSON"), **organisation)
    yield _fault("request-id-missing", stops("without GitHub's request id"), **organisation)
    for kind, says in (
        ("status-500", "was answered with 500"),
        ("status-403", "was answered with 403"),
        ("json-cut", "not JSON"),
        ("json-no-list", "something that is not that repository"),
    ):
        missing = _fault(
            kind, stops(says), path=r"^/repositories/\d+$", note="of a repository that is missing"
        )
        yield replace(missing, prepare=_transfer_api)
    yield replace(
        _fault(
            "private-hidden",
            stops("is not listed, but it is there"),
            note="in both passes, without counts to compare",
        ),
        strike=_hide_private,
    )


def _transfer_api(stage: Stage) -> None:
    if any(each.name == "api" for each in stage.organisation):
        stage.organisation.transfer_out("api")


def _hide_private(stage: Stage) -> None:
    stage.session.own_variables["GITHUB_TOKEN"] = tokens.REPO_ONLY.value
    stage.session.github.faults.arm("private-hidden", times=None)


def _tokens() -> Iterator[Trial]:
    def trial(fault: str, expect: Expectation, token: str) -> Trial:
        def strike(stage: Stage) -> None:
            stage.session.own_variables["GITHUB_TOKEN"] = token

        return Trial(
            group=GROUP, fault=fault, ground=SMALL, expect=expect, strike=strike, spoils=False
        )

    yield trial("no token", stops("There is no GitHub token"), "")
    yield trial("a token that is wrong", stops("set a new GITHUB_TOKEN"), "ghp_wrong")
    yield trial(
        "a token with the scope public_repo",
        stops("would see public repositories only"),
        tokens.PUBLIC_ONLY.value,
    )
    yield trial("a token without the organisation's counts", goes_on(), tokens.REPO_ONLY.value)
    yield trial("a fine-grained token", goes_on(), tokens.FINE_GRAINED.value)
    blind = trial(
        "a fine-grained token that sees public repositories only",
        goes_on("the token may not read how many private ones there are"),
        tokens.FINE_GRAINED_PUBLIC.value,
    )
    yield replace(blind, spoils=True, states={"billing": "kept", "audit": "kept", "web": "active"})


def _later_pages() -> Iterator[Trial]:
    for kind, says, page, direction in (
        ("status-500", "was answered with 500", 2, "asc"),
        ("status-502-html", "was answered with 502", 3, "desc"),
        ("status-200-html", "not JSON", 3, "asc"),
        ("connection-reset", "got no answer", 2, "desc"),
        ("connection-cut", "got no answer", 3, "desc"),
        ("json-cut", "not JSON", 2, "desc"),
        ("json-no-list", "not a list", 3, "asc"),
        ("page-short", "holds 99 repositories, not 100", 2, "asc"),
        ("page-short", "seen in one pass only", 3, "desc"),
        ("page-empty", "holds 0 repositories, not 100", 2, "asc"),
        ("page-empty", "seen in one pass only", 3, "asc"),
        ("page-repeated", "came twice", 2, "asc"),
        ("page-repeated", "came twice", 3, "desc"),
        ("row-duplicated", "came twice", 2, "desc"),
        ("private-hidden", "could not be trusted", 2, "asc"),
        ("link-missing", "could not be trusted", 1, "asc"),
    ):
        where: dict[str, Any] = {"page": page, "direction": direction}
        yield _fault(kind, goes_on(), ground=PAGED, times=1, **where)
        yield _fault(kind, stops(says), ground=PAGED, **where)
    yield _fault("link-missing", stops("could not be trusted"), ground=PAGED)
    yield _fault("rows-reordered", goes_on(), ground=PAGED, page=2)
    for kind, says in (
        ("status-401", "set a new GITHUB_TOKEN"),
        ("status-403", "was answered with 403"),
        ("status-404", "was answered with 404"),
        ("request-id-missing", "without GitHub's request id"),
        ("sso-partial", "authorise the token for the organisation's SSO"),
        ("timeout", "got no answer in 5 s"),
    ):
        yield _fault(kind, stops(says), ground=PAGED, times=1, page=2, direction="desc")


def _meanwhile() -> Iterator[Trial]:
    """Let the organisation change between pages; the deployment follows what is true in the end."""
    for kind in (
        "deleted-before-page",
        "deleted-after-page",
        "created-before-page",
        "created-after-page",
        "renamed-before-page",
        "renamed-after-page",
    ):
        for direction in ("asc", "desc"):
            yield _fault(
                kind,
                goes_on(changes=None),
                ground=PAGED,
                times=1,
                page=2,
                direction=direction,
            )
    yield _fault(
        "created-after-page",
        stops("could not be trusted"),
        ground=PAGED,
        page=1,
        spoils=True,
    )


def _organisations() -> Iterator[Trial]:
    def strike_renamed(stage: Stage) -> None:
        stage.organisation.rename_organisation("renamed-org")

    yield Trial(
        group=GROUP,
        fault="the organisation is renamed",
        ground=SMALL,
        expect=stops("is now called renamed-org"),
        strike=strike_renamed,
    )
    yield Trial(
        group=GROUP,
        fault="the organisation is gone",
        spoils=False,
        ground=SMALL,
        expect=stops("was answered with 404"),
        strike=lambda stage: stage.configure(github=github(organisation="gone-org")),
    )
    yield Trial(
        group=GROUP,
        fault="every repository is deleted",
        ground=SMALL,
        expect=stops("lists no repository at all"),
        strike=_delete_all,
    )
    yield Trial(
        group=GROUP,
        fault="GITHUB_OWNER names another organisation",
        spoils=False,
        ground=SMALL,
        expect=stops("names another organisation"),
        strike=lambda stage: stage.session.own_variables.update(GITHUB_OWNER="another-org"),
    )
    yield Trial(
        group=GROUP,
        fault="a GitHub Enterprise Server, by the setting github.baseUrl",
        spoils=False,
        ground=SMALL,
        expect=goes_on(),
        strike=_enterprise,
    )
    yield Trial(
        group=GROUP,
        fault="a GitHub Enterprise Server that is not there",
        spoils=False,
        ground=SMALL,
        expect=stops("got no answer"),
        strike=lambda stage: stage.configure(github=github(baseUrl=_NOBODY)),
    )


_NOBODY = "http://127.0.0.1:9/"
"""An address of loopback at which nobody listens (the port of the discard service)."""


def _enterprise(stage: Stage) -> None:
    stage.configure(github=github(baseUrl=stage.session.github.url))
    stage.session.own_variables["GITHUB_BASE_URL"] = ""


def _delete_all(stage: Stage) -> None:
    for repository in tuple(stage.organisation):
        stage.organisation.delete(repository.name)


def _sizes() -> Iterator[Trial]:
    settings = {"lambdaReplicas": None, "images": None, "registryPolicyScope": None}
    for count, include in (
        (0, "*"),
        (1, "*"),
        (100, "*"),
        (101, "*"),
        (1001, "*"),
        (10_000, "*00"),
    ):
        requests = 2 * -(-count // 100) + 1
        yield Trial(
            group=GROUP,
            fault=f"an organisation of {count:,} repositories, previewed",
            ground=Ground(
                partial(synthetic_organisation, count),
                {**settings, "github": github(selection={"include": [include]})},
                deployed=False,
            ),
            expect=goes_on(f"{count} repositories in {requests} requests")
            if count
            else stops("lists no repository at all"),
            deploy=lambda stage: stage.session.preview(*QUIET),
        )
