"""What the model is told of a point cloud or 3D model: its views, which is which, and how to name one in an answer."""

from qwen_demo.points.sides import name_of
from qwen_demo.types import Image, Points, Text, Video

_ANSWER = (
    'A box or point in an answer is given with its view and in that view\'s pixels, as {"view": 2, "bbox_2d": '
    '[x1, y1, x2, y2], "label": "..."} or {"view": 2, "point_2d": [x, y], "label": "..."}; the same thing may be given '
    "in several views."
)


def parts_of(medium: Image | Video | Points) -> tuple[Text | Image | Video, ...]:
    """What stands in the prompt: an image or clip is itself; of a single view nothing need be said."""
    if not isinstance(medium, Points):
        return (medium,)
    if len(medium.views) == 1:
        return (medium.views[0].image,)
    kind = "3D model" if medium.triangles else "point cloud"
    parts: list[Text | Image] = [
        Text(
            f"A {kind} in {len(medium.views)} views of the same scene, drawn without perspective. "
            "Axes with ticks are in the data's own unit.\n"
        )
    ]
    for number, view in enumerate(medium.views, 1):
        parts += [Text(f"View {number}, {name_of(view.azimuth, view.elevation)}:\n"), view.image, Text("\n")]
    return (*parts, Text(_ANSWER + "\n"))
