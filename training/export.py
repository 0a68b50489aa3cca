"""Writes a checkpoint as Qwen2.5-VL publishes it: bf16 safetensors in shards under 16 MiB, processor files, checksums.

python -m training.export FROM TO        re-shards a checkpoint folder and writes SHA256SUMS
"""

import argparse
import hashlib
import shutil
from pathlib import Path

import torch

from training.model import Qwen2_5_VLForConditionalGeneration, set_generation

PROCESSOR_FILES = [
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
]
SHARD = "14MB"
HEADS = "dense_heads.safetensors"  # kept beside a checkpoint for the next piece, not part of it


def export(config, state, processor_folder, out):
    """state: name -> tensor of any dtype.  Parameters alone are rounded: rotary frequencies must stay float32."""
    out = Path(out)
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.load_state_dict({name: tensor.detach().cpu().to(torch.bfloat16).float() for name, tensor in state.items()})
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    model.tie_weights()
    model.config.dtype = torch.bfloat16
    set_generation(model)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("model*.safetensors*"):
        old.unlink()
    model.save_pretrained(out, max_shard_size=SHARD)
    for name in PROCESSOR_FILES:
        if (Path(processor_folder) / name).exists() and Path(processor_folder).resolve() != out.resolve():
            shutil.copy(Path(processor_folder) / name, out)
    write_checksums(out)


def write_checksums(folder):
    """SHA256SUMS over every file a loader reads, checked with `sha256sum -c SHA256SUMS`."""
    suffixes = (".json", ".safetensors", ".txt", ".jinja")
    names = sorted(p.name for p in folder.iterdir() if p.suffix in suffixes and p.name != HEADS)
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(args.source, dtype=torch.float32)
    export(model.config, model.state_dict(), args.source, args.out)


if __name__ == "__main__":
    main()
