"""What is measured, each beside the limit that the same machine sets it in the same run."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import audits as audit_costs
from benchmarks import installers, nightly, pages, vendors
from benchmarks.measure import MIB, Run, Sample, in_turns, process, ratio
from benchmarks.tenant import ROOT, Tenant

_AUDIT_MEMORY = 24
"""MiB."""


@dataclass(frozen=True)
class Scale:
    """How large everything is.

    Attributes:
        large: bytes of the large installer.
        huge: bytes of the one that memory is compared with; 0 for none.
        chunked: bytes of the one whose payload is pbzx, which takes long to make and to unpack; a multiple of 16 MiB.
        rounds: runs of which medians are taken.
        recipes: how many recipes there are in one process, for each point of the plot.
        apps: Custom Apps of the tenant for these.
        parallel: installers on one command line.
        parallel_size: bytes of each.
        wire: bytes per second of each of their connections.
        uplink: bytes per second of the connection that the large installer goes over.
        crowd: entries of the zips that hold very many.
        folders: of a simulated Mac, below /Applications and /Library.
        tenants: how many there are for each point of their plot.
        night: tenants of a short night; a whole one is the case "grid".
        tenant_apps: Custom Apps of each.
        workers: tenants at a time.
        both: bytes of what Kandji's tools publish, too.
    """

    large: int = 1 << 30
    huge: int = 1 << 32
    chunked: int = 256 << 20
    rounds: int = 3
    recipes: tuple[int, ...] = (10, 100, 1000)
    apps: int = 5000
    parallel: int = 16
    parallel_size: int = 20_000_000
    wire: float = 20_000_000.0
    uplink: float = 300_000_000.0
    folders: int = 30_000
    tenants: tuple[int, ...] = (3, 9, 18)
    night: int = 6
    tenant_apps: int = 400
    workers: int = 8
    both: tuple[int, ...] = (10 << 20, 1 << 30)
    crowd: int = 120_000

    @property
    def large_name(self) -> str:
        """The size of the large installer, for people."""
        return _in_words(self.large)


def _in_words(size: int) -> str:
    return f"{size >> 30} GiB" if size >= 1 << 30 else f"{size >> 20} MiB"


SMALL = Scale(
    large=32 << 20,
    huge=128 << 20,
    chunked=8 << 20,
    rounds=2,
    recipes=(10, 60),
    apps=600,
    parallel=6,
    parallel_size=1_000_000,
    wire=4e6,
    folders=300,
    tenants=(3, 6),
    night=4,
    tenant_apps=100,
    workers=2,
    both=(1 << 20, 16 << 20),
    crowd=12_000,
)
"""For CI: large enough for ratios and memory, small enough for half a minute."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        ours: the figure.
        limit: what it is held against, with its figure.
        bar: what is promised, on a machine that does something else, too; "-" for nothing.
        reached: whether that was kept; if not, the command fails.
        value: the figure that the bar is about, for tests.
        aim: what we want to reach, and whether it was; "" where that is the promise.
        cpu: seconds of processor time of ours, for tests; 0 where they need none.
    """

    what: str
    ours: str
    limit: str
    bar: str
    reached: bool
    value: float
    aim: str = ""
    cpu: float = 0.0


@dataclass
class Bench:
    """Where the cases run.

    Attributes:
        folder: for installers and settings; on a disk with room for several large files.
        scale: see `Scale`.
        python: the interpreter that is measured.
        points: what the plot shows: recipes, and milliseconds of processor time per unchanged one.
        tenant_points: what the second one shows: tenants, and milliseconds per unchanged app of one of them.
    """

    folder: Path
    scale: Scale = field(default_factory=Scale)
    python: str = sys.executable
    points: list[tuple[int, float]] = field(default_factory=list)
    tenant_points: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.config = self.folder / "config"
        self.fresh()

    def fresh(self, identity: str = "content") -> None:
        """As on a machine that has published nothing yet; with `identity` as config.yaml says it."""
        shutil.rmtree(self.config, ignore_errors=True)
        self.config.mkdir(parents=True)
        (self.config / "config.yaml").write_text(f"identity: {identity}\n", "utf-8")

    def environ(self, tenant: Tenant) -> dict[str, str]:
        """Variables of a run against a tenant."""
        given = {
            "KANDJI_API_URL": tenant.url,
            "KANDJI_TOKEN": tenant.token,
            "KANDJI_UPLOADER_DIR": str(self.config),
            "KANDJI_UPLOADER_STATE_DIR": str(self.config / "state"),
            "HOME": str(self.folder),
            "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}",
        }
        return {"PATH": os.environ["PATH"], **given}

    def publish(
        self, tenant: Tenant, path: Path, *words: str, name: str = "Big", enforcement: str = "install_once"
    ) -> Run:
        """One run of the command line."""
        given = ["-p", path, "-n", name, "--enforcement", enforcement, "--json", *words]
        return process([self.python, "-m", "kandji_uploader", "upload", *given], self.environ(tenant), self.folder)

    def python_run(self, code: str, *words: str | Path) -> Run:
        """One run of Python code that uses the library."""
        environ = {**os.environ, "PYTHONPATH": str(ROOT / "shared")}
        return process([self.python, "-c", code, *words], environ, self.folder)

    def curl(self, tenant: Tenant, path: Path) -> Run:
        """The upload alone, by curl, to the same store."""
        ticket = tenant.ticket(path.name)
        fields = [word for name, value in ticket["post_data"].items() for word in ("-F", f"{name}={value}")]
        return process(["curl", "-sS", "--fail", *fields, "-F", f"file=@{path}", ticket["post_url"]])

    def openssl(self, path: Path) -> Run:
        """The digest alone."""
        return process(["openssl", "dgst", "-sha256", path])

    def large(self) -> Path:
        """The large installer: a package whose Info.plist comes early and whose bytes cannot be compressed."""
        path = self.folder / "Big-1.0.pkg"
        if not path.exists():
            installers.flat_package(path, "Big", self.scale.large, late=False, packed=False)
        return path


def publish_new(bench: Bench) -> Iterable[Row]:
    """A large installer for a new app, with a store that keeps it and with one that throws it away."""
    path = bench.large()
    what = f"publish {bench.scale.large_name}, new app"
    with Tenant(bench.python) as tenant:
        here, there, digest = _beside_curl(bench, tenant, path)
    yield _processor_time(what, here, "`openssl dgst` + `curl -F`", (digest, there), 1.5, 1.1)
    yield _wall(what, here, "`curl -F`", there)
    yield _memory(f"its memory, {bench.scale.large_name}", here.peak, 48)
    yield from _memory_of_huge(bench, here.peak)
    with Tenant(bench.python, keep_files=False) as tenant:
        here, there, _ = _beside_curl(bench, tenant, path)
        content, *limit = _beside_curl(bench, tenant, path, "content")
    yield _wall(f"{what}; the store throws the file away", here, "`curl -F`", there)
    yield _processor_time(
        f"{what}; `identity: content`, which reads it whole", content, "`curl -F` + `openssl dgst`", limit
    )
    yield _memory("its memory", content.peak, 48)


def _beside_curl(bench: Bench, tenant: Tenant, path: Path, identity: str = "file") -> tuple[Sample, ...]:
    """Ours, curl and openssl in turns.

    Neither curl nor openssl looks into the file; so what is held against them is told to look at the file alone.
    """
    samples = in_turns(
        bench.scale.rounds,
        lambda: _new(bench, tenant, path, identity),
        lambda: _cleared(tenant, lambda: bench.curl(tenant, path)),
        lambda: bench.openssl(path),
    )
    tenant.clear()
    return samples


def _memory_of_huge(bench: Bench, before: int) -> Iterable[Row]:
    if not bench.scale.huge:
        return
    path = installers.flat_package(bench.folder / "Huge-1.0.pkg", "Huge", bench.scale.huge, late=False, packed=False)
    with Tenant(bench.python, keep_files=False) as tenant:
        bench.fresh("file")
        peak = bench.publish(tenant, path, name="Huge").peak
    path.unlink()
    more = (peak - before) / MIB
    what = f"the same, {bench.scale.huge // bench.scale.large} times the size"
    yield Row(what, f"{more:+.1f} MiB", f"{before / MIB:.1f} MiB", "<= +2 MiB", more <= 2, more)


def over_a_wire(bench: Bench) -> Iterable[Row]:
    """The same new app over a connection that is slower than this machine, as any real one is."""
    path, wire = bench.large(), bench.scale.uplink
    with Tenant(bench.python, keep_files=False) as tenant:

        def slowed(do: Callable[[], Run]) -> Run:
            tenant.clear()
            tenant.slow(wire)
            return do()

        def ours() -> Run:
            bench.fresh("file")
            return bench.publish(tenant, path)

        here, there = in_turns(
            bench.scale.rounds, lambda: slowed(ours), lambda: slowed(lambda: bench.curl(tenant, path))
        )
    what = f"publish {bench.scale.large_name}, new app; at {wire / 1e6:.0f} MB/s"
    yield _wall(what, here, "`curl -F`", there, 1.5, 1.05)


def beside_kandji(bench: Bench) -> Iterable[Row]:
    """A new app, another installer of it and an unchanged one; by Kandji's own tools, too, where they are."""
    for size in bench.scale.both:
        folder = bench.folder / "both"
        folder.mkdir()
        paths = [folder / f"Big-{version}.pkg" for version in ("1.0", "1.1")]
        for more, path in enumerate(paths):
            installers.flat_package(path, "Big", 0, late=False, packed=False)
            os.truncate(path, size + more)
            installers.sha256(path)  # the first one to read a file waits for the disk
        with Tenant(bench.python, token=vendors.TOKEN) as tenant, vendors.Front(tenant.url, folder) as front:
            tools = vendors.found(folder, front.environ)
            ours = _works(tenant, lambda: bench.fresh("file"), lambda path: bench.publish(tenant, path), paths)
            theirs = [_works(tenant, tool.forget, tool.publish, paths, tool.prepare) for tool in tools]
        shutil.rmtree(folder)
        for at, work in enumerate(("a new app", "another installer", "an unchanged one")):
            told = "; ".join(f"{tool.name}: {_cost(*each[at])}" for tool, each in zip(tools, theirs, strict=True))
            yield Row(f"{work} of {_in_words(size)}", _cost(*ours[at]), told or "-", "-", True, ours[at][0].cpu)


