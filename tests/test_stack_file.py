"""A stack's file is read as Pulumi writes it; what is not like that is one error with its key."""

from pathlib import Path

import pytest

from ecr.engine.stack_file import read_stack_file, read_text
from ecr.errors import EstateError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no map `config`"),
        ("config: [1]", "has no map `config`"),
        ("config:\n  ecr-estate:since: 2026-13-45", "month must be in 1..12"),
        ("config:\n  ecr-estate:since: 2026-11-22", "ecr-estate:since: is no plain value"),
        ("config:\n  ecr-estate:loop: &a [*a]", "found an alias; write the value itself"),
        ("config: {", "while parsing a flow node"),
    ],
)
def test_what_is_no_stack_file_is_one_line(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.test.yaml"
    file.write_text(text)
    with pytest.raises(EstateError) as refused:
        read_stack_file(file)
    (offence,) = refused.value.offences
    assert offence.startswith(f"{file}: ")
    assert said in offence
    assert "\n" not in offence


def test_an_encrypted_setting_is_named_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.test.yaml"
    file.write_text(
        "config:\n  ecr-estate:a: {secure: v1:cipher}\n"
        "  ecr-estate:b:\n    c: [{secure: v1:cipher}]\n  github:token: {secure: v1:cipher}\n"
    )
    with pytest.raises(EstateError) as refused:
        read_stack_file(file)
    assert refused.value.offences == tuple(
        f"{file}: ecr-estate:{key}: is encrypted; store it in plain, for it is no secret"
        for key in ("a", "b.c[0]")
    )


def test_what_is_no_text_is_said(tmp_path: Path) -> None:
    file = tmp_path / "binary"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(EstateError, match="is not text in UTF-8"):
        read_text(file)
