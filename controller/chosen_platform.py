"""The platform that the configuration names, and what it holds. I/O; called by `controller.main`
before anything else is made.
"""

from __future__ import annotations

from dataclasses import dataclass

from .config import Config
from .credential_files import read_registries
from .platforms.base import Platform
from .platforms.image_engine import ImageEngine
from .platforms.process import ProcessPlatform
from .platforms.registries import Registries
from .platforms.secret_values import SecretFolder
from .platforms.swarm import SwarmPlatform
from .platforms.swarm_images import SwarmImages


@dataclass(frozen=True, slots=True)
class Chosen:
    """A platform that has started. engine: holds its images, None where it has none; image: id of
    the configured job image; python: the Python in it.
    """

    platform: Platform
    engine: ImageEngine | None
    registries: Registries
    image: str
    python: str


async def choose(config: Config) -> Chosen:
    """Start it, and look at the job image. DriverError where it does not answer, ValidationError for
    a registry's wrong files.
    """
    registries = read_registries(config.registries)
    platform, engine = _made(config, registries)
    await platform.start()
    image = await platform.image_id(config.image)
    return Chosen(platform, engine, registries, image, await platform.python_of(config.image))


def _made(config: Config, registries: Registries) -> tuple[Platform, ImageEngine | None]:
    secrets = SecretFolder(config.secrets.folder).read
    if config.platform.type == "swarm":
        endpoint = config.platform.endpoint
        platform = SwarmPlatform(endpoint, registries=registries, secrets=secrets)
        return platform, SwarmImages(endpoint)
    return ProcessPlatform(config.data_dir / "units", secrets=secrets), None
