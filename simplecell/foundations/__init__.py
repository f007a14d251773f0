"""Chapters 1 to 3 from nothing: how a net computes and learns, on NumPy alone."""
