"""What KandjiUploader.py runs is what its seal names: nothing changed, nothing added, nothing taken from elsewhere."""

import importlib._bootstrap_external as pyc
import marshal
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support import sealed
from tools import seal

HOST = """
import os, sys, types
from pathlib import Path
sys.dont_write_bytecode = False
class ProcessorError(Exception):
    pass
sys.modules["autopkglib"] = types.SimpleNamespace(Processor=object, ProcessorError=ProcessorError)
root = Path(sys.argv[1])
processor = {"__name__": "KandjiUploader", "__file__": str(root / "KandjiUploader.py")}
exec((root / "KandjiUploader.py").read_text(), processor)
use = processor["_use_sealed_library"]
say = lambda text, level: print("said:", text)
"""
PLANTED = "print('planted')\n"


@pytest.fixture
def checkout(tmp_path):
    return sealed.copy(tmp_path / "checkout", "_util", "audit", "status")


def held(root):
    return seal._defined(root / "KandjiUploader.py")["_held_against_the_seal"]()


def host(root, code, **environ):
    """Run code in a process that has loaded the processor of `root`, as AutoPkg does, and no library yet."""
    given = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(sealed.caches()), **environ}
    words = [sys.executable, "-c", HOST + code, str(root)]
    done = subprocess.run(words, env=given, cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_this_tree_is_sealed():
    try:
        held(sealed.CHECKOUT)
    except RuntimeError as problem:
        pytest.fail(f"after a change in shared/ or audit/ run `make seal`: {problem}")


def append(path):
    path.write_bytes(path.read_bytes() + b"\n")


def link_to_itself(path):
    path.rename(path.with_name("moved"))
    path.symlink_to(path.with_name("moved"))


def endless(path):
    os.truncate(path, 1 << 43)


LIBRARY = "shared/kandji_uploader"


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        (append, f"{LIBRARY}/errors.py", "errors.py was changed"),
        (append, "audit/audit_app_and_version.zsh", "audit/audit_app_and_version.zsh was changed"),
        (append, f"{LIBRARY}/status/page.css", "page.css was changed"),
        (append, "SHA256SUMS", "SHA256SUMS was changed"),
        (Path.unlink, "SHA256SUMS", "SHA256SUMS cannot be read (No such file or directory)"),
        (Path.unlink, f"{LIBRARY}/state.py", "state.py is missing"),
        (shutil.rmtree, "audit", "audit/audit_app_and_version.zsh is missing, audit/render.py is missing"),
        (Path.touch, f"{LIBRARY}/secrets.py", "secrets.py does not belong there"),
        (Path.touch, f"{LIBRARY}/errors.pyc", "errors.pyc does not belong there"),
        (Path.touch, "shared/requests.py", "shared/requests.py does not belong there"),
        (Path.mkdir, f"{LIBRARY}/errors.py.new", None),
        (Path.touch, f"{LIBRARY}/\x1b[2J\n\udcff.py", r"\x1b[2J\n\udcff.py does not belong there"),
        (link_to_itself, f"{LIBRARY}/errors.py", "errors.py is a link or no ordinary file"),
        (link_to_itself, "shared", "shared does not belong there"),
        (os.mkfifo, f"{LIBRARY}/pipe.py", "pipe.py does not belong there"),
        (endless, f"{LIBRARY}/errors.py", "errors.py was changed"),
    ],
)
def test_what_differs_from_the_seal_is_named_and_nothing_is_run(checkout, change, place, said):
    change(checkout / place)
    if said is None:
        assert held(checkout)
        return
    with pytest.raises(RuntimeError) as caught:
        held(checkout)
    text = str(caught.value)
    assert said in text
    assert all(word in text for word in ("nothing of it was run", "autopkg repo-update", "make seal", str(checkout)))
    assert text.isprintable()


def test_of_many_differences_the_first_are_named_and_the_others_counted(checkout):
    for number in range(9):
        (checkout / "audit" / f"{number}.zsh").touch()
    with pytest.raises(RuntimeError, match=r"audit/4\.zsh does not belong there, and 4 more \(in ") as caught:
        held(checkout)
    assert "5.zsh" not in str(caught.value)


