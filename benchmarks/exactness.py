"""Does company change an answer? Greedy answers in a crowd against the same questions asked alone.

    python -m benchmarks.exactness                                  the embedded model in fp32, about examples/
    python -m benchmarks.exactness --architecture 7b --weights nf4  random weights, true shapes
    python -m benchmarks.exactness --weights fp8 --against fp32     and what quantising itself changes

Three comparisons: the engine in a crowd with the engine alone; the engine alone with stock
`generate`; and, with the same tokens forced on both, the logits of a batch with those of a batch
of one. In half precision sums of other shapes round differently, and random weights give nearly
flat distributions in which the smallest difference changes the winner: there the share of
identical answers says little about trained weights, the difference of logits a lot.
"""

import argparse
import asyncio
import random
from pathlib import Path

from benchmarks import machine

QUESTIONS = (
    "Describe the image.",
    "Detect all objects and output their bounding boxes in JSON.",
    "Read the text.",
    "How many objects are there?",
    "What do you see?",
)
SIZES = ("448x448", "336x616", "none", "1036x756", "none", "252x252")
COLUMNS = {
    "compared": "compared",
    "answers": "answers",
    "identical": "identical",
    "first_difference": "first difference (token, mean)",
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="embedded")
    parser.add_argument("--weights", default="fp32")
    parser.add_argument("--against", default="", help="other weights of the same model, to compare stock answers with")
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--out", type=Path, default=None)
    return parser.parse_args()


def requests(options) -> list:
    from benchmarks.engine import question

    if options.architecture == "embedded":
        return about_examples(options)
    return [
        question(
            argparse.Namespace(image=SIZES[n % 6], images="own", words=10 + 7 * n % 60, tokens=options.tokens), n, n
        )
        for n in range(options.requests)
    ]


def about_examples(options) -> list:
    """Questions that the embedded model was trained for, about one image or two, and some without."""
    import PIL.Image

    from qwen_demo.raster import Raster
    from qwen_demo.types import ChatRequest, Image, Message, Sampling, Text

    files = sorted((Path(__file__).parents[1] / "examples").glob("*.png"))
    images = [Image(Raster.of(PIL.Image.open(file).convert("RGB")), file.name) for file in files]
    made = []
    for n in range(options.requests):
        shown = [] if n % 8 == 7 else [images[n % len(images)], images[(n + 3) % len(images)]][: 1 + (n % 8 == 6)]
        words = "Who are you?" if not shown else QUESTIONS[n % len(QUESTIONS)]
        turn = Message("user", (*shown, Text(words)))
        made.append(ChatRequest((turn,), Sampling(max_new_tokens=options.tokens), request_id=str(n)))
    return made


async def answers(engine, asked, at_once: bool) -> dict[str, list[int]]:
    """Token ids by request id."""
    from qwen_demo.engines.batching.job import Job
    from qwen_demo.types import collect

    heard: dict[str, list[int]] = {request.request_id: [] for request in asked}
    push = Job.push

    def listening(job, token, logprob):
        heard[job.request.request_id].append(token)
        return push(job, token, logprob)

    Job.push = listening
    dice = random.Random(0)

    async def ask(request):
        await asyncio.sleep(dice.random())
        await collect(engine.stream(request))

    if at_once:
        await asyncio.gather(*map(ask, asked))
    else:
        for request in asked:
            await collect(engine.stream(request))
    Job.push = push
    return heard


def stock(loaded, asked) -> dict[str, list[int]]:
    from qwen_demo.engines import tokens

    heard = {}
    for request in asked:
        ids = heard[request.request_id] = []
        prompt = loaded.prompts.build(request)
        tokens.run(
            loaded.model,
            loaded.device,
            None,
            prompt,
            request.sampling,
            streamer=tokens.TokenStreamer(ids.append),
            should_stop=lambda: False,
        )
    return heard


