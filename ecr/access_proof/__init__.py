"""Who may do what: an evaluator of IAM documents, and the matrix of access that it proves."""
