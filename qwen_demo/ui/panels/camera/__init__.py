"""One question, asked of the camera's images."""
