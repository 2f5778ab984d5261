"""Images as a registry holds them: what one is, what its manifest says, and what belongs to it."""
