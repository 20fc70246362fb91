"""The parsers of the command line, by the name of the command."""

from kandji_uploader.cli import whole_parser


def parsers():
    return whole_parser()._subparsers._group_actions[0].choices
