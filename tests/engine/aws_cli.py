"""A small stand-in for the `aws` command, which no package of the lock brings: `aws ecr OPERATION`.

Owns the translation of the options that the documents and workflows use into a call of boto3, which
checks them against AWS's own model. A profile stands for the operator of an account, who may do everything
there; without one, the environment says who is asking.
"""

import argparse
import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import boto3
import jmespath  # type: ignore[import-untyped] # it has no types

from sandbox.aws.hands import credentials_of

ACCOUNTS = {"artifacts": "111111111111"}


def main() -> None:
    """Call one operation of ECR and print its answer."""
    parser = argparse.ArgumentParser(prog="aws")
    parser.add_argument("service", choices=["ecr"])
    parser.add_argument("operation")
    parser.add_argument("--profile", choices=ACCOUNTS)
    parser.add_argument("--region", default=os.environ.get("AWS_REGION"))
    parser.add_argument("--repository-name")
    parser.add_argument("--max-items", type=int)
    parser.add_argument("--image-ids")
    parser.add_argument("--query", default="@")
    parser.add_argument("--output", choices=["json", "text"], default="json")
    options = parser.parse_args()
    given: Any = credentials_of(ACCOUNTS[options.profile]) if options.profile else {}
    ecr = boto3.client("ecr", region_name=options.region, **given)
    if options.operation == "get-login-password":
        (data,) = ecr.get_authorization_token()["authorizationData"]
        token = base64.b64decode(data["authorizationToken"]).decode()
        sys.stdout.write(f"{token.partition(':')[2]}\n")
        return
    operation = options.operation.replace("-", "_")
    asked = {"repositoryName": options.repository_name}
    if options.image_ids:
        answer = getattr(ecr, operation)(**asked, imageIds=_listed(options.image_ids))
    else:
        answer = (
            ecr.get_paginator(operation)
            .paginate(**asked, PaginationConfig={"MaxItems": options.max_items})
            .build_full_result()
        )
    found = jmespath.search(options.query, answer)
    sys.stdout.write(f"{found}\n" if options.output == "text" else json.dumps(found))


def _listed(image_ids: str) -> Any:
    """Return what a file holds, or one image in the shorthand NAME=VALUE."""
    if image_ids.startswith("file://"):
        return json.loads(Path(image_ids.removeprefix("file://")).read_text())
    name, _, value = image_ids.partition("=")
    return [{name: value}]


if __name__ == "__main__":
    main()
