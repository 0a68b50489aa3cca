"""The small world that the embedded model knows: things, pictures of them, and talk about these pictures."""
