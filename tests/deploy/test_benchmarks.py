"""The benchmarks of deploy/ count what happens; what they need to run in earnest is told in docs/deploy-*.md."""

import pytest

from benchmarks import failover, front, ray_serve, through_vllm
from qwen_demo.engines.scripted import Script
from tests.api.conftest import start  # noqa: F401 a fixture


async def test_the_front_benchmark_counts_the_servers_tokens(start):  # noqa: F811
    app = start(Script(["a "] * 6, gap_s=0.01))
    seen = await front.crowd(app.url, [front.body("scripted", number, 6) for number in range(3)])
    assert 0 < seen["ttft_p50_s"] <= seen["latency_p50_s"]
    assert (await front.ask(app.url, front.body("scripted", 9, 6)))["tokens"] == 6
    digests = {request.messages[0].parts[0].digest for request in app.engine.requests}
    assert len(digests) == 4  # so that no cache answers
    with pytest.raises(RuntimeError, match="404"):
        await front.crowd(app.url, [front.body("another", 1, 6)])


async def test_a_cancel_or_an_overload_that_is_not_passed_on_fails_the_run():
    equal = {"asked": 3, "words": 3}
    page, left = {"answered": True}, {"left": through_vllm.LEAVERS, "ended by vLLM all the same": 0}
    refused = {"429": 2, "least Retry-After s": 1.0, "errors": 0}
    assert through_vllm.passed(equal, page, left, refused)
    assert not through_vllm.passed({"asked": 3, "words": 2}, page, left, refused)
    assert not through_vllm.passed(equal, page, {**left, "ended by vLLM all the same": 1}, refused)
    assert not through_vllm.passed(equal, page, left, {**refused, "429": 0})


def test_the_ray_benchmark_runs_the_application_that_is_deployed():
    config = ray_serve.configuration(1234)
    (application,) = config["applications"]
    assert application["import_path"] == "deploy.ray.application:build"
    (replica,) = application["deployments"]
    assert replica["autoscaling_config"]["max_replicas"] == 2
    assert "num_gpus" not in replica["ray_actor_options"]


def test_a_visitor_may_move_only_when_his_server_has_gone():
    crowd = failover.Crowd(users=4, homes={1: ["a"], 2: ["a", "b"], 3: ["c", "b"]}, gone=["a"])
    assert crowd.sessions_moved == 1
    crowd.ended = [(0.5, "whole", "answered", 0.2), (1.5, "stream", "broken", 0.3), (1.6, "page", "told", 0.1)]
    before, after = failover.phases(crowd, [("before", 0, 1), ("after", 1, 2)])
    assert (before["answered"], before["broken off"]) == (1, 0)
    assert (after["answered"], after["broken off"], after["told to come back"], after["lost"]) == (0, 1, 1, 0)
