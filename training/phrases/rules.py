"""Wordings written as rules: `(a|b|)` chooses one part, and the first character of a line says what kind of phrase it is.

`>` continues "tell me …"; `?` continues "tell me whether …"; `=` is a noun phrase that continues "what is …", `+` a plural
one; `*` is a thing to hand over ("give me …"); `!` is an order; any other line is a whole question.
"""
# ruff: noqa: E501  (lists of frames)

import itertools
import random
import re

from training.phrases import chinese

FRAMES = {
    ">": """Tell me {}.|Can you tell me {}?|Could you tell me {}?|Please tell me {}.|I want to know {}.|Do you know {}?|Say {}.
I would like to know {}.|Let me know {}.|I wonder {}.|Find out {}.|Would you tell me {}?|I need to know {}.|Please say {}.|Can you say {}?
I'd like to know {}.|Could you please tell me {}?|Any idea {}?|I can't tell {}.|I am wondering {}.|May I ask {}?|Can you work out {}?
I was asked {}.|My question is {}.|Help me find out {}.|Do you have an idea {}?|I have no idea {}.|Kindly tell me {}.|Can I ask {}?
Can you figure out {}?|I'm curious {}.|Would you know {}?|Please inform me {}.|Are you able to tell me {}?|I'm not sure {}.|Please let me know {}.
Could I ask you {}?|I don't know {}.|Can you make out {}?|Remind me {}.|Is it possible to say {}?|Please figure out {}.|Try to tell me {}.""",
    "?": """Tell me {}.|Can you tell me {}?|Please tell me {}.|I want to know {}.|Do you know {}?|Say {}.|I wonder {}.|Find out {}.|Check {}.
I need to know {}.|Please check {}.|Can you check {}?|Could you verify {}?|I'd like to know {}.|I'm not sure {}.|Please confirm {}.|Let me know {}.
Decide {}.|Can you see {}?|Could you look {}?|Can you confirm {}?|Judge {}.|Determine {}.|Could you please say {}?|I have to know {}.|Answer {}.""",
    "=": """What is {}?|What's {}?|Give me {}.|Tell me {}.|I need {}.|Can you give me {}?|Name {}.|Please give me {}.|{}?|{}|I want {}.|Could you give me {}?
Provide {}.|Write down {}.|I would like {}.|Report {}.|Say {}.|State {}.|Determine {}.|Identify {}.|Could you state {}?|Please name {}.|Do you know {}?
{} please|{}, please.|I want to know {}.|I'd like to know {}.|Please tell me {}.|Can you identify {}?|What would {} be?|I am looking for {}.|Find out {}.|Let me know {}.
What might {} be?|Just tell me {}.|Only {}, please.|{} pls|Note {}.|Specify {}.|Mention {}.|Can you tell me {}?|Work out {}.|I'm asking about {}.|What exactly is {}?""",
    "+": """What are {}?|Give me {}.|Tell me {}.|I need {}.|Can you give me {}?|Name {}.|Please give me {}.|{}?|{}|I want {}.|Could you give me {}?
Provide {}.|Write down {}.|I would like {}.|Report {}.|State {}.|Could you name {}?|Please name {}.|Do you know {}?|{} please|{}, please.|I want to know {}.
I'd like to know {}.|Please tell me {}.|Let me know {}.|What exactly are {}?|Just give me {}.|Only {}, please.|{} pls|Return {}.|Output {}.|Print {}.|Type {}.
I'm asking for {}.|Can I have {}?|May I have {}?|Could I get {}?|Collect {}.|Hand me {}.|Present {}.""",
    "*": """Give me {}.|I need {}.|Can you give me {}?|Please give me {}.|I want {}.|Could you give me {}?|Provide {}.|I would like {}.|Return {}.|Output {}.|{}
{} please|{}, please.|Produce {}.|Can I have {}?|May I have {}?|Could I get {}?|I'd like {}.|Generate {}.|Get me {}.|Let me have {}.|Make {}.|Send me {}.|Create {}.
Could you provide {}?|Would you give me {}?|{} pls|Reply with {}.|Respond with {}.|I am asking for {}.|Please provide {}.|Show me {}.|Hand me {}.|Supply {}.|Just {}.""",
    "!": """{}.|{}|Please {}.|Can you {}?|Could you {}?|Could you please {}?|I want you to {}.|I'd like you to {}.|Try to {}.|{} for me.|{}, please.|Kindly {}.
{} pls|Would you {}?|Are you able to {}?|Go ahead and {}.|Help me {}.|Your task is to {}.|Can you please {}?|I need you to {}.|Now {}.|{} please|Will you {}?
Is it possible to {}?|Would you kindly {}?|Let's {}.|First, {}.|You should {}.|Your job: {}.|It would help me if you {}.""",
}
FRAMES = {mark: [frame for line in text.splitlines() for frame in line.split("|")] for mark, text in FRAMES.items()}
FRAMES_ZH = {mark: text.split("|") for mark, text in chinese.FRAMES.items()}
LINE_CAP, LINE_CAP_ZH, KIND_CAP = (
    64,
    240,
    1600,
)  # templates kept of one rule, so that none drowns the others, and of one kind
DOUBLED_ZH = (
    ("一下一下", "一下"),
    ("一下下", "一下"),
    ("说说一下", "说说"),
    ("图中中", "图中"),
    ("帮我告诉我", "告诉我"),
    ("给我告诉我", "告诉我"),
)
_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")


def variants(rule):
    """Every reading of a rule; choices may be nested."""
    choice = _CHOICE.search(rule)
    if not choice:
        return [re.sub(r"\s+", " ", rule).strip().replace(" ?", "?").replace(" .", ".").replace(" ,", ",")]
    before, after = rule[: choice.start()], rule[choice.end() :]
    return list(dict.fromkeys(text for part in choice[1].split("|") for text in variants(before + part + after)))


def framed(phrases, frames):
    """Every phrase in every frame, starting with a capital letter unless a placeholder comes first."""
    out = []
    for phrase, frame in itertools.product(phrases, frames):
        text = frame.replace("{}", phrase)
        for doubled, single in DOUBLED_ZH if text[0] > "\u2fff" else ():
            text = text.replace(doubled, single)
        out.append(text[0].upper() + text[1:])
    return out


def expand(kind, lines):
    """(whole questions, framed ones) of one kind.  The same for the same rules: the choice does not use the global state."""
    rng, frames = random.Random(kind), FRAMES_ZH if kind.startswith("zh_") else FRAMES
    cap = LINE_CAP_ZH if frames is FRAMES_ZH else LINE_CAP
    whole, inside = [], []
    for line in filter(None, (line.strip() for line in lines.splitlines())):
        mark = line[0] if line[0] in frames and line[1] == " " else ""
        readings = variants(line[2:] if mark else line)
        made = framed(readings, frames[mark]) if mark else readings
        kept = made if len(made) <= cap else rng.sample(made, cap)
        (inside if mark else whole).extend(kept)
    if len(inside) > KIND_CAP:
        inside = rng.sample(inside, KIND_CAP)
    return whole, inside
