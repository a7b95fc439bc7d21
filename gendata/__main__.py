"""`python -m gendata` is `gendata`."""

from gendata.cli import main

main(prog_name="gendata")
