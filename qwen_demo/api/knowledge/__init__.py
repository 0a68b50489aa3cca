"""Collections of documents: their routes, and answers from them."""
