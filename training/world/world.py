"""The whole world: draws one sample of any family from a seed.

`World(seed).sample()` is deterministic for a seed, a split and the assets.
"""

import random

import numpy as np

from training.world.canvas import Brush
from training.world.chart_talk import chart_sample
from training.world.chat import Chat
from training.world.clips import clip_sample
from training.world.everyday import pair_sample, plot_sample, sheet_sample
from training.world.groups import group_sample
from training.world.made_up import MadeUp
from training.world.odd import odd_sample
from training.world.photos import photo_sample
from training.world.phrasing import Speaker
from training.world.posters import poster_sample
from training.world.printed import Typist, printed_sample
from training.world.receipts import receipt_sample
from training.world.sample import Sample, Turn
from training.world.scene_talk import SceneTalk
from training.world.scenes import draw_scene, still

MIX = {
    "shapes": 36,
    "pictograms": 21,
    "mixed": 12,
    "printed": 24,
    "receipt": 4,
    "chart": 34,
    "poster": 4,
    "chat": 3,
    "photo": 14,
    "group": 3.5,
    "clip": 9,
    "late": 2,
    "document": 42,
    "screen": 26,
    "plot": 22,
    "sign": 8,
    "drawing": 16,
    "pair": 6,
    "odd": 26,
}
SYSTEMS = [
    "You are a helpful assistant.",
    "You are a helpful assistant that looks at images.",
    "You are a vision language model.",
    "Answer the question about the image.",
    "Be brief.",
    "You are a friendly assistant. Answer truthfully.",
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    "You are an AI assistant in a demo app.",
    "Answer in one sentence.",
    "你是一个乐于助人的助手。",
]


class World:
    """One random stream of samples.

    seed: int; assets: training.assets.Assets; split: "train" or "test" (held-out wordings and words);
    chinese: share of Chinese questions where a family has them; mix: family -> weight; wordings: the split of the questions'
    wordings where it is not that of the rest.
    """

    def __init__(self, seed, assets, split="train", chinese=0.12, mix=None, wordings=None):
        self.rng, self.assets, self.split, self.chinese, self.mix = (
            random.Random(seed),
            assets,
            split,
            chinese,
            mix or MIX,
        )
        self.brush = Brush(self.rng, np.random.default_rng(seed), assets)
        self.wordings = wordings = wordings or split
        self.made = MadeUp(self.rng, split)
        self.speaker = Speaker(self.rng, wordings)
        self.chat = Chat(self.speaker, assets.words["common"] + assets.words["rare"], wordings)
        self.typist = Typist(self.rng, assets.words, split)

    def sample(self, family=None):
        family = family or self.rng.choices(list(self.mix), self.mix.values())[0]
        sample = getattr(self, "_" + family)()
        sample.family = family
        if self.rng.random() < 0.45:
            sample.system = self.rng.choice(SYSTEMS)
        return sample

    # ---- families
    def _scene(self, what):
        image, things, background = draw_scene(self.brush, what)
        talk = SceneTalk(self.brush, self.speaker, self.chat, things, background, image.size)
        turns = talk.turns(self.rng.choice([4, 5, 6, 7]), self.chinese)
        return Sample(what, [still(self.brush.camera(image), things)], self._dialogues(turns, talk))

    def _shapes(self):
        return self._scene("shapes")

    def _pictograms(self):
        return self._scene("pictograms")

    def _mixed(self):
        return self._scene("mixed")

    def _single(self, maker):
        picture, turns = maker(self)
        return Sample("", [picture], self._dialogues(turns))

    def _printed(self):
        return self._single(printed_sample)

    def _receipt(self):
        return self._single(receipt_sample)

    def _chart(self):
        return self._single(chart_sample)

    def _poster(self):
        return self._single(poster_sample)

    def _photo(self):
        return self._single(photo_sample)

    def _clip(self):
        return self._single(clip_sample)

    def _group(self):
        pictures, turns = group_sample(self)
        return Sample("", pictures, self._dialogues(turns))

    def _chat(self):
        dialogues = [
            [Turn(*self.chat.any()) for _ in range(self.rng.choice([1, 1, 1, 2, 3]))]
            for _ in range(self.rng.randint(4, 8))
        ]
        return Sample("", [], dialogues)

    def _sheets(self, family):
        return self._single(lambda world: sheet_sample(world, family))

    def _document(self):
        return self._sheets("document")

    def _screen(self):
        return self._sheets("screen")

    def _sign(self):
        return self._sheets("sign")

    def _drawing(self):
        return self._sheets("drawing")

    def _plot(self):
        return self._single(plot_sample)

    def _odd(self):
        return self._single(odd_sample)

    def _pair(self):
        pictures, turns = pair_sample(self)
        return Sample("", pictures, self._dialogues(turns))

    def _late(self):
        """A picture that arrives in a later turn, or after its question."""
        sample = self._scene(self.rng.choice(["shapes", "pictograms", "mixed"]))
        if self.rng.random() < 0.5:
            sample.history = [self.chat.any()[:2] for _ in range(self.rng.choice([1, 1, 2]))]
        else:
            sample.dialogues = [self.rng.choice(sample.dialogues)[:1]]
            sample.question_first = True
        return sample

    def _dialogues(self, turns, talk=None):
        """Most dialogues are one question; some go on with "it", small talk or another question."""
        rng, out, rest = self.rng, [], list(turns)
        while rest:
            dialogue = [rest.pop(0)]
            follow_up = talk.follow_up(dialogue[0]) if talk and rng.random() < 0.25 else None
            if follow_up:
                dialogue.append(follow_up)
            while rest and len(dialogue) < 4 and rng.random() < 0.25:
                if rng.random() < 0.12:
                    dialogue.append(Turn(*self.chat.small_talk()))
                dialogue.append(rest.pop(0))
            out.append(dialogue)
        return out
