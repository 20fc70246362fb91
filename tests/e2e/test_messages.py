"""What people hear of an AutoPkg run: one message, when its process ends; nothing is lost and nothing comes twice."""

import json
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from tests.e2e.conftest import each_autopkg
from tests.e2e.test_autopkg import override
from tests.support.autopkg_host import NOTIFY, lend_packages


def apps(autopkg, names, **inputs):
    """Overrides that publish to these Custom Apps, as a recipe list."""
    found = []
    for name in names:
        keys = {"custom_app": {"prod_name": name}} | inputs
        found.append(override(autopkg, f"{name}.kandji", "com.example.kandji.Widget", **keys))
    path = autopkg.home / f"{names[0]}.txt"
    path.write_text("\n".join(found))
    return path


def texts(tenant):
    """Each message as its lines."""
    return [[block["text"]["text"] for block in message["blocks"]] for message in tenant.slack_messages()]


def waits_until(state, process=None):
    until = time.monotonic() + 60
    while not state():
        assert time.monotonic() < until, "it never came"
        assert process is None or process.poll() is None, process.communicate()[0]
        time.sleep(0.02)


def killed(autopkg, tenant, listed, *words):
    """An AutoPkg run that is killed while its last recipe creates its app."""
    fault = tenant.faults.add("POST", "library/custom-apps", kind="stall", nth=len(listed))
    process = autopkg.start("run", "-l", apps(autopkg, listed), *words)
    waits_until(lambda: tenant.faults.hits(fault), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    tenant.faults.clear()


def test_a_list_of_recipes_is_one_message_with_what_changed_first_and_what_failed_next(autopkg, tenant, widget):
    tenant.seed(name="Twin")
    tenant.seed(name="Twin")
    bad = override(autopkg, "Bad.kandji", "com.example.kandji.Widget", custom_app={"prod_nmae": "Bad"})
    listed = apps(autopkg, ["One", "Twin", "Two", "Three"])
    listed.write_text(f"{bad}\n{listed.read_text()}")
    done, _ = autopkg.run("-l", listed, "-k", f"SOURCE={widget('1.0')}", check=70)
    (lines,) = texts(tenant)
    assert lines[0].startswith("*AutoPkg run on ")
    assert lines[0].endswith(": 3 changed, 2 failed*")
    assert [line.partition("|")[2].split(" ")[0].rstrip(">:") for line in lines[1:4]] == ["One", "Two", "Three"]
    assert lines[4].startswith("local.Bad.kandji: :x: failed - ")
    assert "did you mean prod_name?" in lines[4]
    assert lines[5].startswith("Twin 1.0: :warning: conflict - ") or lines[5].startswith("Twin: :warning: conflict - ")
    assert all(f"/library/custom-apps/{tenant.app(name)['id']}|" in str(lines) for name in ("One", "Two", "Three"))
    assert "Traceback" not in done.stdout + done.stderr


@each_autopkg
def test_what_a_run_that_was_killed_or_found_no_slack_had_to_tell_is_told_once_by_the_next_one(autopkg, tenant, widget):
    source = ("-k", f"SOURCE={widget('1.0')}")
    killed(autopkg, tenant, ["One", "Two", "Three"], *source)
    assert texts(tenant) == []
    tenant.faults.add("POST", "/slack/**", kind="status", code=500, nth="every")
    done, _ = autopkg.run("-l", apps(autopkg, ["Four", "Five"]), *source)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "Slack" in line]
    assert len(said) == 1
    assert "Slack was not told, the next run tells it: 127.0.0.1 answered HTTP 500" in said[0]
    tenant.faults.clear()
    autopkg.run("-l", apps(autopkg, ["Four", "Five"]), *source)
    (lines,) = texts(tenant)
    assert lines[0].endswith("4 changed, 1 pending*")
    assert lines[1] == "with what 2 earlier runs could not tell"
    assert "may have come" not in str(lines)
    told = [line.partition("|")[2].partition(">")[0] for line in lines[2:-1]]
    assert told == ["One", "Two", "Four", "Five"]
    assert lines[-1].startswith("Three 1.0: ")
    assert list((autopkg.home / "uploader-state" / "messages").iterdir()) == []


def test_a_run_that_lives_keeps_its_message_from_others_and_two_tell_what_was_left_once(autopkg, tenant, widget):
    source = ("-k", f"SOURCE={widget('1.0')}")
    killed(autopkg, tenant, ["Left", "Stuck"], *source)
    go_on = threading.Event()
    tenant.faults.add("POST", "library/custom-apps", kind="call", do=lambda: go_on.wait(60), nth=2)
    slow = autopkg.start("run", "-l", apps(autopkg, ["Slow", "Slower"]), *source)
    waits_until(lambda: any(app["name"] == "Slow" for app in tenant.apps()), slow)
    # Each has a recipe of its own: AutoPkg's cache folder of one recipe, with its package, is not for two runs at once.
    quick = [
        autopkg.start("run", "-l", apps(autopkg, [name], custom_app={"prod_name": "Slow"}), *source)
        for name in ("A", "B")
    ]
    ended = [(process.communicate()[0], process.returncode) for process in quick]
    assert [code for _, code in ended] == [0, 0], ended
    (lines,) = texts(tenant)
    assert "|Left>" in str(lines)
    assert "|Slow>" not in str(lines)
    go_on.set()
    slow.communicate()
    assert sum("|Slow>" in str(each) for each in texts(tenant)) == 1
    assert sum("|Left>" in str(each) for each in texts(tenant)) == 1


@pytest.fixture
def webhook():
    """A webhook of one's own; yields its address and what it got."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    got = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}/s3cret-of-the-webhook", got
        server.shutdown()


def test_each_hears_what_he_wants_to_and_no_address_is_in_any_output_or_file(autopkg, tenant, widget, webhook):
    address, got = webhook
    lend_packages(autopkg.packages, NOTIFY)
    autopkg.environ["OURS"] = address
    nowhere = "json://127.0.0.1:9/s3cret-of-another"
    people = [{"url": "OURS", "on": "failed"}, {"url": nowhere}, {"url": "NOT_SET"}]
    (autopkg.home / "uploader").mkdir()
    config = autopkg.home / "uploader" / "config.yaml"
    config.write_text(yaml.safe_dump({"notify": people, "slack": {"on": "promoted"}}))
    tenant.seed(name="Twin")
    tenant.seed(name="Twin")
    listed = apps(autopkg, ["One", "Twin"])
    done, _ = autopkg.run("-l", listed, "-k", f"SOURCE={widget('1.0')}", "-vvv", check=70)
    assert tenant.slack_messages() == []
    (message,) = got
    assert message["title"].endswith(": 1 failed")
    assert "**conflict**" in message["message"]
    assert "One" not in message["message"]
    said = done.stdout + done.stderr
    assert said.count("notify 2 (json) was not told, the next run tells it") == 1
    assert said.count("NOT_SET was not told, the next run tells it") == 1
    for command in (("config",), ("doctor",)):
        told = autopkg.uploader(*command)
        said += told.stdout + told.stderr
    assert "notify 2 (json) (all)" in said
    assert "s3cret-of" not in said
    holding = [path for path in autopkg.written() if path != config and b"s3cret-of" in path.read_bytes()]
    assert holding == []
