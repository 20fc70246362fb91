"""Ask for the tenant and the token, check both against the tenant, and write the config file.

Known answers are not asked for again: what the environment or the config file says, or the settings of kpkg, irupkg
or KAPPA that are found on this machine. Without a terminal nothing is asked: the flags below and the environment
(KANDJI_API_URL, KANDJI_TOKEN, SLACK_TOKEN) say it all. Nothing is changed in the tenant; the permissions of the token
are found out with requests that cannot do anything. Nothing is written until everything is known.

Examples:
  kandji-uploader setup
  kandji-uploader setup --reset
  kandji-uploader setup -c --api-url acme.api.kandji.io --keystore environment
  kandji-uploader setup -i ~/Downloads
  kandji-uploader setup -m
  kandji-uploader setup --kappa
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from kandji_uploader import settings
from kandji_uploader._util.secret import Secret
from kandji_uploader.cli import DONE, FAILED, main, screen
from kandji_uploader.cli.failures import UsageError
from kandji_uploader.cli.prompts import Prompts, tell
from kandji_uploader.errors import AuthenticationError, CredentialError, KandjiUploaderError, SetupError
from kandji_uploader.kandji.probe import State
from kandji_uploader.models import Settings
from kandji_uploader.publish.context import open_tenant
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.publish.resolve import resolve_early
from kandji_uploader.settings import credentials, writing
from kandji_uploader.setup import autopkg_tool, kappa, wizard

_STORES = ("environment", "keychain")
_URL, _TOKEN_NAME, _SLACK = "kandji.api_url", "kandji.token_name", "slack.enabled"
_IN_ENVIRONMENT, _IN_KEYCHAIN = (f"token_keystore.{store}" for store in _STORES)


def configure(parser: argparse.ArgumentParser) -> None:
    """The flags: what to do, and the answers for runs in which nobody can be asked."""
    add = parser.add_argument
    add("-c", "--config", action="store_true", help="the config file only: ask for no secrets and check none")
    add("-r", "--reset", action="store_true", help="ask everything again, also with known answers")
    add("-i", "--idfind", nargs="?", const="", metavar="FILE|FOLDER", help="list the ids of installers, as a table too")
    add("-m", "--map", action="store_true", help="list names and categories (and recipes) for the maps, as tables")
    add("-b", "--brewcron", action="store_true", help="set the schedule up; see also `kandji-uploader schedule`")
    add("-a", "--addcask", action="store_true", help="with -b: add casks")
    add("-u", "--uninstall", action="store_true", help="with -b: let this machine run the schedule no longer")
    add("--kappa", action="store_true", help="let KandjiUploader run what was written for KAPPA, unedited")
    add("--prefs", metavar="FILE", type=Path, help="with --kappa: AutoPkg's preferences, as for `autopkg run --prefs`")
    answers = parser.add_argument_group("answers")
    add = answers.add_argument
    add("--api-url", metavar="URL", help="the tenant's API host, such as acme.api.kandji.io")
    add("--keystore", choices=_STORES, help="where the secrets are kept")
    add("--token-name", metavar="NAME", help="the name (never the value) of the API token there")
    add("--slack", choices=("on", "off"), help="whether to post to Slack")
    add("--slack-test", action="store_true", help="send a test message")
    add("--offline", action="store_true", help="check nothing by requests")
    add("--import", dest="take", metavar="FOLDER", type=Path, help="take over the settings of another tool from there")
    add("--no-import", action="store_true", help="take over nothing")


def run(arguments: argparse.Namespace) -> int:
    """Do what the flags say."""
    if (arguments.addcask or arguments.uninstall) and not arguments.brewcron:
        raise UsageError("kandji-uploader setup: -a and -u go with -b")
    if arguments.kappa:
        return _stand_in_for_kappa(arguments.prefs)
    prompts = Prompts()
    if arguments.brewcron:
        return _schedule(arguments, prompts)
    if arguments.idfind is not None:
        return _list_ids(arguments.idfind, prompts)
    if arguments.map:
        return _list_values(prompts)
    return Wizard(arguments, prompts).run()


@dataclass
class Wizard:
    """One conversation; what was answered is written at its end.

    Args:
        arguments: the answers that were given as flags.
        prompts: asks for the others.
    """

    arguments: argparse.Namespace
    prompts: Prompts
    folder: Path = field(default_factory=settings.config_folder)
    values: dict[str, object] = field(default_factory=dict)
    typed: dict[str, Secret] = field(default_factory=dict)
    """Secrets that are to be kept in the keychain, by name."""
    ours: frozenset[str] = frozenset()
    """What our own config file says, by key path; not what was taken over."""

    def run(self) -> int:
        """Ask, check, write."""
        tell(f"Settings are kept in {self.folder}")
        self._known()
        tools = self._former_tools()
        self._address()
        self._store()
        complete = True
        if not self.arguments.config:
            complete = self._token()
            self._slack()
        self._write(tools)
        return DONE if complete else FAILED

    def _anew(self, key: str) -> bool:
        """Whether to ask although something is known."""
        return key not in self.values or (self.arguments.reset and self.prompts.interactive)

    def _known(self) -> None:
        """The values of the config file. Its errors are told, and those values are asked again."""
        there = settings.find_file(self.folder, "config")
        if there is None:
            return
        self.values, problems = writing.config_values(there)
        self.ours = frozenset(self.values)
        for problem in problems:
            tell(f"  not kept: {problem}")

    def _former_tools(self) -> list[wizard.FormerTool]:
        """The tools whose settings are taken over: what their config files say counts where ours says nothing."""
        if self.arguments.no_import:
            return []
        chosen = []
        for tool in self._found_tools():
            named = self.arguments.take is not None
            question = f"Take over the settings of {tool.name} in {tool.folder}?"
            if named or self.prompts.confirm(question, default=True):
                chosen.append(tool)
                values, notes = wizard.values_of(tool)
                self.values = {**values, **self.values}
                tell(f"Taken over: the settings of {tool.name} in {tool.folder}")
                for note in notes:
                    tell(f"  {note}")
        return chosen

    def _found_tools(self) -> tuple[wizard.FormerTool, ...]:
        if self.arguments.take is None:
            return () if self.values and not self.arguments.reset else wizard.former_tools(os.environ, self.folder)
        tool = wizard.former_tool(self.arguments.take.expanduser().absolute())
        if tool is None:
            raise SetupError(f"{self.arguments.take} holds no config.json and no map; name the folder that does")
        return (tool,)

    def _address(self) -> None:
        """The API URL, checked by a real request."""
        known = self.arguments.api_url or ""
        for variable in ("KANDJI_API_URL", "IRU_API_URL"):
            known = known or os.environ.get(variable, "").strip()
        if not known and not self._anew(_URL):
            known = str(self.values[_URL])
        if known and self._takes_address(known):
            return
        advice = "give --api-url or set KANDJI_API_URL"
        question = "API URL of your tenant (such as acme.api.kandji.io; acme will do)"
        self.prompts.ask(question, self._reached, default=str(self.values.get(_URL, "")), instead=advice)

    def _takes_address(self, known: str) -> bool:
        """Whether a known address will do; where somebody can be asked for another one, it need not."""
        try:
            self._reached(known)
        except KandjiUploaderError as problem:
            if not self.prompts.interactive:
                raise
            tell(f"  {problem}")
            return False
        return True

    def _reached(self, text: str) -> None:
        """Note an API URL, if Kandji's API answers there; a tenant's name or its console's address is completed."""
        url = wizard.find_address(text, None if self.arguments.offline else wizard.check_address)
        self.values[_URL] = url
        tell(f"API URL: {url}{'' if self.arguments.offline else ' answers'}")

    def _store(self) -> None:
        """Where secrets are kept."""
        name = self.arguments.token_name or os.environ.get("KANDJI_TOKEN_NAME", "").strip()
        if name:
            self.values[_TOKEN_NAME] = name
        chosen = self.arguments.keystore
        if chosen is None and self._anew(_IN_ENVIRONMENT) and self._anew(_IN_KEYCHAIN):
            tell("Secrets are kept in the keychain, or you set them as environment variables; never in a file of ours.")
            default = "keychain" if sys.platform == "darwin" and os.geteuid() != 0 else "environment"
            chosen = self._asked_store(default)
        elif chosen == "keychain":
            self._tried(chosen)
        elif chosen is None and self.values.get(_IN_KEYCHAIN):
            chosen = self._known_keychain()
        if chosen is not None:
            self.values.update({_IN_ENVIRONMENT: chosen == "environment", _IN_KEYCHAIN: chosen == "keychain"})
        if self.values.get(_IN_KEYCHAIN) and os.geteuid() == 0:
            tell("  You are root: a run as root takes its token from the environment only.")

    def _asked_store(self, default: str) -> str:
        return self.prompts.ask("environment or keychain", self._tried, default=default)

    def _known_keychain(self) -> str | None:
        """The advice about a keychain that the settings name already: none, if it keeps what it is given."""
        try:
            self._tried("keychain")
        except CredentialError as problem:
            if not self.prompts.interactive:
                raise
            tell(f"  {problem}")
            return self._asked_store("environment")
        return None

    def _tried(self, store: str) -> str:
        """The store, if it can be used: the keychain is tried before anything else is asked or written.

        Raises:
            SetupError, CredentialError: it cannot.
        """
        if store not in _STORES:
            raise SetupError("please answer environment or keychain")
        if store == "keychain":
            tell(f"Keychain: {credentials.try_keychain(self._settings())} keeps what it is given")
        return store

    def _settings(self) -> Settings:
        return wizard.settled(self.values, os.environ)

    def _token(self) -> bool:
        """The API token, checked against the tenant; whether it may do all that publishing needs."""
        settings = self._settings()
        found = None if self.arguments.reset and self.prompts.interactive else wizard.find_token(settings, os.environ)
        if found is not None:
            tell(f"API token: found in the {found.origin}")
            try:
                return self._checked(found, settings)
            except AuthenticationError as problem:
                if not self.prompts.interactive:
                    raise
                tell(f"  {problem}")
        elif not self.prompts.interactive:
            credentials.api_token(settings, os.environ)  # raises, and says what to do
        return self.prompts.secret(
            "API token", lambda text: self._checked(_typed_token(text, settings), settings), instead=""
        )

    def _checked(self, token: Secret, settings: Settings) -> bool:
        """Tell which permissions are there and which are not; whether all are that publishing needs."""
        self._keep(settings.token_name, token, settings)
        if self.arguments.offline:
            return True
        rows, complete = [], True
        for permission, state in wizard.check_token(settings.api_url, token):
            shown = state.value.upper() if state is State.MISSING else state.value
            rows.append([permission.name, shown, permission.purpose])
            complete = complete and not (permission.always and state is State.MISSING)
        print(screen.of().table(["Permission", "State", "Needed"], rows), flush=True)
        if not complete:
            tell("Nothing can be published yet: add the MISSING permissions in Kandji under Settings > Access.")
        return complete

    def _keep(self, name: str, secret: Secret, settings: Settings) -> None:
        """Note a secret for the keychain, unless it is there as ours already."""
        ours = f"keychain (account {credentials.ACCOUNT})"
        if settings.keystore_keychain and secret.origin != ours:
            self.typed[name] = secret

    def _slack(self) -> None:
        """Whether to post to Slack, and where to."""
        if self.arguments.slack is not None:
            self.values[_SLACK] = self.arguments.slack == "on"
        elif self._anew(_SLACK):
            known = bool(self.values.get(_SLACK)) or bool(os.environ.get("SLACK_TOKEN", "").strip())
            self.values[_SLACK] = self.prompts.confirm(
                "Post to Slack after runs that changed something?", default=known
            )
        if not self.values[_SLACK]:
            return
        settings = self._settings()
        webhook = self._webhook(settings)
        if webhook is None:
            return
        if self.arguments.slack_test or (
            self.prompts.interactive and self.prompts.confirm("Send a test message?", default=True)
        ):
            wizard.send_test_message(webhook)
            tell("Slack: the test message was taken")
        self._keep(settings.webhook_name, webhook, settings)

    def _webhook(self, settings: Settings) -> Secret | None:
        """The webhook; None where there is none, and Slack is then turned off, unless our own config file has it on."""
        try:
            found = credentials.slack_webhook(settings, os.environ)
        except CredentialError as problem:
            if not self.prompts.interactive:
                self._without_webhook(problem)
                return None
            found = None
        if found is None or (self.arguments.reset and self.prompts.interactive):
            tell("Press Enter for no Slack.")
            found = self.prompts.secret(
                "Slack webhook", lambda text: _typed_webhook(text, settings) if text else None, instead=""
            )
            if found is None:
                self.values[_SLACK] = False
                tell("Slack: off")
            return found
        tell(f"Slack webhook: found in the {found.origin}")
        return found

    def _without_webhook(self, problem: CredentialError) -> None:
        """Nobody can be asked for the webhook: what another tool's settings say of Slack is not taken over then."""
        if self.arguments.slack == "on":
            raise problem
        tell(f"Slack: {problem}")
        if _SLACK not in self.ours:
            self.values[_SLACK] = False
            tell("Slack: off, until `slack.enabled: true` is in the config file")

    def _write(self, tools: list[wizard.FormerTool]) -> None:
        """Everything is known: keep the secrets, write the config file, copy maps, tell the next steps."""
        settings = self._settings()
        for name, secret in self.typed.items():
            credentials.store(name, secret, plaintext=settings.keystore_plaintext)
            tell(f"Kept in the keychain: {name} (account {credentials.ACCOUNT})")
        path = writing.write_config(self.folder, self.values)
        tell(f"Written: {path}")
        for tool in tools:
            for note in wizard.copy_maps(tool, self.folder):
                tell(f"  {note}")
        for problem in wizard.problems_in(self.folder, os.environ):
            tell(f"  to be corrected: {problem}")
        _tell_next(settings)


