"""Where one training step spends its time on the GPU, and how fast batches come.

    python -m training.profile_step --start DIR [--seconds 20]

Prints the median step time, pictures a second, the time of each kind of kernel, and the loss of the plain reference path
on the same batch, which must agree with the fast one.
"""

import argparse
import time

import torch
from torch.profiler import ProfilerActivity, profile

from training.forward import PackedForward
from training.model import FULL_SIZE
from training.train import Shape, Trainer, batches


def timed(trainer, source, seconds):
    """(median step in ms, samples a second, share of the time spent waiting for data)"""
    times, samples, waited, start = [], 0, 0.0, time.time()
    while time.time() - start < seconds:
        before = time.time()
        batch = next(source)
        waited += time.time() - before
        samples += int(batch.pop("stat")[0])
        trainer.step(batch, 0.1, 400)
        torch.cuda.synchronize()
        times.append(time.time() - before)
    total = time.time() - start
    return sorted(times)[len(times) // 2] * 1e3, samples / total, waited / total


def main():
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", required=True)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--workers", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="compare with the reference path")
    args = parser.parse_args()
    args.device = "cuda"
    torch.set_float32_matmul_precision("high")
    source = batches(args, Shape())
    print(f"first batch after {time.time() - started:.1f} s", flush=True)
    trainer = Trainer(args.start, FULL_SIZE, "cuda", 3e-3, 2e-3)
    batch = next(source)
    print("samples, turns, patches, tokens, labels:", batch.pop("stat").tolist())
    losses, _ = trainer.step(batch, 0.0, 400)
    torch.cuda.synchronize()
    print(f"compiled after {time.time() - started:.1f} s; losses {losses.tolist()}", flush=True)
    step, rate, waiting = timed(trainer, source, args.seconds)
    peak_gib = torch.cuda.max_memory_allocated() / 2**30
    print(
        f"step {step:.1f} ms, {rate:.0f} samples/s, {waiting:.0%} waiting for data, peak {peak_gib:.1f} GiB", flush=True
    )
    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as trace:
        for _ in range(3):
            trainer.step(batch, 0.1, 400)
        torch.cuda.synchronize()
    table = trace.key_averages().table(sort_by="self_cuda_time_total", row_limit=45, max_name_column_width=70)
    print("\n".join(line[:72] + line[-120:] for line in table.splitlines()), flush=True)
    if args.check:
        fast = trainer.compiled(trainer.batch)
        with torch.no_grad():
            plain = PackedForward(trainer.model, torch.bfloat16, reference=True).cuda()
            plain.dense.load_state_dict(trainer.forward.dense.state_dict())
            slow = plain(trainer.batch)
        print("fast", fast[0].item(), fast[1].tolist(), "\nplain", slow[0].item(), slow[1].tolist())


if __name__ == "__main__":
    main()
    import os

    os._exit(0)
