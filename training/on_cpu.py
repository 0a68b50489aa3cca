"""Goes on with the language layers alone on a few CPU cores; the vision tower and the words' table stay as they are.

    python -m training.on_cpu --start DIR --out DIR --minutes 80 --workers 2 --mix shapes=75,photo=26

For a small repair where there is no GPU: a step of three rows takes 1.4 seconds of a core with AVX512-BF16. Each worker is
a process with one thread, batches and moments of its own; every few steps it and the average of all draw nearer to each
other (elastic averaging, Zhang et al. 2015), and the average is what is written.
"""

import argparse
import itertools
import os
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import torch
import torch.nn.functional as F
from torch import multiprocessing

from training.assets import Assets
from training.export import export
from training.forward import HEAD, PackedForward, gated_mlp, linear, rms_norm, rotate
from training.model import FULL_SIZE, SMOKE_SIZE, load_weights, make_model
from training.pack import FAMILIES, Packer, Shape
from training.world.world import MIX, World

PULL, MEET_EVERY = 0.25, 5
WARM_UP = 10
LEAST = 0.03  # of the rate, at the end
FROZEN = ("visual", "embed_tokens", "lm_head")


class SparseForward(PackedForward):
    """The answers' loss of `PackedForward`, without padding: each picture, window and document attends by itself."""

    def __init__(self, model, dtype=torch.bfloat16):
        super().__init__(model, dtype, reference=True)

    def vision_block(self, block, x, cos, sin, ends, longest):
        attention, heads = block.attn, x.shape[-1] // HEAD
        qkv = linear(rms_norm(x, block.norm1.weight), attention.qkv.weight, attention.qkv.bias)
        q, k, v = qkv.view(-1, 3, heads, HEAD).unbind(1)
        q, k, out = rotate(q, cos, sin), rotate(k, cos, sin), torch.empty_like(v)
        for at in _by_length(ends, len(x)):
            parts = (t[at].transpose(1, 2) for t in (q, k, v))
            out[at] = F.scaled_dot_product_attention(*parts).transpose(1, 2)
        x = x + linear(out.reshape(-1, heads * HEAD), attention.proj.weight, attention.proj.bias)
        return x + gated_mlp(rms_norm(x, block.norm2.weight), block.mlp)

    def mask(self, document, dialogue):
        """For each document: its row, its span, and what is added to its scores [tokens, tokens]."""
        spans = []
        for row, numbers in enumerate(document):
            cuts = [0, *(torch.nonzero(numbers[1:] != numbers[:-1])[:, 0] + 1).tolist(), len(numbers)]
            for start, stop in itertools.pairwise(cuts):
                if numbers[start] >= 0:
                    own, i = dialogue[row, start:stop], torch.arange(stop - start)
                    seen = (i[:, None] >= i) & ((own == 0) | (own[:, None] == own))
                    hidden = torch.zeros(seen.shape, dtype=self.dtype).masked_fill(~seen, -torch.inf)
                    spans.append((row, slice(start, stop), hidden))
        return spans

    def text_attention(self, attention, x, cos, sin, mask):
        rows, length, _ = x.shape
        parts = [attention.q_proj, attention.k_proj, attention.v_proj]
        qkv = linear(x, torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts]))
        q, k, v = qkv.view(rows, length, -1, HEAD).transpose(1, 2).split([self.heads, self.kv_heads, self.kv_heads], 1)
        q, k, shared = rotate(q, cos, sin) * HEAD**-0.5, rotate(k, cos, sin), self.heads // self.kv_heads
        answered: list[list[torch.Tensor]] = [[x.new_zeros(0, self.heads * HEAD)] for _ in range(rows)]
        for row, span, hidden in mask:
            tokens = span.stop - span.start
            # The heads that share keys are one product.
            queries = q[row, :, span].reshape(self.kv_heads, shared * tokens, HEAD)
            scores = (queries @ k[row, :, span].transpose(1, 2)).view(self.kv_heads, shared, tokens, tokens) + hidden
            mixed = torch.softmax(scores, -1).view(self.kv_heads, shared * tokens, tokens) @ v[row, :, span]
            answered[row].append(mixed.view(self.heads, tokens, HEAD).transpose(0, 1).reshape(tokens, -1))
        padded = [F.pad(line, (0, 0, 0, length - len(line))) for line in map(torch.cat, answered)]
        return linear(torch.stack(padded), attention.o_proj.weight)

    def forward(self, batch):
        """(answer loss, 1.0 for each label token that was predicted right). The tower gets no gradient."""
        _, _, patches, _, labels = batch["stat"].tolist()
        batch = batch | {name: batch[name][:patches] for name in ("second", "places")}
        batch["target"] = batch["target"][: patches // 4]
        with torch.no_grad():
            pictures = self.vision(batch)
        x, _ = self.hidden(pictures, batch)
        x = x.reshape(-1, x.shape[-1])[batch["label_at"][:labels].long()]
        logits = linear(x, self.model.model.language_model.embed_tokens.weight).float()
        token, weight = batch["label_token"][:labels].long(), batch["label_weight"][:labels]
        loss = (F.cross_entropy(logits, token, reduction="none") * weight).sum() / weight.sum()
        return loss, (logits.argmax(-1) == token).float()


def _by_length(ends, count):
    """Patches of the segments between `ends`, [segments, length] for each length that there is."""
    firsts: dict[int, list[int]] = {}
    for start, stop in itertools.pairwise(torch.unique(ends.clamp(max=count)).tolist()):
        firsts.setdefault(stop - start, []).append(start)
    return [torch.tensor(starts)[:, None] + torch.arange(length) for length, starts in firsts.items()]


class Average:
    """What all workers draw near to; float32, in memory that processes share.  parameters: where it starts."""

    def __init__(self, parameters):
        self._shared = [p.detach().clone().share_memory_() for p in parameters]
        self._alone = multiprocessing.get_context("fork").Lock()

    @torch.no_grad()
    def meet(self, parameters):
        """Each of both goes a part of the way to the other."""
        with self._alone:
            apart = torch._foreach_sub(list(parameters), self._shared)
            torch._foreach_mul_(apart, PULL)
            torch._foreach_sub_(list(parameters), apart)
            torch._foreach_add_(self._shared, apart)

    def values(self):
        return self._shared


def trained(model):
    """name -> parameter"""
    return {name: p for name, p in model.named_parameters() if not any(part in name for part in FROZEN)}


def work(args, assets, model, average, index, began):
    """One worker, until the time or the steps are over."""
    torch.set_num_threads(1)
    torch.manual_seed(args.seed + index)
    shape = Shape(args.rows, 1024, 1280 * args.rows, 800 * args.rows, 1024 * args.rows)
    packer = Packer(World(args.seed + index, assets, mix=MIX | args.mix), args.start, shape)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    parameters = [parameter.requires_grad_() for parameter in trained(model).values()]
    forward = SparseForward(model, torch.float32 if args.smoke else torch.bfloat16)
    adam = torch.optim.AdamW(parameters, lr=args.rate, betas=(0.9, 0.97), weight_decay=0.0, foreach=True)
    losses, hits, steps = 0.0, torch.zeros(2, len(FAMILIES)), 0
    while steps < args.steps and (done := (time.monotonic() - began) / (60 * args.minutes)) < 1:
        adam.param_groups[0]["lr"] = args.rate * min(1, (steps + 1) / WARM_UP) * max(LEAST, 1 - done)
        batch = packer.batch()
        loss, right = forward(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        adam.step()
        adam.zero_grad()
        steps += 1
        losses += loss.item()
        families = batch["label_family"][: len(right)]
        hits[0].index_add_(0, families, right)
        hits[1].index_add_(0, families, torch.ones_like(right))
        if steps % MEET_EVERY == 0:
            average.meet(parameters)
        if steps % args.log_every == 0:
            shares = {f: round(h / n, 4) for f, h, n in zip(FAMILIES, *hits.tolist(), strict=True) if n}
            print(
                f"worker {index}, step {steps}: loss {losses / args.log_every:.4f}, right tokens {shares}", flush=True
            )
            losses, hits = 0.0, torch.zeros_like(hits)
    average.meet(parameters)


def run(args):
    """Raises `RuntimeError` where a worker failed."""
    torch.set_num_threads(1)  # before the workers fork: threads of a pool do not come with them
    assets = Assets(split="test" if args.smoke else "train")
    model = make_model(SMOKE_SIZE if args.smoke else FULL_SIZE)
    load_weights(model, args.start)
    average = Average(trained(model).values())
    fork, began = multiprocessing.get_context("fork"), time.monotonic()
    workers = [
        fork.Process(target=work, args=(args, assets, model, average, index, began)) for index in range(args.workers)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise RuntimeError("a worker failed: see above")
    state = model.state_dict() | dict(zip(trained(model), average.values(), strict=True))
    export(model.config, state, args.start, args.out)


def mix_of(text):
    """name -> weight, of `shapes=75,photo=26`.  Raises `ValueError` for a family that is none."""
    mix = {name: float(weight) for name, weight in (part.split("=") for part in text.split(",") if part)}
    if unknown := set(mix) - set(MIX):
        raise ValueError(f"no family of the world: {', '.join(sorted(unknown))}; there are {', '.join(MIX)}")
    return mix


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", required=True, help="folder with weights and processor files")
    parser.add_argument("--out", required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=int, default=10**9, help="of each worker, at most")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rows", type=int, default=3, help="of 1,024 tokens, in a batch")
    parser.add_argument("--rate", type=float, default=2e-4, help="highest learning rate; it falls to nearly 0")
    parser.add_argument(
        "--mix", type=mix_of, default={}, help="weights of families in place of those of the world's MIX"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the data; each worker has the next one")
    parser.add_argument("--log-every", type=int, default=100)
    parser.add_argument("--smoke", action="store_true", help="tiny model in float32, for tests")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
