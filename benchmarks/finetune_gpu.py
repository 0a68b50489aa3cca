"""Steps a second and memory of training 7B shapes in NF4: ours, and peft with TRL as their examples run them.

    python -m benchmarks.finetune_gpu --checkpoint FOLDER --who ours,trl --out FOLDER [--rows 64] [--side 448]

The checkpoint is `benchmarks.random_checkpoint`'s; both get the same images, words, rank and batch, one after the other
in processes of their own. `trl` needs trl, datasets and peft.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from benchmarks.machine import write

QUESTION, ANSWER = "What does this sign mean?", "It means that the road ahead is closed for the night."
RANK, BATCH = 16, 1
TARGETS = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"


def data(folder: Path, rows: int, side: int) -> Path:
    """Images of noise, each with the same words."""
    random = np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(rows):
        small = random.integers(0, 255, (16, 16, 3), np.uint8)
        PIL.Image.fromarray(small).resize((side, side)).save(folder / f"{number}.png")
        lines.append(json.dumps({"image": f"{number}.png", "question": QUESTION, "answer": ANSWER, "split": "train"}))
    (folder / "data.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def ours(checkpoint: Path, folder: Path, out: Path) -> dict[str, Any]:
    from qwen_demo.server.cli import main

    words = ["finetune", str(folder), "--base", str(checkpoint), "--out", str(out), "--rank", str(RANK)]
    words += ["--batch", str(BATCH), "--micro-batch", str(BATCH), "--epochs", "1", "--remember", "0"]
    words += ["--max-pixels", str(1280 * 28 * 28)]
    assert main(words) == 0
    report = json.loads((out / "report.json").read_text())
    return {"steps_per_s": report["updates_per_s"], "peak_gib": peak()}


def trl(checkpoint: Path, folder: Path, out: Path) -> dict[str, Any]:
    """After the libraries' own examples of teaching a vision model with QLoRA."""
    import torch

    from qwen_demo.models import torchvision_shim

    torchvision_shim.install()
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoProcessor, BitsAndBytesConfig, Qwen2_5_VLForConditionalGeneration
    from trl import SFTConfig, SFTTrainer

    rows = [json.loads(line) for line in (folder / "data.jsonl").read_text().splitlines()]
    images = [[PIL.Image.open(folder / row["image"]).convert("RGB")] for row in rows]
    said = [
        [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["answer"]}] for row in rows
    ]
    cuda = torch.cuda.is_available()
    four = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        checkpoint, dtype=torch.bfloat16 if cuda else torch.float32, quantization_config=four if cuda else None
    )
    config = SFTConfig(
        output_dir=str(out),
        num_train_epochs=1,
        per_device_train_batch_size=BATCH,
        gradient_checkpointing=True,
        bf16=cuda,
        use_cpu=not cuda,
        max_length=None,
        report_to=[],
        save_strategy="no",
        logging_steps=1000,
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_dict({"images": images, "messages": said}),
        processing_class=AutoProcessor.from_pretrained(checkpoint),
        peft_config=LoraConfig(r=RANK, lora_alpha=2 * RANK, lora_dropout=0.05, target_modules=TARGETS),
    )
    began = time.perf_counter()
    trainer.train()
    return {"steps_per_s": trainer.state.global_step / (time.perf_counter() - began), "peak_gib": peak()}


def peak() -> float:
    import torch

    return torch.cuda.max_memory_allocated() / (1 << 30) if torch.cuda.is_available() else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--who", default="ours,trl")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--side", type=int, default=448, help="of an image, in pixels")
    parser.add_argument("--one", help="run this one in this process, and print its figures")
    given = parser.parse_args()
    if given.one:
        found = {"ours": ours, "trl": trl}[given.one](given.checkpoint, given.out / "data", given.out / given.one)
        print("figures " + json.dumps(found))
        return
    data(given.out / "data", given.rows, given.side)
    results = {}
    for who in given.who.split(","):
        words = ["--checkpoint", str(given.checkpoint), "--out", str(given.out), "--one", who]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.finetune_gpu", *words], stdout=subprocess.PIPE, text=True, check=True
        )
        line = next(line for line in done.stdout.splitlines() if line.startswith("figures "))
        results[who] = json.loads(line.removeprefix("figures "))
        print(who, results[who], flush=True)
    print(write("finetune-gpu", {"rows": given.rows, "side": given.side, "results": results}, given.out))


if __name__ == "__main__":
    main()
