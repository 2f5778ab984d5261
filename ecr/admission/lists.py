"""The lists as ConfigMaps, as the policy in kubernetes/admission/base reads them.

Owns their form: keys, size, names. Reads a decision. A list is named after its content and cannot be
changed, so what is applied is either there whole or not at all, and what stays the same is not
written again.
"""

import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

NAMESPACE = "ecr-admission"
LABEL, DENIED = "ecr-estate/list", "denied-images"
RUN = "ecr-admission-run"
"""The ConfigMap that says when the lists were written, from what, and which registries are ours."""

_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$", re.MULTILINE)

LIST_SCHEMA = "1"
MOST_BYTES = 1_000_000
"""Bytes of one list; Kubernetes takes 1 MiB with all else that belongs to a ConfigMap."""

MOST_PER_KEY = 2_000
"""Entries below one key, which bounds what one look-up costs; see docs/decisions/0016."""


def lists(entries: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Return the ConfigMaps for the entries by kind ("vulnerable", "unscanned"); at least one.

    A key is in one of them, as long as it has not too many entries, and in which follows from the key
    and their number. So the more lists there are, the fewer keys each has, and an admission reads
    entries of one list for each image, not of all.
    """
    chunks = list(_chunks(entries))
    dealt = (_dealt(chunks, count) for count in itertools.count(1))
    shards = next(each for each in dealt if each is not None)
    return sorted(map(_config_map, shards), key=lambda each: str(each["metadata"]["name"]))


def run_record(facts: Mapping[str, str]) -> dict[str, Any]:
    """Return the ConfigMap about a run."""
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
    """Return the key below which the policy looks for an entry: its last two characters."""
    return f"{kind}-{entry[-2:].replace(':', '.')}"


def digests_denied(documents: Iterable[Any]) -> frozenset[str]:
    """Return the digests that lists deny for vulnerabilities; other documents are passed over.

    Every image that is denied has an entry by its digest. Raises ValueError for what is no document
    of Kubernetes at all.
    """
    found: set[str] = set()
    for each in documents:
        if not isinstance(each, Mapping):
            raise ValueError(f"{each!r:.60} is no ConfigMap")  # noqa: TRY004 - one error for all files
        if (each.get("metadata") or {}).get("labels", {}).get(LABEL) != DENIED:
            continue
        for key, entries in (each.get("data") or {}).items():
            if key.startswith("vulnerable-"):
                found.update(_DIGEST.findall(entries))
    return frozenset(found)


def _chunks(entries: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield each key with its entries, and again with the rest where there are too many."""
    below: dict[str, list[str]] = defaultdict(list)
    for kind, each in entries.items():
        for entry in sorted(each):
            below[key_of(kind, entry)].append(entry)
    for key in sorted(below):
        for start in range(0, len(below[key]), MOST_PER_KEY):
            yield key, below[key][start : start + MOST_PER_KEY]


def _dealt(chunks: Sequence[tuple[str, Sequence[str]]], count: int) -> list[dict[str, str]] | None:
    """Deal the keys to so many lists; None when one would be too large, or have a key twice."""
    shards: list[dict[str, str]] = [{} for _ in range(count)]
    for key, entries in chunks:
        first = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
        for number in range(first, first + count):
            shard = shards[number % count]
            if key not in shard:
                shard[key] = "\n".join(entries)
                break
        else:
            return None
    sizes = (sum(len(key) + len(text) for key, text in shard.items()) for shard in shards)
    return shards if all(size <= MOST_BYTES for size in sizes) else None


def _config_map(shard: Mapping[str, str]) -> dict[str, Any]:
    data = {"schema": LIST_SCHEMA} | {key: shard[key] for key in sorted(shard)}
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
