"""The component for programs in other languages: the plugin ``pulumi-resource-ecr-estate``.

Owns how the engine starts it, which passes what it asks for as arguments. Registers nothing by itself.
"""

from pulumi.provider.experimental import component_provider_host

from ecr import __version__
from ecr.deploy.component import ServiceImageRepository


def serve() -> None:
    """Serve the component until the engine ends the plugin."""
    component_provider_host(
        name="ecr-estate", components=[ServiceImageRepository], version=__version__
    )


if __name__ == "__main__":
    serve()
