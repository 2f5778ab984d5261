"""`python -m sandbox.toolchain`: make the toolchain, and say where it is."""

import argparse
import os
import signal
import subprocess
import sys

from sandbox import toolchain
from sandbox.toolchain.build import PLUGIN_VERSIONS


def main() -> int:
    """Print the toolchain; 1 when there can be none, 130 when interrupted."""
    argparse.ArgumentParser(
        prog="python -m sandbox.toolchain",
        description="Find Pulumi's command line and its GitHub and AWS providers, or build them "
        "from Go modules (about ten minutes, once), and print where they are.",
    ).parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        found = toolchain.ensure_toolchain(lambda line: print(line, flush=True))
    except toolchain.ToolchainError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; what is finished is kept.", file=sys.stderr)
        return 130
    version = subprocess.run(
        [found.pulumi, "version"],
        env=os.environ | found.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    print(f"pulumi {version} ({found.origin}): {found.pulumi}")
    for name, value in PLUGIN_VERSIONS.items():
        print(f"{name} provider {value}")
    for name, value in found.environment.items():
        print(f"{name}={value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
