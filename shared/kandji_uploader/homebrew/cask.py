"""What a cask is, read from the JSON of the public API; and whether Kandji can publish what it downloads.

Facts about the API, as Homebrew generates it:

- The top level of a cask's JSON is the cask on the newest macOS on Apple silicon. `variations` holds, per
  `CODENAME` (Intel) and `arm64_CODENAME`, only the keys that differ from it; a missing variation means no difference.
- `sha256` is 64 hex digits, or `no_check` for a cask whose download has no fixed checksum.
- `artifacts` is a list of mappings with one kind each (`app`, `pkg`, `binary`, ...) and what belongs to it.
- `url_specs` holds what the download needs besides the address: `user_agent`, `referer`, `cookies`, `headers`, ...
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from kandji_uploader import __version__
from kandji_uploader.errors import CaskError

ARM, INTEL = "arm64", "x86_64"
LAST_INTEL_MACOS = "tahoe"
"""macOS 26 is the last one that runs on Intel, so this is what `x86_64` means from now on."""

SUFFIXES = (".pkg", ".mpkg", ".dmg", ".zip")
_OTHER_ARCHIVES = (".tar", ".tgz", ".tbz", ".txz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".jar", ".exe", ".iso")

_INSTALLED_BY_KANDJI = ("app", "pkg")
_REMOVAL = ("uninstall", "zap", "uninstall_preflight", "uninstall_postflight")
_BROWSER = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/26.0 Safari/605.1.15"
)


@dataclass(frozen=True)
class Cask:
    """A cask whose download Kandji can publish.

    Attributes:
        token: its name in Homebrew, such as `google-chrome`; with the tap in front for a third-party one.
        name: the software's name, such as `Google Chrome`.
        version: the cask's version; some hold more than the app's (`1.2.3,4567`).
        url: where the installer is downloaded from.
        sha256: hex digest of the installer, lower case; None where the cask has none and that was allowed.
        arch: `arm64` or `x86_64`, the variation that was chosen.
        artifacts: the kinds of what it installs, such as `app` and `binary`.
        app_names: names of the app bundles in the installer, such as `Google Chrome.app`.
        file_name: the installer's own name; where the address does not tell it, `TOKEN-VERSION` without a suffix.
        headers: what the download is asked with, as name and value.
        notes: what an admin should know, one sentence each: deprecated, renamed, not done by Kandji.
    """

    token: str
    name: str
    version: str
    url: str
    sha256: str | None
    arch: str = ARM
    artifacts: tuple[str, ...] = ()
    app_names: tuple[str, ...] = ()
    file_name: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def read(data: Mapping[str, Any], *, arch: str, allow_no_checksum: bool = False, tag: str | None = None) -> Cask:
    """The cask that a JSON object of the API describes.

    Args:
        data: one cask, with its `variations`.
        arch: `arm64` or `x86_64`.
        allow_no_checksum: accept a cask whose download cannot be checked.
        tag: the variation that is meant, where it is not the API's own default for `arch`.

    Raises:
        CaskError: Kandji cannot or should not publish it; the text says why and what to do.
    """
    token = str(data.get("full_token") or data.get("token") or "")
    if not token:
        raise CaskError("the answer describes no cask; is HOMEBREW_API_DOMAIN right?")
    fields = _variation(data, arch, tag)
    _refuse_disabled(token, fields)
    _refuse_platform(token, fields, arch)
    url = _url(token, fields)
    artifacts = tuple(_artifacts(fields))
    name = name_in(url)
    _refuse_unpublishable(token, fields, [kind for kind, _ in artifacts], name)
    names = _listed(fields.get("name")) or [token]
    version = str(fields.get("version") or "")
    return Cask(
        token=token,
        name=str(names[0]),
        version=version,
        url=url,
        sha256=_sha256(token, fields, allow_no_checksum=allow_no_checksum),
        arch=arch,
        artifacts=tuple(dict.fromkeys(kind for kind, _ in artifacts)),
        app_names=tuple(_app_names(artifacts)),
        file_name=name if suffix_of(name) in SUFFIXES else tidy(f"{token.rsplit('/', 1)[-1]}-{version}"),
        headers=_headers(token, _mapping(fields.get("url_specs"))),
        notes=tuple(_notes(token, fields, artifacts)),
    )


def name_in(url: str) -> str:
    """The last part of an address's path as a file name; "" where it has none."""
    path = url.partition("#")[0].partition("?")[0].partition("://")[2]
    return tidy(unquote(path.rpartition("/")[2])) if "/" in path else ""


