"""The images in a text: what `aws ecr describe-images` prints, or an entry of it a line.

Owns both forms, and what is said of a text that is neither. Reads the text that it is given, a piece at
a time: a registry of a million images is printed as 650 MB, and only the images are to stay. Needs only
the standard library, so that it runs wherever Python does, a browser included.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from ecr.errors import EstateError
from ecr.images.image import Image, as_text, image_of

_PIECE = 65_536
"""Lines that are joined at once, of some thirty characters each as the command line prints them."""

_LINES = 500
"""Entries that are decoded at once where each has a line."""

_BLOCK = 2_000_000
"""Characters that are read at once where the text is a file."""

_OPENING = re.compile(r'\s*\{\s*"imageDetails"\s*:\s*\[')
_SPACE = re.compile(r"[ \t\r\n]*")


def read_images(text: Iterable[str], source: str) -> dict[str, list[Image]]:
    """Read images by image repository. ``source`` names the text in errors.

    Takes what `aws ecr describe-images` prints, or the entries of its imageDetails one a line (JSON
    Lines). Beyond Amazon's keys an entry may have `parts`, the digests of a manifest list's images.
    Entries without a repositoryName are of the image repository "". Raises EstateError.
    """
    found = _read_all(text, source)
    for name, images in found.items():
        if len({image.digest for image in images}) < len(images):
            raise EstateError(f"{source} has an image twice.", [_twins(name, images)])
    return found


def _twins(name: str, images: Sequence[Image]) -> str:
    seen: dict[str, int] = {}
    for number, image in enumerate(images, 1):
        if image.digest in seen:
            break
        seen[image.digest] = number
    which = f"images {seen[image.digest]} and {number}" + (f" of {name}" if name else "")
    return f"{which} are both {image.digest}; give each registry's images by themselves"


def _read_all(text: Iterable[str], source: str) -> dict[str, list[Image]]:
    lines = iter(text)
    first = next((line for line in lines if line.strip("\ufeff \t\r\n")), "").removeprefix("\ufeff")
    found: dict[str, list[Image]] = defaultdict(list)
    if _is_entry(first):
        _read_lines(chain([first], lines), source, found)
        return dict(found)
    done = 0
    try:
        for entries in _details(chain([first], _pieces(text, lines))):
            if not _kept(entries, found):
                for number, entry in enumerate(entries, done + 1):
                    _read_one(entry, f"image {number}", source, found)
            done += len(entries)
    except (_NoDocumentError, RecursionError):
        raise EstateError(
            f"{source} holds no images.",
            [
                (
                    "line 1: give the output of `aws ecr describe-images --output json`, or one entry "
                    "of its imageDetails a line"
                )
            ],
        ) from None
    return dict(found)


def _read_lines(lines: Iterator[str], source: str, found: dict[str, list[Image]]) -> None:
    """Read an entry a line: many at once, for a million calls of the decoder take as long as its work."""
    done = 0
    while some := list(islice(lines, _LINES)):
        entries = _decoded(",".join(some))
        if len(entries) != len(some) or not _kept(entries, found):
            for number, line in enumerate(some, done + 1):
                if line.strip():
                    _read_one(line, f"line {number}", source, found)
        done += len(some)


def _decoded(several: str) -> list[Any]:
    """Return values that are written with commas between them; none where they are not."""
    try:
        values: list[Any] = json.loads(f"[{several}]")
    except (ValueError, RecursionError):
        return []
    return values


def _kept(entries: Sequence[Any], found: dict[str, list[Image]]) -> bool:
    """Keep the images of entries, and say whether all are images: where one is not, none is kept."""
    try:
        names = [as_text(each.get("repositoryName", "")) for each in entries]
        images = list(map(image_of, entries))
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError):
        return False
    if len(set(names)) == 1:
        found[names[0]] += images
    else:
        for name, image in zip(names, images, strict=True):
            found[name].append(image)
    return True


def _is_entry(line: str) -> bool:
    """Return whether a line is one entry of imageDetails."""
    if _OPENING.match(line):
        return False
    try:
        whole = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(whole, dict) and "imageDigest" in whole


class _NoDocumentError(Exception):
    """A text that is not what the command line prints."""


def _pieces(text: Iterable[str], lines: Iterator[str]) -> Iterator[str]:
    """Yield what is left of a text: a file's by blocks, for it is not cut into lines then."""
    read = getattr(text, "read", None)
    while piece := read(_BLOCK) if read else "".join(islice(lines, _PIECE)):
        yield piece


