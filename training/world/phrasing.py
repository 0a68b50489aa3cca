"""Turns a kind of question into a person's wording: picks a template and varies case, punctuation and spelling."""

import re

from training.phrases import chinese, papers, patterns, pictures, rules, scenes, test, thesaurus, train

# How the held-out questions are dressed: these stay as they are, so that evaluations can be compared.
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


IMAGES_ZH = re.compile("图片|图像|照片|画面")
EDGES_ZH = {
    "before": ["请问", "请问一下，", "你好，", "问一下，", "那", "嗯，", "对了，"],
    "after": ["谢谢", "呢", "！", "？？", "，谢谢！"],
}


def plain_wording(template):
    """Lower case, without punctuation and spelling variants: two templates that read alike are equal."""
    text = template.lower().replace("colour", "color")
    for short in ("what", "where", "who"):
        text = text.replace(short + "'s ", short + " is ")
    return re.sub(r"[^a-z0-9{}_\u4e00-\u9fff]+", " ", text).strip()


HANDED = (
    "box",
    "boxes",
    "point",
    "it_box",
    "read",
    "list",
    "list_values",
    "labels",
    "describe",
    "describe_chart",
    "photo",
)
RULES = {**scenes.RULES, **papers.RULES, **pictures.RULES, **chinese.RULES}
HELD_OUT = {kind: {plain_wording(t) for t in templates} for kind, templates in test.BANK.items()}


def _training_bank():
    """kind -> (whole questions, framed ones): `train`, `patterns` and the rules, less what repeats a held-out wording."""
    bank = {}
    for kind, templates in train.BANK.items():
        clauses = [("? " if c.startswith(("if ", "whether ")) else "> ") + c for c in patterns.CLAUSES.get(kind, [])]
        nouns = [("* " if kind in HANDED else "= ") + noun for noun in patterns.NOUNS.get(kind, [])]
        whole, framed = rules.expand(kind, "\n".join([RULES[kind], *clauses, *nouns]))
        whole = [*templates, *patterns.EXTRA.get(kind, []), *whole]
        bank[kind] = tuple(
            [t for t in dict.fromkeys(many) if plain_wording(t) not in HELD_OUT[kind]] for many in (whole, framed)
        )
    return bank


BANKS = {"train": _training_bank(), "test": {kind: (templates, []) for kind, templates in test.BANK.items()}}


class Speaker:
    """Asks in the wordings of one split.

    rng: random.Random; split: "train" or "test", which never share a template for the same kind.
    """

    def __init__(self, rng, split="train"):
        self.rng, self.bank, self.loose = rng, BANKS[split], split == "train"
        self.openers, self.closers = (thesaurus.OPENERS, thesaurus.CLOSERS) if self.loose else (OPENERS, CLOSERS)

    def ask(self, kind, **slots):
        template = self.template(kind)
        question = template.format(**slots) if slots else template
        return question if kind.startswith("zh_") else self.vary(question)

    def template(self, kind):
        """One wording with its placeholders, never a held-out one."""
        whole, framed = self.bank[kind]
        if not self.loose:
            return self.rng.choice(whole)
        while True:
            pool = framed if framed and self.rng.random() < 0.45 else whole
            template = self.rng.choice(pool)
            for _ in range(2 if self.rng.random() < 0.3 else 1):  # the shortest of two or three: people are brief
                template = min(template, self.rng.choice(pool), key=len)
            template = self._reword_zh(template) if kind.startswith("zh_") else self.reword(template)
            if plain_wording(template) not in HELD_OUT[kind]:
                return template if kind.startswith("zh_") else self.mistype(template)

    def reword(self, template):
        """The template in other words; placeholders and what they stand for stay."""
        rng = self.rng
        if rng.random() < 0.35:
            return template
        for phrase, others in thesaurus.PHRASES.items():
            at = template.lower().find(phrase + " ") if rng.random() < 0.15 else -1
            if at == 0 or (at > 0 and template[at - 1] == " "):
                other = rng.choice(others)
                other = other[0].upper() + other[1:] if template[at].isupper() else other
                template = template[:at] + other + template[at + len(phrase) :]
        words = template.split(" ")
        for i, word in enumerate(words):
            bare = word.rstrip("?.!,:;")
            others = thesaurus.SYNONYMS.get(bare.lower())
            if others and rng.random() < 0.3:
                other = rng.choice(others)
                words[i] = (other[0].upper() + other[1:] if bare[0].isupper() else other) + word[len(bare) :]
        return " ".join(words)

    def _reword_zh(self, template):
        rng, chance = self.rng, self.rng.random()
        if rng.random() < 0.3:
            template = IMAGES_ZH.sub(rng.choice(["图片", "图像", "照片", "画面"]), template, count=1)
        if rng.random() < 0.15:
            template = template.replace("你", "您")
        if chance < 0.05 and not template.startswith(("请", "你好", "您好", "能", "可")):
            template = rng.choice(EDGES_ZH["before"]) + template
        elif chance < 0.08 and template[-1] not in "？。！吗呢啊呀谢":
            template += rng.choice(EDGES_ZH["after"])
        elif chance < 0.3:
            template = template.rstrip("？。")
        elif chance < 0.38:
            template = template.replace("？", "?").replace("，", ",")
        return template or "？"

    def mistype(self, template):
        """A slip of the finger in one word of every twentieth template."""
        rng = self.rng
        if rng.random() > 0.06:
            return template
        words = template.split(" ")
        i = rng.randrange(len(words))
        word = words[i]
        if len(word) < 4 or "{" in word or "}" in word:
            return template
        at = rng.randrange(1, len(word) - 2)
        words[i] = rng.choice(
            [
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
                word[:at] + word[at + 1 :],
                word[:at] + word[at] + word[at:],
                word[:at] + rng.choice("aeionrst") + word[at + 1 :],
            ]
        )
        return " ".join(words)

    def vary(self, question):
        """The same question as people type it: polite, hasty, with a word before or after it."""
        rng, chance = self.rng, self.rng.random()
        if "color" in question and rng.random() < 0.35:
            question = question.replace("color", "colour")
        if chance < 0.06 and not question.endswith("?") and not self.loose:  # in training the rules are polite
            question = rng.choice(["Please ", "Could you please ", "Can you "]) + question[0].lower() + question[1:]
        elif chance < 0.12:
            question += rng.choice(self.closers)
        elif chance < 0.2:
            question = rng.choice(self.openers) + question
        question = self.hasten(question)
        if not self.loose and rng.random() < 0.05 and len(question) > 8:
            question = self._misspell(question)
        return question

    def hasten(self, question):
        """Without capitals or the last full stop, as often as people leave them out."""
        rng = self.rng
        case = rng.random()
        if case < 0.32:
            question = question.lower()
        elif case < 0.34:
            question = question.upper()
        if rng.random() < 0.32 and question[-1] in "?.":
            question = question[:-1]
        return question

    def _misspell(self, question):
        i = self.rng.randrange(1, len(question) - 2)
        swapped = question[:i] + question[i + 1] + question[i] + question[i + 2 :]
        return swapped if self.rng.random() < 0.5 else question[:i] + question[i + 1 :]
