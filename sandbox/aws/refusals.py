"""How the embedded ECR says no.

Owns the errors of Amazon ECR that moto has no class for. Reads nothing.
"""

from __future__ import annotations

from moto.core.exceptions import ServiceException
from moto.ecr.exceptions import InvalidParameterException


class EcrRefusal(ServiceException):
    """An error of ECR that moto has no class for: its code, then what is wrong."""


def invalid(parameter: str, *offences: str) -> InvalidParameterException:
    """Return ECR's error for a parameter that breaks a constraint."""
    return InvalidParameterException(
        f"Invalid parameter at '{parameter}' failed to satisfy constraint: '{'; '.join(offences)}'"
    )
