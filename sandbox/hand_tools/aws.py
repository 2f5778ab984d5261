"""`aws SERVICE OPERATION --member VALUE`: options become a call of boto3, which checks them by AWS's own model."""

import argparse
import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import boto3
import jmespath  # type: ignore[import-untyped] # it has no types
from botocore import xform_name


def main() -> None:
    """Call one operation and print its answer."""
    service, operation, *words = sys.argv[1:]
    parser = argparse.ArgumentParser(prog="aws", allow_abbrev=False)
    parser.add_argument("--region", default=os.environ.get("AWS_REGION"))
    parser.add_argument("--query", default="@")
    parser.add_argument("--output", choices=["json", "text"], default="json")
    opened: Any = boto3  # its clients are typed by literal names only
    client = opened.client(service, region_name=_value(words, "--region"))
    name = operation.replace("-", "_")
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[name])
    members = model.input_shape.members
    for member in members:
        parser.add_argument(f"--{xform_name(member, '-')}", dest=member)
    options = vars(parser.parse_args(words))
    asked = {
        member: _given(options[member], shape)
        for member, shape in members.items()
        if options[member] is not None
    }
    answer = getattr(client, name)(**asked)
    answer.pop("ResponseMetadata", None)
    if not answer:
        return
    found = jmespath.search(options["query"], json.loads(json.dumps(answer, default=_plain)))
    if options["output"] == "text":
        sys.stdout.write(f"{'None' if found is None else found}\n")
    else:
        sys.stdout.write(f"{json.dumps(found)}\n")


def _value(words: list[str], option: str) -> str | None:
    return words[words.index(option) + 1] if option in words else os.environ.get("AWS_REGION")


def _plain(value: object) -> str:
    """Return a blob in base64, as the command prints one, and any other value as text."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _given(text: str, shape: Any) -> Any:  # noqa: ANN401 - a model's shape, and what it takes
    if text.startswith("fileb://"):
        return Path(text.removeprefix("fileb://")).read_bytes()
    if text.startswith("file://"):
        text = Path(text.removeprefix("file://")).read_text()
    if shape.type_name == "list" and not text.startswith("["):
        pairs = [each.split("=", 1) for each in text.split(",")]
        return [dict(pairs)] if "=" in text else text.split()
    if shape.type_name in {"list", "structure", "map"}:
        return json.loads(text)
    return int(text) if shape.type_name in {"integer", "long"} else text


if __name__ == "__main__":
    main()
