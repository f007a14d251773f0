"""A deferred graph, the programming model of TensorFlow 1, on NumPy: first written down, then run.

Read it in this order: ``graph`` and ``tensor`` (how a graph is written down), ``arithmetic``, ``shaping``
and ``reductions`` (operations, each with its gradient), ``gradients`` (backpropagation), ``plan``,
``running`` and ``session`` (how it is run), ``nn`` and ``train`` (nets that learn), ``drawing``, ``summary``
and ``steps`` (pictures of it).
"""

# Every family of operations, so that those which an operator or a gradient is made of are always known.
from simplecell.foundations.graph import (
    arithmetic,
    images,
    joining,
    matrices,
    nn,
    reductions,
    shaping,
    variables,
)

__all__ = ["arithmetic", "images", "joining", "matrices", "nn", "reductions", "shaping", "variables"]
