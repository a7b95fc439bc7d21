"""The sections of the gap's report, one a file; `gendata.gap.report.page` puts them in order."""
