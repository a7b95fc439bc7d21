"""How each embedded file was made: scripts that anyone can rerun.

In order: data, classifier, diffusion, gan, then measure, which fills in the cards' figures.
Objects stand apart.
"""
