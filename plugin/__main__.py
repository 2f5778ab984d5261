"""Serve the component to a program in another language."""

from ecr.deploy.provider import serve

serve()
