"""A copy of the upstream AWS provider's source, cut down to a few of its 250 services.

Owns the knowledge of how that source is laid out: each service is a package below
internal/service, and two generated files name them all. Reads an unpacked module; writes the copy
and nothing else. It never edits code by hand: what is left out is a whole package, a whole line of
the list of packages, or a whole method of the AWS client.
"""

import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

PARTS = ("internal", "names", "version", "xpprovider")
SERVICE_LIST = "internal/provider/sdkv2/service_packages_gen.go"
CLIENTS = "internal/conns/awsclient_gen.go"
DRIVER = "internal/acctest"  # what drives the provider's own tests
EMBEDDED = "smarterr.hcl"  # one package embeds every service's; it does not compile without any

_SERVICE = re.compile(r'internal/service/(\w+)(?:/[\w/]+)?"')
_CALL = re.compile(r"\.(\w+Client)\(")
_CLIENT = re.compile(
    r"func \(c \*AWSClient\) (\w+Client)\(.*?\) \*(\w+)\.Client \{\n.*?\n\}\n\n?", re.DOTALL
)
_SDK_IMPORT = re.compile(r'\t(?:(\w+) )?"github\.com/aws/aws-sdk-go-v2/service/(?:\w+/)*(\w+)"\n')


def trim(source: Path, target: Path, services: Iterable[str], tested: Collection[str] = ()) -> None:
    """Copy the module at `source` to `target` with `services` and the services these import.

    The tests of the services ``tested`` come along, with what drives them.
    """
    listed = set(services)
    kept = _closure(source, listed, tested)
    for file in _files(source, kept, tested):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)  # not its mode: the module cache is read-only
    _keep_listed_services(target / SERVICE_LIST, listed)
    _keep_called_clients(target)


def _closure(source: Path, listed: set[str], tested: Collection[str]) -> set[str]:
    """Give the services listed and all that their packages import, directly or not."""
    kept: set[str] = set()
    waiting = set(listed)
    if tested:
        for file in _below(source / DRIVER):
            if file.suffix == ".go":
                waiting.update(_SERVICE.findall(file.read_text()))
    while waiting:
        service = waiting.pop()
        folder = source / "internal/service" / service
        if not folder.is_dir():
            raise ValueError(f"the AWS provider has no service {service!r} ({folder})")
        kept.add(service)
        for file in _below(folder):
            if file.suffix == ".go":
                waiting.update(set(_SERVICE.findall(file.read_text())) - kept)
    return kept


def _files(source: Path, services: set[str], tested: Collection[str]) -> Iterator[Path]:
    yield source / "go.mod"
    if tested:
        yield source / "go.sum"
    for part in PARTS:
        for file in _below(source / part):
            match file.relative_to(source).parts:
                case ("internal", "service", service, *_, name) if service not in services:
                    if name != EMBEDDED:
                        continue
                case ("internal", "generate", *_):
                    continue
                case ("internal", "acctest", *_) if not tested:
                    continue
            yield file
    for service in tested:
        folder = source / "internal/service" / service
        yield from (file for file in _all(folder) if not _is_kept_always(file))


def _below(folder: Path) -> Iterator[Path]:
    return (file for file in _all(folder) if _is_kept_always(file))


def _all(folder: Path) -> Iterator[Path]:
    return (file for file in sorted(folder.rglob("*")) if file.is_file())


def _is_kept_always(file: Path) -> bool:
    return not file.name.endswith("_test.go") and "testdata" not in file.parts


def _keep_listed_services(file: Path, listed: set[str]) -> None:
    def wanted(line: str) -> bool:
        named = _SERVICE.search(line) or re.match(r"\t\t(\w+)\.ServicePackage\(ctx\),", line)
        return named is None or named[1] in listed

    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if wanted(line)))


def _keep_called_clients(target: Path) -> None:
    """Drop the clients nothing calls: each one would compile that service's whole AWS SDK."""
    clients = target / CLIENTS
    called = {
        name
        for file in target.rglob("*.go")
        if file != clients
        for name in _CALL.findall(file.read_text())
    }
    text = clients.read_text()
    packages = {package for name, package in _CLIENT.findall(text) if name in called}
    text = _CLIENT.sub(lambda method: method[0] if method[1] in called else "", text)
    text = _SDK_IMPORT.sub(lambda line: line[0] if (line[1] or line[2]) in packages else "", text)
    clients.write_text(text)
