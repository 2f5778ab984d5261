"""The operator's command line as a module: ``python -m ecr COMMAND``."""

import sys

from ecr.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
