"""`python -m sandbox.kubernetes`: build the API server that the tests of admission talk to."""

import argparse
import signal
import sys

from sandbox.kubernetes import ensure_parts
from sandbox.toolchain import ToolchainError


def main() -> int:
    """Print where it is; 1 when there can be none, 130 when interrupted."""
    argparse.ArgumentParser(
        prog="python -m sandbox.kubernetes",
        description="Build the Kubernetes API server, etcd and kubectl from Go modules (about five "
        "minutes, once), and print where they are.",
    ).parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        found = ensure_parts(lambda line: print(line, flush=True))
    except ToolchainError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; what is finished is kept.", file=sys.stderr)
        return 130
    print(f"Kubernetes API server: {found.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
