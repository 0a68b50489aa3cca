"""The recipes of deploy/: valid in themselves, and in step with the program that they start."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from fastapi.testclient import TestClient

from benchmarks import proxy
from deploy.ray.rest import rest_api
from qwen_demo.errors import ModelLoadError
from qwen_demo.service.telemetry import Metrics
from qwen_demo.settings import Settings, load_settings
from qwen_demo.types import Health
from tests import tools
from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yml").read_text())
OBJECTS = [
    made for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) for made in yaml.safe_load_all(path.read_text())
]
SCRIPTS = sorted(DEPLOY.glob("*/*.sh"))


def kubernetes(kind: str, name: str = "") -> dict:
    (found,) = [made for made in OBJECTS if made["kind"] == kind and name in made["metadata"]["name"]]
    return found


def told(script: str, *arguments: str, **environment: str) -> list[str]:
    """What a script would run: its last program is replaced by one that prints its arguments."""
    program = {"VLLM": "/bin/echo", "RAY": "/bin/echo"}
    done = subprocess.run(
        [DEPLOY / script, *arguments], env={**os.environ, **program, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("made", OBJECTS, ids=lambda made: made["kind"])
def test_manifests_follow_the_schemas_of_kubernetes(made):
    kubernetes_validate.validate(made, "1.37", strict=True)


def test_a_misspelt_field_would_be_noticed():
    made = json.loads(json.dumps(kubernetes("Deployment")))
    made["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(made, "1.37", strict=True)


def follows(schema: str, path: Path) -> bool:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", path]
    return subprocess.run(words, capture_output=True).returncode == 0


def test_files_for_compose_and_github_follow_their_schemas(tmp_path):
    assert follows("compose-spec", DEPLOY / "compose" / "compose.yml")
    assert follows("github-workflows", ROOT / ".github" / "workflows" / "test.yml")
    misspelt = tmp_path / "compose.yml"
    misspelt.write_text((DEPLOY / "compose" / "compose.yml").read_text().replace("healthcheck:", "healthchek:"))
    assert not follows("compose-spec", misspelt)


def test_every_selector_finds_the_pods_and_the_autoscaler_its_deployment():
    deployment = kubernetes("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        kubernetes("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        kubernetes("Service", "api")["spec"]["selector"],
        kubernetes("Service", "page")["spec"]["selector"],
    ):
        assert selector.items() <= labels
    assert kubernetes("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]  # applying it again must not undo the autoscaler
    assert kubernetes("Service", "page")["spec"]["sessionAffinity"] == "ClientIP"


def test_the_autoscaler_goes_by_a_number_that_the_app_exports_and_the_adapter_passes_on():
    (metric,) = kubernetes("HorizontalPodAutoscaler")["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    assert f"\n{name} 0.0" in Metrics(lambda: Health(True)).text().decode()
    (rule,) = yaml.safe_load((DEPLOY / "kubernetes" / "adapter" / "values.yaml").read_text())["rules"]["custom"]
    assert rule["seriesQuery"].startswith(name + "{")
    assert int(metric["pods"]["target"]["averageValue"]) < Settings().max_waiting


def test_the_pod_starts_the_program_with_settings_that_it_knows(monkeypatch):
    pod = kubernetes("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    settings = load_settings(container["args"][2:])
    wait_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > wait_s + settings.grace_s
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"--uid {pod['securityContext']['runAsUser']} demo" in dockerfile
    assert f"EXPOSE {container['ports'][0]['containerPort']}" in dockerfile
    routes = (ROOT / "qwen_demo" / "api" / "routes.py").read_text()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert f'@router.get("{container[probe]["httpGet"]["path"]}"' in routes
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"  # /ready would end a pod that drains


def test_compose_starts_the_program_with_settings_that_it_knows(monkeypatch):
    demo = COMPOSE["services"]["demo"]
    for name, value in demo["environment"].items():
        monkeypatch.setenv(name, value)
    settings = load_settings(demo["command"][2:])
    assert settings.engine == "remote"
    assert settings.base_url == ("http://vllm:8000/v1",)
    assert int(demo["stop_grace_period"].removesuffix("s")) > settings.grace_s
    assert settings.trusted_proxies == COMPOSE["networks"]["default"]["ipam"]["config"][0]["subnet"]


def test_compose_opens_only_what_is_meant_for_people_and_checks_everything():
    services = COMPOSE["services"]
    assert {name: service.get("ports") for name, service in services.items() if service.get("ports")} == {
        "nginx": ["80:80", "443:443"],
        "grafana": ["127.0.0.1:3000:3000"],
    }
    assert all(service["healthcheck"]["test"] for service in services.values())
    gpus = services["vllm"]["deploy"]["resources"]["reservations"]["devices"]
    assert gpus[0]["capabilities"] == ["gpu"]


def test_documents_and_comments_ask_compose_by_the_projects_name():
    texts = [path.read_text() for path in [*(ROOT / "docs").glob("*.md"), *(DEPLOY / "compose").iterdir()]]
    asked = [words for text in texts for words in re.findall(r"docker compose (?:-|exec|down).*", text)]
    assert asked and all(words.startswith(f"docker compose -p {COMPOSE['name']} ") for words in asked), asked


def test_what_compose_mounts_is_there_and_its_names_are_those_that_prometheus_and_nginx_use():
    for service in COMPOSE["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / "compose" / source).exists(), mount
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    targets = scraped["scrape_configs"][0]["static_configs"][0]["targets"]
    (server,) = re.findall(r"^server (\S+) ", (DEPLOY / "compose" / "servers.conf").read_text(), re.M)
    assert targets == [server] == ["demo:7860"]
    assert "127.0.0.1;\ndeny all;" in (DEPLOY / "compose" / "inner.conf").read_text()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_scripts_can_be_run_and_parsed(script):
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], capture_output=True, text=True).stderr == ""


def test_nginx_starts_one_app_where_there_is_no_gpu_and_ends_with_it(tmp_path):
    shutil.copytree(DEPLOY / "nginx", tmp_path / "deploy" / "nginx")
    for name in ("certificate.pem", "certificate.key"):
        (tmp_path / "deploy" / "nginx" / name).touch()
    for place in (".venv/bin/python", "bin/nginx"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text('#!/bin/sh\necho "$@" >> "$CALLS"\n')
        (tmp_path / place).chmod(0o755)
    (tmp_path / "own").mkdir()
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "CALLS": f"{tmp_path}/calls", "TMPDIR": f"{tmp_path}/own"}
    assert subprocess.run([tmp_path / "deploy" / "nginx" / "start.sh"], env=environment, timeout=60).returncode == 0
    calls = (tmp_path / "calls").read_text()
    assert "--port 7861" in calls and "--port 7862" not in calls and calls.rstrip().endswith("-s quit")
    assert not list((tmp_path / "own").iterdir())  # the key among them


def test_vllm_is_started_for_one_gpu_for_several_and_for_several_hosts():
    one = told("vllm/serve.sh")
    assert one[:2] == ["serve", "Qwen/Qwen2.5-VL-7B-Instruct"]
    assert "--tensor-parallel-size" not in one and "--quantization" not in one
    assert one[one.index("--host") + 1] == "127.0.0.1"
    pixels = re.search(r"--mm-processor-kwargs (\{.*?\})", " ".join(one)).group(1)
    assert json.loads(pixels) == {"min_pixels": 3136, "max_pixels": 2007040}
    several = told("vllm/serve.sh", "--enforce-eager", GPUS="4", HOSTS="2", QUANTIZATION="fp8", MODEL="/models/x")
    assert several[1] == "/models/x" and several[-1] == "--enforce-eager"
    for flag, value in (("--tensor-parallel-size", "4"), ("--pipeline-parallel-size", "2"), ("--quantization", "fp8"),
                        ("--distributed-executor-backend", "ray")):  # fmt: skip
        assert several[several.index(flag) + 1] == value
    assert told("vllm/cluster.sh", "worker", "10.0.0.1", VLLM_HOST_IP="10.0.0.2")[-1] == "10.0.0.1:6379"


def test_vllm_admits_as_many_images_as_the_demo():
    flags = " ".join(told("vllm/serve.sh"))
    limits = json.loads(re.search(r"--limit-mm-per-prompt (\{.*?\})", flags).group(1))
    assert limits["image"] == Settings().max_images


def test_the_certificate_for_a_first_try_is_one_that_nginx_takes(tmp_path):
    tools.nginx()
    proxy.configure(tmp_path, ["http://127.0.0.1:7861"])
    for name in ("certificate.pem", "certificate.key"):
        (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=r"certificate\.pem"):
        proxy.check(tmp_path)
    subprocess.run([DEPLOY / "nginx" / "certificate.sh", "demo.example", tmp_path], check=True)
    assert "successful" in proxy.check(tmp_path)
    made = (tmp_path / "certificate.pem").read_text()
    assert (tmp_path / "certificate.key").stat().st_mode & 0o077 == 0
    subprocess.run([DEPLOY / "nginx" / "certificate.sh", "demo.example", tmp_path], check=True)
    assert (tmp_path / "certificate.pem").read_text() == made


def test_a_replica_of_ray_has_the_api_with_its_limits_and_no_page():
    settings = Settings(engine="scripted", warmup=False, canary_s=0, max_request_bytes=2000)
    with TestClient(rest_api(settings)) as replica:
        assert replica.get("/ready").status_code == 200  # it has started when the model answers
        answer = replica.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "one two"}]})
        assert answer.json()["choices"][0]["message"]["content"].split() == ["one", "two"]
        assert replica.post("/inference", json={"prompt": "x" * 3000}).status_code == 413
        assert replica.post("/inference", json={"prompt": "hi", "temperature": 9}).status_code == 400
        assert replica.get("/").status_code == 404
        assert "x-content-type-options" in replica.get("/v1/models").headers


def test_a_replica_of_ray_does_not_start_without_its_model():
    settings = Settings(engine="remote", base_url="http://127.0.0.1:1/v1")
    with pytest.raises(ModelLoadError, match="Start one"), TestClient(rest_api(settings)):
        pass


def test_ray_serves_the_program_with_settings_that_it_knows():
    (application,) = yaml.safe_load((DEPLOY / "ray" / "serve.yaml").read_text())["applications"]
    settings = load_settings(application["args"]["flags"])
    module, function = application["import_path"].split(":")
    tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())
    defined = {node.name: ast.unparse(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    (replica,) = application["deployments"]
    assert f"serve.deployment(name='{replica['name']}')" in defined[function]
    # It is the service that turns people away, as it says when to come back; 64 is the most slots it takes by itself.
    assert replica["max_ongoing_requests"] > 64 + settings.max_waiting
    assert replica["graceful_shutdown_timeout_s"] >= settings.request_timeout_s
    assert replica["autoscaling_config"]["max_replicas"] > replica["autoscaling_config"]["min_replicas"]


def test_the_smaller_of_two_models_gives_way_where_that_is_asked_for():
    line = " ".join(told("shared-gpu/two.sh", PYTHON="/bin/echo", GIVE_WAY="1"))
    settings = [load_settings(command.split()) for command in line.split("app.py") if "--model" in command]
    (large,) = [each for each in settings if "7B" in each.model]
    (small,) = [each for each in settings if "3B" in each.model]
    assert large.go_first_file == small.give_way_file and large.go_first_file is not None
    assert large.give_way_file is small.go_first_file is None
    assert not large.go_first_file.exists()  # when both have ended


def test_two_models_on_one_gpu_get_a_part_each_and_mps_only_where_it_is_asked_for():
    """Both lines come at once, so in any order."""
    lines = [" ".join(told("shared-gpu/two.sh", "--max-running", "16", PYTHON="/bin/echo"))]
    lines.append(
        " ".join(told("shared-gpu/two.sh", PYTHON="/bin/echo", MPS="1", MPS_CONTROL="/bin/echo", BIG_GIB="14"))
    )
    for line, big_gib, is_mps in zip(lines, ("20", "14"), (False, True), strict=True):
        commands = {command.split()[1]: command.split() for command in line.split("app.py") if "--model" in command}
        limits = {model: load_settings(words[: words.index("-d")] if "-d" in words else words).memory_limit_gib
                  for model, words in commands.items()}  # fmt: skip
        assert limits == {"Qwen/Qwen2.5-VL-7B-Instruct": float(big_gib), "Qwen/Qwen2.5-VL-3B-Instruct": 12.0}
        assert line.startswith("-d ") is is_mps
