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
from benchmarks import installers, iructl, nightly, pages
from benchmarks.measure import MIB, Run, Sample, in_turns, process, ratio
from benchmarks.tenant import ROOT, Tenant

_AUDIT_MEMORY = 24
"""MiB."""
_EFFICIENT = 0.85
"""Of as many times as fast as there are workers."""
_START = 0.06
"""Seconds that a run may take beyond what it is held against, where nothing is to be done."""
_METADATA = 0.003
"""The same for loading the processor's description."""


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
    """

    large: int = 1 << 30
    huge: int = 1 << 32
    chunked: int = 1 << 30
    rounds: int = 5
    recipes: tuple[int, ...] = (10, 30, 100, 300, 1000)
    apps: int = 5000
    parallel: int = 16
    parallel_size: int = 20_000_000
    wire: float = 20_000_000.0
    uplink: float = 300_000_000.0
    folders: int = 30_000
    tenants: tuple[int, ...] = (3, 10, 30)
    night: int = 24
    whole: int = 150
    tenant_apps: int = 400
    workers: tuple[int, ...] = (1, 2, 4, 8)
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
    whole=6,
    tenant_apps=100,
    workers=(1, 2),
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
        bar: what must be reached.
        reached: whether it was.
        value: the figure that the bar is about, for tests.
        note: what else is to be known; "" for nothing.
        cpu: seconds of processor time of ours, for tests; 0 where they need none.
    """

    what: str
    ours: str
    limit: str
    bar: str
    reached: bool
    value: float
    note: str = ""
    cpu: float = 0.0


@dataclass
class Bench:
    """Where the cases run.

    Attributes:
        folder: for installers and settings; on a disk with room for several large files.
        scale: see `Scale`.
        python: the interpreter that is measured.
        points: what the plot shows: recipes, and milliseconds per unchanged one.
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
    for keeps in (True, False):
        with Tenant(bench.python, keep_files=keeps) as tenant:
            here, there, digest = _beside_curl(bench, tenant, path)
        kept = "the store keeps the file" if keeps else "the store throws the file away"
        what = f"publish {bench.scale.large_name}, new app; {kept}"
        if keeps:
            yield _processor_time(what, here, "`openssl dgst` + `curl -F`", (digest, there), 1.1)
        # What the clock says depends on what else the two cores do, most of all where the store costs nothing.
        yield replace(_beside(f"{what}; wall", here, "`curl -F`", there, 0), bar="-", reached=True)
        if keeps:
            yield _memory(f"its memory, {bench.scale.large_name}", here.peak, 48)
            yield from _memory_of_huge(bench, here.peak)
    with Tenant(bench.python, keep_files=False) as tenant:
        content, *limit = _beside_curl(bench, tenant, path, "content")
    what = f"publish {bench.scale.large_name}, new app; `identity: content`, which reads it whole"
    row = _processor_time(what, content, "`curl -F` + `openssl dgst`", limit, 0)
    yield replace(row, bar="-", reached=True)
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
    yield _beside(what, here, "`curl -F`", there, 1.05)


def beside_iructl(bench: Bench) -> Iterable[Row]:
    """The same new app by Kandji's own tool, where it is installed."""
    if iructl.program() is None:
        return
    path = bench.large()
    with Tenant(bench.python, token=iructl.TOKEN) as tenant, iructl.Front(tenant.url, bench.folder) as front:
        environ = {"PATH": os.environ["PATH"], "HOME": str(bench.folder), **front.environ}
        repository = iructl.repository(bench.folder, path, "Big", environ)
        apps = bench.folder / "iructl apps"
        shutil.copytree(repository / "apps", apps)

        def theirs() -> Run:
            tenant.clear()
            shutil.rmtree(repository / "apps")
            shutil.copytree(apps, repository / "apps")  # it notes there what it has made
            run = process([str(iructl.program()), "--repo", repository, "app", "push", "--all"], environ, bench.folder)
            _expect(tenant.requests(), 4)
            return run

        here, there, bare = in_turns(
            bench.scale.rounds,
            lambda: _new(bench, tenant, path),
            theirs,
            lambda: _cleared(tenant, lambda: bench.curl(tenant, path)),
        )
        tenant.clear()
    shutil.rmtree(repository)
    figures = f"{here.wall:.2f} s ({ratio(here, bare):.2f} x), {here.peak / MIB:.0f} MiB"
    limit = f"`{iructl.version()}`, {there.wall:.2f} s ({ratio(there, bare):.2f} x), {there.peak / MIB:.0f} MiB"
    times = ratio(here, there)
    what = f"publish {bench.scale.large_name}, new app; Kandji's own tool"
    yield Row(what, figures, limit, "< 1 x", times < 1, times)


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
    yield _processor_time(what, here, "`openssl dgst` + `curl -F`", (there,), 1.1)


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
            bench.fresh()
            return once()

        here, there = in_turns(bench.scale.rounds, cold, lambda: bench.openssl(path))
        again, _ = in_turns(bench.scale.rounds, once, lambda: bench.python_run("pass"))
        bare, _ = in_turns(bench.scale.rounds, lambda: bench.python_run("import requests"), once)
    yield _processor_time(f"unchanged {bench.scale.large_name}", here, "`openssl dgst`", (there,), 1.15)
    yield Row("its requests", str(max(counts)), "the list", "1", counts == {1}, max(counts))
    yield _beyond("the same again (digest cache)", again, "`python -c 'import requests'`", bare)


