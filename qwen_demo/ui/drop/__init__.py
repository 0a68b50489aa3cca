"""What is dropped or pasted anywhere on the page is taken."""
