"""Figures that several tasks share, each with its interval, from arrays alone."""
