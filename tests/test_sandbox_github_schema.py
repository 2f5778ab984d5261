"""The embedded GitHub's documents against GitHub's published schema, as githubkit generates it."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from githubkit_schemas.latest.models import (
    BasicError,
    FullRepository,
    GitTree,
    MinimalRepository,
    OrganizationFull,
    PublicUser,
    RateLimitOverview,
)
from pydantic import BaseModel, ValidationError

from sandbox.github import EmbeddedGitHub, seeded_organisation
from sandbox.github.tokens import APP, CLASSIC, PUBLIC_ONLY, TOKENS, UNAUTHORISED, Token

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def github() -> Iterator[EmbeddedGitHub]:
    organisation = seeded_organisation()
    organisation.transfer_out("geodesic")
    with EmbeddedGitHub(organisation) as embedded:
        yield embedded


def fetched(github: EmbeddedGitHub, path: str, token: Token = CLASSIC) -> Any:
    path = path.format(github.organisation, github.organisation.away()[0])
    with closing(http.client.HTTPConnection(urlsplit(github.url).netloc)) as connection:
        headers = {"Authorization": f"token {token.value}"}
        connection.request("GET", f"/api/v3{path}", headers=headers)
        with closing(connection.getresponse()) as response:
            return json.loads(response.read())


DOCUMENTS: dict[str, type[BaseModel]] = {
    "/orgs/{0.login}": OrganizationFull,
    "/organizations/{0.id}": OrganizationFull,
    "/repos/{0.login}/atmos": FullRepository,
    "/repositories/{1.id}": FullRepository,  # one that was transferred out
    "/repos/{0.login}/atmos/git/trees/HEAD?recursive=1": GitTree,
    "/user": PublicUser,
    "/rate_limit": RateLimitOverview,
    "/nowhere": BasicError,
}


SINGLE_SIGN_ON = set(DOCUMENTS) - {"/user", "/rate_limit", "/nowhere"}
REFUSED = {
    *((path, UNAUTHORISED.value) for path in SINGLE_SIGN_ON),
    ("/user", APP.value),  # an installation is no user
}


@pytest.mark.parametrize(
    ("path", "token"),
    [
        pytest.param(path, token, id=f"{path}-{token.value}")
        for path in DOCUMENTS
        for token in TOKENS
        if (path, token.value) not in REFUSED
    ],
)
def test_each_document_has_the_shape_that_github_publishes(
    github: EmbeddedGitHub, path: str, token: Token
) -> None:
    DOCUMENTS[path].model_validate(fetched(github, path, token))


@pytest.mark.parametrize("token", [CLASSIC, PUBLIC_ONLY], ids=lambda token: token.value)
def test_each_row_of_a_listing_has_the_shape_that_github_publishes(
    github: EmbeddedGitHub, token: Token
) -> None:
    rows = fetched(github, "/orgs/{0.login}/repos?per_page=100", token)
    assert len(rows) > 60
    for row in rows:
        MinimalRepository.model_validate(row)


@pytest.mark.parametrize(
    "path",
    [path for path in DOCUMENTS if path != "/nowhere"],  # GitHub's refusals require no field
)
def test_a_document_that_lacks_a_required_field_would_be_found_out(
    github: EmbeddedGitHub, path: str
) -> None:
    whole, model = fetched(github, path), DOCUMENTS[path]
    required = [f.alias or name for name, f in model.model_fields.items() if f.is_required()]
    assert required
    for field in required:
        with pytest.raises(ValidationError, match=field):
            model.model_validate({key: whole[key] for key in whole if key != field})


def test_every_fact_that_the_schema_leaves_optional_is_told_all_the_same(
    github: EmbeddedGitHub,
) -> None:
    row = fetched(github, "/orgs/{0.login}/repos?per_page=1")[0]
    optional = {"archived", "visibility", "topics", "language", "custom_properties", "is_template"}
    assert optional <= set(MinimalRepository.model_fields)
    assert optional | {"default_branch", "pushed_at", "permissions"} <= set(row)
