"""Several engines of one model behind one front: a whole one for each GPU."""
