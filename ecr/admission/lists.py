"""The lists as ConfigMaps, as the policy in kubernetes/admission/base reads them.

Owns their form: keys, size, names. Reads a decision. A list is named after its content and cannot be
changed, so what is applied is either there whole or not at all, and what stays the same is not
written again.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

NAMESPACE = "ecr-admission"
LABEL, DENIED = "ecr-estate/list", "denied-images"
RUN = "ecr-admission-run"
"""The ConfigMap that says when the lists were written, from what, and which registries are ours."""

SCHEMA = "1"
MOST_BYTES = 900_000
"""Of the content of one list; Kubernetes takes 1 MiB with all else that belongs to a ConfigMap."""

MOST_PER_KEY = 2_000
"""Entries below one key, which bounds what one look-up costs; see docs/decisions/0016."""


def lists(entries: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Give the ConfigMaps for the entries by kind ("vulnerable", "unscanned"); at least one.

    Which entry is in which follows from the entry alone, as long as their number stays: it is a
    power of two, so that it seldom changes.
    """
    count = 1
    while True:
        shards = _dealt(entries, count)
        if all(map(_fits, shards)):
            return sorted(map(_config_map, shards), key=lambda each: str(each["metadata"]["name"]))
        count *= 2


def run_record(facts: Mapping[str, str]) -> dict[str, Any]:
    """Give the ConfigMap about a run."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": RUN, "namespace": NAMESPACE},
        "data": dict(facts),
    }


def to_yaml(documents: Iterable[Mapping[str, Any]]) -> str:
    """Write documents as YAML, an entry a line."""
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, explicit_start=True)


def key_of(kind: str, entry: str) -> str:
    """Give the key below which the policy looks for an entry: its last two characters."""
    return f"{kind}-{entry[-2:].replace(':', '.')}"


def _dealt(entries: Mapping[str, Sequence[str]], count: int) -> list[dict[str, list[str]]]:
    shards: list[dict[str, list[str]]] = [defaultdict(list) for _ in range(count)]
    for kind, each in entries.items():
        for entry in sorted(each):
            number = int.from_bytes(hashlib.sha256(entry.encode()).digest()[:4], "big") % count
            shards[number][key_of(kind, entry)].append(entry)
    return shards


def _fits(shard: Mapping[str, Sequence[str]]) -> bool:
    size = sum(len(key) + sum(len(each) + 1 for each in below) for key, below in shard.items())
    return size <= MOST_BYTES and all(len(below) <= MOST_PER_KEY for below in shard.values())


def _config_map(shard: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    data = {"schema": SCHEMA} | {key: "\n".join(shard[key]) for key in sorted(shard)}
    content = hashlib.sha256("\0".join(f"{key}\0{data[key]}" for key in data).encode())
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"{DENIED}-{content.hexdigest()[:16]}",
            "namespace": NAMESPACE,
            "labels": {LABEL: DENIED},
        },
        "immutable": True,
        "data": data,
    }


class _Dumper(yaml.CSafeDumper):
    """Writes what has several lines as several lines."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Dumper.add_representer(str, _text)
