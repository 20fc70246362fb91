"""The macOS tools that the audit script calls, as one small program; what it was called as says which tool it is.

It reads `scenario` in the root of the simulated Mac and notes each call in `calls` there. An audit starts several of
these, so nothing is imported that is not used, and mostly one process is all of them (`serve`).
What is known of the real tools and what is assumed is written down in docs/audit-script.md.
"""

# ruff: noqa: BLE001, PIE807, PT018, PTH110, PTH118, PTH119, PTH120, PTH123, PTH202
# pathlib alone would double the time that each of these takes to start.
import marshal
import os
import sys


def main():
    sys.exit(called(sys.argv))


def serve(place):
    """Be the tools for zsh stubs that connect to the socket `place`, until our standard input ends.

    A stub starts in a sixth of the time of Python, and nothing is imported twice.
    """
    import select
    import socket

    os.umask(0o022)  # that of the audit script, whose tools these are
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        print("ready", flush=True)
        while sys.__stdin__ not in select.select([sys.__stdin__, listening], [], [])[0]:
            with listening.accept()[0] as stub:
                stub.sendall(answered(stub))


def answered(stub):
    """What a stub is to print on either output, and its exit code; each ends with a null byte."""
    import contextlib
    import io

    received = b""
    while received.count(b"\0") <= int(received.partition(b"\0")[0] or 0) + 1:
        received += stub.recv(1 << 16)
    words = [os.fsdecode(word) for word in received.split(b"\0")[1:-1]]
    printed = [io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape", write_through=True) for _ in range(2)]
    with contextlib.redirect_stdout(printed[0]), contextlib.redirect_stderr(printed[1]):
        code = called(words)
    return b"".join(one.buffer.getvalue() + b"\0" for one in printed) + b"%d\0" % code


def called(words):
    """Be a tool; returns its exit code."""
    root, name = words[0], os.path.basename(words[0])
    while not os.path.exists(os.path.join(root, "scenario")):
        root = os.path.dirname(root)
    with open(os.path.join(root, "calls"), "a") as calls:
        calls.write(repr([name, *words[1:]]) + "\n")
    with open(os.path.join(root, "scenario"), "rb") as file:
        scenario = marshal.load(file)
    try:
        return TOOLS[name](words[1:], scenario, root)
    except AssertionError as problem:
        # The script hides what tools write to standard error; the test must see it.
        with open(os.path.join(root, "misused"), "a") as file:
            file.write(f"{name}: {problem}\n")
        return 99


def mdfind(words, scenario, root):
    if scenario["spotlight"] is None:
        return 1
    attribute, _, rest = words[0].partition(" == '")
    wanted, end = rest[:-1], rest[-1:]
    key = {"kMDItemCFBundleIdentifier": "id", "kMDItemFSName": "name"}[attribute]
    # A quote or backslash would end the value, an asterisk is a wildcard: no value may bring one along.
    assert end == "'" and not set(wanted) & set("'\"\\*") and len(words) == 1, words
    for entry in scenario["spotlight"]:
        if entry[key] == wanted:
            print(entry["path"])
    return 0


def lsappinfo(words, scenario, root):
    gone = quit_apps(root)
    copies = {at: copy for at, copy in enumerate(scenario["running"]) if copy["path"] not in gone}
    if words == ["list"]:
        print("".join(listed(at, copy) for at, copy in copies.items()), end="")
        return 0
    if words[0] == "find":
        wanted = words[1].removeprefix("bundlepath=")
        print("\n".join(f"ASN:0x0-0x{at:x}:" for at, copy in copies.items() if copy["path"] == wanted))
        return 0
    assert words[0] == "info" and words[2] == "-only", words
    at = int(words[1].removeprefix("ASN:0x0-0x").removesuffix(":"), 16)
    value = copies.get(at, {}).get(words[3])
    print(f'"{words[3]}"=' + ("[ NULL ]" if value is None else f'"{value}"'))
    return 0


def listed(at, copy):
    """The block of a running app, as `lsappinfo list` prints it."""
    path = copy["path"]
    own = os.path.basename(path).removesuffix(".app")
    name = copy["LSDisplayName"] if copy["LSDisplayName"] is not None else own
    executable = copy.get("executable") or f"{path}/Contents/MacOS/{own}"
    return (
        f'{at:2}) "{name}" ASN:0x0-0x{at:x}: \n    bundleID="com.example.{at}"\n'
        f"    bundle path={quoted(path)}\n    executable path={quoted(executable)}\n"
        f'    pid = {1000 + at} type="{copy["ApplicationType"]}" flavor=3 Version="19618" fileType="APPL" '
        'creator="sfri" Arch=ARM64 \n    parentASN="loginwindow" ASN:0x0-0x1001: \n\n'
    )


def quoted(path):
    return f'"{path}"' if path else "[ NULL ]"


def quit_apps(root):
    """The apps that were asked to quit and did."""
    try:
        with open(os.path.join(root, "quit"), "rb") as file:
            return {os.fsdecode(path) for path in file.read().split(b"\0")[:-1]}
    except FileNotFoundError:
        return set()


ANSWERS = {
    "quit": ("button returned:Quit, gave up:false", "", 0),
    "delay": ("button returned:Delay 1 Hour, gave up:false", "", 0),
    "cancel": ("", "0:55: execution error: System Events got an error: User canceled. (-128)", 1),
    "nobody": ("button returned:, gave up:true", "", 0),
    "no session": ("", "0:0: execution error: An error of type -10810 has occurred. (-10810)", 1),
    "not allowed": ("", "35:40: execution error: Not authorized to send Apple events to System Events. (-1743)", 1),
    "no such thing": ("", "12:16: syntax error: A identifier can't go after this identifier. (-2740)", 1),
    "killed": ("", "", 137),
    "empty": ("", "", 0),
    "noise": ("button returned:Quit, gave up:false", "objc[1]: Class X is implemented in both", 0),
}


def osascript(words, scenario, root):
    program, data = [], list(words)
    while data and data[0] == "-e":
        program.append(data[1])
        data = data[2:]
    program = "\n".join(program)
    if "to quit" in program:
        assert len(data) == 1 and "if application (item 1 of argv) is running then" in program, (program, data)
        if scenario["quits"] is True or (scenario["quits"] and data[0] in scenario["quits"]):
            with open(os.path.join(root, "quit"), "ab") as file:
                file.write(os.fsencode(data[0]) + b"\0")
        return 0
    assert "display dialog" in program, program
    count = os.path.join(root, "dialogs")
    with open(count, "a") as file:
        file.write("x")
    at = os.path.getsize(count) - 1
    if at == 0:
        with open(os.path.join(root, "now"), "w") as file:
            file.write(str(scenario["now"] + scenario["thinking"]))
    answers = scenario["dialogs"]
    output, error, code = ANSWERS[answers[min(at, len(answers) - 1)]]
    if error:
        print(error, file=sys.stderr, flush=True)
    if output or code == 0:
        print(output)
    return code


def sw_vers(words, scenario, root):
    assert words == ["-productVersion"], words
    if scenario["macos"] is None:
        return 1
    print(scenario["macos"])
    return 0


def pkgutil(words, scenario, root):
    assert words[0] == "--pkg-info-plist" and len(words) == 2, words
    if words[1] not in scenario["receipts"]:
        print(f"No receipt for '{words[1]}' found at '/'.", file=sys.stderr)
        return 1
    import plistlib

    version = scenario["receipts"][words[1]]
    facts = {"install-time": 1, "pkgid": words[1], "volume": "/"}
    if version is not None:
        facts["pkg-version"] = version
    sys.stdout.buffer.write(plistlib.dumps(facts))
    return 0


def words_of(command):
    """Words of a PlistBuddy command: quotes group, a backslash takes the next character as it is."""
    words, word, quote, escaped, begun = [], [], None, False, False
    for letter in command:
        if escaped:
            word.append((letter, True))
            escaped = False
        elif letter == "\\":
            escaped = begun = True
        elif quote:
            if letter == quote:
                quote = None
            else:
                word.append((letter, letter != ":"))
        elif letter in "'\"":
            quote, begun = letter, True
        elif letter in " \t":
            if word or begun:
                words.append(word)
            word, begun = [], False
        else:
            word.append((letter, False))
    return [*words, word] if word or begun else words


def keys_of(word):
    """Keys of the path of an entry: it is split at colons that are not escaped."""
    keys = [""]
    for letter, plain in word:
        if letter == ":" and not plain:
            keys.append("")
        else:
            keys[-1] += letter
    return [key for key in keys if key]


def shown(value):
    if isinstance(value, dict):
        return "Dict {\n" + "".join(f"    {key} = {shown(item)}\n" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "Array {\n" + "".join(f"    {shown(item)}\n" for item in value) + "}"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def plist_buddy(words, scenario, root):
    *commands, path = words
    assert commands and not len(commands) % 2 and set(commands[::2]) == {"-c"}, words
    return max([buddy_command(words_of(command), path) for command in commands[1::2]])


def buddy_command(command, path):
    import plistlib

    verb = "".join(letter for letter, _ in command[0])
    try:
        with open(path, "rb") as file:
            tree = plistlib.load(file)
    except FileNotFoundError:
        if verb != "Add":
            print(f"File Doesn't Exist, Will Create: {path}")
        tree = {}
    except Exception:
        print(f"Error Reading File: {path}", file=sys.stderr)
        return 1
    keys = keys_of(command[1]) if len(command) > 1 else []
    try:
        return EDITS[verb](tree, keys, ["".join(letter for letter, _ in word) for word in command[2:]], path)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OSError):
        print(f'{verb}: Entry, ":{":".join(keys)}", Does Not Exist', file=sys.stderr)
        return 1


def buddy_print(tree, keys, rest, path):
    for key in keys:
        tree = tree[int(key)] if isinstance(tree, list) else tree[key]
    print(shown(tree))
    return 0


def buddy_add(tree, keys, rest, path):
    place = tree
    for key in keys[:-1]:
        place = place[key]
    if keys[-1] in place:
        print(f'Add: ":{":".join(keys)}" Entry Already Exists', file=sys.stderr)
        return 1
    place[keys[-1]] = {"dict": lambda: {}, "integer": lambda: int(rest[1])}[rest[0]]()
    return buddy_save(tree, path)


def buddy_delete(tree, keys, rest, path):
    place = tree
    for key in keys[:-1]:
        place = place[key]
    place.pop(keys[-1])
    return buddy_save(tree, path)


def buddy_save(tree, path):
    import plistlib

    data = plistlib.dumps(tree)
    with open(path, "wb") as file:
        file.write(data)
    return 0


EDITS = {"Print": buddy_print, "Add": buddy_add, "Delete": buddy_delete}
TOOLS = {
    "mdfind": mdfind,
    "lsappinfo": lsappinfo,
    "osascript": osascript,
    "pkgutil": pkgutil,
    "PlistBuddy": plist_buddy,
    "sw_vers": sw_vers,
    "sleep": lambda words, scenario, root: 0,
}
