"""The sandbox: what the program needs from the outside world, on this machine.

An embedded AWS (`sandbox.aws`), an embedded GitHub (`sandbox.github`) and the toolchain that
runs the real Pulumi engine and providers against the two (`sandbox.toolchain`). Everything
listens on loopback only. Nothing in `ecr/` imports from here.
"""
