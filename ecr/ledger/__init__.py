"""The ledger: which GitHub id owns which image repositories, across deployments and stacks."""