def _works(
    tenant: Tenant,
    forget: Callable[[], None],
    publish: Callable[[Path], Run],
    paths: Sequence[Path],
    prepare: Callable[[Path], None] = lambda _: None,
) -> list[tuple[Run, int]]:
    """What one tool takes for a new app, for its next installer and for the same once more, with the requests."""
    tenant.clear()
    forget()
    told = []
    for path in (paths[0], paths[1], paths[1]):
        prepare(path)
        tenant.requests()
        run = publish(path)
        told.append((run, len(tenant.requests())))
        if [app["sha256"] for app in tenant.apps()] != [installers.sha256(path)]:
            raise AssertionError(tenant.apps())
    return told


def _cost(run: Run, requests: int) -> str:
    return f"requests: {requests}, {run.wall:.1f} s, processor {run.cpu:.2f} s, {run.peak / MIB:.0f} MiB"


def _new(bench: Bench, tenant: Tenant, path: Path, identity: str = "file") -> Run:
    """Publish a new app from a machine that has published nothing yet."""
    tenant.clear()
    bench.fresh(identity)
    run = bench.publish(tenant, path)
    _expect(tenant.requests(), 6)
    return run


def _cleared(tenant: Tenant, do: Callable[[], Run]) -> Run:
    tenant.clear()
    return do()


