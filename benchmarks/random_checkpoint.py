"""A Qwen2.5-VL checkpoint with random weights in the true shapes, for servers that load one from a folder.

    python -m benchmarks.random_checkpoint --architecture 7b --out FOLDER

Speed and memory are those of the published model; answers mean nothing. Drawn a shard at a time, on the GPU if there is
one, so that a machine without memory for all of it can write it. Processor,
chat template and special tokens are the embedded model's, with the published limits of an image. Every other token of
the full vocabulary is a word of its own, so that each token of an answer is text and can be timed. Weights that need
quantising are quantised by the server that reads them.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.architectures import SHAPES, config
from qwen_demo.models.choose import EMBEDDED_DIR

COPIED = ("chat_template.jinja", "tokenizer_config.json", "video_preprocessor_config.json")
TOKENS = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
# Area of an image in pixels, from the published preprocessor_config.json.
MIN_PIXELS, MAX_PIXELS = 4 * 28 * 28, 16384 * 28 * 28
SHARD_BYTES = 2 << 30
CONTEXT_TOKENS = {"tiny": 4096}  # 128,000, as published, for the others


def wordy(tokenizer: dict, vocabulary: int) -> dict:
    """`tokenizer.json` with a word for each id below `vocabulary` that had none.

    Special tokens join the vocabulary: a reader looks them up there first, and would number them anew after its end.
    """
    words = tokenizer["model"]["vocab"] | {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    taken = set(words.values())
    words |= {f"w{number}": number for number in range(vocabulary) if number not in taken}
    return {**tokenizer, "model": {**tokenizer["model"], "vocab": words}}


def write(architecture: str, folder: Path) -> int:
    """Everything that a loader asks for, into `folder`; the number of parameters."""
    from transformers import GenerationConfig, Qwen2_5_VLForConditionalGeneration

    shipped = json.loads((EMBEDDED_DIR / "config.json").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    made = config(architecture, CONTEXT_TOKENS.get(architecture, 128_000))
    for name in TOKENS:
        setattr(made, name, shipped[name])
    made.architectures, made.dtype = ["Qwen2_5_VLForConditionalGeneration"], torch.bfloat16
    made.save_pretrained(folder)
    # What ends an answer is outside what can be drawn: all answers have the length that was asked for.
    never = made.text_config.vocab_size
    GenerationConfig(eos_token_id=[never], do_sample=False).save_pretrained(folder)
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration._from_config(made)
    parameters = dict(model.named_parameters())  # a table that is the output layer as well comes once
    write_weights({published_name(name): each.shape for name, each in parameters.items()}, folder)

    for name in COPIED:
        shutil.copy(EMBEDDED_DIR / name, folder)
    tokenizer = json.loads((EMBEDDED_DIR / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(wordy(tokenizer, never)))
    processor = json.loads((EMBEDDED_DIR / "preprocessor_config.json").read_text())
    processor |= {"min_pixels": MIN_PIXELS, "max_pixels": MAX_PIXELS}
    processor["size"] = {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return sum(parameter.numel() for parameter in parameters.values())


def published_name(name: str) -> str:
    """As on the hub, where files have the names of before transformers 4.52; llama.cpp's converter knows no others."""
    return name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def write_weights(shapes: dict[str, torch.Size], folder: Path) -> None:
    """Numbers as training begins with, in shards of at most `SHARD_BYTES` and their index."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    shards: list[list[str]] = [[]]
    room = SHARD_BYTES
    for name, shape in shapes.items():
        size = 2 * shape.numel()
        if size > room and shards[-1]:
            shards.append([])
            room = SHARD_BYTES
        shards[-1].append(name)
        room -= size
    places = {}
    for number, names in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        places |= dict.fromkeys(names, file)
        save_file({name: drawn(name, shapes[name], device) for name in names}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 2 * sum(map(torch.Size.numel, shapes.values()))}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def drawn(name: str, shape: torch.Size, device: str) -> torch.Tensor:
    if len(shape) == 1:
        return torch.full(shape, float(name.endswith("weight")), dtype=torch.bfloat16)
    return torch.empty(shape, dtype=torch.bfloat16, device=device).normal_(0, 0.02).cpu()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=SHAPES, default="7b")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    options = parser.parse_args(argv)
    began = time.perf_counter()
    parameters = write(options.architecture, options.out)
    print(f"{parameters / 1e9:.2f} G parameters in {time.perf_counter() - began:.0f} s: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
