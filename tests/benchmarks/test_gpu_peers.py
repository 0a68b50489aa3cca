"""What the comparison with a peer on a GPU is put together from; servers are started on GPU machines alone."""

import contextlib
import json

import psutil

from benchmarks import gpu_peers, gpu_timeline, machine, over_http

COLUMN = "64 users, 1036 x 756, 64 tokens"


def row(server: str, kind: str, tokens_per_s: float) -> dict:
    return {"server": server, "quantization": kind, "column": COLUMN, "tokens_per_s": tokens_per_s, "errors": 0}


def test_both_servers_get_the_same_checkpoint_and_as_many_slots():
    server = gpu_peers.peer("python3", "/somewhere", "fp8")
    filled = [part.format(checkpoint="/made", port="{port}").format(port=7) for part in server.command]
    assert filled[:3] == ["python3", "-m", "vllm.entrypoints.openai.api_server"]
    assert filled[filled.index("--model") + 1] == "/made" and filled[filled.index("--port") + 1] == "7"
    assert filled[filled.index("--limit-mm-per-prompt") + 1] == '{"image":1,"video":0}'
    assert filled[-2:] == ["--quantization", "fp8"] and server.variables["PYTHONPATH"] == "/somewhere"


def test_beside_others_the_peer_has_a_bound_of_keys_and_values():
    alone, beside = (gpu_peers.peer("python3", "", "nf4", room).command for room in (None, 5.5))
    assert alone[alone.index("--gpu-memory-utilization") + 1] == "0.85" and "--kv-cache-memory-bytes" not in alone
    assert beside[beside.index("--kv-cache-memory-bytes") + 1] == str(11 * 2**29)


def test_together_all_are_there_before_the_first_is_asked_and_one_that_fails_keeps_no_other_away(
    tmp_path, monkeypatch, capsys
):
    happened = []

    @contextlib.contextmanager
    def started(turn, server, options, settings, cache):
        assert settings == (["--slots", "3"] if turn.name == "ours" else [])
        if turn.about == {"server": "vllm", "quantization": "fp8", "round": 1}:
            raise RuntimeError("no room")
        happened.append(f"start {turn.name} {turn.quantization}")
        yield gpu_peers.Running("http://127.0.0.1:9", Ended(), 1.0)

    class Ended(psutil.Process):
        def terminate(self):
            happened.append("end")

        def wait(self, timeout=None):
            return 0

    def asked(running, turn, server, columns):
        happened.append(f"ask {turn.name} {turn.quantization}")
        return {"rows": [{**turn.about, "column": columns[0].name, "tokens_per_s": 1.0, "errors": 0}], "starts": []}

    monkeypatch.setattr(gpu_peers, "started", started)
    monkeypatch.setattr(gpu_peers, "asked", asked)
    monkeypatch.setattr(machine, "hardware", lambda: "a card")  # else PyTorch is imported for its name
    told = ["--checkpoint", "x", "--kinds", "nf4,fp8", "--together", "--columns", "1x1,56x56,3", "--out", str(tmp_path)]
    assert gpu_peers.main([*told, "--slots", "3"]) == 1
    starts, rest = happened[:3], happened[3:]
    assert sorted(starts) == ["start ours fp8", "start ours nf4", "start vllm nf4"]
    assert rest == ["ask vllm nf4", "ask ours nf4", "ask ours fp8", "end", "end", "end"]
    result = json.loads(next(tmp_path.iterdir()).read_text())
    assert result["together"] and [each["reason"] for each in result["failed"]] == ["no room"]
    assert "no room" in capsys.readouterr().out


def test_memory_on_the_gpu_is_that_of_the_server_and_its_children(tmp_path, monkeypatch):
    told = tmp_path / "nvidia-smi"
    own = psutil.Process()
    told.write_text(f"#!/bin/sh\necho '{own.pid}, 700'; echo '{own.ppid()}, 90000'; echo '[N/A], [N/A]'\n")
    told.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert over_http.gpu_mib(own) == 700
    told.write_text("#!/bin/sh\nexit 6\n")
    assert over_http.gpu_mib(own) is None


def test_ratios_are_ours_over_the_peers_and_the_plot_has_them():
    rows = [row("vllm", "none", 1000.0), row("ours", "none", 1300.0), row("ours", "nf4", 900.0)]
    record = {"hardware": "a card", "rows": rows}
    assert gpu_peers.ratios(record, "none") == {COLUMN: 1.3}
    assert gpu_peers.ratios(record, "nf4") == {}
    drawn = gpu_peers.draw(record)
    assert ">1.30<" in drawn and ">bf16<" in drawn and ">fp8<" not in drawn


def test_of_results_taken_together_the_last_one_counts():
    parts = [{"rows": [row("ours", "fp8", rate)], "starts": [], "processes": [], "failed": []} for rate in (9.0, 12.0)]
    parts[0]["rows"].append(row("vllm", "fp8", 8.0))
    made = gpu_peers.together(parts)
    assert [each["server"] for each in made["rows"]] == ["vllm", "ours"]
    assert gpu_peers.ratios(made, "fp8") == {COLUMN: 1.5}


def test_a_timeline_counts_what_overlaps_once():
    def event(start, duration, stream, name, kind="kernel"):
        return {"cat": kind, "ts": start, "dur": duration, "args": {"stream": stream}, "name": name}

    events = [event(0, 5, 7, "a"), event(3, 5, 8, "b"), event(10, 5, 8, "b"), {"cat": "cpu_op", "ts": 0, "dur": 99}]
    made = gpu_timeline.summary(events)
    assert made["span_ms"] == 0.015 and abs(made["busy"] - 13 / 15) < 1e-9
    assert made["by_stream"] == {"7": 5 / 15, "8": 10 / 15}
    assert made["kernels"][0] == {"name": "b", "ms": 0.01, "share": 10 / 15, "calls": 2}
    assert gpu_timeline.summary([]) == {"events": 0}
