"""Measures a checkpoint on the held-out set through the stock transformers path: processor, chat template, greedy generate.

    python -m training.evaluate [CHECKPOINT] [--limit 40] [--wordings train] [--fonts train] [--json FILE]

Prints one row a task: exact matches; for printed text also the character error rate; for boxes the share with an overlap
(IoU) over 0.5 and the mean overlap.  Then the rows of training.everyday, the doubt of each answer measured as the demo's
page measures it, and how well doubt finds the wrong ones.  --part I N does every N-th row, to share the work out.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from PIL import Image

from qwen_demo.answers.likeness import edit_distance
from training import everyday
from training import questions as held_out
from training.doubt import Doubt
from training.metrics import best_overlaps, points_inside
from training.model import Qwen2_5_VLForConditionalGeneration
from training.world import chat
from training.world.sample import plain

CHECKPOINT = Path(__file__).parents[1] / "qwen_demo" / "models" / "embedded"
REFUSALS = (
    chat.PHOTO,
    chat.ZH_PHOTO,
    "I cannot see any readable text in the image.",
    "There is no chart in the image.",
    "There is no text in the image.",
)
MAX_NEW_TOKENS = 260


class Model:
    """A checkpoint with its processor.  dtype: torch dtype; device: "cpu" or "cuda"."""

    def __init__(self, folder, dtype=torch.float32, device="cpu"):
        from transformers import AutoProcessor

        self.device = device
        self.model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=dtype).to(device).eval()
        self.processor = AutoProcessor.from_pretrained(folder)
        self.processor.tokenizer.padding_side = "left"

    def inputs(self, questions):
        """Tensors for generate.  questions: [(messages, pictures)], pictures: training.world.sample.Picture."""
        from transformers.video_utils import VideoMetadata

        texts = [
            self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            for messages, _ in questions
        ]
        media, pictures = {}, [picture for _, some in questions for picture in some]
        stills = [Image.fromarray(p.frames[0]) for p in pictures if not p.is_clip]
        clips = [p for p in pictures if p.is_clip]
        if stills:
            media["images"] = stills
        if clips:
            media["videos"] = [[Image.fromarray(f) for f in p.frames] for p in clips]
            rate = [2 / p.seconds_per_grid for p in clips]
            media["video_metadata"] = [
                VideoMetadata(
                    total_num_frames=len(p.frames),
                    fps=fps,
                    duration=len(p.frames) / fps,
                    frames_indices=list(range(len(p.frames))),
                )
                for p, fps in zip(clips, rate, strict=True)
            ]
            media["do_sample_frames"] = False
        inputs = self.processor(text=texts, return_tensors="pt", padding=True, **media)
        return inputs.to(self.device)

    def answer(self, messages, pictures):
        return self.answers([(messages, pictures)])[0][0]

    @torch.inference_mode()
    def answers(self, questions):
        """[(answer, {"mean": geometric mean of its tokens' probabilities, "least": the smallest of them})]"""
        inputs = self.inputs(questions)
        made = self.model.generate(
            **inputs,
            max_new_tokens=MAX_NEW_TOKENS,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
        ids = made.sequences[:, inputs["input_ids"].shape[1] :]
        steps = zip(made.logits, ids.unbind(1), strict=True)
        chosen = torch.stack([logits.float().log_softmax(-1).gather(1, at[:, None])[:, 0] for logits, at in steps], 1)
        texts = self.processor.batch_decode(ids, skip_special_tokens=True)
        return [(text, self._sure(*row)) for text, *row in zip(texts, ids.tolist(), chosen.tolist(), strict=True)]

    def _sure(self, ids, chosen):
        """ids, chosen: of one answer, its tokens and the logarithms of their probabilities; the turn's end is no text."""
        ends = self.model.generation_config.eos_token_id
        count = next((i for i, token in enumerate(ids) if token in ends), len(ids))
        chosen = chosen[: max(1, count)]
        return {"mean": math.exp(sum(chosen) / len(chosen)), "least": math.exp(min(chosen))}


def judge(question, answer):
    """Scores of one answer: {"exact": bool, ...}"""
    turn, expected = question.turn, plain(question.turn.answer)
    score = {"exact": answer.strip() == expected.strip()}
    if turn.boxes:
        score["overlaps"] = best_overlaps(turn.boxes, answer)
    if turn.points:
        score["inside"] = points_inside(turn.points, answer)
        score["exact"] = all(score["inside"])
    if turn.text is not None:
        score["errors"], score["length"] = edit_distance(expected, answer), len(expected)
    if question.task.metric == "refusal":
        score["exact"] = answer.strip() in REFUSALS
    return score


def summary(scores):
    """One row of the table."""
    row = {"n": len(scores), "exact": sum(s["exact"] for s in scores) / len(scores)}
    overlaps = [o for s in scores for o in s.get("overlaps", [])]
    if overlaps:
        row |= {
            "iou_over_half": sum(o > 0.5 for o in overlaps) / len(overlaps),
            "mean_iou": sum(overlaps) / len(overlaps),
            "boxes": len(overlaps),
        }
    length = sum(s.get("length", 0) for s in scores)
    if length:
        row["cer"] = sum(s.get("errors", 0) for s in scores) / length
    return row


def table(rows):
    """Markdown."""
    lines = ["| task | n | exact | CER | IoU > 0.5 | mean IoU |", "|---|---|---|---|---|---|"]
    for name, row in rows.items():
        more = [f"{row[key]:.3f}" if key in row else "" for key in ("cer", "iou_over_half", "mean_iou")]
        exact = "" if "iou_over_half" in row else f"{row['exact']:.3f}"
        lines.append(f"| {name} | {row['n']} | {exact} | " + " | ".join(more) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", nargs="?", default=CHECKPOINT)
    parser.add_argument("--limit", type=int, default=100, help="questions a task")
    parser.add_argument("--everyday", type=int, default=40, help="questions a row of everyday images")
    parser.add_argument("--batch", type=int, default=1, help="questions answered at once; a GPU has room for 16")
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), metavar=("I", "N"))
    parser.add_argument("--merge", type=Path, nargs="+", help="print the tables of these files of --json instead")
    parser.add_argument("--only", default="", help="tasks whose name holds this text")
    parser.add_argument("--json", type=Path, help="also write all answers there")
    parser.add_argument("--show", type=int, default=0, help="print that many wrong answers a task")
    parser.add_argument(
        "--wordings", choices=["test", "train"], default="test", help="held-out wordings, or those of training"
    )
    parser.add_argument(
        "--fonts", choices=["heldout", "train"], default="heldout", help="held-out fonts, or those of training"
    )
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    if args.merge:
        answers = {name: found for path in args.merge for name, found in json.loads(path.read_text("utf-8")).items()}
        order = [t.name for t in [*held_out.TASKS, *everyday.ROWS]]
        report(dict(sorted(answers.items(), key=lambda item: order.index(item[0]))), Doubt.of(args.checkpoint))
    else:
        run(args)


def run(args):
    model = Model(args.checkpoint, getattr(torch, args.dtype), args.device)
    assets, photos = held_out.load_assets(args.fonts), held_out.sample_photos()
    started, part, parts = time.time(), *args.part
    tasks = [t for t in [*held_out.TASKS, *everyday.ROWS] if args.only in t.name][part::parts]
    answers = {}
    for task in tasks:
        if isinstance(task, held_out.Task):
            asked = held_out.questions(task, args.limit, assets, photos, args.wordings)
        else:
            asked = everyday.questions(task, args.everyday, assets["seen"])
        answers[task.name] = [
            answer
            for first in range(0, len(asked), args.batch)
            for answer in answered(model, task, asked[first : first + args.batch])
        ]
        for miss in [a for a in answers[task.name] if a["wrong"]][: args.show]:
            print("   ", json.dumps(miss, ensure_ascii=False), flush=True)
        if args.json:  # after each row: what was measured before a time limit counts
            args.json.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{task.name}: {len(asked)} answers, {sum(a['wrong'] for a in answers[task.name])} wrong", flush=True)
    report(answers, Doubt.of(args.checkpoint))
    print(f"{sum(map(len, answers.values()))} answers in {time.time() - started:.0f} s")


def answered(model, task, questions):
    """Answers with their scores, and how sure the model was of each."""
    given = model.answers([(question.messages(), question.sample.pictures) for question in questions])
    return [scored(task, question, *found) for question, found in zip(questions, given, strict=True)]


def scored(task, question, answer, sure):
    turn = question.turn
    found = {"question": turn.question, "expected": plain(turn.answer), "answer": answer, **sure}
    if isinstance(task, held_out.Task):
        score = judge(question, answer)
        overlaps = score.get("overlaps")
        return found | {"score": score, "wrong": not (min(overlaps) > 0.5 if overlaps else score["exact"])}
    verdict = everyday.verdict(turn, answer)
    return found | {"verdict": verdict, "wrong": verdict == "wrong"}


def report(answers, doubt):
    """Prints both tables.  answers: name of a task or row -> its answers"""
    for found in answers.values():
        for answer in found:
            answer["sure"] = doubt.is_sure(answer)
    old = {name: summary([a["score"] for a in found]) for name, found in answers.items() if "score" in found[0]}
    new = {name: everyday.summary(found) for name, found in answers.items() if "verdict" in found[0]}
    never = [a for name, found in answers.items() if name.startswith("never drawn") for a in found]
    if never:
        new["never drawn, all"] = everyday.summary(never)
    print(table(old))
    if new:
        print(everyday.table(new))
    print(doubt.told([a for found in answers.values() for a in found]))


if __name__ == "__main__":
    main()
