"""What the REST API and the page share of HTTP."""
