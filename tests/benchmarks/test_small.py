"""A small version of the benchmarks: ratios, counts of requests and memory; never absolute times.

Each margin is stated where it is used. Python takes longer to start than curl takes for 32 MiB, and other tests run at
the same time; so what is compared with curl and openssl here is the processor time that a run takes beyond one that
publishes nothing. Other tests make a run dearer, never cheaper; so the cheapest run of each is what counts.
"""

import os
import shutil
from dataclasses import replace

import pytest

from benchmarks import cases, installers
from benchmarks.cases import SMALL, Bench
from benchmarks.measure import MIB, Sample, in_turns
from benchmarks.tenant import Tenant

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(shutil.which, ("curl", "openssl", "gzip", "xz"))),
        reason="curl, openssl, gzip and xz are what is measured by",
    ),
]

STARTUP_MEMORY = 44
"""MiB for 32 MiB; 35 were measured on Linux, and the bar for 1 GiB is 48."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("benchmarks"), SMALL)


def nothing_to_do(bench, tenant):
    """A run that finds everything as it should be, for what the start of a process takes."""
    path = bench.folder / "Tiny-1.0.zip"
    if not path.exists():
        installers.app_zip(path, "Tiny", "1.0")
    tenant.seed([cases._app("Tiny", installers.sha256(path), path.stat().st_size, file_name=path.name)])
    bench.fresh()
    return bench.publish(tenant, path, name="Tiny")


def beyond(ours, start, *limits):
    """What our runs cost beyond the start, over what the limits cost together, in processor time."""

    def cost(sample):
        return min(run.cpu for run in sample.runs)

    return (cost(ours) - cost(start)) / sum(map(cost, limits))


@pytest.fixture(scope="module")
def published(bench):
    """Runs that publish the large installer, that do nothing, curl, openssl; and the requests of each of the first."""
    path, requests = bench.large(), []
    with Tenant(keep_files=False) as tenant:

        def ours():
            tenant.clear()
            bench.fresh("file")  # what curl and openssl do, too: they do not look into it
            run = bench.publish(tenant, path)
            requests.append(tenant.requests())
            return run

        def start():
            tenant.clear()
            return nothing_to_do(bench, tenant)

        samples = in_turns(2 * SMALL.rounds, ours, start, lambda: bench.curl(tenant, path), lambda: bench.openssl(path))
    return samples, requests


def test_a_new_app_takes_six_requests(published):
    _, every = published
    for requests in every:
        assert [line.split()[0] for line in requests] == ["GET", "POST", "POST", "GET", "POST", "GET"]


def test_publishing_costs_no_more_than_curl_and_a_digest(published):
    (ours, start, curl, openssl), _ = published
    # Of 32 MiB curl and a digest take 0.06 s, and the six requests of a create as much again: 1.3 to 2.7 were measured.
    assert beyond(ours, start, curl, openssl) <= 4.0


def test_publishing_needs_no_more_memory_for_a_larger_file(bench, published):
    (ours, *_), _ = published
    assert ours.peak <= STARTUP_MEMORY * MIB
    (row,) = cases._memory_of_huge(bench, ours.peak)
    assert row.value <= 2.0, "MiB more for four times the size"


def test_an_unchanged_installer_takes_one_request_and_is_not_read_again(bench):
    path = installers.flat_package(bench.folder / "Zeros-1.0.pkg", "Zeros", 1 << 24, late=False, packed=True)
    os.truncate(path, 256 << 20)  # zeros that take no room on the disk, but as long to be hashed as any bytes
    digest = installers.sha256(path)
    requests = []
    with Tenant() as tenant:

        def seeded():
            tenant.clear()
            tenant.seed([cases._app("Big", digest, path.stat().st_size, file_name=path.name)])

        def once():
            run = bench.publish(tenant, path)
            requests.append(tenant.requests())
            return run

        def cold():
            bench.fresh()
            return once()

        def start():
            run = nothing_to_do(bench, tenant)
            tenant.requests()
            seeded()
            return run

        seeded()
        first, empty, limit = in_turns(SMALL.rounds, cold, start, lambda: bench.openssl(path))
        once()
        again = Sample(tuple(once() for _ in range(2 * SMALL.rounds)))
    assert {len(every) for every in requests} == {1}
    assert beyond(first, empty, limit) <= 2.5, "1.2 are the bar for 1 GiB, the start of the process included"
    assert beyond(again, empty, limit) < min(1.0, beyond(first, empty, limit)), (
        "with the digest known, the size makes no difference"
    )


def test_a_run_that_finds_nothing_to_do_costs_little_more_than_importing_requests(bench):
    with Tenant() as tenant:

        def start():
            tenant.clear()
            return nothing_to_do(bench, tenant)

        ours, bare = in_turns(4, start, lambda: bench.python_run("import requests"))
    times = min(run.cpu for run in ours.runs) / min(run.cpu for run in bare.runs)
    assert times <= 2.3, "1.4 were measured"


def test_facts_cost_no_more_than_unpacking_and_little_memory(bench):
    before = {*bench.folder.iterdir()}
    late, late_memory, _, first_memory, content, content_memory = cases._facts_of_gzip(bench)
    chunks, chunks_memory = cases._facts_of_pbzx(bench)
    assert late.value <= 2.5, "1.3 are the bar for 1 GiB; the start of a process counts here"
    assert chunks.value <= 2.5, "likewise"
    assert content.value <= 2.5, "1.1 are the bar for 1 GiB; the start of a process counts here"
    assert content_memory.reached, f"{content_memory.value} MiB: {content_memory.bar}"
    assert max(late_memory.value, first_memory.value, chunks_memory.value) <= 64
    assert {*bench.folder.iterdir()} == before, "reading an installer leaves no files"


def test_facts_of_a_zip_of_very_many_files_take_little_memory(bench):
    rows = [*cases._facts_of_crowds(replace(bench, scale=replace(SMALL, rounds=1)))]
    memory = [row for row in rows if row.what == "its memory"]
    assert len(memory) == len(cases.CROWDS)
    assert not [row.ours for row in memory if not row.reached]


def test_recipes_take_a_list_and_six_requests_for_each_change_and_do_not_grow(bench):
    requests, growth = cases.many_recipes(bench)
    assert requests.reached, f"{requests.value} requests: {requests.bar}"
    assert growth.value <= 2.5, "1.5 are the bar; CI is noisier"


def test_four_jobs_are_faster_and_need_little_memory(bench):
    for _ in range(3):  # by the clock: a machine that does something else too gets three tries
        row, memory = cases.side_by_side(bench)
        assert memory.reached, f"{memory.value} MiB: {memory.bar}"
        if row.value >= 1.3:
            break
    assert row.value >= 1.3, "3.5 are the bar for 16 larger installers; the start of a process counts here"


def test_the_processors_metadata_costs_no_more_than_that_of_a_processor_that_does_nothing(bench):
    # Milliseconds beside those of a start of Python: a machine that does something else too gets three tries.
    assert any(row.value <= 1.3 for _ in range(3) for row in cases.processor(bench)), "1.1 are the bar"


def test_each_of_eight_jobs_takes_a_little_more_memory(bench):
    (row,) = cases.eight_jobs(bench)
    assert row.reached, f"{row.ours}: {row.bar}"
