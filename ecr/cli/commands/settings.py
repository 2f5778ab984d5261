"""Write the JSON Schema of a stack's file, for editors and other tools.

Owns the command alone. The schema comes from the models, so it cannot say what the program does not do.
"""

import argparse
import json
import sys

from ecr.settings.load import settings_schema


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--schema", action="store_true", required=True, help="write the schema to the output"
    )


def run(_: argparse.Namespace) -> int:
    """Print the schema."""
    sys.stdout.write(json.dumps(settings_schema(), indent=2, ensure_ascii=False) + "\n")
    return 0
