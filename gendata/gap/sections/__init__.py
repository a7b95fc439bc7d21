"""The sections of the gap's report, one a file; `gendata.gap.report` puts them in order."""
