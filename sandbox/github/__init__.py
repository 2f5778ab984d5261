"""An embedded GitHub: the REST API of one organisation, served on loopback from a model.

Pulumi's real GitHub provider talks to it. ``organisation`` is the model, ``documents`` the JSON of
GitHub's schema, ``tokens`` who may see and change what, ``api`` the endpoints with ``writing``,
``actions``, ``rulesets`` and ``hooks``, ``rules`` the table of what is refused, ``faults`` the ways to
misbehave, ``server`` the sockets and ``client`` the control from another process.
"""

from sandbox.github.organisation import (
    Organisation,
    OrganisationError,
    Repository,
    seeded_organisation,
    synthetic_organisation,
)
from sandbox.github.server import EmbeddedGitHub

__all__ = [
    "EmbeddedGitHub",
    "Organisation",
    "OrganisationError",
    "Repository",
    "seeded_organisation",
    "synthetic_organisation",
]
