"""Every policy document of the plan: registries, push, deploy and promotion roles."""
