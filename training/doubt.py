"""Calibrates the doubt of a checkpoint: below which probability of its own tokens an answer is to be marked.

    python -m training.doubt ANSWERS.json [...] [--write FOLDER] [--aim 0.05]

ANSWERS: of `python -m training.evaluate --json`.  The measure (geometric mean of the tokens' probabilities, or the least
of them) and its threshold are chosen on every other row, never-drawn kinds among them: the lowest threshold that leaves at
most the share `aim` of the never-drawn kinds' answers wrong without doubt.  Boxes and points have a threshold of their own,
of the mean: a coordinate may well be a pixel more or less.  The rest of the rows tell how well it does.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from training.export import write_checksums

FILE = "doubt.json"
DEFAULT = 0.5
PLACES = '_2d"'  # in answers with boxes or points
MEASURES = ("mean", "least")
THRESHOLDS = [step / 100 for step in range(2, 95)] + [step / 1000 for step in range(950, 1000, 2)]
THRESHOLDS += [0.999, 0.9995, 0.9999]  # sure models


@dataclass(frozen=True)
class Doubt:
    """An answer is doubted where its measure ("mean" or "least") lies below the threshold, from 0 to 1; one that gives
    boxes or points, where its mean lies below `places_unsure_below`."""

    unsure_below: float = DEFAULT
    measure: str = "mean"
    places_unsure_below: float = DEFAULT

    @classmethod
    def of(cls, folder):
        path = Path(folder) / FILE
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def is_sure(self, answer):
        if gives_places(answer):
            return answer["mean"] >= self.places_unsure_below
        return answer[self.measure] >= self.unsure_below

    def write(self, folder):
        (Path(folder) / FILE).write_text(json.dumps(asdict(self)) + "\n")

    def scores(self, answers):
        """Precision and recall of "wrong", the share of all that is doubted, and of the right that is."""
        doubted = [a for a in answers if not self.is_sure(a)]
        wrong = [a for a in answers if a["wrong"]]
        hits = sum(a["wrong"] for a in doubted)
        return {
            "precision": hits / max(1, len(doubted)),
            "recall": hits / max(1, len(wrong)),
            "doubted": len(doubted) / max(1, len(answers)),
            "right_doubted": (len(doubted) - hits) / max(1, len(answers) - len(wrong)),
            "undoubted": (len(wrong) - hits) / max(1, len(answers)),
        }

    def told(self, answers):
        found = self.scores(answers)
        return f"doubt ({self.measure} < {self.unsure_below}): " + ", ".join(f"{k} {v:.3f}" for k, v in found.items())


def gives_places(answer):
    return PLACES in answer["answer"]


def halves(answers):
    """(answers to choose on, answers to report on): every other row of each sort, and every other answer with places of
    any row, since few rows have them.  answers: row -> its answers"""
    sorts = {}
    for name in answers:
        sorts.setdefault((name.startswith("never drawn"), "score" in answers[name][0]), []).append(name)
    chosen = {name for names in sorts.values() for name in names[::2]}
    sides = []
    for side in (True, False):
        found = {n: _of_side(a, n in chosen, side) for n, a in answers.items()}
        sides.append({n: a for n, a in found.items() if a})
    return sides


def _of_side(answers, chosen, side):
    """Those of one row's answers that lie on this side.  chosen: whether the row is to choose on."""
    return [a for i, a in enumerate(answers) if ((i % 2 == 0) if gives_places(a) else chosen) is side]


def flat(answers, never=False):
    return [a for name, found in answers.items() if name.startswith("never drawn") or not never for a in found]


def choose(answers, aim):
    """The Doubt that marks the fewest right answers among those that meet the aim on never-drawn kinds."""
    everything, best = flat(answers), []
    never = [a for a in flat(answers, never=True) if not gives_places(a)]
    places = [a for a in everything if gives_places(a)]
    places_below = min(THRESHOLDS, key=lambda t: sum((a["mean"] < t) is not a["wrong"] for a in places))
    everything = [a for a in everything if not gives_places(a)]
    for measure in MEASURES:
        for threshold in THRESHOLDS:
            doubt = Doubt(threshold, measure, places_below)
            if doubt.scores(never)["undoubted"] <= aim:
                best.append((doubt.scores(everything)["right_doubted"], doubt))
                break
    return min(best, key=lambda pair: pair[0])[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("answers", type=Path, nargs="+")
    parser.add_argument("--write", type=Path, help="folder of the checkpoint that doubt.json goes to")
    parser.add_argument("--aim", type=float, default=0.05)
    args = parser.parse_args()
    answers = {name: found for path in args.answers for name, found in json.loads(path.read_text("utf-8")).items()}
    ours, others = halves(answers)
    doubt = choose(ours, args.aim)
    print("chosen on", doubt.told(flat(ours)))
    print("never drawn, chosen on", doubt.told(flat(ours, never=True)))
    print("reported on", doubt.told(flat(others)))
    print("never drawn, reported on", doubt.told(flat(others, never=True)))
    if args.write:
        doubt.write(args.write)
        write_checksums(args.write)


if __name__ == "__main__":
    main()
