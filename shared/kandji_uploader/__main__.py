"""The process of the command line: `kandji-uploader`, or `python -m kandji_uploader`."""

import gc
import sys


def main() -> int:
    """Run the command line in a process of its own; returns the exit code.

    A run imports much, throws hardly anything away and ends soon. Looking for garbage all along, and once more through
    everything at the end, would be a seventh of a run that finds nothing to do.
    """
    gc.set_threshold(50_000)
    try:
        from kandji_uploader.cli import main as command_line

        code = command_line()
    except KeyboardInterrupt:  # while the modules are read: the command itself tells what was under way
        sys.stderr.write("\nkandji-uploader: stopped\n")
        return 130
    gc.freeze()
    return code


if __name__ == "__main__":
    sys.exit(main())
