"""What image repositories hold, what that costs a month, whose it is, and what can go."""
