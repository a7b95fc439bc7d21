"""Training methods: one file each, found through `gendata.registry.methods`."""
