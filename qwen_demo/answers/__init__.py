"""Pure readers of a model's text: boxes, points, timestamps, documents."""
