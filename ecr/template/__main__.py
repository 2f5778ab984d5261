"""Deploy the estate of this stack."""

from ecr.program import run

run()
