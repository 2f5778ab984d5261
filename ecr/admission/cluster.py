"""The lists in a cluster: applied whole, then what they replace taken away.

Owns the order of the two, and how a list that is there, and its age, are read. Reads and writes ConfigMaps of one
namespace through kubectl, in the cluster of kubectl's own configuration. Until the new lists are all
there, the old ones stay: for a moment both count, and at no moment neither.
"""

import json
import shutil
import subprocess
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ecr.admission.lists import DENIED, LABEL, NAMESPACE, RUN, digests_denied
from ecr.errors import EstateError

_MANAGER = "ecr-estate"


def apply(lists: Sequence[dict[str, Any]], record: dict[str, Any]) -> int:
    """Apply the lists, take away all others, then write the record; give the number taken away.

    Raises EstateError when kubectl fails; what it had done by then makes the list longer, not shorter.
    """
    _apply(lists)
    names = {each["metadata"]["name"] for each in lists}
    there = _kubectl("get", "configmaps", "--selector", f"{LABEL}={DENIED}", "--output", "name")
    old = sorted(
        name for name in (line.partition("/")[2] for line in there.split()) if name not in names
    )
    if old:
        _kubectl("delete", "configmaps", "--ignore-not-found", *old)
    _apply([record])
    return len(old)


def denied() -> frozenset[str]:
    """Return the digests that the lists in the cluster deny for vulnerabilities.

    Raises EstateError when kubectl fails.
    """
    text = _kubectl("get", "configmaps", "--selector", f"{LABEL}={DENIED}", "--output", "json")
    return digests_denied(json.loads(text)["items"])


def written() -> datetime:
    """Return the time of the last run that was applied; raises EstateError when there was none."""
    text = _kubectl("get", "configmap", RUN, "--output", "json")
    try:
        return datetime.fromisoformat(json.loads(text)["data"]["written"])
    except (KeyError, ValueError) as error:
        raise EstateError(
            f"The ConfigMap {NAMESPACE}/{RUN} does not say when the lists were written.",
            ["Run `ecr-estate admission --apply` anew."],
        ) from error


def _apply(documents: Sequence[dict[str, Any]]) -> None:
    whole = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
    _kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        f"--field-manager={_MANAGER}",
        "--filename=-",
        given=json.dumps(whole),
    )


def _kubectl(verb: str, *arguments: str, given: str | None = None) -> str:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise EstateError("There is no kubectl on PATH.", ["Install it, or use --output FILE."])
    done = subprocess.run(
        [kubectl, verb, "--namespace", NAMESPACE, *arguments],
        input=given,
        stdin=None if given else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EstateError(
            f"kubectl {verb} failed; what the cluster refused before it refuses still.",
            done.stderr.strip().splitlines(),
        )
    return done.stdout
