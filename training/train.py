"""Trains the model for one piece of wall-clock time, on one GPU (or a CPU for tests).

    python -m training.train --start DIR --out DIR --limit 570 --progress 0 0.4 [--state FILE]

--start holds the processor files and, to go on from a checkpoint, its weights.  --state keeps everything exact (float32
weights, moments) on a local disk: written at the end of a piece, read at the start where it exists.  --progress says which
part of the whole schedule this piece is; the learning rate follows it, so pieces add up to one run.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader

from training.assets import Assets
from training.dense import LOSSES, WEIGHTS
from training.export import HEADS, export
from training.forward import PackedForward
from training.model import FULL_SIZE, SMOKE_SIZE, load_weights, make_model
from training.optim import Muon, split_parameters
from training.pack import FAMILIES, SMOKE_SHAPE, Batches, Shape

HOLD = 0.45  # share of the schedule at the full learning rate; then linearly to 0
EAGER_STEPS = 5  # before the update is captured as a CUDA graph
AVERAGE = 0.999  # moving average of the weights, exported while the rate is not yet 0


def rate_at(progress):
    return 1.0 if progress < HOLD else max(0.0, (1 - progress) / (1 - HOLD))


def dense_weight(progress, step):
    """The dense labels guide the start and fade later."""
    return min(1.0, (step + 1) / 200) * (0.4 if progress < 0.5 else max(0.1, 0.8 * (1 - progress)))


def worker_start(_):
    torch.set_num_threads(1)


class Trainer:
    """Model, optimisers and step function.  start: folder; size: of training.model; device: "cuda" or "cpu"."""

    def __init__(self, start, size, device, muon_lr, adam_lr, eager=False):
        self.eager, self.device = eager, device
        self.muon_lr, self.adam_lr = muon_lr, adam_lr
        self.step_count, self.progress = 0, 0.0
        self.model = make_model(size)
        self.resumed = any(Path(start).glob("*.safetensors"))
        if self.resumed:
            load_weights(self.model, start)
        self.model = self.model.to(device).train()
        cuda = device == "cuda"
        if cuda:
            torch.cuda.set_stream(torch.cuda.Stream())  # the default stream cannot be captured
        self.forward = PackedForward(self.model, torch.bfloat16 if cuda else torch.float32, reference=not cuda).to(
            device
        )
        heads = Path(start) / HEADS
        if heads.exists():
            self.forward.dense.load_state_dict(load_file(heads))
        self.compiled = torch.compile(self.forward, dynamic=False) if cuda else self.forward
        matrices, others = split_parameters(self.model)
        self.muon = Muon(matrices)
        self.knobs = [torch.zeros((), device=device) for _ in range(3)]  # rates and the share of the dense losses
        self.weights = torch.tensor(WEIGHTS, device=device)
        self.adam = torch.optim.AdamW(
            [*others, *self.forward.dense.parameters()],
            lr=self.knobs[1] if cuda else adam_lr,
            betas=(0.9, 0.98),
            eps=1e-10,
            weight_decay=0.0,
            fused=cuda,
            capturable=cuda,
        )
        self.average = [p.detach().clone() for p in self.model.parameters()]
        self.batch = self.graph = self.result = None
        self.eager_steps = 0

    def step(self, batch, progress, warm_up):
        """One update with a batch in pinned memory.  Returns (losses (1 + dense,), hits per label) on the device."""
        rate = rate_at(progress) * min(1.0, (self.step_count + 1) / warm_up)
        for knob, value in zip(
            self.knobs, (self.muon_lr * rate, self.adam_lr * rate, dense_weight(progress, self.step_count)), strict=True
        ):
            knob.fill_(value)
        if self.batch is None:
            self.batch = {name: torch.empty_like(tensor, device=self.device) for name, tensor in batch.items()}
        for name, tensor in batch.items():
            self.batch[name].copy_(tensor, non_blocking=True)
        if self.graph is None and self.device == "cuda" and not self.eager and self.eager_steps == EAGER_STEPS:
            self._capture()
        if self.graph is None:
            self.result = self._update()
            self.eager_steps += 1
        else:
            self.graph.replay()
        self.step_count, self.progress = self.step_count + 1, progress
        return self.result

    def _capture(self):
        """Records the whole update as one CUDA graph: launching its thousand kernels one by one takes longer than they do."""
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        # Other threads go on pinning batches meanwhile, hence thread_local.
        with torch.cuda.graph(self.graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
            self.result = self._update()

    def _update(self):
        muon_lr, adam_lr, dense_share = self.knobs
        loss, dense, hits = self.compiled(self.batch)
        (loss + dense_share * (dense * self.weights).sum()).backward()
        parameters = list(self.model.parameters())
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        self.muon.step(muon_lr)
        if self.device != "cuda":
            self.adam.param_groups[0]["lr"] = adam_lr.item()
        self.adam.step()
        for parameter in (*parameters, *self.forward.dense.parameters()):
            parameter.grad = None
        with torch.no_grad():
            torch._foreach_lerp_(self.average, parameters, 1 - AVERAGE)
        return torch.cat([loss.detach()[None], dense.detach()]), hits

    # ---- what outlives a piece
    def save_state(self, path):
        moments = {
            "model": self.model.state_dict(),
            "dense": self.forward.dense.state_dict(),
            "muon": self.muon.moments,
            "adam": self.adam.state_dict(),
            "average": self.average,
            "steps": self.step_count,
        }
        torch.save(moments, str(path) + ".part")
        os.replace(str(path) + ".part", path)

    def load_state(self, path):
        saved = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.forward.dense.load_state_dict(saved["dense"])
        self.adam.load_state_dict(saved["adam"])
        if self.device == "cuda":
            self.adam.param_groups[0]["lr"] = self.knobs[1]  # loading put a copy there
        self.muon.moments, self.average, self.step_count = saved["muon"], saved["average"], saved["steps"]

    def export(self, processor_folder, out):
        """The averaged weights, or the last ones where the learning rate reached 0."""
        state = self.model.state_dict()
        if self.progress < 0.97:
            state |= {name: value for (name, _), value in zip(self.model.named_parameters(), self.average, strict=True)}
            state["lm_head.weight"] = state["model.language_model.embed_tokens.weight"]
        export(self.model.config, state, processor_folder, out)
        save_file(
            {k: v.detach().cpu().contiguous() for k, v in self.forward.dense.state_dict().items()},
            Path(out) / HEADS,
        )


class Meter:
    """Averages between two log lines; keeps sums on the device so that no step waits for them."""

    def __init__(self, device, path, started):
        self.device, self.started = device, started
        self.file = Path(path).open("a")  # noqa: SIM115  closed by the run that owns the meter
        self.total = torch.zeros(5, dtype=torch.int64)
        self.waited = 0.0
        self._reset()

    def _reset(self):
        self.steps, self.since = 0, time.time()
        self.losses = torch.zeros(1 + len(LOSSES), device=self.device)
        self.hits = torch.zeros(2, len(FAMILIES), device=self.device)

    def add(self, batch, stat, losses, hits):
        known = (batch["label_weight"] > 0).float()
        self.hits[0].index_add_(0, batch["label_family"], hits * known)
        self.hits[1].index_add_(0, batch["label_family"], known)
        self.losses += losses
        self.total += stat
        self.steps += 1

    def write(self, trainer):
        losses = (self.losses / self.steps).tolist()
        hits, counts = self.hits.tolist()
        record = {
            "step": trainer.step_count,
            "progress": round(trainer.progress, 4),
            "seconds": round(time.time() - self.started, 1),
            "loss": round(losses[0], 4),
            "token_accuracy": round(sum(hits) / max(1, sum(counts)), 4),
            "dense": dict(zip(LOSSES, (round(v, 3) for v in losses[1:]), strict=True)),
            "families": {f: round(h / max(1, c), 3) for f, h, c in zip(FAMILIES, hits, counts, strict=True)},
            "samples": int(self.total[0]),
            "turns": int(self.total[1]),
            "patches": int(self.total[2]),
            "tokens": int(self.total[3]),
            "waited": round(self.waited, 1),
            "step_ms": round((time.time() - self.since) * 1e3 / self.steps, 1),
        }
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()
        self._reset()
        return record


class Pace:
    """Keeps the host at most `ahead` steps before the device."""

    def __init__(self, device, ahead=4):
        self.events, self.ahead = [] if device == "cuda" else None, ahead

    def wait(self):
        if self.events is None:
            return
        self.events.append(torch.cuda.Event())
        self.events[-1].record()
        if len(self.events) > self.ahead:
            self.events.pop(0).synchronize()


def batches(args, shape):
    """An iterator of batches from worker processes, which fork before CUDA starts."""
    assets = Assets(split="test" if args.smoke else "train")  # training's own styles take ten seconds to make
    source = Batches(assets, args.start, args.seed, shape)
    workers = (
        {"num_workers": args.workers, "prefetch_factor": 4, "multiprocessing_context": "fork"} if args.workers else {}
    )
    iterator = iter(
        DataLoader(source, batch_size=None, pin_memory=args.device == "cuda", worker_init_fn=worker_start, **workers)
    )
    next(iterator)
    return iterator


def run(args, started):
    torch.set_float32_matmul_precision("high")
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    shape, size = (SMOKE_SHAPE, SMOKE_SIZE) if args.smoke else (Shape(), FULL_SIZE)
    source = batches(args, shape)
    trainer = Trainer(args.start, size, args.device, args.muon_lr, args.adam_lr, args.eager)
    exact = args.state and Path(args.state).exists()
    if exact:
        trainer.load_state(args.state)
    warm_up = args.warm_up if not (trainer.resumed or exact) else 1 if exact else 100
    pace = Pace(args.device)
    meter, first = Meter(args.device, out / "log.jsonl", started), None
    print(
        f"ready after {time.time() - started:.0f} s; exact state: {bool(exact)}; weights: {trainer.resumed}", flush=True
    )
    steps = 0
    while steps < args.steps and time.time() - started < args.limit:
        share = 0.0 if first is None else (time.time() - first) / max(1e-6, args.limit - (first - started))
        share = max(share, steps / args.steps if args.steps < 10**8 else 0)
        before = time.time()
        batch = next(source)
        meter.waited += time.time() - before
        stat = batch.pop("stat")
        low, high = args.progress
        losses, hits = trainer.step(batch, low + (high - low) * min(1.0, share), warm_up)
        meter.add(trainer.batch, stat, losses, hits)
        pace.wait()
        steps += 1
        if first is None:
            if args.device == "cuda":
                torch.cuda.synchronize()
            first = time.time()  # the schedule starts after compilation
        if steps % args.log_every == 0 or steps in (1, 20):
            record = meter.write(trainer)
            if steps % (args.log_every * 5) == 0 or steps <= args.log_every:
                print(json.dumps(record), flush=True)
    if meter.steps:
        print(json.dumps(meter.write(trainer)), flush=True)
    meter.file.close()
    trainer.progress = args.progress[1]
    trainer.export(args.start, out / "checkpoint")
    print(f"exported after {time.time() - started:.0f} s", flush=True)
    if args.state:
        trainer.save_state(args.state)
        print(f"state written after {time.time() - started:.0f} s", flush=True)


def main():
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", required=True, help="folder with the processor files, and weights to go on from")
    parser.add_argument("--out", required=True)
    parser.add_argument("--state", help="file for the exact state between pieces")
    parser.add_argument("--limit", type=float, default=570, help="seconds from process start to the last step")
    parser.add_argument(
        "--progress", type=float, nargs=2, default=(0.0, 1.0), help="part of the schedule that this piece is"
    )
    parser.add_argument("--steps", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=1, help="of the data; another one for each piece")
    parser.add_argument("--workers", type=int, default=15)
    parser.add_argument("--warm-up", type=int, default=400)
    parser.add_argument("--muon-lr", type=float, default=3e-3)
    parser.add_argument("--adam-lr", type=float, default=2e-3)
    parser.add_argument("--log-every", type=int, default=100)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--eager", action="store_true", help="no CUDA graph")
    parser.add_argument("--smoke", action="store_true", help="tiny model and batches, for tests on a CPU")
    run(parser.parse_args(), started)
    os._exit(0)  # worker processes hold prefetched batches: do not wait for them


if __name__ == "__main__":
    main()
