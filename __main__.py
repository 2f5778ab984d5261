"""Deploy the estate of this stack: ecr/program.py has the steps."""

from ecr.program import run

run()
