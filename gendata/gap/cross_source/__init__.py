"""Who classifies whose images rightly: classifiers of each source, shown the other's."""
