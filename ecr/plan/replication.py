"""Replication: the fewest prefixes that send each image repository to the registries that want it.

Owns the rules of a source registry. ECR filters by prefix only, so a prefix can cover names that
nobody wants replicated; they bleed. That does no harm, because destinations refuse to create image
repositories, but each push of such a name is one failed replication, so as few as possible bleed.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate, groupby
from math import ceil
from os.path import commonprefix

from ecr.errors import EstateError
from ecr.plan.model import Bleed, ReplicationRule
from ecr.registry.registry import Registry

MAX_DESTINATIONS = 25
"""Destinations of a registry's replication, over all rules (Amazon ECR User Guide, "Private image
replication"). The API takes up to 100 in one rule; the stricter reading counts."""

MAX_FILTERS = 100
"""Prefixes of a replication rule (Amazon ECR API Reference, ReplicationRule)."""

MAX_RULES = 10
"""Replication rules that the AWS provider takes; ECR itself takes 25."""

SHORTEST_PREFIX = 2
"""Characters of a replication prefix, at least (Amazon ECR API Reference, RepositoryFilter)."""

_Cover = tuple[int, tuple[str, ...]]


def prefix_cover(
    wanted: Collection[str], names: Collection[str], limit: int | None = None
) -> tuple[str, ...] | None:
    """Return prefixes that cover every wanted name, in order.

    ``names`` are all names in the source registry. Without a limit no other cover touches fewer
    unwanted names, and none of those that touch as few is smaller. With a limit that binds, the cost
    of a prefix is raised until few enough are left, which may touch a few more names than the least;
    None where no cover is small enough. O(L) a trial for names of L characters together, and
    O(log N) trials.
    """
    everything = sorted({*names, *wanted})
    wants = set(wanted)
    counts = [0, *accumulate(name in wants for name in everything)]

    def trial(price: int) -> tuple[str, ...]:
        return _cover(everything, counts, 0, len(everything), price)[1]

    best = trial(0)
    if limit is None or len(best) <= limit:
        return best
    dearest = len(everything) + 1
    price = bisect_left(range(dearest), True, key=lambda price: len(trial(price)) <= limit)
    cheapened = trial(price)
    return cheapened if len(cheapened) <= limit else None


def _cover(names: list[str], counts: list[int], start: int, end: int, price: int) -> _Cover:
    """Cover the wanted among names[start:end], which share all prefixes longer than their parent's.

    Gives (unwanted names touched, prefixes). Walks the compressed trie of the sorted names: at each
    branching either its own prefix is taken, or the best covers of its branches are joined.
    """
    wanted = counts[end] - counts[start]
    if not wanted:
        return 0, ()
    prefix = commonprefix([names[start], names[end - 1]])  # noqa: RUF071 - of names, not of paths
    whole = (end - start - wanted, (prefix,))
    if names[start] == prefix and counts[start + 1] > counts[start]:
        return whole  # a wanted name that is itself the prefix: nothing longer covers it
    bleed, position = 0, start
    prefixes: list[str] = []
    depth = len(prefix)
    # A branch needs one more character than the prefix, so an unwanted name that is the prefix
    # itself ("" at that depth) is a branch of its own.
    for _, branch in groupby(range(start, end), key=lambda index: names[index][depth : depth + 1]):
        size = sum(1 for _ in branch)
        touched, chosen = _cover(names, counts, position, position + size, price)
        bleed, position = bleed + touched, position + size
        prefixes.extend(chosen)
    apart = (bleed, tuple(prefixes))
    if depth < SHORTEST_PREFIX:
        return apart

    def cost(cover: _Cover) -> tuple[int, int]:
        return cover[0] + price * len(cover[1]), len(cover[1])

    return min(whole, apart, key=cost)


def replication_rules(
    wanted: Mapping[Registry, Collection[str]], names: Collection[str]
) -> tuple[tuple[ReplicationRule, ...], tuple[Bleed, ...]]:
    """Return the rules of a source registry, and what bleeds.

    ``wanted`` maps destinations to the names that they want; ``names`` are all names in the source.
    Destinations that want the same share a rule; more than 100 prefixes take several rules. Raises
    EstateError where no set of rules stays within ECR's limits.
    """
    groups: dict[frozenset[str], list[Registry]] = defaultdict(list)
    for destination, wants in sorted(wanted.items()):
        if wants:
            groups[frozenset(wants)].append(destination)
    destinations = sum(map(len, groups.values()))
    if destinations > MAX_DESTINATIONS:
        raise _does_not_fit(
            f"replicas are wanted in {destinations} registries, and ECR replicates to "
            f"{MAX_DESTINATIONS}",
            "list fewer accounts and Regions under lambdaReplicas.accounts",
        )
    if len(groups) > MAX_RULES:
        raise _does_not_fit(
            f"the accounts want {len(groups)} different sets of services, each of which takes a rule, "
            f"and a registry has {MAX_RULES}",
            "let more accounts want the same services",
        )
    covers = {wants: _filters(wants, names, None) for wants in groups}
    while sum(map(_rules_taken, covers.values())) > MAX_RULES:
        widest = max(covers, key=lambda wants: _rules_taken(covers[wants]))
        covers[widest] = _filters(widest, names, (_rules_taken(covers[widest]) - 1) * MAX_FILTERS)
    rules = tuple(
        ReplicationRule(tuple(groups[wants]), cover[start : start + MAX_FILTERS])
        for wants, cover in covers.items()
        for start in range(0, len(cover) or 1, MAX_FILTERS)
    )
    return rules, tuple(_bleeds(covers, names))


def _filters(wants: frozenset[str], names: Collection[str], limit: int | None) -> tuple[str, ...]:
    """Return the filters for a set of names; none at all where every name is wanted."""
    if wants.issuperset(names):
        return ()
    cover = prefix_cover(wants, names, limit)
    if cover is None:
        raise _does_not_fit(
            f"{len(wants)} services need more than {MAX_RULES} rules of {MAX_FILTERS} prefixes",
            "replicate all services, or give the names of Lambda services a common prefix by `names`",
        )
    return cover


def _rules_taken(cover: tuple[str, ...]) -> int:
    return ceil(len(cover) / MAX_FILTERS) or 1


def _bleeds(
    covers: Mapping[frozenset[str], tuple[str, ...]], names: Iterable[str]
) -> Iterable[Bleed]:
    everything = sorted(names)
    for wants, cover in covers.items():
        for prefix in cover:
            start = bisect_left(everything, prefix)
            end = bisect_left(everything, prefix + "\U0010ffff")
            touched = tuple(name for name in everything[start:end] if name not in wants)
            if touched:
                yield Bleed(prefix, touched)


def _does_not_fit(what: str, remedy: str) -> EstateError:
    return EstateError(
        "The replication that the settings ask for does not fit into one registry; nothing was "
        "changed.",
        [f"lambdaReplicas: {what}; {remedy}"],
    )
