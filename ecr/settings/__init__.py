"""What an operator may set: the models, their checks and how they are loaded."""
