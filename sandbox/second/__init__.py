"""A second AWS, which none of us wrote: ministack, with authentication on.

Owns its process, and what is added to it and mended in it so that it can carry the program (`mended.py`). Reads the
folder into which `make second-opinion` installs it. `sandbox.aws` and this know nothing of each other.
"""
