"""What the site has beyond the pages that people write: generated pages, and parts for the browser.

``python -m pages`` writes them before the site is built, so that no generator of sites has to know
of them. Reads the program and never changes it; nothing in ``ecr/`` imports this package.
"""
