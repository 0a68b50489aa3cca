"""The image, as far as its recipe tells; `deploy/container/try.sh` builds and runs it."""

import fnmatch
import json
import re

import pytest
import yaml

from qwen_demo.errors import SettingsError
from qwen_demo.server.listening import refuse_open_door
from qwen_demo.settings import load_settings
from tests.conftest import ROOT

# Without comments, and with lines that go on joined.
DOCKERFILE = re.sub(r"\\\n\s*", "", re.sub(r"^ *#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M))
LINES = [line.partition(" ")[::2] for line in DOCKERFILE.splitlines() if line]


def lines(instruction: str) -> list[str]:
    return [rest for name, rest in LINES if name == instruction]


@pytest.fixture
def in_the_image(monkeypatch):
    """The variables that the image sets are set."""
    for line in lines("ENV"):
        for name, value in re.findall(r"(\w+)=(\S+)", line):
            if name.startswith("QWEN_DEMO_"):
                monkeypatch.setenv(name, value)


def arguments() -> list[str]:
    """The flags of the image's command."""
    program, script, *flags = json.loads(lines("CMD")[0])
    assert (program, script) == ("python", "app.py")
    return flags


def test_the_base_can_be_chosen():
    assert LINES[0][0] == "ARG"
    assert LINES[0][1].startswith("BASE=")
    assert lines("FROM") == ["${BASE}"]


def test_the_door_is_closed_until_somebody_opens_it(in_the_image, monkeypatch):
    settings = load_settings(arguments())
    assert settings.host == "0.0.0.0"
    with pytest.raises(SettingsError, match="QWEN_DEMO_OPEN=true"):
        refuse_open_door(settings)
    monkeypatch.setenv("QWEN_DEMO_OPEN", "true")
    refuse_open_door(load_settings(arguments()))
    monkeypatch.delenv("QWEN_DEMO_OPEN")
    monkeypatch.setenv("QWEN_DEMO_API_KEYS_FILE", "/access/keys")
    monkeypatch.setenv("QWEN_DEMO_PAGE_USERS_FILE", "/access/users")
    refuse_open_door(load_settings(arguments()))


def test_who_deploys_it_says_who_may_use_it(in_the_image, monkeypatch):
    compose = yaml.safe_load((ROOT / "deploy" / "compose" / "compose.yml").read_text())["services"]["demo"][
        "environment"
    ]
    (pod, *_) = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "deployment.yaml").read_text())
    (container,) = pod["spec"]["template"]["spec"]["containers"]
    for variables in (compose, {each["name"]: each["value"] for each in container["env"]}):
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            refuse_open_door(load_settings(arguments()))


def test_what_people_keep_lies_in_a_volume_that_outlives_the_container(in_the_image):
    (volumes,) = lines("VOLUME")
    settings = load_settings(arguments())
    assert {str(settings.knowledge_dir.parent), str(settings.state_dir.parent)} <= set(json.loads(volumes))
    assert str(settings.weights_cache_dir.parent) in json.loads(volumes)
    compose = yaml.safe_load((ROOT / "deploy" / "compose" / "compose.yml").read_text())
    (mounted,) = compose["services"]["demo"]["volumes"]
    volume, _, place = mounted.partition(":")
    assert volume in compose["volumes"] and place == str(settings.knowledge_dir.parent)


def test_a_pods_collections_cannot_fill_its_disk():
    (pod, *_) = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "deployment.yaml").read_text())
    spec = pod["spec"]["template"]["spec"]
    (scratch,) = [volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume]
    env = {each["name"]: each["value"] for each in spec["containers"][0]["env"]}
    settings = load_settings(["--max-knowledge-bytes", env["QWEN_DEMO_MAX_KNOWLEDGE_BYTES"]])
    # What was read off the files lies beside them.
    assert 2 * settings.max_knowledge_bytes + settings.max_upload_bytes <= 8 << 30
    assert scratch["sizeLimit"] == "8Gi"


def test_the_program_is_an_ordinary_users():
    assert lines("USER") == ["10001"]
    after = [name for name, _ in LINES[LINES.index(("USER", "10001")) :]]
    assert {"COPY", "CMD"} <= set(after)


def test_the_health_check_asks_where_the_program_listens(in_the_image):
    (check,) = lines("HEALTHCHECK")
    url = json.loads(re.search(r"CMD (\[.*\])", check).group(1))[-1]
    port = load_settings(arguments()).port
    assert url == f"http://127.0.0.1:{port}/health"
    assert lines("EXPOSE") == [str(port)]


def test_what_is_copied_is_there_and_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text().split()
    for line in lines("COPY"):
        *sources, _ = line.partition(" ")[2].split()
        for source in sources:
            assert (ROOT / source).exists()
            last = next(each for each in reversed(ignored) if fnmatch.fnmatch(source, each.lstrip("!")))
            assert last.startswith("!"), f"{source} is in .dockerignore"


def test_nothing_but_what_is_copied_travels():
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = {source for line in lines("COPY") for source in line.partition(" ")[2].split()[:-1]}
    assert ignored[0] == "*"
    assert {each[1:] for each in ignored if each.startswith("!")} == copied
