"""`gh api PATH` and `gh variable set`, by the embedded GitHub's REST API; `--jq` is done by jq itself."""

import argparse
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any


def main() -> None:
    """Do what is asked, and end as gh does: 1 where GitHub refuses, with its message."""
    if sys.argv[1:3] == ["variable", "set"]:
        _set_variable(sys.argv[3:])
        return
    parser = argparse.ArgumentParser(prog="gh api", allow_abbrev=False)
    parser.add_argument("path")
    parser.add_argument("--method", default="GET")
    parser.add_argument("--jq")
    parser.add_argument("--input", choices=["-"])
    parser.add_argument("--raw-field", action="append", default=[])
    if sys.argv[1:2] != ["api"]:
        parser.error(f"{sys.argv[1:2]} is not known here")
    options = parser.parse_args(sys.argv[2:])
    body: Any = None
    if options.input:
        body = json.load(sys.stdin)
    elif options.raw_field:
        body = dict(each.split("=", 1) for each in options.raw_field)
    text = _asked(options.method, options.path, body)
    if options.jq:
        done = subprocess.run(["jq", "-r", options.jq], input=text, text=True, check=False)  # noqa: S607 - a person's jq
        sys.exit(done.returncode)
    sys.stdout.write(text)


def _set_variable(words: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="gh variable set", allow_abbrev=False)
    parser.add_argument("name")
    parser.add_argument("--repo", required=True)
    parser.add_argument("--body", required=True)
    options = parser.parse_args(words)
    path = f"repos/{options.repo}/actions/variables"
    value = {"name": options.name, "value": options.body}
    try:
        _asked("PATCH", f"{path}/{options.name}", value, quiet=True)
    except urllib.error.HTTPError:
        _asked("POST", path, value)


def _asked(method: str, path: str, body: Any, *, quiet: bool = False) -> str:  # noqa: ANN401 - JSON
    api = os.environ["GITHUB_BASE_URL"].rstrip("/") + "/api/v3/"
    request = urllib.request.Request(  # noqa: S310 - loopback
        api + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {os.environ['GH_TOKEN']}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as error:
        if quiet:
            raise
        said = json.loads(error.read() or b"{}").get("message", error.reason)
        sys.exit(f"gh: {said} (HTTP {error.code})")


if __name__ == "__main__":
    main()