def _tell_next(settings: Settings) -> None:
    """The next steps until a run finds its secrets, as the last lines, to be pasted; no secret is shown."""
    first = "Next: kandji-uploader -p FILE -y, which tells what would be done and changes nothing"
    missing = []
    for name, what, find in (
        (settings.token_name, "the API token", credentials.api_token_of_a_run),
        (settings.webhook_name, "the Slack webhook", credentials.slack_webhook),
    ):
        try:
            find(settings, os.environ)
        except CredentialError:
            missing.append(f"export {name}='{what}'")
    tell(first)
    if missing:
        root = " (root's runs do not ask a keychain)" if settings.keystore_keychain and os.geteuid() == 0 else ""
        tell(f"Before it, in the shell that it runs in{root}, with the secret between the quotes; it is kept nowhere:")
        tell("\n".join(missing))


def _typed_token(text: str, settings: Settings) -> Secret:
    """What was typed, refused where it can be no token."""
    alone = replace(settings, keystore_environment=True, keystore_keychain=False, token_name="API_TOKEN")  # noqa: S106
    return Secret(credentials.api_token(alone, {"API_TOKEN": _not_empty(text)}).reveal(), "terminal")


def _typed_webhook(text: str, settings: Settings) -> Secret:
    alone = replace(settings, keystore_environment=True, keystore_keychain=False, webhook_name="WEBHOOK")
    found = credentials.slack_webhook(alone, {"WEBHOOK": _not_empty(text)})
    assert found is not None  # noqa: S101 - Slack is on here
    return Secret(found.reveal(), "terminal")


