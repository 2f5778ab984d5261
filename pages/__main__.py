"""Write what the site needs beyond its pages: ``python -m pages``, before the site is built.

Owns which files these are. Those that are committed are compared, too, by ``--check``; the others,
the data of the estate, of usage and of the playground and what runs in the browser, git ignores.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ecr.cli.commands import estate as estate_command
from ecr.errors import EstateError
from pages import playground, reference, vendor
from pages.estate import sandbox_outputs
from pages.usage import usage_data

DOCS = Path(__file__).resolve().parent.parent / "docs"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write everything, and give the exit code; 1, and the error's text, for an EstateError."""
    parser = argparse.ArgumentParser(
        prog="python -m pages", description="Write what the site needs before it is built."
    )
    parser.add_argument(
        "--outputs",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="a stack of the estate page, from `pulumi stack output --json`; the sandbox's by default",
    )
    parser.add_argument("--stack", metavar="NAME", help="what the estate page calls that estate")
    parser.add_argument(
        "--usage",
        type=Path,
        metavar="FILE",
        help="the usage page's report, from `ecr-estate usage --json`; the sandbox's by default",
    )
    parser.add_argument(
        "--whole",
        action="store_true",
        help="fail where a part that runs in the browser cannot be had, rather than leave it out",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing, and fail if a page that is written from the code is stale",
    )
    options = parser.parse_args(arguments)
    try:
        if options.check:
            check_reference()
            return 0
        write_reference()
        write_estate(options.outputs, options.stack)
        write_usage(options.usage)
        write_playground()
        bring_parts(whole=options.whole)
    except EstateError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def write_reference(docs: Path = DOCS) -> None:
    """Write the reference pages."""
    for name, text in reference.pages().items():
        (docs / name).write_text(text, encoding="utf-8")


def check_reference(docs: Path = DOCS) -> None:
    """Compare the reference pages with the code. Raises EstateError, naming all that are stale."""
    stale = [
        name
        for name, text in reference.pages().items()
        if not (docs / name).exists() or (docs / name).read_text(encoding="utf-8") != text
    ]
    if stale:
        raise EstateError(
            "Pages of the reference are stale.",
            [f"docs/{name}: run `python -m pages`" for name in stale],
        )


def write_estate(outputs: Sequence[Path], stack: str | None, docs: Path = DOCS) -> None:
    """Write the estate page's data by the operator's own command; without outputs the sandbox's."""
    parser = argparse.ArgumentParser()
    estate_command.configure(parser)
    with tempfile.TemporaryDirectory() as scratch:
        planned = Path(scratch) / "outputs.json"
        if not outputs:
            planned.write_text(json.dumps(sandbox_outputs()), encoding="utf-8")
        given = [f"--outputs={path}" for path in outputs or [planned]]
        name = stack if stack is not None else ("" if outputs else "sandbox")
        estate_command.run(
            parser.parse_args([*given, "--stack", name, "--output", str(docs / "estate/data.js")])
        )


def write_usage(report: Path | None, docs: Path = DOCS) -> None:
    """Write the usage page's data."""
    (docs / "usage/data.js").write_text(usage_data(report), encoding="utf-8")


def write_playground(docs: Path = DOCS) -> None:
    """Write the playground's examples and the Python that it runs."""
    (docs / "playground/data.js").write_text(playground.script(), encoding="utf-8")


def bring_parts(docs: Path = DOCS, *, whole: bool = False) -> None:
    """Bring what runs in the browser. Without it the site is built all the same, unless ``whole``."""
    shim = docs / "vendor/iframe-worker.js"
    shim.parent.mkdir(exist_ok=True)
    try:
        vendor.copy(vendor.PYODIDE, docs / "vendor/pyodide")
        held = vendor.fetched(vendor.IFRAME_WORKER)
        shim.write_bytes((held / "shim/index.js").read_bytes())
        shim.with_suffix(".LICENSE.txt").write_bytes((held / "LICENSE").read_bytes())
    except EstateError as error:
        if whole:
            raise
        if not shim.exists():
            shim.write_text("// left out: npm could not bring it\n", encoding="utf-8")
        print(
            f"{error}\n  The site is built without it: the playground will say that it is missing.",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(main())
