"""What must exist before the first deployment: roles, state, keys, and the settings of the repository."""
