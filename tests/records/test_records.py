"""A record is the standard library's dataclass in everything but when it is made."""

import copy
import dataclasses
import pickle
import threading

import pytest

from kandji_uploader._util import lazydataclass as records
from kandji_uploader._util.lazydataclass import dataclass


@dataclass(frozen=True)
class Record:
    """A record."""

    name: str
    count: int = 3
    rows: list[int] = dataclasses.field(default_factory=list)

    @property
    def double(self) -> int:
        return 2 * self.count


@dataclasses.dataclass(frozen=True)
class Standard:
    name: str
    count: int = 3
    rows: list[int] = dataclasses.field(default_factory=list)


def fresh(**options):
    @dataclass(**options)
    class Fresh:
        name: str
        count: int = 3
        rows: list[int] = dataclasses.field(default_factory=list)

    return Fresh


def test_it_is_made_with_its_first_instance():
    kind = fresh(frozen=True)
    assert not dataclasses.is_dataclass(kind)
    kind("a")
    assert dataclasses.is_dataclass(kind)


def test_values_compare_show_and_copy_as_those_of_the_standard_library():
    one, other = Record("a", rows=[1]), Record("a", rows=[1])
    assert one == other
    assert one != Record("b")
    assert repr(one) == "Record(name='a', count=3, rows=[1])"
    assert dataclasses.replace(one, count=4).double == 8
    assert dataclasses.asdict(one) == dataclasses.asdict(Standard("a", rows=[1]))
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    assert Record("a").rows is not Record("a").rows


def test_a_frozen_one_hashes_and_cannot_be_changed():
    kind = dataclass(frozen=True)(type("Plain", (), {"__annotations__": {"name": "str"}}))
    one = kind("a")
    assert hash(one) == hash(kind("a"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "b"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.name


def test_one_that_is_not_frozen_can_be_changed():
    @dataclass
    class Open:
        name: str = ""

    one = Open()
    one.name = "b"
    assert one == Open("b")


@pytest.mark.parametrize("given", [{}, {"name": "a", "none": 1}], ids=["missing", "unknown"])
def test_wrong_arguments_are_told_as_by_the_standard_library(given):
    with pytest.raises(TypeError) as ours:
        fresh(frozen=True)(**given)
    with pytest.raises(TypeError) as theirs:
        Standard(**given)
    assert str(ours.value).partition("__init__()")[2] == str(theirs.value).partition("__init__()")[2]


def test_a_signal_in_the_middle_leaves_a_class_that_is_made_next_time(monkeypatch):
    kind, real = fresh(frozen=True), dataclasses.dataclass

    def interrupted(**options):
        def halfway(cls):
            real(**options)(cls)
            raise KeyboardInterrupt

        return halfway

    monkeypatch.setattr(records.dataclasses, "dataclass", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kind("a")
    monkeypatch.undo()
    assert kind("a") == kind("a")
    assert kind("a").rows == []


def test_threads_that_make_the_first_instance_at_once_all_get_one():
    for _ in range(20):
        kind, made, gate = fresh(frozen=True), [], threading.Barrier(8)

        def work(kind=kind, made=made, gate=gate):
            gate.wait()
            made.append(kind("a"))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made == [kind("a")] * 8


def test_a_class_that_inherits_is_refused_at_once():
    with pytest.raises(TypeError, match="inherits"):

        @dataclass(frozen=True)
        class Child(Record):
            more: str = ""
