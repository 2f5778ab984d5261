"""The AWS provider that the toolchain builds, beside the released SDK and what the released plugin does.

The SDK was generated from the released plugin's schema, so what it says of a type is what the plugin serves.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import processes
from sandbox.aws import EmbeddedAws
from sandbox.aws.hands import credentials_of
from sandbox.session import PROJECT, environment_of
from sandbox.toolchain import Toolchain
from sandbox.toolchain.build import PLUGIN_VERSIONS
from tests.sdk_schema import Sdk, referred, served

pytestmark = pytest.mark.engine

ACCOUNT, REGION = "111111111111", "eu-west-1"
AWS = Sdk("pulumi_aws")

NEWER: dict[str, set[str]] = {
    "aws:sns/topic:Topic in": {"maximumMessageSize"},
    "aws:sns/topic:Topic out": {"maximumMessageSize"},
}
"""What the SDK has of each type and upstream's last source that is to be had (6.34.0) has not yet."""


@pytest.fixture(scope="module")
def schema(toolchain: Toolchain) -> dict[str, Any]:
    answer = subprocess.check_output(
        [toolchain.pulumi, "package", "get-schema", f"aws@{PLUGIN_VERSIONS['aws']}"],
        env=os.environ | toolchain.environment,
    )
    read: dict[str, Any] = json.loads(answer)
    return read


def differing(where: str, ours: dict[str, str], theirs: dict[str, str]) -> Iterator[str]:
    """Say of each property that is not the same what both say."""
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name) and name not in NEWER.get(where, ()):
            yield f"{where}.{name}: {ours.get(name)}, and the SDK says {theirs.get(name)}"


def test_every_resource_type_is_that_of_the_released_sdk(schema: dict[str, Any]) -> None:
    found: list[str] = []
    for token, ours in schema["resources"].items():
        theirs = AWS.resource(token)
        assert theirs, f"the SDK has no {token}"
        inputs = served(ours["inputProperties"], ours.get("requiredInputs", []))
        outputs = served(ours["properties"], ours.get("required", []))
        secrets = sorted(name for name, each in ours["properties"].items() if each.get("secret"))
        found += differing(f"{token} in", inputs, theirs["inputs"])
        found += differing(f"{token} out", outputs, theirs["outputs"])
        if secrets != theirs["secrets"]:
            found.append(f"{token}: secrets {secrets}, and the SDK says {theirs['secrets']}")
    assert not found, "\n".join(found)


def test_every_function_is_that_of_the_released_sdk(schema: dict[str, Any]) -> None:
    found: list[str] = []
    for token, ours in schema["functions"].items():
        if not token.startswith("aws:"):
            continue  # what the bridge itself has of every provider
        theirs = AWS.function(token)
        assert theirs, f"the SDK has no {token}"
        outputs = ours["outputs"]
        results = served(outputs["properties"], outputs.get("required", []))
        results.pop("id", None)
        found += differing(f"{token} out", results, theirs["results"])
        arguments = served(ours.get("inputs", {}).get("properties", {}), [])
        plain = {name: kind.removesuffix("?") for name, kind in arguments.items()}
        named = {re.sub("([A-Z])", r"_\1", name).lower(): kind for name, kind in plain.items()}
        found += differing(f"{token} in", named, theirs["arguments"])
    assert not found, "\n".join(found)


def test_every_object_type_is_that_of_the_released_sdk(schema: dict[str, Any]) -> None:
    given, answered = set(), set()
    for each in schema["resources"].values():
        given |= set(referred(each["inputProperties"]))
        answered |= set(referred(each["properties"]))
    found: list[str] = []
    for tokens, of_inputs in ((given, True), (answered - given, False)):
        for token in sorted(tokens):
            ours = schema["types"][token]
            if "enum" in ours:
                values = [each["value"] for each in ours["enum"]]
                assert values == AWS.enumeration(token), token
                continue
            theirs = AWS.object(token, of_inputs=of_inputs)
            assert theirs, f"the SDK has no {token}"
            shape = served(ours["properties"], ours.get("required", []))
            found += differing(token, shape, theirs)
    assert not found, "\n".join(found)


def test_the_provider_serves_every_type_that_the_program_and_its_examples_use(
    schema: dict[str, Any],
) -> None:
    used = {
        found
        for folder in ("ecr", "plugin", "examples")
        for file in (PROJECT / folder).rglob("*.py")
        for found in re.findall(r"\baws\.([a-z]+)\.([A-Z]\w+)\(", file.read_text())
        if not found[1].endswith("Args")
    }
    token = {f"aws:{module}/{name[0].lower()}{name[1:]}:{name}" for module, name in used}
    assert len(token) > 10
    assert token <= schema["resources"].keys()


