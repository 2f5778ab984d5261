"""The steps around the plan: observing AWS, registering resources, and what a deployment reports."""
