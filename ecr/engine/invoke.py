"""The engine's state: what the last deployments of stacks left, as the engine itself reads it.

Owns the asking. On a file backend the engine may be writing what it reads at that very moment: the
backend does not replace the small `.attrs` file beside the state in one go, and whoever reads then is
told EOF. Such a question is asked again a few times; one that a crash left torn for good stays refused.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

REPORT = "ECR_ESTATE_REPORT"
"""The variable that names the file of the report."""

ONLY = "ECR_ESTATE_ONLY"
"""The variable by which `ecr-estate deploy` tells the program which part of the estate it is run for."""

PAUSES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Seconds before each further attempt."""

TORN = "EOF"
"""What the engine says of a file that is being written."""


async def ask_state(function: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Call one of the engine's own functions, such as readStackOutputs.

    The SDK raises a bare Exception for whatever the engine said.
    """
    from pulumi.runtime import invoke_async  # noqa: PLC0415 - callers are used without an engine

    for pause in PAUSES:
        try:
            return await invoke_async(f"pulumi:pulumi:{function}", arguments) or {}
        except Exception as error:
            if TORN not in str(error):
                raise
        await asyncio.sleep(pause)
    return await invoke_async(f"pulumi:pulumi:{function}", arguments) or {}
