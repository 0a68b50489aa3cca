"""What the page says, in English and in Chinese."""