def publish_same_size(bench: Bench) -> Iterable[Row]:
    """A large installer that differs from the app's but is of the same size."""
    path = bench.large()
    with Tenant(bench.python) as tenant:

        def ours() -> Run:
            tenant.clear()
            bench.fresh("file")
            tenant.seed([_app("Big", "0" * 64, path.stat().st_size, file_name="Big-0.9.pkg")])
            run = bench.publish(tenant, path)
            _expect(tenant.requests(), 7)
            return run

        def theirs() -> Run:
            tenant.clear()
            digest, sent = bench.openssl(path), bench.curl(tenant, path)
            return Run(digest.wall + sent.wall, digest.cpu + sent.cpu, max(digest.peak, sent.peak), "")

        here, there = in_turns(bench.scale.rounds, ours, theirs)
        tenant.clear()
    what = f"publish {bench.scale.large_name}, changed but of the same size"
    yield _processor_time(what, here, "`openssl dgst` + `curl -F`", (there,), 1.5, 1.1)


def unchanged(bench: Bench) -> Iterable[Row]:
    """A large installer that Kandji has already."""
    path = bench.large()
    counts = set()
    with Tenant(bench.python) as tenant:
        tenant.seed([_app("Big", installers.sha256(path), path.stat().st_size, file_name=path.name)])

        def once() -> Run:
            run = bench.publish(tenant, path)
            counts.add(len(tenant.requests()))
            return run

        def cold() -> Run:
            bench.fresh("file")
            return once()

        here, there = in_turns(bench.scale.rounds, cold, lambda: bench.openssl(path))
        again, _ = in_turns(bench.scale.rounds, once, lambda: bench.python_run("pass"))
        bare, _ = in_turns(bench.scale.rounds, lambda: bench.python_run("import requests"), once)
    yield _processor_time(f"unchanged {bench.scale.large_name}", here, "`openssl dgst`", (there,), 1.5, 1.15)
    yield Row("its requests", str(max(counts)), "the list", "1", counts == {1}, max(counts))
    yield _beyond("the same again (digest cache)", again, "`python -c 'import requests'`", bare, 0.15, 0.06)


