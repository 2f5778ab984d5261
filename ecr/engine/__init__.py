"""The one door to the Pulumi engine: its command line, previews, states, stack files and outputs."""