def tidy(name: str) -> str:
    """A file name that stays in its folder and can be shown: no separators, control characters or leading dots."""
    name = re.sub(r"[\x00-\x1f\x7f/\\:]", "-", name).strip().lstrip(".")
    return name if len(name.encode()) <= 200 else name.encode()[-200:].decode("utf-8", "ignore")  # noqa: PLR2004


def suffix_of(name: str) -> str:
    """The suffix of a file name that says what kind of file it is, lower case; "" where it says nothing."""
    lower = name.lower()
    return next((suffix for suffix in (*SUFFIXES, *_OTHER_ARCHIVES) if lower.endswith(suffix)), "")


def _variation(data: Mapping[str, Any], arch: str, tag: str | None) -> Mapping[str, Any]:
    """The cask as it is on the Macs that are meant."""
    wanted = tag or (LAST_INTEL_MACOS if arch == INTEL else "")
    return {**data, **_mapping(_mapping(data.get("variations")).get(wanted))}


def _mapping(value: object) -> Mapping[str, Any]:
    """A mapping; an empty one where the answer holds something else, most often null."""
    return value if isinstance(value, dict) else {}


def _listed(value: object) -> list[Any]:
    """A list; a single value is a list of one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _refuse_disabled(token: str, fields: Mapping[str, Any]) -> None:
    if fields.get("disabled"):
        why = _reason(fields, "disable")
        raise CaskError(f"the cask {token!r} is disabled in Homebrew{why}; it is not published")


def _refuse_platform(token: str, fields: Mapping[str, Any], arch: str) -> None:
    needs = _mapping(fields.get("depends_on"))
    if "linux" in needs:
        raise CaskError(f"the cask {token!r} is for Linux only; Kandji manages Macs")
    kinds = {str(each.get("type", "")) if isinstance(each, dict) else str(each) for each in _listed(needs.get("arch"))}
    runs_on = {INTEL if kind.strip(":") in ("intel", INTEL) else ARM for kind in kinds}
    if runs_on and arch not in runs_on:
        other = next(iter(runs_on))
        raise CaskError(f"the cask {token!r} does not run on {arch}, only on {other}; ask for it with `--arch {other}`")


def _url(token: str, fields: Mapping[str, Any]) -> str:
    url, specs = fields.get("url"), _mapping(fields.get("url_specs"))
    if not url or not isinstance(url, str):
        raise CaskError(f"the cask {token!r} names no download for these Macs; look at `--arch`, or publish a file")
    unusual = [
        key for key in ("using", "data", "branch", "tag", "revision", "revisions", "only_path") if specs.get(key)
    ]
    if unusual and str(specs.get("using", "")).strip(":") != "homebrew_curl":
        raise CaskError(
            f"the cask {token!r} is not a plain download (its `url` has `{unusual[0]}`); "
            "try `--use-brew`, or download the installer yourself and publish the file"
        )
    return url


def _sha256(token: str, fields: Mapping[str, Any], *, allow_no_checksum: bool) -> str | None:
    given = str(fields.get("sha256") or "no_check").lower()
    if re.fullmatch(r"[0-9a-f]{64}", given):
        return given
    if given.strip(":") != "no_check":
        raise CaskError(f"the cask {token!r} has a sha256 that is none: {given[:70]!r}; report it to Homebrew")
    if allow_no_checksum:
        return None
    raise CaskError(
        f"the cask {token!r} has no sha256: nothing would show that the download is the file that Homebrew's "
        "maintainers saw, and it would be downloaded on every run. It is refused; to publish it all the same, allow "
        "casks without a checksum (`--allow-no-checksum`), or download the installer, check it and publish the file"
    )


def _artifacts(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Kind and content of each thing that the cask installs, uninstalls or runs."""
    for entry in _listed(fields.get("artifacts")):
        yield from ((str(kind), content) for kind, content in _mapping(entry).items() if kind != "target")


