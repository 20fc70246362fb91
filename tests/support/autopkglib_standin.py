"""A small stand-in for `autopkglib`, so that the processor is tested where there is no AutoPkg.

Only what KandjiUploader.py touches; `tests/processor/test_contract.py` compares it with the real one.
"""

import contextlib
import importlib.util
import io
import sys
import types
from pathlib import Path


class ProcessorError(Exception):
    pass


class Processor:
    def __init__(self, env=None):
        self.env = env

    def output(self, msg, verbose_level=1):
        if int(self.env.get("verbose", 0)) >= verbose_level:
            print(f"{type(self).__name__}: {msg}")

    def inject(self, arguments):
        self.env.update(arguments)

    def process(self):
        for variable, flags in self.input_variables.items():
            if "default" in flags and variable not in self.env:
                self.env[variable] = flags["default"]
            if flags.get("required") and variable not in self.env:
                raise ProcessorError(f"{type(self).__name__} requires {variable}")
        self.main()
        return self.env


def load(path):
    """The processor class of a file, executed anew as AutoPkg does, under a bare module name that is not registered."""
    module = types.ModuleType("autopkglib")
    module.Processor, module.ProcessorError = Processor, ProcessorError
    before = sys.modules.get("autopkglib")
    sys.modules["autopkglib"] = module
    try:
        spec = importlib.util.spec_from_file_location(Path(path).stem, path)
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
    finally:
        if before is None:
            del sys.modules["autopkglib"]
        else:
            sys.modules["autopkglib"] = before
    if hasattr(loaded, "_use_sealed_library"):
        # The library is the one that the tests have imported and that nobody has sealed; tests/seal holds the seal.
        loaded._use_sealed_library = lambda say: None
    return getattr(loaded, Path(path).stem)


def step(processor_class, env, **arguments):
    """Run one step of a recipe; returns its environment and what it printed."""
    processor, printed = processor_class(env), io.StringIO()
    processor.inject(arguments)
    with contextlib.redirect_stdout(printed):
        processor.process()
    return processor.env, printed.getvalue()