def test_what_python_finder_and_editors_leave_beside_the_sources_is_no_difference(checkout):
    folder = checkout / LIBRARY
    for name in (".DS_Store", "._errors.py", "errors.py~", ".errors.py.swp", "#errors.py#"):
        (folder / name).write_text(PLANTED)
    (folder / ".#errors.py").symlink_to("nowhere")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "errors.cpython-310.pyc").write_text(PLANTED)
    assert set(held(checkout)) == {line[66:] for line in (checkout / "SHA256SUMS").read_text().splitlines()}


def test_a_clone_is_sealed_whatever_git_is_told_of_line_ends_and_keywords(checkout, tmp_path):
    shutil.copy(sealed.CHECKOUT / ".gitattributes", checkout)
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.com")
    odd = ("-c", "core.autocrlf=true", "-c", "core.eol=crlf", "-c", f"core.attributesFile={tmp_path / 'attributes'}")
    (tmp_path / "attributes").write_text("* text ident eol=crlf\n")
    for words in (("init", "-q"), (*odd, "add", "-A"), (*identity, "commit", "-q", "-m", "x")):
        subprocess.run(["git", *words], cwd=checkout, check=True, capture_output=True)
    subprocess.run(["git", *odd, "clone", "-q", checkout, tmp_path / "clone"], check=True, capture_output=True)
    assert held(tmp_path / "clone") == held(checkout)


def test_byte_code_beside_the_sources_is_not_run_and_none_is_written_there(checkout):
    source = checkout / LIBRARY / "errors.py"
    stale = Path(pyc.cache_from_source(str(source)))
    stale.parent.mkdir()
    code = compile(PLANTED, str(source), "exec")
    stale.write_bytes(
        pyc._code_to_hash_pyc(code, b"\0" * 8, checked=False)
    )  # Python takes it without a look at the source
    plain = [sys.executable, "-c", "import kandji_uploader.errors"]
    taken = subprocess.run(
        plain, env={"PYTHONPATH": str(checkout / "shared")}, capture_output=True, text=True, check=True
    )
    assert taken.stdout == "planted\n", "the trap works"
    shutil.rmtree(checkout / LIBRARY / "_util" / "__pycache__", ignore_errors=True)
    told = host(
        checkout, "use(say); import kandji_uploader.errors as it, kandji_uploader._util.files; print(it.__file__)"
    )
    assert told == f"{source}\n"
    assert not (checkout / LIBRARY / "_util" / "__pycache__").exists()


def test_what_is_changed_after_it_was_looked_at_is_not_run_either(checkout):
    code = """
use(say)
import kandji_uploader
library = root / "shared/kandji_uploader"
for path in (library / "errors.py", library / "planted.py", root / "audit/audit_app_and_version.zsh"):
    path.write_text("print('planted')")
from kandji_uploader import errors
from kandji_uploader.audit import script
assert "planted" not in script.load_template()
sys.path.insert(0, str(root / "shared"))
try:
    import kandji_uploader.planted
except ModuleNotFoundError as problem:
    print(problem)
use(say)
"""
    assert host(checkout, code) == "kandji_uploader.planted is not among the sealed files of KandjiUploader\n"


def test_another_copy_of_the_library_in_the_same_run_is_refused(checkout):
    code = """
sys.path.insert(0, str(root / "shared"))
import kandji_uploader
try:
    use(say)
except ProcessorError as problem:
    print(problem)
"""
    told = host(checkout, code)
    assert f"another copy of the library is loaded in this AutoPkg run: {checkout}/{LIBRARY}/__init__.py" in told
    assert "start AutoPkg again" in told