def _details(pieces: Iterator[str]) -> Iterator[list[Any]]:
    """Yield the entries of a document's imageDetails, some at a time. Raises _NoDocumentError."""
    held = "".join(islice(pieces, 2))
    opening = _OPENING.match(held)
    if not opening:
        # Keys may stand in any order: then it is read whole.
        yield _whole(held + "".join(pieces))
        return
    rest = _Rest(held, opening.end(), pieces)
    if rest.next() != "]":
        yield [rest.value()]
        while rest.next() == ",":
            rest.place += 1
            yield rest.several() or [rest.value()]
    if rest.next() != "]":
        raise _NoDocumentError
    if _whole('{"imageDetails": [' + rest.held[rest.place :] + "".join(pieces)):
        raise _NoDocumentError


class _Rest:
    """What is left of a text, of which a piece is held: from ``place`` on it is yet to be read."""

    def __init__(self, held: str, place: int, pieces: Iterator[str]) -> None:
        self.held, self.place, self._pieces = held, place, pieces
        self._decode = json.JSONDecoder().raw_decode
        self._singly = False

    def next(self) -> str:
        """Return the next character that is no space, and go to it; empty at the end."""
        while True:
            found = _SPACE.match(self.held, self.place)
            self.place = found.end() if found else self.place
            if self.place < len(self.held) or not self._more(1):
                return self.held[self.place : self.place + 1]

    def several(self) -> list[Any]:
        """Return the values that follow and are held whole, but for the last, and go behind them.

        They are decoded at once, for a million calls of the decoder take as long as its work: up to
        the last place that looks as the one after the comma does. Returns none where that place is
        inside a value, or the text is wrong: all that follow are read singly then.
        """
        space = _SPACE.match(self.held, self.place)
        if self._singly or not space:
            return []
        end = self.held.rfind(f"}},{space[0]}{{", space.end()) + 1
        values = _decoded(self.held[self.place : end]) if end else []
        self._singly = bool(end) and not values
        self.place = end if values else self.place
        return values

    def value(self) -> Any:  # noqa: ANN401 - JSON that somebody wrote
        """Return the next value, and go behind it. Raises _NoDocumentError."""
        self.next()
        count = 1
        while True:
            try:
                value, self.place = self._decode(self.held, self.place)
            except ValueError:
                # It may only be cut off. What is really wrong is found by reading ever more at once.
                if not self._more(count):
                    raise _NoDocumentError from None
                count *= 2
            else:
                return value

    def _more(self, count: int) -> bool:
        more = "".join(islice(self._pieces, count))
        self.held, self.place = self.held[self.place :] + more, 0
        return bool(more)


def _whole(text: str) -> list[Any]:
    """Return the entries of a whole document. Raises _NoDocumentError."""
    try:
        details = json.loads(text)["imageDetails"]
    except (ValueError, KeyError, TypeError):
        raise _NoDocumentError from None
    if not isinstance(details, list):
        raise _NoDocumentError
    return details


def _read_one(
    entry: str | Mapping[str, Any], place: str, source: str, found: dict[str, list[Image]]
) -> None:
    try:
        detail = json.loads(entry) if isinstance(entry, str) else entry
        found[as_text(detail.get("repositoryName", ""))].append(image_of(detail))
    except KeyError as missing:
        raise _no_image(source, f"{place}: {missing.args[0]} is missing; add it") from None
    except json.JSONDecodeError as wrong:
        said = f"is not JSON, from its character {wrong.pos + 1} on"
        raise _no_image(source, f"{place}: {said}; write an entry a line") from None
    except (AttributeError, OverflowError, RecursionError):
        raise _no_image(source, f"{place}: is no entry of imageDetails; remove it") from None
    except (ValueError, TypeError) as wrong:
        raise _no_image(source, f"{place}: {wrong}; correct it") from None


def _no_image(source: str, offence: str) -> EstateError:
    return EstateError(f"{source} holds an entry that is no image.", [offence])
