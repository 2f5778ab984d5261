"""Whether the engine was told which resources a deployment of a part may change.

Owns that one check. Without targets the engine deletes whatever the program does not register, and a part
registers little. The engine has no word for it, so it is asked for a resource that is in no part: where there
are targets, it leaves that out.
"""

from secrets import token_hex

import pulumi

from ecr.errors import EstateError


async def require_targets() -> None:
    """Raise EstateError where the engine would change more than a part. Must come before any other resource.

    What it asks for is a Stash, which is nothing outside the state. A preview makes nothing in either case,
    and is not asked.
    """
    if pulumi.runtime.is_dry_run():
        return
    probe = pulumi.Stash(f"whole-estate-{token_hex(4)}", input="made where there are no targets")
    if await probe.id.future():
        raise EstateError(
            "The engine was not told that it deploys a part of the estate only; nothing was changed.",
            [
                "ECR_ESTATE_ONLY: unset it, and let `ecr-estate deploy` set it together with its targets"
            ],
        )