def _not_empty(text: str) -> str:
    if not text:
        raise SetupError("nothing was typed; paste it here, or press Ctrl-C to stop")
    return text


def _stand_in_for_kappa(preferences: Path | None) -> int:
    """Let AutoPkg find KandjiUploader where a recipe names KAPPA."""
    for note in kappa.install(os.environ, preferences):
        tell(note)
    if settings.find_file(settings.config_folder(), "config") is None and "KANDJI_API_URL" not in os.environ:
        tell("Next: kandji-uploader setup, which takes KAPPA's settings over")
    tell("An override that trusts KAPPA's own KAPPA.py must be reviewed again: autopkg update-trust-info NAME")
    return DONE


def _list_ids(place: str, prompts: Prompts) -> int:
    """Print the ids of installers, and write them as a table."""
    if not place:
        place = prompts.ask("A .pkg, .dmg or .zip, or a folder of them", _dropped, instead="give -i FILE|FOLDER")
    found = wizard.installer_ids(Path(place).expanduser())
    rows = [[each.path.name, each.ids[0] if each.ids else "-", each.version] for each in found if not each.problem]
    print(screen.of().table(["Filename", "ID", "Version"], rows))
    for each in found:
        if each.problem:
            print(f"warning: {each.problem}", file=sys.stderr)
    folder = settings.config_folder()
    wizard.write_private(folder / "install_media_ids.csv", wizard.ids_csv(found))
    tell(f"Written: {folder / 'install_media_ids.csv'}")
    _offer("use_package_map", prompts)
    return DONE if rows else FAILED


