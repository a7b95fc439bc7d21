"""How each embedded file was made: scripts that anyone can rerun, in the order data, classifier, diffusion, gan, measure."""