def starts(bench: Bench) -> Iterable[Row]:
    """What tells something and publishes nothing, beside a Python that does nothing."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "shared"), "KANDJI_UPLOADER_DIR": str(bench.config)}
    for words in (["-h"], ["--version"], ["completion", "zsh"]):
        here, there = in_turns(
            bench.scale.rounds * 3,
            lambda words=words: process([bench.python, "-m", "kandji_uploader", *words], environ, bench.folder),
            lambda: bench.python_run("pass"),
        )
        yield _beyond(f"`{' '.join(words)}`", here, "`python -c pass`", there, 0.15, 0.06)


def small_installer(bench: Bench) -> Iterable[Row]:
    """A small installer for a prod and a test app, enforced by an audit script, from nothing to published."""
    path = installers.app_zip(bench.folder / "Little-1.0.zip", "Little", "1.0", 200_000)
    with Tenant(bench.python) as tenant:

        def ours() -> Run:
            tenant.clear()
            bench.fresh()
            run = bench.publish(tenant, path, "-t", "Little (Test)", name="Little", enforcement="audit_enforce")
            _expect(tenant.requests(), 7)
            return run

        (here,) = in_turns(bench.scale.rounds, ours)
        requests = statistics.median(_requests_alone(tenant, path) for _ in range(bench.scale.rounds))
    limit = f"the requests alone, {requests * 1000:.0f} ms"
    aim = _aim("<= 0.5 s", reached=here.wall <= 0.5)
    what = "small installer, prod and test app"
    yield Row(what, f"{here.wall:.2f} s", limit, "-", True, here.wall, aim)


def _requests_alone(tenant: Tenant, path: Path) -> float:
    """Seconds that the same requests take by curl, one after the other over one connection each."""
    began = time.perf_counter()
    ticket = tenant.ticket(path.name)
    fields = [word for name, value in ticket["post_data"].items() for word in ("-F", f"{name}={value}")]
    header = f"Authorization: Bearer {tenant.token}"
    apps = f"{tenant.url}/api/v1/library/custom-apps"
    form = [
        "-d",
        f"name=x&install_type=zip&install_enforcement=install_once&unzip_location=/x&file_key={ticket['file_key']}",
    ]
    every = ["-sS", "-o", os.devnull]
    subprocess.run(
        [
            *("curl", *every, *fields, "-F", f"file=@{path}", ticket["post_url"]),
            *("--next", *every, "-H", header, apps),
            *("--next", *every, "-H", header, *form, apps),
            *("--next", *every, "-H", header, *form, apps),
        ],
        check=True,
    )
    return time.perf_counter() - began


_READ = "import sys; from kandji_uploader import installer; print(installer.inspect(sys.argv[1], digest=False).version)"


def facts(bench: Bench) -> Iterable[Row]:
    """What an installer is, out of a large one."""
    before = {*bench.folder.iterdir()}
    yield from _facts_of_gzip(bench)
    yield from _facts_of_pbzx(bench)
    yield from _facts_of_directories(bench)
    yield from _facts_of_crowds(bench)
    if {*bench.folder.iterdir()} - before:
        raise AssertionError("reading an installer has left files")


def _facts_of_gzip(bench: Bench) -> Iterable[Row]:
    path = installers.flat_package(bench.folder / "Facts.pkg", "Facts", bench.scale.large, late=True, packed=True)
    payload = installers.payload_of(path, bench.folder / "Payload")
    here, there = _reading(bench, path, f"gzip -dc '{payload}'")
    what = f"facts from a pkg with {bench.scale.large_name} of gzip"
    yield replace(_processor_time(f"{what}, Info.plist last", here, "`gzip -dc`", (there,), 1.3), cpu=here.cpu)
    yield _memory("its memory", here.peak, 64)
    installers.flat_package(path, "Facts", bench.scale.large, late=False, packed=True)
    (here,) = in_turns(bench.scale.rounds, lambda: _said(bench.python_run(_READ, path), "1.0"))
    limit = f"`gzip -dc`, {there.cpu:.2f} s"
    first = f"{what}, Info.plist first; processor time"
    yield Row(first, f"{here.cpu:.2f} s", limit, "<= 0.5 s", here.cpu <= 0.5, here.cpu, cpu=here.cpu)
    yield _memory("its memory", here.peak, 64)
    yield from _content(bench, path, payload)
    path.unlink()
    payload.unlink()


_WHOLE = """
import sys
from kandji_uploader import installer
facts = installer.inspect(sys.argv[1], digest=False, signature=True, content=True)
print(len(facts.content))
"""


def _content(bench: Bench, path: Path, payload: Path) -> Iterable[Row]:
    """What a package brings to a Mac and who signed it, by the processor time of a look that unpacks it once."""
    here, there = in_turns(
        bench.scale.rounds,
        lambda: _said(bench.python_run(_WHOLE, path), "32"),
        lambda: process(["sh", "-c", f"gzip -dc '{payload}' > /dev/null"]),
    )
    what = f"content and signature of a pkg with {bench.scale.large_name} of gzip"
    yield _processor_time(what, here, "`gzip -dc`", (there,), 1.3, 1.1)
    yield _memory("its memory", here.peak, 48)


def _facts_of_pbzx(bench: Bench) -> Iterable[Row]:
    path, plain = installers.chunked_package(bench.folder / "Chunks.pkg", "Chunks", bench.scale.chunked)
    here, there = _reading(bench, path, f"xz -dc '{plain}'")
    path.unlink()
    plain.unlink()
    what = f"facts from a pkg with {_in_words(bench.scale.chunked)} of pbzx, Info.plist last"
    yield _processor_time(what, here, "`xz -dc`", (there,), 1.3)
    yield _memory("its memory", here.peak, 64)


def _facts_of_directories(bench: Bench) -> Iterable[Row]:
    """Of what has a directory, no more is read than that."""
    zipped = installers.app_zip(bench.folder / "Facts.zip", "Facts", "1.0", bench.scale.large)
    listings = {zipped: f"'{bench.python}' -m zipfile -l '{zipped}'"}
    reader = shutil.which("7zz") or shutil.which("7z")
    image = installers.disk_image(bench.folder / "Facts.dmg", "Facts", bench.scale.large) if reader else None
    if image is not None:
        listings[image] = f"'{reader}' l '{image}'"
    for path, listing in listings.items():
        here, there = _reading(bench, path, listing)
        path.unlink()
        what = f"facts from a {path.suffix[1:]} of {bench.scale.large_name}"
        limit = f"listing it, {there.wall * 1000:.0f} ms"
        yield Row(what, f"{here.wall:.2f} s", limit, "<= 1 s", here.wall <= 1, here.wall)


CROWDS = {
    "files of an app": "A.app/Contents/Resources/Folder/File {}",
    "apps": "A {}.app/Contents/Info.plist",
    "packages": "A {}.pkg",
}
"""What a zip may hold very many of, and how each is called."""
_LIST = "import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).infolist()))"
_LOOK = """
import sys
from kandji_uploader import errors, installer
try:
    installer.inspect(sys.argv[1], digest=False)
except errors.InstallerError:
    pass
"""


def _facts_of_crowds(bench: Bench) -> Iterable[Row]:
    for crowd, name in CROWDS.items():
        names = [name.format(number) for number in range(bench.scale.crowd)]
        path = installers.crowded_zip(bench.folder / "Crowd.zip", names)
        here, there = in_turns(
            bench.scale.rounds, lambda path=path: bench.python_run(_LOOK, path), lambda path=path: _list(bench, path)
        )
        path.unlink()
        what = f"facts from a zip of {bench.scale.crowd:,} {crowd}; processor time"
        limit = f"Python's `zipfile`, {there.cpu:.2f} s, {there.peak / MIB:.0f} MiB"
        aim = _aim("<= 1 s", reached=here.cpu <= 1)
        yield Row(what, f"{here.cpu:.2f} s", limit, "<= 2 s", here.cpu <= 2, here.cpu, aim, cpu=here.cpu)
        yield _memory("its memory", here.peak, 48)


def _list(bench: Bench, path: Path) -> Run:
    return _said(bench.python_run(_LIST, path), str(bench.scale.crowd))


def _reading(bench: Bench, path: Path, limit: str) -> tuple[Sample, ...]:
    """Our reading of an installer, and a shell command, in turns."""
    return in_turns(
        bench.scale.rounds,
        lambda: _said(bench.python_run(_READ, path), "1.0"),
        lambda: process(["sh", "-c", f"{limit} > /dev/null"]),
    )


def audit_script(bench: Bench) -> Iterable[Row]:
    """Rendering the audit script."""
    code = (
        "import statistics, time\n"
        "from kandji_uploader.audit import script as audit\n"
        "template, took = audit.load_template(), []\n"
        "for number in range(200):\n"
        "    values = audit.AuditValues('Big.app', 'com.example.big', None, f'1.{number}', 1700000000, 5)\n"
        "    began = time.perf_counter()\n"
        "    audit.render(values, template)\n"
        "    took.append(time.perf_counter() - began)\n"
        "print(statistics.median(took))\n"
    )
    took = statistics.median(float(bench.python_run(code).output) for _ in range(bench.scale.rounds)) * 1000
    yield Row("render an audit script", f"{took:.2f} ms", "-", "<= 5 ms", took <= 5, took)


def audits(bench: Bench) -> Iterable[Row]:
    """What the audit script costs a Mac, beside Kandji's own where KAPPA_SCRIPT names that."""
    given = os.environ.get("KAPPA_SCRIPT")
    theirs = Path(given).read_text("utf-8") if given else None
    mac = audit_costs.Mac(bench.folder / "mac", bench.scale.folders)
    for what, scene in audit_costs.SCENES.items():
        yield _audit(bench, mac, what, scene, theirs)
    mac.crowd(bench.scale.folders)
    scene = audit_costs.SCENES["compliant, by a search of the disk"]
    yield _audit(bench, mac, f"that among {bench.scale.folders:,} more apps", scene, None)
    shutil.rmtree(mac.root)


