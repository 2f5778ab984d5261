"""Small stand-ins for the commands `aws` and `gh`, which no package of the lock brings.

Owns the folder that is put on the PATH of a script that a person runs. They are as strict as the SDK's models and
the embedded GitHub are; what they do not know they refuse.
"""

import sys
from pathlib import Path


def installed(folder: Path) -> Path:
    """Put both commands into a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("aws", "gh"):
        command = folder / name
        command.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -m sandbox.hand_tools.{name} "$@"\n'
        )
        command.chmod(0o755)
    return folder
