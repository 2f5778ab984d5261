"""Lifecycle policies of ECR: their grammar, and a simulator of what they do to images."""
