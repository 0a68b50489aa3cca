"""The embedded model's shape: a stock Qwen2.5-VL of about 24 million parameters.

Differences to the published sizes lie in the configuration alone.  The rotary embedding must do two things for so small a
model: tell neighbouring columns of a picture apart, for which the width section needs fast frequencies, and find things by
what they are at any distance, for which some channels must hardly turn at all.  Width therefore gets three quarters of the
channels, from 0.18 down to 0.001 radians a column.
"""

import torch
from torch import nn

from qwen_demo.models.torchvision_shim import install

install()  # before transformers looks for torchvision

from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration  # noqa: E402

from training.tokens import TOKEN_ID, TOKENS_PER_SECOND, VOCABULARY  # noqa: E402

FULL_SIZE = {
    "hidden": 384,
    "mlp": 896,
    "layers": 8,
    "heads": 6,
    "kv_heads": 2,
    "depth": 8,
    "vision_hidden": 320,
    "vision_mlp": 768,
    "vision_heads": 5,
    "full_attention": [3, 7],
}
SMOKE_SIZE = {
    "hidden": 128,
    "mlp": 192,
    "layers": 3,
    "heads": 2,
    "kv_heads": 1,
    "depth": 2,
    "vision_hidden": 128,
    "vision_mlp": 192,
    "vision_heads": 2,
    "full_attention": [1],
}
ROPE_THETA, MROPE_SECTION = 1000.0, [2, 6, 24]


def make_config(size=FULL_SIZE):
    """size: FULL_SIZE, or SMOKE_SIZE for tests on a CPU.  Head dimension is 64 everywhere."""
    end, pad = TOKEN_ID["<|im_end|>"], TOKEN_ID["<|endoftext|>"]
    text = {
        "vocab_size": VOCABULARY,
        "hidden_size": size["hidden"],
        "intermediate_size": size["mlp"],
        "num_hidden_layers": size["layers"],
        "num_attention_heads": size["heads"],
        "num_key_value_heads": size["kv_heads"],
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_THETA, "mrope_section": MROPE_SECTION},
        "bos_token_id": pad,
        "eos_token_id": end,
        "pad_token_id": pad,
        "use_sliding_window": False,
        "tie_word_embeddings": True,
    }
    vision = {
        "depth": size["depth"],
        "hidden_size": size["vision_hidden"],
        "intermediate_size": size["vision_mlp"],
        "num_heads": size["vision_heads"],
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "tokens_per_second": TOKENS_PER_SECOND,
        "window_size": 112,
        "out_hidden_size": size["hidden"],
        "fullatt_block_indexes": size["full_attention"],
    }
    return Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=TOKEN_ID["<|image_pad|>"],
        video_token_id=TOKEN_ID["<|video_pad|>"],
        vision_start_token_id=TOKEN_ID["<|vision_start|>"],
        vision_end_token_id=TOKEN_ID["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def make_model(size=FULL_SIZE, seed=0):
    """A freshly initialised model; projections into the residual stream start small (GPT-2)."""
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(make_config(size))
    for name, parameter in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight", "attn.proj.weight")):
            nn.init.normal_(parameter, 0, 0.02 / (2 * size["layers"]) ** 0.5)
    set_generation(model)
    return model


def set_generation(model):
    """Greedy answers that end at the end of a turn."""
    config = model.generation_config
    config.eos_token_id = [TOKEN_ID["<|im_end|>"], TOKEN_ID["<|endoftext|>"]]
    config.pad_token_id = config.bos_token_id = TOKEN_ID["<|endoftext|>"]
    config.do_sample = False


def load_weights(model, folder):
    """Copies a checkpoint's weights (bf16 on disk) into a float32 model."""
    source = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.load_state_dict(source.state_dict())
