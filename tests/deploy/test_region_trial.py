"""The recipe of several regions: read by the programs that it is for, and tried in network namespaces."""

import json
import os
import re
import subprocess
import sys

import kubernetes_validate
import pytest
import yaml

from benchmarks import failover, namespaces, proxy, region_trial, region_world
from benchmarks.region_trial import Asked, Phase, Trial
from qwen_demo.settings import Settings
from tests import tools
from tests.api.conftest import start  # noqa: F401 a fixture
from tests.conftest import ROOT

REGIONS = ROOT / "deploy" / "regions"
PLACES = {name: region_world.address(name, "region") for name in region_world.NAMES}


@pytest.fixture(scope="module", autouse=True)
def programs():
    tools.nginx()
    tools.haproxy()


@pytest.fixture
def front(tmp_path):
    """The folders of a region and of a front."""
    for name in ("region", "front"):
        (tmp_path / name).mkdir()
    authority = region_world.configure_region(tmp_path / "region", ["http://127.0.0.1:7861"])
    region_world.configure_front(tmp_path / "front", [authority])
    return tmp_path


def test_the_configurations_as_deployed_are_valid_at_each_place(front):
    for name in ("region", "front"):
        assert "test is successful" in proxy.check(front / name)
    for place in region_world.NAMES:
        assert "valid" in region_world.check_haproxy(front / "front", region_world.order(place, PLACES))
    steering = front / "front" / "haproxy.cfg"
    steering.write_text(steering.read_text().replace("disable-on-404", "disable-on-405"))
    with pytest.raises(ValueError, match="disable-on-405"):
        region_world.check_haproxy(front / "front", region_world.order("eu", PLACES))


def test_the_script_sets_all_that_the_configuration_asks_for():
    asked = set(re.findall(r"\$\{(\w+)\}", (REGIONS / "haproxy.cfg").read_text()))
    assert asked == set(region_world.order("eu", PLACES))
    script = (REGIONS / "front.sh").read_text()
    assert asked <= set(re.search(r"^export (.*)$", script, re.M).group(1).split())
    (container,) = [
        found
        for made in yaml.safe_load_all((REGIONS / "kubernetes" / "front.yaml").read_text())
        if made["kind"] == "Deployment"
        for found in made["spec"]["template"]["spec"]["initContainers"]
        if found["name"] == "haproxy"
    ]
    assert {variable["name"] for variable in container["env"]} == asked


