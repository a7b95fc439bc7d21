"""Studies: one file each, registered by name, run by `gendata bench STUDY`."""