def starts(bench: Bench) -> Iterable[Row]:
    """What tells something and publishes nothing, beside a Python that does nothing."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "shared"), "KANDJI_UPLOADER_DIR": str(bench.config)}
    for words in (["-h"], ["--version"], ["completion", "zsh"]):
        here, there = in_turns(
            bench.scale.rounds * 3,
            lambda words=words: process([bench.python, "-m", "kandji_uploader", *words], environ, bench.folder),
            lambda: bench.python_run("pass"),
        )
        yield _beyond(f"`{' '.join(words)}`", here, "`python -c pass`", there)


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
    yield Row(
        "small installer, prod and test app", f"{here.wall:.2f} s", limit, "<= 0.5 s", here.wall <= 0.5, here.wall
    )


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
    yield replace(_beside(f"{what}, Info.plist last", here, "`gzip -dc`", there, 1.3), cpu=here.cpu)
    yield _memory("its memory", here.peak, 64)
    installers.flat_package(path, "Facts", bench.scale.large, late=False, packed=True)
    (here,) = in_turns(bench.scale.rounds, lambda: _said(bench.python_run(_READ, path), "1.0"))
    limit = f"`gzip -dc`, {there.wall:.2f} s"
    first = f"{what}, Info.plist first"
    yield Row(first, f"{here.wall:.2f} s", limit, "<= 0.5 s", here.wall <= 0.5, here.wall, cpu=here.cpu)
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
    times = here.cpu / there.cpu
    what = f"content and signature of a pkg with {bench.scale.large_name} of gzip, processor time"
    ours, limit = f"{here.cpu:.2f} s ({times:.2f} x)", f"`gzip -dc`, {there.cpu:.2f} s"
    yield Row(what, ours, limit, "<= 1.1 x", times <= 1.1, times, cpu=here.cpu)
    yield _memory("its memory", here.peak, 48)


def _facts_of_pbzx(bench: Bench) -> Iterable[Row]:
    path, plain = installers.chunked_package(bench.folder / "Chunks.pkg", "Chunks", bench.scale.chunked)
    here, there = _reading(bench, path, f"xz -dc '{plain}'")
    path.unlink()
    plain.unlink()
    what = f"facts from a pkg with {_in_words(bench.scale.chunked)} of pbzx, Info.plist last"
    yield _beside(what, here, "`xz -dc`", there, 1.3)
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
        what = f"facts from a zip of {bench.scale.crowd:,} {crowd}, processor time"
        limit = f"Python's `zipfile`, {there.cpu:.2f} s, {there.peak / MIB:.0f} MiB"
        yield Row(what, f"{here.cpu:.2f} s", limit, "<= 1 s", here.cpu <= 1, here.cpu, cpu=here.cpu)
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
    # One takes milliseconds, so there are more of them than of other runs.
    samples = in_turns(
        bench.scale.rounds * 5, *(lambda text=text: mac.measure(mac.prepare(scene, text)) for text in texts)
    )
    here = samples[0]
    figures = f"{counts[0]} processes, {here.cpu * 1000:.0f} ms, {here.peak / MIB:.1f} MiB"
    reached, limit, bar = here.peak <= _AUDIT_MEMORY * MIB, "-", f"<= {_AUDIT_MEMORY} MiB"
    if theirs is not None:
        there = samples[1]
        limit = f"KAPPA's script: {counts[1]} processes, {there.cpu * 1000:.0f} ms"
        bar += ", fewer processes, <= 0.5 x the time"
        reached = reached and counts[0] < counts[1] and here.cpu <= there.cpu / 2
    return Row(f"an audit: {what}", figures, limit, bar, reached, counts[0])


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
    yield _beyond("load the processor's metadata", here, "a processor that does nothing", there, _METADATA)


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
    allowed = pages + 6 * news
    yield Row(
        f"{count} recipes in one process, {scale.apps} Custom Apps, {news} changed",
        f"{sum(took for took, _ in told):.1f} s, {requests} requests",
        f"{pages} pages",
        f"<= {allowed} requests",
        requests <= allowed and news == len(changed),
        requests,
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
        f"an unchanged recipe, of {many[0]}",
        f"{many[1]:.1f} ms ({growth:.2f} x)",
        f"of {few[0]}, {few[1]:.1f} ms",
        "constant: <= 1.5 x",
        growth <= 1.5,
        growth,
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

        four, one = in_turns(scale.rounds, lambda: jobs(4), lambda: jobs(1))
    shutil.rmtree(folder)
    faster = 1 / ratio(four, one)
    yield Row(
        f"{scale.parallel} installers at {scale.wire / 1e6:.0f} MB/s each, `--jobs 4`",
        f"{four.wall:.1f} s",
        f"one at a time, {one.wall:.1f} s",
        ">= 3.5 x faster",
        faster >= 3.5,
        faster,
        f"{faster:.2f} x",
    )
    yield _memory("its memory", four.peak, 48 + 4 * 8)


def many_tenants(bench: Bench) -> Iterable[Row]:
    """A provider's night: all apps of all tenants, of which one in a hundred has changed; and one where none has."""
    scale = bench.scale
    yield from _night(bench, scale.night, [(kind, count) for kind in ("threads", "Dask") for count in scale.workers])
    yield from _night(bench, scale.whole, [("threads", scale.workers[-1])])
    yield _cost_per_app(bench)
    yield _efficiency(bench)


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
    return Row(what, f"{most:.1f} ms ({times:.2f} x)", f"of {few}, {least:.1f} ms", "<= 1.5 x", times <= 1.5, times)