def compared(name: str, a: dict, b: dict) -> dict:
    same = sum(a[key] == b[key] for key in a)
    splits = [next((n for n, (x, y) in enumerate(zip(a[k], b[k], strict=False)) if x != y), None) for k in a]
    splits = [n for n in splits if n is not None]
    return {
        "compared": name,
        "answers": len(a),
        "identical": same / len(a),
        "first_difference": sum(splits) / len(splits) if splits else None,
    }


def logits_difference(engine, loaded, steps: int = 8) -> dict:
    """Largest difference of logits, with their spread beside it, for forced tokens."""
    import torch

    runner, slots = engine.loop.runner, engine.plan.slots
    vocabulary = loaded.model.config.text_config.vocab_size
    dice = torch.Generator().manual_seed(1)
    prompts = [torch.randint(10, vocabulary - 10, (64 + 37 * n % 300,), generator=dice) for n in range(slots)]
    forced = torch.randint(10, vocabulary - 10, (slots, steps), generator=dice)
    crowd = forced_logits(runner, prompts, forced)
    alone = torch.cat([forced_logits(runner, [prompts[n]], forced[n : n + 1]) for n in range(slots)])
    runner.reset()
    return {
        "slots": slots,
        "largest_difference": float((crowd - alone).abs().max()),
        "logits_std": float(alone.std()),
        "same_argmax": float((crowd.argmax(-1) == alone.argmax(-1)).float().mean()),
        "bit_identical": bool(torch.equal(crowd, alone)),
    }


def forced_logits(runner, prompts: list, forced):
    """Logits [prompts, steps, vocabulary] after each forced token (`forced`: [prompts, steps]), on the CPU."""
    import torch

    from qwen_demo.engines.batching.job import PrefillChunk
    from qwen_demo.models.prompt import Prompt
    from qwen_demo.types import Sampling

    runner.reset()
    made, choose = [], runner.sampler.choose
    with torch.inference_mode():
        for slot, ids in enumerate(prompts):
            prompt = Prompt(ids, torch.zeros_like(ids), torch.arange(len(ids)).expand(3, -1), 0, ())
            hidden = runner.prefill([PrefillChunk.whole(prompt, slot)])
            runner.first_token(slot, prompt, Sampling(), hidden)

        def observed(logits, rows):
            made.append(logits.float().cpu())
            return choose(logits, rows)

        runner.sampler.choose = observed
        for step in range(forced.shape[1]):
            runner._tokens[: len(prompts)] = forced[:, step].to(runner._tokens.device)
            runner.decode(len(prompts))
        runner.sampler.choose = choose
    return torch.stack(made, dim=1)


async def measure(options) -> tuple[list[dict], dict]:
    from benchmarks.architectures import load, settings
    from qwen_demo.engines.batching.engine import BatchingEngine

    loaded = load(options.architecture, options.weights, context_tokens=4096, endless=False)
    asked = requests(options)
    reference = stock(loaded, asked)
    made = settings(slots=options.slots, slot_tokens=2048, reuse=False)
    engine = BatchingEngine(made, lambda *_: loaded)
    await engine.start()
    alone = await answers(engine, asked, at_once=False)
    crowd = await answers(engine, asked, at_once=True)
    difference = await asyncio.to_thread(logits_difference, engine, loaded)
    await engine.close()
    rows = [
        compared("in a crowd / alone", crowd, alone),
        compared("alone / stock generate", alone, reference),
        compared("in a crowd / stock generate", crowd, reference),
    ]
    if options.against:
        other = stock(load(options.architecture, options.against, context_tokens=4096, endless=False), asked)
        rows.append(compared(f"stock, {options.weights} / {options.against}", reference, other))
    return rows, difference


def main() -> None:
    options = arguments()
    rows, difference = asyncio.run(measure(options))
    print(machine.table(rows, COLUMNS))
    print("logits, batch against batch of one:", difference)
    label = f"{options.architecture} {options.weights}" + f" {options.against}" * bool(options.against)
    print(machine.write("exactness", {"label": label, "rows": rows, "logits": difference}, options.out))


if __name__ == "__main__":
    main()
