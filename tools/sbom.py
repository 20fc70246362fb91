"""Write what the wheel and the image are made of, as CycloneDX 1.6: `make sbom` (build/sbom/).

The packages, their hashes and who needs whom come from requirements/image.txt, which the image installs. The programs
of the image come from its Dockerfile, by name: Debian says at build which version it has.
"""

from __future__ import annotations

import re
import sys
from hashlib import sha256
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parents[1]
NAME = "kandji-uploader"
_LOCKED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;]+).*?\\\n(?P<rest>(?:[ ]+.*\n)+)", re.MULTILINE)


def wheel(file: Path | None = None) -> Bom:
    """What is installed with the wheel and its extra `signing`.

    Args:
        file: the wheel, for its SHA-256.
    """
    version = re.search(r'^__version__ = "(.*)"$', _read("shared/kandji_uploader/__init__.py"), re.MULTILINE)[1]
    hashes = [_sha256(sha256(file.read_bytes()).hexdigest())] if file else []
    bom = Bom()
    bom.metadata.component = _component(NAME, version, ComponentType.APPLICATION, hashes=hashes)
    _add_packages(bom, bom.metadata.component)
    return bom


def image(file: Path | None = None) -> Bom:
    """What is in the image: all of the wheel, the base image, and the programs that Debian brings."""
    library = wheel(file).metadata.component
    bom = Bom()
    bom.metadata.component = Component(
        name=NAME, version=library.version, type=ComponentType.CONTAINER, bom_ref=f"{NAME}-image"
    )
    bom.components.add(library)
    _add_packages(bom, library)
    dockerfile = _read("docker/Dockerfile")
    base, tag = re.search(r"^FROM ([\w/]+):(\S+)$", dockerfile, re.MULTILINE).groups()
    around = [_component(base, tag, ComponentType.OPERATING_SYSTEM, kind="docker")]
    programs = re.search(r"apt-get install --yes --no-install-recommends (.*?) \\$", dockerfile, re.MULTILINE)[1]
    around += [_component(name, None, ComponentType.APPLICATION, kind="deb", of="debian") for name in programs.split()]
    bom.components.update(around)
    bom.register_dependency(bom.metadata.component, [library, *around])
    return bom


def text(bom: Bom) -> str:
    """The document as JSON."""
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _add_packages(bom: Bom, library: Component) -> None:
    needed_by: dict[str, set[str]] = {}
    packages: dict[str, Component] = {NAME: library}
    for found in _LOCKED.finditer(_read("requirements/image.txt")):
        digests, _, via = found["rest"].partition("# via")
        hashes = [_sha256(digest) for digest in re.findall(r"sha256:([0-9a-f]{64})", digests)]
        packages[found["name"]] = _component(found["name"], found["version"], ComponentType.LIBRARY, hashes=hashes)
        needed_by[found["name"]] = set(re.findall(r"^[ #]*([\w.-]+)(?: \(pyproject\.toml\))?$", via, re.MULTILINE))
    bom.components.update(package for name, package in packages.items() if name != NAME)
    for name, package in packages.items():
        bom.register_dependency(package, [packages[other] for other, parents in needed_by.items() if name in parents])


def _component(
    name: str,
    version: str | None,
    what: ComponentType,
    *,
    hashes: list[HashType] | None = None,
    kind: str = "pypi",
    of: str | None = None,
) -> Component:
    return Component(
        name=name,
        version=version,
        type=what,
        hashes=hashes or [],
        purl=PackageURL(kind, of, name, version),
        bom_ref=f"{kind}:{name}",
        licenses=[LicenseExpression("Apache-2.0")] if name == NAME else [],
    )


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


if __name__ == "__main__":
    folder = ROOT / "build" / "sbom"
    folder.mkdir(parents=True, exist_ok=True)
    for make in (wheel, image):
        path = folder / f"{make.__name__}.cdx.json"
        path.write_text(text(make(Path(sys.argv[1]) if sys.argv[1:] else None)), "utf-8")
        print(path.relative_to(ROOT))
