"""A box for the question that is in the page before Gradio has drawn its own."""