def _efficiency(bench: Bench) -> Row:
    """One large installer to many tenants, over connections that are slower than this machine.

    How much of the processors all of it takes, the tenants included, tells whether something else kept it waiting.
    """
    size, wire, most = bench.scale.parallel_size, bench.scale.wire, bench.scale.workers[-1]
    walls, busy = [], 0.0
    given = {"tenants": 4 * most, "apps": 1, "changed": 1, "size": size, "wire": wire}
    with nightly.Night(bench.folder / "night wire", **given) as night:
        for workers in (1, most):
            night.change(1)
            before = night.cpu
            run, done, _ = night.publish("threads", workers)
            walls.append(done["wall"])
            busy = (run.cpu + night.cpu - before) / run.wall / (os.cpu_count() or 1)
    share = walls[0] / walls[1] / most
    what = f"{size / 1e6:.0f} MB to {4 * most} tenants at {wire / 1e6:.0f} MB/s each, {most} at a time"
    ours = f"{walls[1]:.1f} s ({share:.2f} of {most} x), with {busy:.0%} of the processors"
    return Row(what, ours, f"one at a time, {walls[0]:.1f} s", ">= 0.85", share >= _EFFICIENT, share)


LIST_APPS = """
import sys
from kandji_uploader._util.secret import Secret
from kandji_uploader.http.tries import Policy
from kandji_uploader.kandji.tenant import view
tenant = view(sys.argv[1], Secret("0" * 36), Policy())
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
        bar = "<= 1.5 x" if scripts else "-"
        yield Row(what, figures, limit, bar, not scripts or times <= 1.5, times)
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
        environ = {**os.environ, "KANDJI_API_URL": server.url, "KANDJI_TOKEN": "0" * 36, "HOME": str(bench.folder)}
        environ |= {"KANDJI_UPLOADER_DIR": str(bench.config), "PYTHONPATH": str(ROOT / "shared")}
        words = [bench.python, "-m", "kandji_uploader", "status", "--json"]

        def ours(*names: str) -> Run:
            return process([*words, *names], environ, bench.folder)

        names = [str(app["name"]) for app in listed]
        here, start, there = in_turns(
            bench.scale.rounds, lambda: ours(*names), lambda: ours("-h"), lambda: bench.python_run(parse, *rows)
        )
    shutil.rmtree(folder)
    mac = (here.cpu - start.cpu) / (apps * macs) * 1e6
    limit = f"`json.loads` of its pages, {there.cpu:.2f} s"
    what = f"`status` of {apps} apps x {macs:,} Macs; processor time"
    yield Row(
        what, f"{here.cpu:.2f} s, {mac:.0f} \u00b5s per report", limit, "-", reached=True, value=here.cpu / there.cpu
    )
    yield _memory("its memory", here.peak, 64)


CASES: dict[str, Callable[[Bench], Iterable[Row]]] = {
    "publish": publish_new,
    "wire": over_a_wire,
    "iructl": beside_iructl,
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
    "tenants": many_tenants,
    "list": listing,
    "status": status,
}
"""By the names that `--only` takes."""


def _beside(what: str, here: Sample, limit: str, there: Sample, bar: float) -> Row:
    times = ratio(here, there)
    figures = f"{here.wall:.2f} s ({times:.2f} x)"
    return Row(what, figures, f"{limit}, {there.wall:.2f} s", f"<= {bar} x", times <= bar, times)


def _processor_time(what: str, here: Sample, limit: str, there: Sequence[Sample], bar: float) -> Row:
    """Our processor time over that of all of the others of the same round: it says the same on a busy machine."""
    sums = [sum(run.cpu for run in runs) for runs in zip(*(sample.runs for sample in there), strict=True)]
    times = statistics.median(run.cpu / other for run, other in zip(here.runs, sums, strict=True))
    ours = f"{here.cpu:.2f} s ({times:.2f} x)"
    told = f"{limit}, {statistics.median(sums):.2f} s"
    return Row(f"{what}; processor time", ours, told, f"<= {bar} x", times <= bar, times)


def _beyond(what: str, here: Sample, limit: str, there: Sample, most: float = _START) -> Row:
    """Processor time of a whole process, beyond that of another one; the value is how many times it is."""
    more = here.cpu - there.cpu
    ours = f"{here.cpu * 1000:.0f} ms ({more * 1000:+.0f} ms)"
    bar = f"that + <= {most * 1000:.0f} ms"
    told = f"{limit}, {there.cpu * 1000:.0f} ms"
    return Row(f"{what}; processor time", ours, told, bar, more <= most, here.cpu / there.cpu)


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
