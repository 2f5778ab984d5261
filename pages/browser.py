"""What the browser tests need: Chromium, and parts that come by npm. ``make browser`` brings them.

Owns where Chromium is looked for and how it is installed: from the system's own packages, where this
is Debian or a relative of it and the user may. It is never downloaded from anywhere else.
"""

import os
import shutil
import subprocess
import sys

from ecr.errors import EstateError
from pages import vendor

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Return the path of a Chromium or Chrome: the one that CHROMIUM names, or one on the PATH."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


def main() -> int:
    """Bring what is missing, and give the exit code; 1, and what is still missing, where it cannot."""
    try:
        if chromium() is None:
            _install()
        for package in (vendor.PYODIDE, vendor.IFRAME_WORKER, vendor.AXE):
            vendor.fetched(package)
    except EstateError as error:
        print(f"{error}\n  Without it, the browser tests are skipped.", file=sys.stderr)
        return 1
    print(f"browser: {chromium()}")
    return 0


def _install() -> None:
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise EstateError(
            "Chromium is missing.",
            ["install the system's package (Debian: chromium), or name a Chromium in CHROMIUM"],
        )
    print("browser: installing chromium with apt-get")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
        done = subprocess.run([apt, "-qq", *arguments], env=quiet, check=False)
        if done.returncode:
            raise EstateError(
                "Chromium could not be installed.",
                [f"apt-get {' '.join(arguments)} ended with {done.returncode}; see above"],
            )


if __name__ == "__main__":
    sys.exit(main())
