"""Build here, publish there: what a recipe would publish, kept as files and one line, for another machine to publish.

    lines     a line of `manifest.jsonl`: value <-> text, with a digest of its own; shards. Pure
    folder    the folder that holds it: installers and scripts by their sha256, and the lines

A folder can be kept as an artifact of a CI job, or be on a volume that several machines share.
"""