def test_a_front_that_lacks_a_setting_says_which():
    done = subprocess.run([REGIONS / "front.sh"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert done.returncode == 2 and "NAME is not set" in done.stderr


def test_room_is_read_off_what_the_app_says(start):  # noqa: F811
    """A region has room while `eta_s` of `/ready` is below two seconds."""
    (written,) = re.findall(r'expect rstring "(.*)"$', (REGIONS / "haproxy.cfg").read_text(), re.M)
    room = re.compile(written.replace('\\"', '"'))
    app = start()
    with app.client() as client:
        ready = client.get("/ready")
        # What a drained region asks for instead, to see whether anybody lives.
        assert client.get("/drained").status_code == 404
    assert ready.status_code == 200 and room.search(ready.text)
    for eta_s, has_room in ((0.0, True), (1.99, True), (2.0, False), (10.5, False), (19.0, False), (120.0, False)):
        told = json.dumps({**ready.json(), "eta_s": eta_s}, separators=(",", ":"))
        assert bool(room.search(told)) is has_room, told


def test_whoever_is_outside_waits_longer_than_whoever_is_inside():
    """Else the outer one would end an answer without the inner one's reason."""
    steering = (REGIONS / "haproxy.cfg").read_text()
    (server_s,) = re.findall(r"timeout server (\d+)s", steering)
    (region_s,) = re.findall(r"proxy_read_timeout (\d+)s", (proxy.DEPLOYED / "forward.conf").read_text())
    assert int(server_s) > int(region_s) > Settings().request_timeout_s
    assert "include forward.conf" in (REGIONS / "front.conf").read_text()


def test_the_manifests_follow_the_schemas_of_kubernetes():
    made = list(yaml.safe_load_all((REGIONS / "kubernetes" / "front.yaml").read_text()))
    for each in made:
        kubernetes_validate.validate(each, "1.37", strict=True)
    deployment, service, _ = made
    pod = deployment["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    both = pod["spec"]["initContainers"] + pod["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for one in both for port in one["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= set(ports)
    assert f"bind :{ports['living']}" in (REGIONS / "haproxy.cfg").read_text()


def test_the_anycast_route_is_read_by_bird_and_goes_with_the_front():
    bird = tools.bird()
    config = REGIONS / "anycast" / "bird.conf"
    checked = subprocess.run(
        [bird, "-p", "-c", config], env={**os.environ, **tools.libraries(bird)}, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
    unit = (REGIONS / "anycast" / "front.service").read_text()
    (interface,) = re.findall(r'interface "(\w+)"', config.read_text())
    assert f"ExecStartPost=/sbin/ip link set {interface} up" in unit
    assert f"ExecStopPost=-/sbin/ip link delete {interface}" in unit  # also after a crash


def test_packets_are_delayed_by_pair_and_vanish_where_a_place_is_cut_off():
    told = {"between": [["a", "b", 40.0]], "usual": 5.0, "cut": ["c"], "slower": {"b": 300.0}}
    links = namespaces.Links.read(told)
    assert links.delay_s("a", "b") == links.delay_s("b", "a") == 0.34
    assert links.delay_s("a", "d") == 0.005
    assert links.delay_s("a", "c") is None and links.delay_s("c", "a") is None


def one(at_s: float, took_s: float, kind: str = "answered", region: str = "eu", user: int = 0) -> Asked:
    return Asked(at_s, at_s + took_s, "eu", "whole", user, kind, region)


def test_well_again_is_the_end_of_the_last_answer_that_the_loss_made_late():
    well, cut = Phase("well", start_s=0, end_s=10), Phase("cut", "eu", start_s=10, end_s=20)
    trial = Trial([well, cut], [one(at, 1.0) for at in range(9)])
    trial.asked += [one(9, 1.5, "broken"), one(9.5, 4.5, region="us"), one(12, 1.0, region="us")]
    before, after = trial.rows()
    assert (before["broken off"], before["well after s"], before["by eu / us / asia"]) == (0, None, "90 % / 10 % / 0 %")
    assert (after["answered"], after["broken off"], after["well after s"]) == (1, 1, 4.0)
    assert after["by eu / us / asia"] == "0 % / 100 % / 0 %"


def test_a_visitor_may_move_only_from_a_region_that_is_lost():
    drained = Phase("drained", "asia", start_s=0, half_s=5, end_s=10)
    trial = Trial([drained], visits={1: [(0, "asia"), (6, "us")], 2: [(0, "asia"), (3, "us")], 3: [(0, "eu")]})
    assert trial.sessions() == {"visitors": 3, "moves from a lost region": 1, "moves from a living region": 1}


@pytest.mark.slow
def test_a_region_that_is_cut_off_or_drained_loses_no_answer_that_had_not_begun(tmp_path):
    asked = ["--copies", "1", "--users", "12", "--seconds", "6", "--phases", "well,cut,back,drained"]
    command = [sys.executable, "-m", "benchmarks.region_trial", *asked, "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert list(tmp_path.glob("*.json")), done.stdout + done.stderr
    (path,) = tmp_path.glob("*.json")
    found = json.loads(path.read_text())
    rows = {row["phase"]: row for row in found["rows"]}
    assert all(row["lost"] == 0 and row["answered"] > 0 for row in rows.values())
    assert all(float(share.split()[0]) > 0 for share in rows["well"]["by eu / us / asia"].split(" / "))
    assert found["cut region answers again after s"] is not None
    assert found["exit codes of the drained"] == [0]


def test_the_page_says_what_the_trial_found():
    page = (ROOT / "docs" / "regions.md").read_text(encoding="utf-8")
    found = json.loads((ROOT / "benchmarks" / "results" / "region-trial-scripted-amd-epyc-2-cores.json").read_text())
    told = region_trial.show(found)
    assert len(told) == 13 and [line for line in told if line not in " ".join(page.split())] == []
    assert found["moves from a living region"] == 0 and all(row["lost"] == 0 for row in found["rows"])


def test_every_user_of_the_trial_is_one_that_the_benchmark_of_one_region_knows():
    assert {"stream", "whole", "page"} == set(failover.FRONTS)
    assert region_trial.phases(7)[0].name == "well" and sum(phase.guests for phase in region_trial.phases(7)) == 7
