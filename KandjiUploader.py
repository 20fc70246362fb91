#!/usr/local/autopkg/python
"""The AutoPkg processor: environment in, one call of the bundled library, environment out.

AutoPkg executes this file again for every step of every recipe, with nothing but its own packages to count on; so
nothing beyond the standard library is imported before `main`, and the library, which stays loaded for the whole run,
keeps what must outlive a recipe.

AutoPkg's trust information holds the digest of this file alone, so this file holds the digest of the library: what
differs from it is not run. docs/trust.md says what that is worth.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path

from autopkglib import Processor, ProcessorError  # pylint: disable=import-error

TYPE_CHECKING = False  # `typing` would be most of what loading this file takes
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType

__all__ = ["KandjiUploader"]

# The SHA-256 of SHA256SUMS beside this file, which names every file of the library; `make seal` writes both.
_SEAL = "2a76985b62c2dca07c09f92fec9519fd850a37727b208f498a7c5876b2736019"
_LIST = "SHA256SUMS"
_FOLDERS = ("shared", "audit", "requirements")
_PACKAGE = "kandji_uploader"
_ROOT = Path(__file__).resolve().parent
_LARGEST = 8 * 2**20
"""Bytes of a file that are read; ours have some 40,000 at most."""
_NAMED = 5
"""How many differing files an error names."""
_MONTH = 30 * 86_400.0
_MEGABYTE = 1_000_000


class KandjiUploader(Processor):
    """Publishes the installer that a recipe has just produced to Kandji (Iru) Custom Apps.

    The API token is never an input: it comes from the environment variable KANDJI_TOKEN or from the keychain.
    Every input can be given in a recipe's or an override's Input, as an Argument of the step, or with -k;
    custom_app and enforcement_delays also as flat keys (-k custom_app.prod_name=Firefox).
    """

    description = __doc__
    input_variables = {
        "pkg_path": {
            "required": False,
            "description": "Path of the installer (.pkg, .dmg or .zip). Without it pathname, then dmg_path is used.",
        },
        "pathname": {"required": False, "description": "Path of the downloaded file, used where pkg_path is not set."},
        "dmg_path": {"required": False, "description": "Path of a disk image, used where the other two are not set."},
        "version": {"required": False, "description": "Version that the recipe has found."},
        "bundleid": {"required": False, "description": "Bundle id of the app that is meant."},
        "app_name": {"required": False, "description": "Bundle name of the app that is meant, such as Firefox.app."},
        "custom_app": {
            "required": False,
            "description": (
                "Dict: prod_name, ss_category, test_name, test_category, and preinstall_script, postinstall_script, "
                "restart, active, recommended, blueprints, enforcement_deadline, each also as prod_ or test_...; "
                "promotion, rings, pin_version, hold, exclude_versions, blocking_applications, minimum_os_version, "
                "window, freeze, nudge. Also as flat keys: custom_app.prod_name and so on."
            ),
        },
        "enforcement_type": {
            "required": False,
            "description": "How a new app is enforced: audit_enforce, update_only, self_service or install_once.",
        },
        "enforcement_delays": {
            "required": False,
            "description": "Dict: prod and test, the days until the audit script enforces a new version.",
        },
        "create_new": {
            "required": False,
            "description": "Always create a new app, even where one of that name exists.",
        },
        "dry_run": {"required": False, "description": "Show what would be done and change nothing."},
        "unzip_location": {"required": False, "description": "Where a .zip is unpacked on the Mac."},
        "allow_downgrade": {"required": False, "description": "Publish a version lower than the one in Kandji."},
        "urgent": {
            "required": False,
            "description": (
                "Why versions go to the test and the prod app at once, without a soak; take it out again afterwards."
            ),
        },
        "replace_audit_script": {
            "required": False,
            "description": "Replace an audit script that neither this tool nor KAPPA or kpkg wrote.",
        },
        "require_signed": {
            "required": False,
            "description": "Publish only what is signed by somebody for whom Apple vouches.",
        },
        "require_notarized": {
            "required": False,
            "description": "Publish only what has a notarization ticket, is Apple's own, or is from the Mac App Store.",
        },
        "expected_team_id": {
            "required": False,
            "description": "The Team IDs of which one has to have signed it.",
        },
        "allow_signer_change": {
            "required": False,
            "description": "The Team ID that may sign an app which another one has signed before, or `unsigned`.",
        },
        "identity": {
            "required": False,
            "description": "By what an installer is known: `content` (what it brings to a Mac; one that was only "
            "packaged again is not uploaded) or `file` (its bytes).",
        },
        "tenant": {
            "required": False,
            "description": "Which tenants of tenants.yaml are published to: names, @GROUP, or all.",
        },
        "publish_to": {
            "required": False,
            "description": (
                "A folder that installers are put into in place of being published, for `kandji-uploader publish` "
                "(AutoPkg only)."
            ),
        },
    }
    output_variables = {
        "kandji_uploader_summary_result": {"description": "What was published to the production Custom App."},
        "kandji_uploader_test_summary_result": {"description": "What was published to the Custom App for testing."},
        "kandji_uploader_built_summary_result": {"description": "What was put into the folder that publish_to names."},
        "kandji_custom_apps": {"description": "One dict per Custom App, unchanged ones too."},
        "kandji_uploader_changed": {"description": "Whether anything was changed in Kandji."},
    }

    for_kappa = False
    """Whether the recipe was written for KAPPA; see examples/kappa."""

    def main(self) -> None:
        """Publish; every failure that is expected to happen becomes a ProcessorError."""
        _use_sealed_library(self.output)
        from kandji_uploader._util import dependencies as packages

        absent = packages.missing()
        if absent:
            raise ProcessorError(
                f"this Python lacks {', '.join(absent)} (an AutoPkg upgrade removes what was added). "
                f"Install with: {packages.pip_line(absent)}"
            )
        from kandji_uploader import autopkg
        from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError
        from kandji_uploader.publish.request import Host
        from kandji_uploader.report import text as report

        host = Host(say=self.output, warn=self._warn, progress=_Tenths(self.output), foretell=self._foretell)
        try:
            result = autopkg.publish(self.env, host, for_kappa=self.for_kappa)
        except InterruptedRunError as stopped:
            self.output(str(stopped), 0)
            raise KeyboardInterrupt from None
        except KandjiUploaderError as problem:
            raise ProcessorError(str(problem)) from None
        declared = {key: {"description": "What was published."} for key in autopkg.summary_keys(self.env)}
        self.output_variables = {**declared, **self.output_variables}
        for line in report.lines(result):
            self.output(line, 0 if result.dry_run else 1)
        if result.failed:
            raise ProcessorError(report.failure(result))

    def _foretell(self, text: str) -> None:
        """What an app is to become, for -vv only: the line with its outcome says it, too."""
        self.output(text, 2)

    def _warn(self, text: str) -> None:
        self.output(f"WARNING: {text}", 0)


class _Tenths:
    """Says how far an upload is, each time another tenth is done."""

    def __init__(self, say) -> None:  # noqa: ANN001 - AutoPkg's own `output`
        self._say = say
        self._told = 0

    def __call__(self, sent: int, total: int) -> None:
        tenth = sent * 10 // total if total else 10
        if sent and tenth < self._told:
            self._told = 0
        if tenth > self._told:
            self._told = tenth
            size = f"{total / 1e6:.1f} MB" if total >= _MEGABYTE else f"{total / 1e3:.1f} kB"
            self._say(f"uploaded {tenth * 10} % of {size}")


def _use_sealed_library(say) -> None:  # noqa: ANN001 - AutoPkg's own `output`
    """Let `import kandji_uploader` mean the sealed files and nothing else, from now on in this process.

    Raises:
        ProcessorError: a file differs, is missing or does not belong there; or other code has taken the name.
    """
    loaded = sys.modules.get(_PACKAGE)
    if loaded is None:
        files = _held_against_the_seal()
        sys.meta_path[:] = [finder for finder in sys.meta_path if not hasattr(finder, "kandji_uploader_seal")]
        sys.meta_path.insert(0, _SealedLibrary(files, _byte_code_folder(say)))
    elif getattr(loaded.__spec__.loader, "kandji_uploader_seal", None) != _SEAL:
        raise ProcessorError(
            f"another copy of the library is loaded in this AutoPkg run: {loaded.__file__}. If KandjiUploader was "
            "updated while AutoPkg ran, start AutoPkg again; else find out which processor imports that copy"
        )


def _held_against_the_seal() -> dict[str, bytes]:
    """The content of each sealed file, read once, by its path below the folder of this file."""
    from hashlib import sha256

    try:
        names = _content(_LIST)
    except OSError as problem:
        raise ProcessorError(_refusal([f"{_LIST} cannot be read ({problem.strerror})"])) from None
    if sha256(names).hexdigest() != _SEAL:
        raise ProcessorError(_refusal([f"{_LIST} was changed"]))
    sealed = {place: digest for digest, _, place in (row.partition("  ") for row in names.decode().splitlines())}
    found, files, differing = _found(), {}, []
    for place in sorted(sealed.keys() | found.keys()):
        try:
            files[place] = _held(place, sealed.get(place), found.get(place))
        except ValueError as why:
            differing.append(f"{ascii(place)[1:-1]} {why}")
    if differing:
        raise ProcessorError(_refusal(differing))
    return files


def _held(place: str, digest: str | None, is_file: bool | None) -> bytes:
    """The content of one file, which has that digest; ValueError where it has not."""
    from hashlib import sha256

    if digest is None:
        raise ValueError("does not belong there")
    if not is_file:
        raise ValueError("is missing" if is_file is None else "is a link or no ordinary file")
    try:
        content = _content(place)
    except OSError as problem:
        raise ValueError(f"cannot be read ({problem.strerror})") from None
    if sha256(content).hexdigest() != digest:
        raise ValueError("was changed")
    return content


def _content(place: str) -> bytes:
    with (_ROOT / place).open("rb") as file:
        return file.read(_LARGEST)


def _found() -> dict[str, bool]:
    """What lies in the sealed folders, and whether it is an ordinary file. No link is followed.

    Left out is what Python, Finder and editors put beside a source: `__pycache__`, and names that begin with a dot or
    a hash sign or end with a tilde. No module can have such a name, and nobody imports or reads what is not sealed.
    """
    found, waiting = {}, list(_FOLDERS)
    while waiting:
        place = waiting.pop()
        with contextlib.suppress(OSError):  # what is not there is told as missing
            mode = (_ROOT / place).lstat().st_mode
            if not stat.S_ISDIR(mode):
                found[place] = stat.S_ISREG(mode)
                continue
            names = os.listdir(_ROOT / place)  # noqa: PTH208 - names are all that is wanted
            waiting += [f"{place}/{name}" for name in names if name != "__pycache__" and not _is_left_out(name)]
    return found


def _is_left_out(name: str) -> bool:
    return name.startswith((".", "#")) or name.endswith("~")


def _refusal(differing: list[str]) -> str:
    """What differs, and what to do; each name on its own, and no more than a few."""
    more = len(differing) - _NAMED
    named = ", ".join(differing[:_NAMED]) + (f", and {more} more" if more > 0 else "")
    return (
        f"the library beside KandjiUploader.py is not the one that belongs to it, so nothing of it was run: {named} "
        f"(in {_ROOT}). Find out who changed it, and take the release again: `autopkg repo-update kandjiuploader` or a "
        "new copy, then `autopkg verify-trust-info` and, after a review, `autopkg update-trust-info`. "
        "If you work on KandjiUploader: `make seal`"
    )


class _SealedLibrary:
    """Finds and loads the library in the bytes that were held against the seal, whatever lies on the disk by now.

    Byte code that lies beside the sources is never looked at. Compiled code is kept in `codes`, where only this user
    can write, each with its SHA-256, since a file may be torn when the power goes.
    """

    kandji_uploader_seal = _SEAL

    def __init__(self, files: dict[str, bytes], codes: Path | None) -> None:
        self._files = files
        self._codes = codes

    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:  # noqa: ANN001, ARG002 - importlib's
        """The spec of a sealed module; None for what is not ours."""
        from importlib.util import spec_from_file_location

        if name.partition(".")[0] != _PACKAGE:
            return None
        place, inside = self._place(name), None
        if place not in self._files:
            raise ModuleNotFoundError(f"{name} is not among the sealed files of KandjiUploader", name=name)
        if place.endswith("/__init__.py"):
            inside = [str((_ROOT / place).parent)]
        return spec_from_file_location(name, _ROOT / place, loader=self, submodule_search_locations=inside)

    def create_module(self, spec) -> None:  # noqa: ANN001 - as importlib calls it
        """Python makes the module."""

    def exec_module(self, module) -> None:  # noqa: ANN001 - as importlib calls it
        """Run the module's code."""
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102 - what importing is

    def get_data(self, path: str) -> bytes:
        """The content of a sealed file that is no module, such as the template of the audit script."""
        try:
            return self._files[Path(path).relative_to(_ROOT).as_posix()]
        except (KeyError, ValueError):
            raise FileNotFoundError(2, "is not among the sealed files of KandjiUploader", path) from None

    def get_code(self, name: str) -> CodeType:
        """The code of a module: as it was kept, or else compiled and kept."""
        import marshal
        from hashlib import sha256

        kept = None if self._codes is None else self._codes / name
        with contextlib.suppress(OSError):
            written = b"" if kept is None else kept.read_bytes()
            if sha256(written[32:]).digest() == written[:32]:
                return marshal.loads(written[32:])  # noqa: S302 - only this user can have written it
        place = self._place(name)
        code = compile(self._files[place], str(_ROOT / place), "exec", dont_inherit=True)
        if kept is not None:
            data = marshal.dumps(code)
            draft = kept.with_name(f"{name}.{os.getpid()}~")
            with contextlib.suppress(OSError):  # it is compiled again the next time
                draft.write_bytes(sha256(data).digest() + data)
                draft.replace(kept)
        return code

    def _place(self, name: str) -> str:
        stem = f"shared/{name.replace('.', '/')}"
        return f"{stem}/__init__.py" if f"{stem}/__init__.py" in self._files else f"{stem}.py"


