"""A second evaluation of lifecycle policies, sentence by sentence from the guide, and slow.

Written apart from the simulator, so that each shows up a mistake in the other: sets that grow until
nothing is added, a new look at everything each day, and a matching of its own for wildcards.

Source: Amazon ECR User Guide, "Lifecycle policy evaluation rules".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from ecr.images.image import Image
from ecr.lifecycle.policy import Rule

DAY = 86_400

Acts = dict[str, tuple[str, frozenset[int]]]
"""By digest the action, and the priorities of the rules of which one took it."""


def _matches(pattern: str, tag: str) -> bool:
    if not pattern:
        return not tag
    if pattern[0] == "*":
        return any(_matches(pattern[1:], tag[start:]) for start in range(len(tag) + 1))
    return bool(tag) and tag[0] == pattern[0] and _matches(pattern[1:], tag[1:])


def _selects(rule: Rule, image: Image) -> bool:
    """Meets the tagging requirement, in the storage class that the rule is about."""
    if image.storage_class != rule.storage_class:
        return False
    if rule.tag_status == "any":
        return True
    if rule.tag_status == "untagged":
        return len(image.tags) == 0
    wanted = [*rule.patterns, *(prefix + "*" for prefix in rule.prefixes)]
    return all(any(_matches(each, tag) for tag in image.tags) for each in wanted)


def _ordered_by(image: Image) -> float:
    return image.activated_at if image.activated_at is not None else image.pushed_at


def _identified(rule: Rule, images: Iterable[Image], now: float) -> set[str]:
    selected = [image for image in images if _selects(rule, image)]
    if rule.count_type == "imageCountMoreThan":
        youngest_first = sorted(selected, key=lambda image: (-_ordered_by(image), image.digest))
        return {image.digest for image in youngest_first[rule.count :]}
    ages: dict[str, Callable[[Image], float]] = {
        "sinceImagePushed": lambda image: image.pushed_at,
        "sinceImagePulled": lambda image: max(
            [each for each in (image.pulled_at, image.activated_at) if each is not None]
            or [image.pushed_at]
        ),
        "sinceImageTransitioned": lambda image: image.archived_at or image.pushed_at,
    }
    since = ages[rule.count_type]
    return {image.digest for image in selected if now - since(image) > rule.count * DAY}


def evaluate(
    images: Sequence[Image],
    rules: Sequence[Rule],
    now: float,
    orphans: Mapping[str, frozenset[int]],
) -> Acts:
    """Return what one evaluation does; ``orphans`` are artifacts whose subjects went before."""
    marked: dict[str, Rule] = {}
    for image in images:
        owners = sorted((r for r in rules if _selects(r, image)), key=lambda r: r.priority)
        if owners and image.digest in _identified(owners[0], images, now):
            marked[image.digest] = owners[0]
    expired: Acts = {}
    archived: Acts = {}
    while _grow(images, marked, expired, orphans, set(), "expire"):
        pass
    here = [image for image in images if image.storage_class == "standard"]
    left = [image for image in here if image.digest not in expired]
    out = {image.digest for image in images} - {image.digest for image in left}
    while _grow(images, marked, archived, {}, out, "transition"):
        pass
    return archived | expired


def _grow(  # noqa: PLR0917 - the sets that the guide's sentences speak of
    images: Sequence[Image],
    marked: Mapping[str, Rule],
    acts: Acts,
    orphans: Mapping[str, frozenset[int]],
    out: set[str],
    action: str,
) -> bool:
    """Act on one more image, marked or following its subject, that no list holds back."""
    for image in images:
        if image.digest in acts or image.digest in out:
            continue
        by = set(orphans.get(image.digest, ()))
        if (rule := marked.get(image.digest)) and rule.action == action:
            by.add(rule.priority)
        if image.subject in acts:
            by |= acts[image.subject][1]
        holders = {e.digest for e in images if image.digest in (e.parts or ()) and e != image}
        if by and holders <= out | set(acts):
            acts[image.digest] = action, frozenset(by)
            return True
    return False


def forecast(
    images: Sequence[Image], rules: Sequence[Rule], now: float, days: int
) -> dict[tuple[int, str], tuple[str, frozenset[int]]]:
    """Return what is done, by day and digest, looking at everything anew each day."""
    left, orphans = list(images), dict[str, frozenset[int]]()
    done: dict[tuple[int, str], tuple[str, frozenset[int]]] = {}
    for day in range(days + 1):
        moment = now + day * DAY
        acts = evaluate(left, rules, moment, orphans)
        done |= {(day, digest): act for digest, act in acts.items()}
        expired = {digest: by for digest, (action, by) in acts.items() if action == "expire"}
        orphans |= {
            image.digest: orphans.get(image.digest, frozenset()) | expired[image.subject]
            for image in left
            if image.subject in expired
        }
        left = [
            image._replace(storage_class="archive", archived_at=moment)
            if image.digest in acts
            else image
            for image in left
            if image.digest not in expired
        ]
    return done
