"""Families: what belongs to an image is found to its ends, and what is not known is said."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr.images.family import Families, companion_of
from ecr.images.image import LISTS, Image, image_of
from ecr.images.manifest import parse_manifest

AMD, ARM, INNER, LIST, SIGNATURE, SBOM = (f"sha256:{digit * 64}" for digit in "abcdef")
INDEX, DOCKER_LIST = LISTS


def image(digest: str, *tags: str, **facts: Any) -> Image:
    return Image(digest, 0.0, tags, **facts)


def tag_of(digest: str, ending: str = "") -> str:
    return digest.replace(":", "-") + ending


NESTED = [
    image(LIST, "v1", parts=(INNER, ARM)),
    image(INNER, parts=(AMD,)),
    image(AMD),
    image(ARM),
]


def test_a_list_is_followed_to_the_parts_of_its_parts() -> None:
    below = Families(NESTED).below(LIST)
    assert below.digests == (LIST, INNER, ARM, AMD)
    assert below.is_whole


def test_a_part_is_followed_to_every_list_by_which_it_can_be_run() -> None:
    above = Families(NESTED).above(AMD)
    assert above.digests == (AMD, INNER, LIST)
    assert [member.of for member in above.members] == [AMD, AMD, INNER]


def test_companions_by_tag_and_by_referrer_belong_to_the_part_that_they_are_about() -> None:
    families = Families(
        [
            *NESTED,
            image(SIGNATURE, tag_of(AMD, ".sig")),
            image(SBOM, subject=SIGNATURE),
        ]
    )
    kinds = {member.digest: member.kind for member in families.whole(LIST).members}
    assert kinds == {
        LIST: "itself", INNER: "part", ARM: "part", AMD: "part",
        SIGNATURE: "signature", SBOM: "referrer",
    }  # fmt: skip
    assert families.below(LIST).digests == (LIST, INNER, ARM, AMD)
    assert [each.digest for each in families.subjects(SIGNATURE)] == [AMD]


@pytest.mark.parametrize(
    ("ending", "kind"),
    [(".sig", "signature"), (".att", "attestation"), (".sbom", "sbom"), ("", "tag"), (".x", "tag")],
)
def test_a_companions_tag_says_what_it_is_about_and_of_which_kind(ending: str, kind: str) -> None:
    assert companion_of(tag_of(AMD, ending)) == (AMD, kind)


@pytest.mark.parametrize("tag", ["v1", "sha256-abc.sig", tag_of(AMD).upper(), tag_of(AMD, ".")])
def test_another_tag_is_no_companions(tag: str) -> None:
    assert companion_of(tag) is None


def test_what_is_missing_is_said_and_so_is_a_list_of_which_the_parts_are_not_known() -> None:
    families = Families(
        [image(LIST, parts=(INNER, ARM)), image(INNER, parts=None), image(SBOM, subject=AMD)]
    )
    family = families.whole(LIST)
    assert (family.digests, family.missing, family.unknown) == ((LIST, INNER), (ARM,), (INNER,))
    assert not family.is_whole
    assert families.unread == {INNER}
    assert families.subjects(SBOM)[0].digest == AMD
    assert AMD not in families
    assert families.above(ARM).missing == (ARM,)


def test_circles_end() -> None:
    families = Families(
        [
            image(LIST, parts=(INNER, LIST)),
            image(INNER, parts=(LIST,), subject=SBOM),
            image(SBOM, subject=INNER),
            image(AMD, subject=AMD),
        ]
    )
    assert families.below(LIST).digests == (LIST, INNER)
    assert families.above(LIST).digests == (LIST, INNER)
    assert families.whole(INNER).digests == (INNER, LIST, SBOM)
    assert families.companions(AMD) == ()


NAMES = st.sampled_from([AMD, ARM, INNER, LIST])


@given(st.dictionaries(NAMES, st.tuples(st.lists(NAMES, max_size=3), st.none() | NAMES)))
def test_above_is_the_opposite_of_below(facts: dict[str, tuple[list[str], str | None]]) -> None:
    images = [image(d, parts=tuple(parts), subject=about) for d, (parts, about) in facts.items()]
    families = Families(images)
    for one in facts:
        assert set(families.below(one).digests) <= set(families.whole(one).digests)
        for other in facts:
            assert (other in families.below(one).digests) == (one in families.above(other).digests)


def described(**facts: Any) -> Image:
    return image_of({"imageDigest": AMD, "imagePushedAt": 1, **facts})


def test_a_list_without_parts_is_one_of_which_they_are_not_known() -> None:
    assert described(imageManifestMediaType=INDEX).parts is None
    assert described(imageManifestMediaType=DOCKER_LIST, parts=[ARM]).parts == (ARM,)
    assert described(imageManifestMediaType="application/json").parts == ()


@pytest.mark.parametrize(
    ("status", "pullable"),
    [(None, True), ("ACTIVE", True), ("ARCHIVED", False), ("ACTIVATING", False)],
)
def test_an_image_that_is_archived_or_comes_back_cannot_be_pulled(
    status: str | None,
    pullable: bool,  # noqa: FBT001 - what is expected, by its name
) -> None:
    read = described(imageStatus=status)
    assert read.pullable == (read.storage_class == "standard") == pullable
    assert read.restoring == (status == "ACTIVATING")


def test_a_list_names_its_platforms_its_attestations_and_its_lists() -> None:
    read = parse_manifest(
        json.dumps(
            {
                "mediaType": INDEX,
                "manifests": [
                    {
                        "digest": ARM,
                        "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"},
                    },
                    {
                        "digest": SBOM,
                        "platform": {"os": "unknown", "architecture": "unknown"},
                        "annotations": {
                            "vnd.docker.reference.type": "attestation-manifest",
                            "vnd.docker.reference.digest": ARM,
                        },
                    },
                    {"digest": INNER, "mediaType": INDEX},
                ],
            }
        )
    )
    assert read.is_list
    arm, attestation, inner = read.parts
    assert (arm.platform, arm.attests) == ("linux/arm64/v8", "")
    assert attestation.attests == ARM
    assert inner.is_list


def test_an_image_names_its_configuration_and_its_subject() -> None:
    text = json.dumps({"config": {"digest": AMD, "mediaType": "a/b"}, "subject": {"digest": ARM}})
    read = parse_manifest(text, "application/vnd.oci.image.manifest.v1+json")
    assert (read.config, read.subject, read.artifact_type) == (AMD, ARM, "a/b")
    assert not read.is_list
    assert parse_manifest('{"manifests": []}').is_list


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", '{"manifests": 7}', '{"mediaType": 7}', '{"config": {"digest": "sha256:a"}}',
        '{"manifests": [{}]}', '{"manifests": ["x"]}', '{"subject": {"digest": 7}}',
        '{"a":' * 100_000, " " * 5_000_000,
    ],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_manifest_is_not_half_understood(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json raises one of its own
        parse_manifest(text)
