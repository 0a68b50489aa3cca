"""What the comparison with a peer on a GPU is put together from; servers are started on GPU machines alone."""

from benchmarks import gpu_peers, gpu_timeline

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


def test_ratios_are_ours_over_the_peers_and_the_plot_has_them():
    rows = [row("vllm", "none", 1000.0), row("ours", "none", 1300.0), row("ours", "nf4", 900.0)]
    record = {"hardware": "a card", "rows": rows}
    assert gpu_peers.ratios(record, "none") == {COLUMN: 1.3}
    assert gpu_peers.ratios(record, "nf4") == {}
    drawn = gpu_peers.draw(record)
    assert ">1.30<" in drawn and ">bf16<" in drawn and ">fp8<" not in drawn


def test_a_timeline_counts_what_overlaps_once():
    def event(start, duration, stream, name, kind="kernel"):
        return {"cat": kind, "ts": start, "dur": duration, "args": {"stream": stream}, "name": name}

    events = [event(0, 5, 7, "a"), event(3, 5, 8, "b"), event(10, 5, 8, "b"), {"cat": "cpu_op", "ts": 0, "dur": 99}]
    made = gpu_timeline.summary(events)
    assert made["span_ms"] == 0.015 and abs(made["busy"] - 13 / 15) < 1e-9
    assert made["by_stream"] == {"7": 5 / 15, "8": 10 / 15}
    assert made["kernels"][0] == {"name": "b", "ms": 0.01, "share": 10 / 15, "calls": 2}
    assert gpu_timeline.summary([]) == {"events": 0}
