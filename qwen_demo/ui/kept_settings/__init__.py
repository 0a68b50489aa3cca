"""What a visitor has set outlives the page."""
