"""What is deployed is what is tested: the image's versions are the pinned ones, and nothing of the tests is in it."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([a-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def pins(path: Path) -> dict[str, str]:
    return dict(PIN.findall(path.read_text()))


def test_the_image_has_the_versions_that_the_tests_ran_with() -> None:
    deployed, tested = pins(ROOT / "deploy/requirements.txt"), pins(ROOT / "constraints.txt")
    assert deployed.items() <= tested.items()


def test_the_image_has_what_the_room_needs_and_no_more() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    names = {extra: {re.split(r"[<>=!~\[; ]", each)[0].lower() for each in extras[extra]} for extra in extras}
    deployed = set(pins(ROOT / "deploy/requirements.txt"))
    assert names["room"] <= deployed
    assert not (names["dev"] - names["room"]) & deployed


def test_every_pin_has_a_hash() -> None:
    for name in ("constraints.txt", "deploy/requirements.txt"):
        text = (ROOT / name).read_text()
        blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
        assert all("--hash=sha256:" in block for block in blocks if block.strip())
        assert "index" not in text


def test_the_build_is_given_only_what_it_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "deploy/Containerfile").read_text(), re.MULTILINE)
    needed = {each for line in copied for each in line.split()}
    assert {name.removeprefix("!") for name in ignored if name.startswith("!")} == needed
    assert all((ROOT / name).exists() for name in needed)


def test_the_container_can_write_where_it_is_told_to() -> None:
    """Its root is read-only: each place that the commands name is a volume, made for the room's user."""
    image, compose = ((ROOT / "deploy" / name).read_text() for name in ("Containerfile", "compose.yaml"))
    mounted = dict(re.findall(r"^      - (\w+):(/srv/room/\w+)$", compose, re.MULTILINE))
    declared = compose.rpartition("\nvolumes:\n")[2].split()
    assert "read_only: true" in compose
    assert {f"{name}:" for name in mounted} < set(declared)
    (made,) = re.findall(r"install --directory --owner cleanroom --mode 0700 (.+)$", image, re.MULTILINE)
    (volumes,) = re.findall(r"^VOLUME \[(.+)\]$", image, re.MULTILINE)
    assert set(made.split()) == set(re.findall(r'"(.+?)"', volumes)) == set(mounted.values())
    (user,) = re.findall(r"useradd --uid (\d+)", image)
    said = (ROOT / "docs/operating.md").read_text()
    section = said.partition("\n## In a container\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"/srv/room/\w+", section)) == set(mounted.values())
    assert f"chown -R {user}:{user} " in section
    # Compose drops every capability: root writes into the room's private folder, and gives files away, with these two.
    assert "--user root --cap-add CHOWN --cap-add DAC_OVERRIDE " in section
