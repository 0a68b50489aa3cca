"""Point clouds and 3D models: their views, a model to turn, and what an answer marks in them."""
