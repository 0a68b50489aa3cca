"""A Qwen2.5-VL checkpoint with random weights in the true shapes, for servers that load one from a folder.

    python -m benchmarks.random_checkpoint --architecture 7b --out FOLDER

Speed and memory are those of the published model; answers mean nothing. Written on the GPU if there is one. Processor,
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

from benchmarks.architectures import SHAPES, random_model
from qwen_demo.models.choose import EMBEDDED_DIR

COPIED = ("chat_template.jinja", "tokenizer_config.json", "video_preprocessor_config.json")
TOKENS = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
# Area of an image in pixels, from the published preprocessor_config.json.
MIN_PIXELS, MAX_PIXELS = 4 * 28 * 28, 16384 * 28 * 28
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
    from transformers import GenerationConfig

    shipped = json.loads((EMBEDDED_DIR / "config.json").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    model = random_model(architecture, "bf16", 0, CONTEXT_TOKENS.get(architecture, 128_000))
    for name in TOKENS:
        setattr(model.config, name, shipped[name])
    # What ends an answer is outside what can be drawn: all answers have the length that was asked for.
    never = model.config.text_config.vocab_size
    model.generation_config = GenerationConfig(eos_token_id=[never], do_sample=False)
    model.save_pretrained(folder, max_shard_size="4GB")

    for name in COPIED:
        shutil.copy(EMBEDDED_DIR / name, folder)
    tokenizer = json.loads((EMBEDDED_DIR / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(wordy(tokenizer, never)))
    processor = json.loads((EMBEDDED_DIR / "preprocessor_config.json").read_text())
    processor |= {"min_pixels": MIN_PIXELS, "max_pixels": MAX_PIXELS}
    processor["size"] = {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return sum(parameter.numel() for parameter in model.parameters())


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