def _byte_code_folder(say) -> Path | None:  # noqa: ANN001 - AutoPkg's own `output`
    """The folder for compiled code of this seal, place and Python; None where somebody else could write into it."""
    from hashlib import sha256
    from importlib.util import MAGIC_NUMBER

    usual = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    caches = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(caches):  # noqa: PTH117 - it is a text
        caches = os.path.expanduser(usual)  # noqa: PTH111 - this one never raises
    of = repr((_SEAL, str(_ROOT), MAGIC_NUMBER, sys.flags.optimize)).encode()
    try:
        every = Path(caches).resolve() / "KandjiUploader" / "code"
        folder = every / sha256(of).hexdigest()[:32]
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True)
            _remove_old(every)
        for place in (folder, *folder.parents):
            about = place.stat()
            mine = about.st_uid == os.geteuid() or (about.st_uid == 0 and place != folder)
            if not mine or (about.st_mode & 0o022 and not about.st_mode & stat.S_ISVTX):
                say(f"compiled code is not kept, since others can write to {place}: `chmod go-w` it, or own it", 1)
                return None
    except OSError:
        return None
    return folder


def _remove_old(every: Path) -> None:
    """Remove the code of seals that were first run more than a month ago; one in use is compiled anew."""
    import shutil
    import time

    for folder in every.iterdir():
        if folder.stat().st_mtime < time.time() - _MONTH:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    PROCESSOR = KandjiUploader()
    PROCESSOR.execute_shell()
