"""Turns a kind of question into a person's wording: picks a template and varies case, punctuation and spelling."""

import re

from training.phrases import patterns, test, train

SYNONYMS = {
    "image": ["picture", "pic", "image", "drawing", "photo"],
    "picture": ["image", "pic", "picture"],
    "objects": ["things", "items", "objects"],
    "object": ["thing", "object", "item"],
    "biggest": ["largest", "biggest"],
    "tell me": ["say", "tell me", "explain"],
    "there are": ["there are", "you can see", "are shown"],
}
OPENERS = [
    "Hey, ",
    "Hi! ",
    "Look at the image. ",
    "Question: ",
    "OK, ",
    "And ",
    "So ",
    "Well, ",
    "Now ",
    "Quick question: ",
    "Just ",
    "Hi, ",
    "um ",
    "ok so ",
    "Next, ",
    "Also, ",
    "One more: ",
    "Sorry, ",
    "hey there, ",
    "In this image, ",
    "Here: ",
]
CLOSERS = [
    " Answer briefly.",
    " Keep it short.",
    " Thanks!",
    " please",
    " here",
    " in this picture",
    " for me",
    " in the image",
    " there",
    " now",
    " exactly",
    " then",
    " thank you",
    " in this image",
]


def _plain(template):
    text = template.lower().replace("colour", "color")
    for short in ("what", "where", "who"):
        text = text.replace(short + "'s ", short + " is ")
    return re.sub(r"[^a-z0-9{}_\u4e00-\u9fff]+", " ", text).strip()


def _training_bank():
    """Templates of `train` and everything `patterns` makes, less what would repeat a held-out wording."""
    bank = {}
    for kind, templates in train.BANK.items():
        framed = [
            frame.replace("{}", part)
            for parts, frames in ((patterns.CLAUSES, patterns.CLAUSE_FRAMES), (patterns.NOUNS, patterns.NOUN_FRAMES))
            for part in parts.get(kind, [])
            for frame in frames
        ]
        written = [*templates, *patterns.EXTRA.get(kind, [])]
        held_out = {_plain(t) for t in test.BANK[kind]}
        bank[kind] = tuple([t for t in dict.fromkeys(many) if _plain(t) not in held_out] for many in (written, framed))
    return bank


BANKS = {"train": _training_bank(), "test": {kind: (templates, []) for kind, templates in test.BANK.items()}}


class Speaker:
    """Asks in the wordings of one split.

    rng: random.Random; split: "train" or "test", which never share a template for the same kind.
    """

    def __init__(self, rng, split="train"):
        self.rng, self.bank, self.loose = rng, BANKS[split], split == "train"

    def ask(self, kind, **slots):
        written, framed = self.bank[kind]
        template = self.rng.choice(framed if framed and self.rng.random() < 0.35 else written)
        question = template.format(**slots) if slots else template
        return question if kind.startswith("zh_") else self.vary(question)

    def vary(self, question):
        """The same question as people type it: polite, hasty, misspelt."""
        rng, chance = self.rng, self.rng.random()
        if "color" in question and rng.random() < 0.35:
            question = question.replace("color", "colour")
        for word, others in SYNONYMS.items():
            if self.loose and word in question and rng.random() < 0.25:
                question = question.replace(word, rng.choice(others))
        if chance < 0.06 and not question.endswith("?"):
            question = rng.choice(["Please ", "Could you please ", "Can you "]) + question[0].lower() + question[1:]
        elif chance < 0.12:
            question += rng.choice(CLOSERS)
        elif chance < 0.2:
            question = rng.choice(OPENERS) + question
        case = rng.random()
        if case < 0.32:
            question = question.lower()
        elif case < 0.34:
            question = question.upper()
        if rng.random() < 0.32 and question[-1] in "?.":
            question = question[:-1]
        if rng.random() < 0.05 and len(question) > 8:
            question = self._misspell(question)
        return question

    def _misspell(self, question):
        i = self.rng.randrange(1, len(question) - 2)
        swapped = question[:i] + question[i + 1] + question[i] + question[i + 2 :]
        return swapped if self.rng.random() < 0.5 else question[:i] + question[i + 1 :]
