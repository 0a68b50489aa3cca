"""What the next question sends, and what it costs."""