def _audit(bench: Bench, mac: audit_costs.Mac, what: str, scene: audit_costs.Scene, theirs: str | None) -> Row:
    """One audit by our script and, where its text is given, by Kandji's."""

    def started(text: str | None) -> int:
        code, count = mac.count(mac.prepare(scene, text))
        if code != scene.code:
            raise AssertionError(code)
        return count

    texts = [None] if theirs is None else [None, theirs]
    counts = [started(text) for text in texts]
    # Most take milliseconds, so there are more of them than of other runs.
    samples = in_turns(
        bench.scale.rounds * 3, *(lambda text=text: mac.measure(mac.prepare(scene, text)) for text in texts)
    )
    here = samples[0]
    figures = f"{counts[0]} processes, {here.cpu * 1000:.0f} ms, {here.peak / MIB:.1f} MiB"
    reached, limit, bar, aim = here.peak <= _AUDIT_MEMORY * MIB, "-", f"<= {_AUDIT_MEMORY} MiB", ""
    if theirs is not None:
        there = samples[1]
        limit = f"KAPPA's script: {counts[1]} processes, {there.cpu * 1000:.0f} ms"
        bar += ", fewer processes, less time"
        aim = _aim("<= 0.5 x the time", reached=here.cpu <= there.cpu / 2)
        reached = reached and counts[0] < counts[1] and here.cpu < there.cpu
    return Row(f"an audit: {what}", figures, limit, bar, reached, counts[0], aim)


def processor(bench: Bench) -> Iterable[Row]:
    """Loading the processor for its description, as `autopkg processor-info` does."""
    nothing = bench.folder / "Nothing.py"
    nothing.write_text(
        "from autopkglib import Processor\n\n\nclass Nothing(Processor):\n"
        '    """Does nothing."""\n\n    description = __doc__\n    input_variables = {}\n    output_variables = {}\n'
    )
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from tests.support.autopkglib_standin import load\n"
        "one = load(sys.argv[2]); print(one.description, one.input_variables, one.output_variables)"
    )
    here, there = in_turns(
        bench.scale.rounds * 4,
        lambda: bench.python_run(code, ROOT, ROOT / "KandjiUploader.py"),
        lambda: bench.python_run(code, ROOT, nothing),
    )
    yield _beyond("load the processor's metadata", here, "a processor that does nothing", there, 0.03, 0.003)


