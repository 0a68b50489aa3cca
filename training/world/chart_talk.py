"""Questions and answers about a chart."""

from training.world.catalog import NUMBERS, join
from training.world.charts import Plotter
from training.world.sample import Turn
from training.world.scenes import still

NAME = {"bar": "bar chart", "hbar": "horizontal bar chart", "pie": "pie chart", "line": "line chart"}
NAME_ZH = {"bar": "柱状图", "hbar": "条形图", "pie": "饼图", "line": "折线图"}
PART = {"bar": "bar", "hbar": "bar", "pie": "slice", "line": "point"}


def chart_sample(world):
    """(picture, turns)"""
    rng = world.rng
    image, chart, letters = Plotter(world).plot()
    picture = still(world.brush.camera(image), None, letters)
    pool = turns_of(rng, world.speaker.ask, chart)
    if rng.random() < world.chinese * 3:
        pool += turns_zh(rng, world.speaker.ask, chart)
    turns = []
    often = 2.0 if world.split == "train" else 1.0  # lists are the hardest: all values of one chart
    for _ in range(rng.choice([4, 5, 6])):
        weights = [weight * (often if turn.kind == "list_values" else 1.0) for weight, turn in pool]
        i = rng.choices(range(len(pool)), weights)[0]
        turns.append(pool.pop(i)[1])
    return picture, turns


def turns_of(rng, say, chart):
    """[(weight, turn)]"""
    labels, values, shown, part = chart.labels, chart.values, chart.shown, PART[chart.kind]
    count = len(values)
    high, low = values.index(max(values)), values.index(min(values))
    i, j = rng.sample(range(count), 2)
    title = f' titled "{chart.title}"' if chart.title else ""
    listed = ", ".join(f"{label} {shown(k)}" for k, label in enumerate(labels))
    larger = (
        f"Yes, {labels[i]} ({shown(i)}) is larger than {labels[j]} ({shown(j)})."
        if values[i] > values[j]
        else f"No, {labels[i]} ({shown(i)}) is not larger than {labels[j]} ({shown(j)})."
    )
    k = rng.choice([k for k in range(count) if k != i])
    turns = [
        (
            1.8,
            Turn(
                say("describe_chart"),
                f"The image shows a {NAME[chart.kind]}{title} with {NUMBERS[count]} {part}s: {listed}.",
                "describe_chart",
            ),
        ),
        (1.5, Turn(say("highest", part=part), f"{labels[high]} is the highest with {shown(high)}.", "highest")),
        (1.5, Turn(say("lowest", part=part), f"{labels[low]} is the lowest with {shown(low)}.", "lowest")),
        (2.0, Turn(say("value", label=labels[i]), f"The value of {labels[i]} is {shown(i)}.", "value")),
        (1.2, Turn(say("value", label=labels[k]), f"The value of {labels[k]} is {shown(k)}.", "value")),
        (
            1.4,
            Turn(
                say("list_values"), "\n".join(f"{label}: {shown(k)}" for k, label in enumerate(labels)), "list_values"
            ),
        ),
        (0.9, Turn(say("chart_type"), f"It is a {NAME[chart.kind]}.", "chart_type")),
        (0.7, Turn(say("n_parts", part=part), f"There are {NUMBERS[count]} {part}s.", "n_parts")),
        (0.8, Turn(say("compare", label=labels[i], other=labels[j]), larger, "compare")),
        (0.6, Turn(say("labels"), join(labels) + ".", "labels")),
        (
            0.6,
            Turn(say("title"), f'The title is "{chart.title}".' if chart.title else "The chart has no title.", "title"),
        ),
    ]
    if values.count(values[i]) == 1:
        turns.append(
            (
                0.7,
                Turn(
                    say("which_value", part=part, value=shown(i)),
                    f"{labels[i]} has the value {shown(i)}.",
                    "which_value",
                ),
            )
        )
    if chart.kind == "line" and values[0] != values[-1]:
        way = "up" if values[-1] > values[0] else "down"
        answer = f"From {labels[0]} to {labels[-1]} the value goes {way} from {shown(0)} to {shown(count - 1)}."
        turns.append((0.9, Turn(say("trend"), answer, "trend")))
    return turns


def turns_zh(rng, say, chart):
    labels, values, shown = chart.labels, chart.values, chart.shown
    high, low, i = values.index(max(values)), values.index(min(values)), rng.randrange(len(values))
    listed = "，".join(f"{label} {shown(k)}" for k, label in enumerate(labels))
    return [
        (2, Turn(say("zh_highest"), f"最高的是{labels[high]}，数值为{shown(high)}。", "zh_highest")),
        (2, Turn(say("zh_lowest"), f"最低的是{labels[low]}，数值为{shown(low)}。", "zh_lowest")),
        (2, Turn(say("zh_value", label=labels[i]), f"{labels[i]}的数值是{shown(i)}。", "zh_value")),
        (1, Turn(say("zh_chart_type"), f"这是一张{NAME_ZH[chart.kind]}。", "zh_chart_type")),
        (2, Turn(say("zh_describe"), f"这是一张{NAME_ZH[chart.kind]}：{listed}。", "zh_describe_chart")),
    ]
