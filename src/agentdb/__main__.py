"""``python -m agentdb``: the command, where its script is not on the path."""

from agentdb.cli import main

main(prog_name="agentdb")
