"""The acceptance tests of the upstream AWS provider, which its authors run against AWS, run against the embedded one.

Owns their build, their run and the verdict. Reads the Go module of the provider, which has them; nothing of it is
kept in this repository. What cannot pass here is listed in `exclusions.toml`, each with its reason.
"""
