"""Where repositories come from: GitHub's listing with its proof of completeness, or a list."""
