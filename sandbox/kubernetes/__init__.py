"""A Kubernetes API server on loopback, to try admission on: nothing behind it runs a container.

Owns its parts, built once from Go modules and kept in the user's cache, and the processes of a
running one. Reads the Go module in `parts`. Never reads the user's kubeconfig, talks to no cluster
but its own, and has no controllers, no scheduler and no nodes.
"""

from sandbox.kubernetes.build import Parts, ensure_parts
from sandbox.kubernetes.cluster import Answer, EmbeddedKubernetes, eventually

__all__ = ["Answer", "EmbeddedKubernetes", "Parts", "ensure_parts", "eventually"]