def _app_names(artifacts: Sequence[tuple[str, Any]]) -> Iterator[str]:
    for kind, content in artifacts:
        if kind == "app" and isinstance(content, list) and content and isinstance(content[0], str):
            yield content[0].rsplit("/", 1)[-1]


def _refuse_unpublishable(token: str, fields: Mapping[str, Any], kinds: Sequence[str], name: str) -> None:
    """Refuse what Kandji could upload but not install, with the reason."""
    nested = _mapping(fields.get("container")).get("nested")
    suffix = suffix_of(name)
    reason = ""
    if nested:
        reason = f"its installer is inside another archive ({str(nested)[:100]!r})"
    elif suffix in _OTHER_ARCHIVES:
        reason = f"it downloads a {suffix} file ({name!r})"
    elif "installer" in kinds:
        reason = "it holds an installer program that a person or a script must run"
    elif "pkg" in kinds and suffix == ".zip":
        reason = "it is a .zip that holds a .pkg: Kandji would unpack it, but not install the .pkg"
    elif not set(_INSTALLED_BY_KANDJI) & set(kinds):
        found = ", ".join(sorted(set(kinds) - set(_REMOVAL))) or "nothing"
        reason = f"it installs neither an app nor a .pkg (but: {found})"
    if reason:
        raise CaskError(
            f"the cask {token!r} cannot be published: {reason}. Kandji takes a .pkg, a .dmg with an app or a .pkg, "
            "or a .zip with an app; build a .pkg from it (for example with AutoPkg) and publish that"
        )


def _headers(token: str, specs: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    agent = str(specs.get("user_agent") or f"KandjiUploader/{__version__}")
    found = {"User-Agent": _BROWSER if agent.strip(":") in ("fake", "browser") else agent}
    if specs.get("referer"):
        found["Referer"] = str(specs["referer"])
    cookies = _mapping(specs.get("cookies"))
    if cookies:
        found["Cookie"] = "; ".join(f"{key}={value}" for key, value in cookies.items())
    for line in _listed(specs.get("headers") or specs.get("header")):
        key, colon, value = str(line).partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9-]+", key.strip()):
            raise CaskError(f"the cask {token!r} asks for a header that is none: {str(line)[:60]!r}; try `--use-brew`")
        found[key.strip()] = value.strip()
    return tuple(found.items())


def _notes(token: str, fields: Mapping[str, Any], artifacts: Sequence[tuple[str, Any]]) -> Iterator[str]:
    if fields.get("deprecated"):
        yield f"the cask {token!r} is deprecated in Homebrew{_reason(fields, 'deprecation')}; look for a replacement"
    undone = [kind for kind, _ in artifacts if kind not in (*_INSTALLED_BY_KANDJI, *_REMOVAL)]
    if undone:
        kinds = ", ".join(dict.fromkeys(undone))
        yield f"Homebrew would also see to {kinds} of the cask {token!r}; Kandji does not"
    if any(kind == "pkg" and isinstance(content, list) and len(content) > 1 for kind, content in artifacts):
        yield f"Homebrew installs the .pkg of {token!r} with choices of its own; Kandji installs its default choices"
    needs = _mapping(fields.get("depends_on"))
    others = [str(each) for key in ("cask", "formula") for each in _listed(needs.get(key))]
    if others:
        yield f"the cask {token!r} needs {', '.join(others)}, which Kandji does not install along with it"


def _reason(fields: Mapping[str, Any], what: str) -> str:
    """Since when a cask is deprecated or disabled, why, and what replaces it; `what` begins the keys that tell."""
    said = [str(fields[key]).replace("_", " ") for key in (f"{what}_date", f"{what}_reason") if fields.get(key)]
    keys = (f"{what}_replacement_cask", f"{what}_replacement_formula")
    said += [f"replaced by {fields[key]}" for key in keys if fields.get(key)]
    return f" ({', '.join(said)})" if said else ""