def _dropped(text: str) -> str:
    """A path as terminals write one that was dropped on them."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = [text]
    if not words:
        raise SetupError("please name a file or a folder")
    return words[0] if len(words) == 1 else text


def _list_values(prompts: Prompts) -> int:
    """Write the values for the maps as tables."""
    folder = settings.config_folder()
    host = Host()
    tenant = open_tenant(resolve_early(Request(Path()), host), host)
    tables = {"package_map": wizard.package_map_csv(tenant)}
    recipes = autopkg_tool.recipes(os.environ)
    if recipes is None:
        tell("There is no working autopkg on PATH, so there is no table for the recipe map")
    else:
        tables["recipe_map"] = wizard.recipe_map_csv(tenant, recipes)
    for name, text in tables.items():
        path = folder / f"{name}_values.csv"
        wizard.write_private(path, text)
        tell(f"Written: {path}")
        _offer(f"use_{name}", prompts)
    return DONE


def _offer(switch: str, prompts: Prompts) -> None:
    """Where a map is not in use, say so, and offer to use it."""
    folder = settings.config_folder()
    there = settings.find_file(folder, "config")
    values = writing.config_values(there)[0] if there else {}
    if values.get(switch):
        return
    has_map = settings.find_file(folder, switch.removeprefix("use_")) is not None
    if (
        there
        and has_map
        and prompts.interactive
        and prompts.confirm(f"Use {switch[4:]}.yaml from now on?", default=False)
    ):
        writing.set_values(folder, {switch: True})
    else:
        tell(f"  The map is not in use; write `{switch}: true` into the config file when it is there")


def _schedule(arguments: argparse.Namespace, prompts: Prompts) -> int:
    """The schedule in the words of kpkg-setup."""
    if arguments.uninstall:
        return main(["schedule", "uninstall"])
    if arguments.addcask or settings.find_file(settings.config_folder(), "brew_cron") is None:
        advice = "use `kandji-uploader schedule add CASK... --every HOURS`"
        casks = prompts.ask("Casks, with commas between them (such as firefox,slack)", _listed, instead=advice)
        every = (
            [] if arguments.addcask else ["--every", prompts.ask("Every how many hours (1 to 168)", str, default="8")]
        )
        code = main(["schedule", "add", *casks, *every])
        if code != DONE:
            return code
    return main(["schedule", "install"])


def _listed(text: str) -> list[str]:
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise SetupError("please name at least one cask")
    return found