class TestCompiledCode:
    """Compiled code is kept where only the user can write, and believed only there."""

    RUN = "use(say); import kandji_uploader.errors as it; print(it.KandjiUploaderError.__name__)"
    NAME = "KandjiUploaderError\n"

    @pytest.fixture
    def caches(self, tmp_path):
        (tmp_path / "caches").mkdir()
        return tmp_path / "caches"

    @staticmethod
    def kept(caches):
        (folder,) = (caches / "KandjiUploader" / "code").iterdir()
        return folder

    def run(self, checkout, caches):
        return host(checkout, self.RUN, XDG_CACHE_HOME=str(caches))

    def test_it_is_kept_for_one_seal_and_used_again(self, checkout, caches):
        assert self.run(checkout, caches) == self.NAME
        folder = self.kept(caches)
        assert folder.stat().st_mode & 0o777 == 0o700
        before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
        assert {"kandji_uploader", "kandji_uploader.errors"} <= set(before)
        assert self.run(checkout, caches) == self.NAME
        assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
        append(checkout / LIBRARY / "errors.py")
        seal.seal(checkout)
        self.run(checkout, caches)
        assert len(list(folder.parent.iterdir())) == 2

    @pytest.mark.parametrize("torn", [b"", b"\0" * 500])
    def test_a_torn_file_is_compiled_again(self, checkout, caches, torn):
        self.run(checkout, caches)
        file = self.kept(caches) / "kandji_uploader.errors"
        whole = file.read_bytes()
        file.write_bytes(torn or whole[:-1])
        assert self.run(checkout, caches) == self.NAME
        assert file.read_bytes() == whole

    @pytest.mark.parametrize("open_to_others", ["code", "above"])
    def test_where_others_could_write_it_is_neither_read_nor_written(self, checkout, caches, open_to_others):
        self.run(checkout, caches)
        folder = self.kept(caches)
        self.plant(folder / "kandji_uploader.errors")
        assert self.run(checkout, caches).startswith("planted"), "the trap works"
        opened = folder if open_to_others == "code" else caches
        opened.chmod(0o770)
        (folder / "kandji_uploader").unlink()
        said = f"said: compiled code is not kept, since others can write to {opened}: `chmod go-w` it, or own it\n"
        assert self.run(checkout, caches) == said + self.NAME
        assert [path.name for path in folder.iterdir()] == ["kandji_uploader.errors"]

    @staticmethod
    def plant(file):
        data = marshal.dumps(compile(PLANTED + "class KandjiUploaderError: ...", "x", "exec"))
        file.write_bytes(sha256(data).digest() + data)

    def test_what_belongs_to_another_user_is_not_used(self, checkout, caches):
        self.run(checkout, caches)
        told = host(checkout, f"os.geteuid = lambda: 12345\n{self.RUN}", XDG_CACHE_HOME=str(caches))
        assert told.startswith(f"said: compiled code is not kept, since others can write to {self.kept(caches)}")

    def test_a_copy_elsewhere_has_code_of_its_own_which_tells_where_it_is(self, checkout, caches, tmp_path):
        self.run(checkout, caches)
        shutil.copytree(checkout, tmp_path / "elsewhere", symlinks=True)
        code = f"{self.RUN}; print(it.SettingsError.__init__.__code__.co_filename)"
        told = host(tmp_path / "elsewhere", code, XDG_CACHE_HOME=str(caches))
        assert told.splitlines()[-1] == f"{tmp_path}/elsewhere/{LIBRARY}/errors.py"

    def test_without_a_place_for_it_the_library_runs_all_the_same(self, checkout, tmp_path):
        (tmp_path / "file").touch()
        assert self.run(checkout, tmp_path / "file") == self.NAME

    def test_that_of_seals_of_long_ago_is_removed(self, checkout, caches):
        self.run(checkout, caches)
        old = self.kept(caches)
        recent = old.with_name("recent")
        recent.mkdir()
        os.utime(old, (1, 1))
        append(checkout / LIBRARY / "errors.py")
        seal.seal(checkout)
        self.run(checkout, caches)
        assert not old.exists()
        assert recent.exists()


def test_a_link_is_not_sealed(checkout):
    (checkout / LIBRARY / "more.py").symlink_to("errors.py")
    with pytest.raises(SystemExit, match=r"cannot be sealed: shared/kandji_uploader/more\.py"):
        seal.seal(checkout)
