"""A small stand-in for the `aws` command, which no package of the lock brings: `aws ecr OPERATION`.

Owns the translation of the options that the runbooks use into a call of boto3, which checks them
against AWS's own model. A profile stands for the operator of an account, who may do everything there.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import boto3
import jmespath  # type: ignore[import-untyped] # it has no types

from sandbox.aws.hands import credentials_of

ACCOUNTS = {"artifacts": "111111111111"}


def main() -> None:
    """Call one operation of ECR and print its answer."""
    parser = argparse.ArgumentParser(prog="aws")
    parser.add_argument("service", choices=["ecr"])
    parser.add_argument("operation")
    parser.add_argument("--profile", choices=ACCOUNTS, required=True)
    parser.add_argument("--repository-name", required=True)
    parser.add_argument("--max-items", type=int)
    parser.add_argument("--image-ids")
    parser.add_argument("--query", default="@")
    parser.add_argument("--output", choices=["json"])
    options = parser.parse_args()
    region = os.environ["AWS_REGION"]
    ecr = boto3.client("ecr", region_name=region, **credentials_of(ACCOUNTS[options.profile]))
    operation = options.operation.replace("-", "_")
    asked = {"repositoryName": options.repository_name}
    if options.image_ids:
        listed = json.loads(Path(options.image_ids.removeprefix("file://")).read_text())
        answer = getattr(ecr, operation)(**asked, imageIds=listed)
    else:
        answer = (
            ecr.get_paginator(operation)
            .paginate(**asked, PaginationConfig={"MaxItems": options.max_items})
            .build_full_result()
        )
    sys.stdout.write(json.dumps(jmespath.search(options.query, answer)))


if __name__ == "__main__":
    main()
