"""The embedded AWS: every account of an organisation in this process, on a loopback port.

Owns starting and stopping it (`EmbeddedAws`), the list of calls it answered (`ApiCall`) and
the parts of Amazon ECR that moto lacks. Reads nothing but the requests it is sent. Never
reaches the network, keeps anything between two starts, or imports moto before it is started.
"""

from sandbox.aws.embedded import ApiCall, EmbeddedAws

__all__ = ["ApiCall", "EmbeddedAws"]
