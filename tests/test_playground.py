"""The playground: its examples are true, its input is checked, and it needs no more than a browser has."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ecr.images.image import Image
from ecr.lifecycle.simulator import DAY, MOST_DAYS, MOST_PUSHES
from pages.playground import Example, examples, sources
from pages.playground_bridge import play, play_as_json, written_images

NOW = 1_800_000_000.0
ANY = '{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}'


def goes(answer: dict[str, Any]) -> list[str]:
    return sorted(each["imageDigest"] for each in answer["images"] if each["action"])


@pytest.mark.parametrize("example", examples(), ids=lambda example: str(example.name))
def test_an_example_does_what_it_says(example: Example) -> None:
    answer = play(example.policy, example.images, NOW, example.days, example.pushes)
    assert goes(answer) == sorted(example.goes)
    assert bool(example.days) == any(step["day"] for step in answer["forecast"])


def test_images_are_written_by_hand_a_line_each() -> None:
    text = "# mine\n\nA 3d v1 latest\nB 0.5d # no tag\n"
    assert written_images(text, NOW) == [
        Image("A", NOW - 3 * DAY, ("v1", "latest")),
        Image("B", NOW - DAY / 2),
    ]


def test_images_may_be_what_the_command_line_of_aws_prints() -> None:
    text = json.dumps({"imageDetails": [{"imageDigest": "sha256:a", "imagePushedAt": NOW - DAY}]})
    assert written_images(text, NOW) == [Image("sha256:a", NOW - DAY)]
    assert play(ANY, text, NOW)["images"][0]["age"] == 1.0


@pytest.mark.parametrize(
    ("line", "offence"),
    [
        ("A", "line 2: write a name, the age and the tags"),
        ("A soon v1", "line 2: write a name, the age and the tags"),
        ("A -3d v1", "line 2: write a name, the age and the tags"),
        (f"A {'9' * 400}d v1", "line 2: write a name, the age and the tags"),
        ("Z 3d", "line 2: Z stands on line 1 already"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_with_its_remedy(line: str, offence: str) -> None:
    answer = play(ANY, f"Z 1d\n{line}\nB\n", NOW)
    assert answer["problem"] == "The images cannot be read."
    assert answer["offences"][0].startswith(offence)
    assert answer["offences"][1].startswith("line 3:")


def test_a_policy_that_ecr_would_refuse_is_refused_with_its_line() -> None:
    answer = play(ANY.replace("any", "every"), "A 1d\n", NOW)
    assert answer["problem"] == "The policy is not a lifecycle policy that ECR would take."
    assert "line 1, rule 1: selection.tagStatus = 'every'" in answer["offences"][0]
    assert "problem" in play("no JSON", "A 1d\n", NOW)


@pytest.mark.parametrize(
    ("policy", "images"),
    [
        ('{"rules":' * 100_000, "A 1d\n"),
        (ANY.replace('"countNumber":1', f'"countNumber":{"9" * 400}'), "A 1d\n"),
        (ANY, '{"imageDetails":' * 100_000),
        (ANY, json.dumps({"imageDetails": [{"imageDigest": "a", "imagePushedAt": 1}] * 2})),
        (ANY, json.dumps({"imageDetails": [{"imageDigest": "a", "imagePushedAt": 10**400}]})),
    ],
    ids=["a deep policy", "a long number", "deep images", "one image twice", "a long date"],
)
def test_what_no_python_can_read_is_a_problem_in_words(policy: str, images: str) -> None:
    assert play(policy, images, NOW)["offences"]


def test_images_dated_in_the_future_are_said() -> None:
    text = json.dumps({"imageDetails": [{"imageDigest": "a", "imagePushedAt": NOW + DAY}]})
    answer = play(ANY, "\ufeff" + text, NOW)
    assert (answer["images"], answer["later"]) == ([], 1)


@pytest.mark.parametrize(
    ("days", "pushes"), [(-1, 0), (MOST_DAYS + 1, 0), (1, MOST_PUSHES + 1), (1000, 101), (1.5, 0)]
)
def test_it_looks_no_further_ahead_than_a_browser_can(days: Any, pushes: int) -> None:
    assert play(ANY, "A 1d\n", NOW, days, pushes)["offences"][0].startswith("give 0 to 3,650 days")


def test_what_arrives_in_the_days_ahead_pushes_out_what_is_there() -> None:
    answer = json.loads(
        play_as_json(
            json.dumps({"policy": ANY, "images": "A 1d\n", "now": NOW, "days": 1, "pushes": 1})
        )
    )
    assert answer["forecast"] == [{"day": 1, "imageDigest": "A", "action": "expire", "rule": 1}]


def test_what_the_browser_is_given_runs_without_anything_else(tmp_path: Path) -> None:
    for name, text in sources().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    request = {"policy": ANY, "images": "A 1d\nB 2d\n", "now": NOW}
    program = "import sys, pages.playground_bridge as p; print(p.play_as_json(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {program}",
         json.dumps(request)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert goes(json.loads(done.stdout)) == ["B"]
