"""Where the seconds of a run go."""

import threading
import time

from kandji_uploader._util import signals, timings

NAP = 0.02


def test_a_second_counts_once_and_for_the_innermost_part():
    began = time.perf_counter()
    with timings.counted() as spent:
        with timings.at("settle"):
            time.sleep(NAP)
            with timings.at("upload"):
                signals.pause(NAP)
                time.sleep(NAP)
        time.sleep(NAP)
    wall = time.perf_counter() - began

    assert tuple(spent) == timings.PARTS
    assert min(spent[part] for part in ("settle", "upload", "waiting", "other")) >= NAP
    assert spent["list"] == spent["read"] == spent["digest"] == 0
    assert wall - NAP / 2 <= sum(spent.values()) <= wall


def test_another_thread_has_seconds_of_its_own():
    with timings.counted() as spent:
        thread = threading.Thread(target=timings.at("upload")(time.sleep), args=(NAP,))
        thread.start()
        thread.join()

    assert spent["upload"] == 0
    assert spent["other"] >= NAP