def many_recipes(bench: Bench) -> Iterable[Row]:
    """Many recipes in one process, one in a hundred of them with news."""
    scale, folder = bench.scale, bench.folder / "recipes"
    folder.mkdir()
    count = max(scale.recipes)
    with Tenant(bench.python) as tenant:
        tenant.seed(published(folder, count, scale.apps))
        for each in scale.recipes:
            bench.fresh()
            told = run_recipes(bench, tenant, folder, each)
            tenant.requests()
            bench.points.append((each, 1000 * statistics.median(took for took, _ in told[1:])))
        changed = range(0, count, 100)
        for number in changed:
            _recipe_installer(folder, number, 1000)
        bench.fresh()
        told = run_recipes(bench, tenant, folder, count)
        requests = len(tenant.requests())
    shutil.rmtree(folder)
    pages, news = -(-scale.apps // 300), sum(is_new for _, is_new in told)
    allowed, wanted = pages + 6 * news, pages + 4 * news
    yield Row(
        f"{count} recipes in one process, {scale.apps} Custom Apps, {news} changed",
        f"processor {sum(took for took, _ in told):.1f} s, {requests} requests",
        f"{pages} pages",
        f"<= {allowed} requests",
        requests <= allowed and news == len(changed),
        requests,
        _aim(f"<= {wanted} requests", reached=requests <= wanted),
    )
    yield _growth(bench.points[0], bench.points[-1])


def published(folder: Path, count: int, apps: int) -> list[dict[str, object]]:
    """The Custom Apps of a tenant, the first ones with the installers of so many recipes, which it makes."""
    rows = []
    for number in range(apps):
        digest, size = "0" * 64, 10_000_000 + number
        if number < count:
            path = _recipe_installer(folder, number)
            digest, size = installers.sha256(path), path.stat().st_size
        rows.append(_app(f"App {number}", digest, size, file_name=f"App {number}-0.9.zip"))
    return rows


def _recipe_installer(folder: Path, number: int, *size: int) -> Path:
    name = f"App {number}"
    return installers.app_zip(folder / f"{name}-1.0.zip", name, "1.0", *size)


def _growth(few: tuple[int, float], many: tuple[int, float]) -> Row:
    """How the milliseconds for an unchanged recipe grow from few recipes to many."""
    growth = many[1] / few[1]
    return Row(
        f"an unchanged recipe, of {many[0]}; processor time",
        f"{many[1]:.1f} ms ({growth:.2f} x)",
        f"of {few[0]}, {few[1]:.1f} ms",
        "constant: <= 2 x",
        growth <= 2,
        growth,
        _aim("<= 2.5 ms", reached=many[1] <= 2.5),
    )


def run_recipes(bench: Bench, tenant: Tenant, folder: Path, count: int) -> list[tuple[float, bool]]:
    run = process([bench.python, "-m", "benchmarks.recipes", folder, str(count)], bench.environ(tenant), ROOT)
    told: list[tuple[float, bool]] = json.loads(run.output)
    return told


def side_by_side(bench: Bench) -> Iterable[Row]:
    """Several installers on one command line, over connections that are slow."""
    scale, folder = bench.scale, bench.folder / "many"
    folder.mkdir()
    words: list[str | Path] = []
    for number in range(scale.parallel):
        name = f"Many {number}"
        words += ["-p", installers.app_zip(folder / f"{name}-1.0.zip", name, "1.0", scale.parallel_size)]
    command = [
        bench.python,
        "-m",
        "kandji_uploader",
        "upload",
        "--enforcement",
        "install_once",
        "--json",
        *words,
        "--jobs",
    ]
    with Tenant(bench.python, keep_files=False) as tenant:

        def jobs(count: int) -> Run:
            tenant.clear()
            tenant.slow(scale.wire)
            bench.fresh()
            return process([*command, str(count)], bench.environ(tenant), bench.folder)

        four, one = in_turns(1, lambda: jobs(4), lambda: jobs(1))
    shutil.rmtree(folder)
    faster = 1 / ratio(four, one)
    yield Row(
        f"{scale.parallel} installers at {scale.wire / 1e6:.0f} MB/s each, `--jobs 4`",
        f"{four.wall:.1f} s ({faster:.2f} x faster)",
        f"one at a time, {one.wall:.1f} s",
        ">= 2 x faster",
        faster >= 2,
        faster,
        _aim(">= 3.5 x", reached=faster >= 3.5),
    )
    yield _memory("its memory", four.peak, 48 + 4 * 8)


def eight_jobs(bench: Bench) -> Iterable[Row]:
    """The memory that each further job takes, of large installers; they take no room on the disk."""
    with Tenant(bench.python, keep_files=False) as tenant:
        one, eight = (publish_sparse(bench, tenant, jobs, bench.scale.large).peak for jobs in (1, 8))
    more = (eight - one) / MIB / 7
    what = f"`--jobs 8`, 8 x {bench.scale.large_name}; memory"
    ours = f"{eight / MIB:.0f} MiB ({more:+.1f} MiB per job)"
    yield Row(what, ours, f"one job, {one / MIB:.0f} MiB", "<= +8 MiB per job", more <= 8, more)


def publish_sparse(bench: Bench, tenant: Tenant, jobs: int, size: int) -> Run:
    """One run that publishes as many new installers of a size as there are jobs."""
    folder = bench.folder / "sparse"
    folder.mkdir()
    words: list[str | Path] = []
    for number in range(jobs):
        name = f"Sparse {number}"
        path = installers.flat_package(folder / f"{name}-1.0.pkg", name, 0, late=False, packed=False)
        os.truncate(path, size)
        words += ["-p", path]
    tenant.clear()
    bench.fresh("file")
    given = ["--enforcement", "install_once", "--json", "--jobs", str(jobs), *words]
    run = process([bench.python, "-m", "kandji_uploader", "upload", *given], bench.environ(tenant), bench.folder)
    shutil.rmtree(folder)
    if len(tenant.apps()) != jobs:
        raise AssertionError(run.output)
    return run


def many_tenants(bench: Bench) -> Iterable[Row]:
    """A short night of a provider: all apps of some tenants, of which one in a hundred has changed; and none."""
    scale = bench.scale
    yield from _night(bench, scale.night, [("threads", scale.workers), ("Dask", 2)])
    yield _cost_per_app(bench)
    yield from _efficiency(bench)


def grid(bench: Bench) -> Iterable[Row]:
    """A whole night, by each number of workers: a quarter of an hour."""
    ways = [(kind, workers) for kind in ("threads", "Dask") for workers in (1, 2, 4, 8)]
    yield from _night(bench, 24, ways)
    yield from _night(bench, 150, [("threads", 8)])


def _night(bench: Bench, count: int, ways: Sequence[tuple[str, int]]) -> Iterable[Row]:
    """So many tenants, once for each kind and number of workers."""
    apps, changed = bench.scale.tenant_apps, max(1, bench.scale.tenant_apps // 100)
    with nightly.Night(bench.folder / f"night of {count}", tenants=count, apps=apps, changed=changed) as night:
        for kind, workers in ways:
            night.change(changed)
            with night.dask(workers) if kind == "Dask" else nullcontext() as there:
                run, done, requests = night.publish(there.address if there else "threads", workers)
            _expect_all(done, count * apps, count * changed)
            peak = max([run.peak, *done["worker_peaks"]])
            each = (requests - count * -(-apps // 300)) / (count * changed)
            cpu = run.cpu + sum(done["worker_cpu"])
            yield Row(
                f"{count} tenants x {apps} apps, 1 % changed; {kind}, {workers} at a time",
                f"{done['wall']:.0f} s ({cpu:.0f} s of processor time), {peak / MIB:.0f} MiB",
                f"the pages and {each:.1f} requests per change",
                "<= 96 MiB" if kind == "threads" else "-",
                kind != "threads" or peak <= 96 * MIB,
                peak / MIB,
            )


def _expect_all(done: dict[str, Any], results: int, changed: int) -> None:
    counted = done["actions"]
    if sum(counted.values()) != results or counted.get("succeeded", 0) != changed:
        raise AssertionError(counted)


def _cost_per_app(bench: Bench) -> Row:
    for count in bench.scale.tenants:
        folder = bench.folder / f"night {count}"
        with nightly.Night(folder, tenants=count, apps=bench.scale.tenant_apps, changed=0) as night:
            night.publish("threads", 1, "t0")  # which fills the cache of digests
            _, done, requests = night.publish("threads", 1)
        if requests != count * -(-bench.scale.tenant_apps // 300):
            raise AssertionError(requests)
        bench.tenant_points.append((count, done["wall"] * 1000 / count / bench.scale.tenant_apps))
    (few, least), (many, most) = bench.tenant_points[0], bench.tenant_points[-1]
    times = most / least
    what = f"an unchanged app of a tenant, of {many} tenants"
    aim = _aim("<= 1.5 x", reached=times <= 1.5)
    return Row(what, f"{most:.1f} ms ({times:.2f} x)", f"of {few}, {least:.1f} ms", "<= 2 x", times <= 2, times, aim)


def _efficiency(bench: Bench) -> Iterable[Row]:
    """One large installer to many tenants, over connections that are slower than this machine."""
    size, wire, workers = bench.scale.parallel_size, bench.scale.wire, bench.scale.workers
    given = {"tenants": 4 * workers, "apps": 1, "changed": 1, "size": size, "wire": wire}
    with nightly.Night(bench.folder / "night wire", **given) as night:

        def wall(kind: str, workers: int) -> float:
            with nullcontext() if kind == "threads" else night.dask(workers) as there:
                place = there.address if there else kind
                if there:
                    night.publish(place, workers)  # each worker imports what it needs, which a night does once
                night.change(1)
                return float(night.publish(place, workers)[1]["wall"])

        one = wall("threads", 1)
        for kind, most in (("threads", ">= 0.4"), ("Dask workers", "-")):
            many = wall(kind, workers)
            share = one / many / workers
            what = f"{size / 1e6:.0f} MB to {4 * workers} tenants at {wire / 1e6:.0f} MB/s each; {workers} {kind}"
            ours, limit = f"{many:.1f} s ({share:.2f} of {workers} x)", f"one at a time, {one:.1f} s"
            kept = most == "-" or share >= 0.4
            yield Row(what, ours, limit, most, kept, share, _aim(">= 0.85", reached=share >= 0.85))


LIST_APPS = """
import sys
from kandji_uploader._util.secret import Secret
from kandji_uploader.http.tries import Policy
from kandji_uploader.kandji.tenant import view
tenant = view(sys.argv[1], Secret("5ecret-" * 5), Policy())
import requests
print(len(tenant.apps()) if len(sys.argv) == 2 else sys.argv[2])
"""
_PARSE = """
import json, sys
from pathlib import Path
print(sum(len(json.loads(page.read_bytes())["results"]) for page in Path(sys.argv[1]).iterdir()))
"""


def listing(bench: Bench) -> Iterable[Row]:
    """Every Custom App of a large tenant; its pages come from a server that does nothing else."""
    for count, scripts, most in ((10_000, True, 96), (10_000, False, 64), (100_000, False, 128)):
        folder = bench.folder / "pages"
        folder.mkdir()
        rows = pages.apps(count, scripts=scripts)
        pages.write(folder, "library/custom-apps", rows, count, pages.APPS_PAGE)
        with pages.Server(folder) as server:
            here, start, there, nothing = _parsing(bench, LIST_APPS, server.url, folder, count)
        shutil.rmtree(folder)
        times = (here.cpu - start.cpu) / (there.cpu - nothing.cpu)
        what = f"list {count:,} Custom Apps, {'with' if scripts else 'without'} audit scripts; processor time"
        limit = f"`json.loads` of its pages, {there.cpu - nothing.cpu:.2f} s"
        figures = f"{here.cpu - start.cpu:.2f} s ({times:.2f} x)"
        yield Row(what, figures, limit, "-", True, times, _aim("<= 1.5 x", reached=times <= 1.5))
        yield _memory("its memory", here.peak, most)


def _parsing(bench: Bench, code: str, url: str, folder: Path, count: int) -> tuple[Sample, ...]:
    """Ours, its start alone, the pages parsed, and Python's start alone."""
    return in_turns(
        bench.scale.rounds,
        lambda: _said(bench.python_run(code, url), str(count)),
        lambda: _said(bench.python_run(code, url, str(count)), str(count)),
        lambda: _said(bench.python_run(_PARSE, folder), str(count)),
        lambda: bench.python_run("import json, sys; from pathlib import Path"),
    )


def status(bench: Bench) -> Iterable[Row]:
    """`status` of 40 apps that 10,000 Macs report on."""
    apps, macs = 40, 10_000
    folder = bench.folder / "pages"
    folder.mkdir()
    listed = [*pages.apps(apps, scripts=True)]
    pages.write(folder, "library/custom-apps", listed, apps, pages.APPS_PAGE)
    first, *others = [f"library/library-items/{app['id']}/status" for app in listed]
    rows = pages.write(folder, first, pages.statuses(macs), macs, pages.MACS_PAGE)
    for name in others:  # they go on with the first app's second page
        (folder / f"{name.replace('/', '+')}-1.json").hardlink_to(rows[0])
    parse = f"import json, sys\nfor _ in range({apps}):\n for page in sys.argv[1:]: json.load(open(page, 'rb'))"
    with pages.Server(folder) as server:
        environ = {**os.environ, "KANDJI_API_URL": server.url, "KANDJI_TOKEN": "5ecret-" * 5, "HOME": str(bench.folder)}
        environ |= {"KANDJI_UPLOADER_DIR": str(bench.config), "PYTHONPATH": str(ROOT / "shared")}
        words = [bench.python, "-m", "kandji_uploader", "status", "--json"]

        def ours(*names: str) -> Run:
            return process([*words, *names], environ, bench.folder)

        names = [str(app["name"]) for app in listed]
        here, start, there = in_turns(
            1, lambda: ours(*names), lambda: ours("-h"), lambda: bench.python_run(parse, *rows)
        )
    shutil.rmtree(folder)
    mac = (here.cpu - start.cpu) / (apps * macs) * 1e6
    limit = f"`json.loads` of its pages, {there.cpu:.2f} s"
    what = f"`status` of {apps} apps x {macs:,} Macs; processor time"
    figures, times = f"{here.cpu:.2f} s, {mac:.0f} \u00b5s per report", here.cpu / there.cpu
    yield Row(what, figures, limit, "-", True, times, _aim("<= 1.5 x", reached=times <= 1.5))
    yield _memory("its memory", here.peak, 64)


def suite(bench: Bench) -> Iterable[Row]:
    """The project's own tests."""
    del bench
    for words, most in ((("make", "quick"), 15), (("make", "test"), 300)):
        run = process(words, cwd=ROOT)
        aim = _aim(f"<= {most} s", reached=run.wall <= most)
        yield Row(f"`{' '.join(words)}`", f"{run.wall:.0f} s, processor {run.cpu:.0f} s", "-", "-", True, run.wall, aim)


CASES: dict[str, Callable[[Bench], Iterable[Row]]] = {
    "publish": publish_new,
    "wire": over_a_wire,
    "kandji": beside_kandji,
    "same-size": publish_same_size,
    "unchanged": unchanged,
    "starts": starts,
    "small": small_installer,
    "facts": facts,
    "audit": audit_script,
    "audits": audits,
    "processor": processor,
    "recipes": many_recipes,
    "jobs": side_by_side,
    "eight-jobs": eight_jobs,
    "tenants": many_tenants,
    "list": listing,
    "status": status,
    "grid": grid,
    "suite": suite,
}
"""By the names that `--only` takes."""
BY_HAND = ("grid", "suite")
"""Those that are long, and are run only where they are named."""


def _aim(text: str, *, reached: bool) -> str:
    return f"{text}: {'yes' if reached else '**no**'}"


def _compared(what: str, ours: str, limit: str, times: float, most: float | None, aim: float | None) -> Row:
    """A ratio with what is promised and what is aimed at; None for nothing."""
    wanted = _aim(f"<= {aim} x", reached=times <= aim) if aim else ""
    return Row(what, ours, limit, f"<= {most} x" if most else "-", not most or times <= most, times, wanted)


def _wall(
    what: str, here: Sample, limit: str, there: Sample, most: float | None = None, aim: float | None = None
) -> Row:
    """Seconds by the clock: what that says depends on what else the machine does."""
    times = ratio(here, there)
    ours, told = f"{here.wall:.2f} s ({times:.2f} x)", f"{limit}, {there.wall:.2f} s"
    return _compared(f"{what}; by the clock", ours, told, times, most, aim)


def _processor_time(
    what: str,
    here: Sample,
    limit: str,
    there: Sequence[Sample],
    most: float | None = None,
    aim: float | None = None,
) -> Row:
    """Our processor time over that of all of the others of the same round: it says the same on a busy machine."""
    sums = [sum(run.cpu for run in runs) for runs in zip(*(sample.runs for sample in there), strict=True)]
    times = statistics.median(run.cpu / other for run, other in zip(here.runs, sums, strict=True))
    ours, told = f"{here.cpu:.2f} s ({times:.2f} x)", f"{limit}, {statistics.median(sums):.2f} s"
    return _compared(f"{what}; processor time", ours, told, times, most, aim)


def _beyond(what: str, here: Sample, limit: str, there: Sample, most: float, aim: float) -> Row:
    """Processor time of a whole process, beyond that of another one; the value is how many times it is."""
    more = here.cpu - there.cpu
    ours = f"{here.cpu * 1000:.0f} ms ({more * 1000:+.0f} ms)"
    told = f"{limit}, {there.cpu * 1000:.0f} ms"
    wanted = _aim(f"+ <= {aim * 1000:.0f} ms", reached=more <= aim)
    bar = f"that + <= {most * 1000:.0f} ms"
    return Row(f"{what}; processor time", ours, told, bar, more <= most, here.cpu / there.cpu, wanted)


def _memory(what: str, peak: int, most: float) -> Row:
    return Row(what, f"{peak / MIB:.1f} MiB", "-", f"<= {most:.0f} MiB", peak <= most * MIB, peak / MIB)


def _app(name: str, sha256: str, size: int, *, file_name: str) -> dict[str, object]:
    kind = "zip" if file_name.endswith(".zip") else "package"
    place = {"unzip_location": "/Applications"} if kind == "zip" else {}
    return {"name": name, "sha256": sha256, "size": size, "file_name": file_name, "install_type": kind, **place}


def _expect(requests: list[str], count: int) -> None:
    if len(requests) != count:
        raise AssertionError(f"{count} requests were expected: {requests}")


def _said(run: Run, text: str) -> Run:
    if run.output.strip() != text:
        raise AssertionError(f"{text} was expected: {run.output}")
    return run
