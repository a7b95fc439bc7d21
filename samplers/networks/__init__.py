"""Networks of published generators, written anew from their papers and parameter names."""
