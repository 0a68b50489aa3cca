"""Latency of the embedded model on a CPU, for each choice that could change it: `python -m benchmarks.embedded`.

Time to the first token of a 448x448 image (preprocessing, vision, prefill) and tokens per second after it, through stock
`generate`, one configuration after another in this process.  The CPU columns count this process's own processor time: they
hold on a busy machine too, and with one thread they are what the clock would show on an idle one.  Prints a table and
writes JSON to `benchmarks/results/`.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as load_settings does, before torch is imported

import torch
from PIL import Image, ImageDraw

from benchmarks import machine
from qwen_demo.models import torchvision_shim

torchvision_shim.install()

CHECKPOINT = Path(__file__).parents[1] / "qwen_demo" / "models" / "embedded"
NEW_TOKENS = 64
COLUMNS = {
    "weights": "weights",
    "attention": "attention",
    "threads": "threads",
    "ttft_ms": "first token, ms",
    "tokens_per_s": "tokens/s",
    "cpu_ms_first": "CPU ms to the first",
    "cpu_ms_token": "CPU ms a token",
}


def drawn() -> Image.Image:
    """448x448 pixels: 256 image tokens."""
    image = Image.new("RGB", (448, 448), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 60, 180, 200), fill=(220, 40, 40))
    draw.rectangle((260, 240, 400, 380), fill=(40, 80, 220))
    return image


def load(weights: str, attention: str):
    """weights: float32, bfloat16, int8 (dynamic, linear layers) or nf4 (bitsandbytes)."""
    from transformers import BitsAndBytesConfig, Qwen2_5_VLForConditionalGeneration

    options = {"attn_implementation": attention, "dtype": torch.bfloat16 if weights == "bfloat16" else torch.float32}
    if weights == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32
        )
        options["device_map"] = "cpu"
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(CHECKPOINT, **options).eval()
    if weights == "int8":
        model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    return model


class Marks:
    """A streamer that notes when each token came, by the clock and in processor time; the first call is the prompt."""

    def __init__(self):
        self.times = []

    def put(self, _tokens):
        self.times.append((time.perf_counter(), time.process_time()))

    def end(self):
        pass


@torch.inference_mode()
def once(model, processor, image) -> dict[str, float]:
    """The measured columns of one answer."""
    content = [{"type": "image"}, {"type": "text", "text": "Describe the image."}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    clock, cpu = time.perf_counter(), time.process_time()
    inputs = processor(text=[text], images=[image], return_tensors="pt")
    marks = Marks()
    model.generate(**inputs, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False, streamer=marks)
    (first, first_cpu), (last, last_cpu), more = marks.times[1], marks.times[-1], len(marks.times) - 2
    return {
        "ttft_ms": (first - clock) * 1e3,
        "tokens_per_s": more / (last - first),
        "cpu_ms_first": (first_cpu - cpu) * 1e3,
        "cpu_ms_token": (last_cpu - first_cpu) / more * 1e3,
    }


def measure(processor, weights: str, attention: str, threads: list[int], repeat: int) -> list[dict]:
    """One row for each number of threads: medians, the first run left out."""
    model, rows = load(weights, attention), []
    for count in threads:
        torch.set_num_threads(count)
        runs = [once(model, processor, drawn()) for _ in range(repeat + 1)][1:]
        medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        rows.append({"weights": weights, "attention": attention, "threads": count, **medians})
        print(machine.table(rows[-1:], COLUMNS).splitlines()[-1], flush=True)
    return rows


def main() -> None:
    from transformers import AutoProcessor

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--weights", nargs="+", default=["float32", "bfloat16", "int8", "nf4"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    processor = AutoProcessor.from_pretrained(CHECKPOINT)
    load_before = os.getloadavg()[0]
    rows = []
    for weights in args.weights:
        for attention in ("sdpa", "eager") if weights == "float32" else ("sdpa",):
            rows += measure(processor, weights, attention, args.threads, args.repeat)
    print(machine.table(rows, COLUMNS))
    content = {"new_tokens": NEW_TOKENS, "image": "448x448", "load_average_before": load_before, "rows": rows}
    print(f"load average before: {load_before:.1f}; written to {machine.write('embedded', content).name}")


if __name__ == "__main__":
    main()
