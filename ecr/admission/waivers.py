"""Waivers: findings and images that are accepted for a while, with the reason.

Owns the file's form and what a waiver covers. Reads one YAML file. A waiver that has expired covers
nothing, and is reported; so is one that covers nothing that there is.
"""

from datetime import date
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from ecr.errors import EstateError
from ecr.plain_yaml import load_yaml

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Waiver(BaseModel):
    """One exception; at least one of ``finding`` and ``image`` says from what.

    ``image`` is NAME, NAME:TAG or NAME@DIGEST, in whichever registry. ``expires`` is the last day.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    finding: _Text | None = None
    image: _Text | None = None
    reason: _Text
    expires: date

    @model_validator(mode="after")
    def _covers_something(self) -> "Waiver":
        if self.finding is None and self.image is None:
            raise ValueError("names neither a finding nor an image")
        return self

    def covers(self, names: frozenset[str], finding: str | None) -> bool:
        """Return whether it covers a finding (None: that there was no scan) in an image of these names."""
        return (self.finding is None or self.finding == finding) and (
            self.image is None or self.image in names
        )

    def __str__(self) -> str:
        what = " in ".join(part for part in (self.finding, self.image) if part)
        return f"{what}, expires {self.expires} ({self.reason})"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    waivers: tuple[Waiver, ...]


def read_waivers(file: Path) -> tuple[Waiver, ...]:
    """Read the file; raises EstateError with everything that is wrong in it."""
    try:
        return _File.model_validate(load_yaml(file.read_text(encoding="utf-8"))).waivers
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise EstateError("The waivers cannot be read.", [f"{file}: {error}"]) from error
    except ValidationError as error:
        raise EstateError(
            "The waivers cannot be read.",
            [
                f"{file}: {'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}; each waiver "
                "has finding or image (or both), reason and expires, a date"
                for each in error.errors()
            ],
        ) from error
