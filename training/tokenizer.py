"""Learns the byte-level BPE on the world's own talk and writes the processor files in Qwen2.5-VL's format.

    python -m training.tokenizer OUT [--samples 12000]

Digits and Chinese characters stay single tokens.  Any text round-trips: all 256 bytes are in the vocabulary.
"""
# ruff: noqa: E501  (texts and a template whose line breaks matter)

import argparse
import json
import re
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer

from training.assets import Assets
from training.phrases import test, train
from training.tokens import MEAN, SPECIAL_TOKENS, STD, TOKEN_ID, VOCABULARY
from training.world.canvas import MAX_PIXELS, MIN_PIXELS
from training.world.catalog import PICTOGRAMS, plural
from training.world.sample import SPELL
from training.world.world import World

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHINESE = re.compile("[\u3000-\u9fff\uff00-\uffef]")
CHAT_TEMPLATE = """{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system
You are a helpful assistant.<|im_end|>
{% endif %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}<|im_end|>
{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}{% set image_count.value = image_count.value + 1 %}{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
MAX_VIDEO_PIXELS = 280 * 280


def corpus(samples, seed=12345):
    """Texts as the model will read and write them; spelled answers are left out."""
    world = World(seed, Assets(), chinese=0.2)
    for _ in range(samples):
        sample = world.sample()
        yield sample.system
        for turn in (turn for dialogue in sample.dialogues for turn in dialogue):
            yield "user\n" + turn.question
            if SPELL not in turn.answer:
                yield "assistant\n" + turn.answer
    for word in world.assets.words["common"]:
        yield from (word, " " + word, " " + word)
    for _, english, chinese in PICTOGRAMS:
        for _ in range(20):
            yield from (english, " " + english, " " + plural(english), chinese)
    for bank in (train.BANK, test.BANK):  # characters only: the held-out wordings add no merges of their own
        for templates in bank.values():
            yield from ("".join(CHINESE.findall(t)) for t in templates)


def single_characters(texts):
    """Chinese is learned as single characters, so that any wording splits into known pieces."""
    for text in texts:
        yield from CHINESE.findall(text)
        rest = CHINESE.sub(" ", text)
        if rest.strip():
            yield rest


def learn(samples):
    """(vocabulary, merges) of the byte-level BPE."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(single_characters(corpus(samples)), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary = model["vocab"]
    for i in range(
        len(vocabulary), VOCABULARY - len(SPECIAL_TOKENS)
    ):  # a tiny corpus learns fewer: keep the ids of the others
        vocabulary[f"[unused{i}]"] = i
    return vocabulary, [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]


def write_processor(folder, vocabulary, merges):
    """Tokenizer, chat template and picture processor configurations."""
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        unk_token=None,
        bos_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=SPECIAL_TOKENS[1:],
        model_max_length=4096,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    got = {token: tokenizer.convert_tokens_to_ids(token) for token in TOKEN_ID}
    if got != TOKEN_ID:
        raise RuntimeError(f"special tokens moved: {got}")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(" ".join(m) for m in merges) + "\n", encoding="utf-8"
    )
    common = {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": MEAN,
        "image_std": STD,
        "merge_size": 2,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "processor_class": "Qwen2_5_VLProcessor",
    }
    picture = dict(
        common,
        image_processor_type="Qwen2VLImageProcessor",
        size={"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS},
        min_pixels=MIN_PIXELS,
        max_pixels=MAX_PIXELS,
    )
    video = dict(
        common,
        video_processor_type="Qwen2VLVideoProcessor",
        size={"shortest_edge": MIN_PIXELS, "longest_edge": MAX_VIDEO_PIXELS},
        do_sample_frames=False,
        cap_pixels_per_frame=False,
        min_frames=2,
        max_frames=16,
    )
    (folder / "preprocessor_config.json").write_text(json.dumps(picture, indent=2) + "\n")
    (folder / "video_preprocessor_config.json").write_text(json.dumps(video, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--samples", type=int, default=12000)
    args = parser.parse_args()
    write_processor(args.out, *learn(args.samples))


if __name__ == "__main__":
    main()