PROGRAM = """
import json, os, pulumi, pulumi_aws as aws

aws_provider = aws.Provider(
    "tagging", region="eu-west-1", default_tags={"tags": {"team": "platform", "by": "default"}},
    ignore_tags={"keys": ["seen"]},
)
opts = pulumi.ResourceOptions(provider=aws_provider)
count = int(os.environ["COUNT"])
repository = aws.ecr.Repository("api", tags={"by": "hand", "seen": "yes"}, opts=opts)
rule = {
    "rulePriority": 1,
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": count},
    "action": {"type": "expire"},
}
document = aws.ecr.LifecyclePolicyDocumentArgs(rules=[rule])
lifecycle = aws.ecr.LifecyclePolicy("kept", repository=repository.name, policy=document, opts=opts)
trust = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ecr.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
text = json.dumps(trust, indent=count)
role = aws.iam.Role("maker", assume_role_policy=text, opts=opts)
key = aws.kms.Key("images", opts=opts)
alias = aws.kms.Alias("images", target_key_id=key.id, opts=opts)
topic = aws.sns.Topic("alerts", fifo_topic=True, opts=opts)
setting = aws.ecr.AccountSetting(
    "scans", name="BASIC_SCAN_TYPE_VERSION", value="AWS_NATIVE", opts=opts
)
left_out = aws.ecr.PullTimeUpdateExclusion("maker", principal_arn=role.arn, opts=opts)
for name, value in {
    "repository": repository.name, "tags": repository.tags_all, "region": repository.region,
    "role": role.name, "alias": alias.name, "topic": topic.name, "lifecycle": lifecycle.policy,
    "setting": setting.id, "exclusion": left_out.id, "arn": role.arn,
}.items():
    pulumi.export(name, value)
"""


class Project:
    """A program of its own in the embedded AWS, by keys that may do everything."""

    def __init__(self, toolchain: Toolchain, aws: EmbeddedAws, folder: Path) -> None:
        self.toolchain, self.folder = toolchain, folder
        (folder / "state").mkdir()
        (folder / "Pulumi.yaml").write_text("name: providers\nruntime: python\n")
        (folder / "__main__.py").write_text(PROGRAM)
        keys = {key.upper(): str(value) for key, value in credentials_of(ACCOUNT).items()}
        self.variables = {
            **toolchain.environment,
            **keys,
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "providers",
            "PULUMI_STACK": "dev",
        }
        self.run("stack", "init", "dev")

    def run(self, *arguments: str, count: int = 2) -> str:
        """Run the engine, with what the program is to be made of."""
        environment = environment_of({**self.variables, "COUNT": str(count)})
        command = [str(self.toolchain.pulumi), "--non-interactive", *arguments]
        done = processes.run(command, environment=environment, directory=self.folder, capture=True)
        assert done.returncode == 0, done.stdout
        return str(done.stdout)


def test_the_provider_does_with_each_type_what_the_released_plugin_does(
    toolchain: Toolchain, tmp_path: Path
) -> None:
    with EmbeddedAws(strict=True) as aws:
        project = Project(toolchain, aws, tmp_path)
        project.run("up", "--yes", "--skip-preview")
        got = json.loads(project.run("stack", "output", "--json"))
        # Names given by default, each as long and with the ends that its service wants.
        assert re.fullmatch(r"api-[0-9a-f]{7}", got["repository"])
        assert re.fullmatch(r"maker-[0-9a-f]{7}", got["role"])
        assert re.fullmatch(r"alias/images-[0-9a-f]{7}", got["alias"])
        assert re.fullmatch(r"alerts-[0-9a-f]{7}\.fifo", got["topic"])
        # The provider's tags under the resource's, without those to ignore; its Region.
        assert got["tags"] == {"team": "platform", "by": "hand"}
        assert got["region"] == REGION
        # A document given as an object is one; what upstream has without an id has one.
        assert json.loads(got["lifecycle"])["rules"][0]["selection"]["countNumber"] == 2
        assert (got["setting"], got["exclusion"]) == ("BASIC_SCAN_TYPE_VERSION", got["arn"])

        # Another layout of the same JSON is no change; another lifecycle policy replaces the old one,
        # which goes first: there can be one only.
        aws.forget_calls()
        shown = project.run("up", "--yes", "--skip-preview", count=3)
        assert "1 replaced" in shown, shown
        writes = [
            each.action
            for each in aws.calls()
            if not each.action.startswith(("Get", "Describe", "List"))
        ]
        assert writes == ["DeleteLifecyclePolicy", "PutLifecyclePolicy"]
