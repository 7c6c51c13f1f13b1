"""What `python -m segpipe` can do: each file is a command, and its name is the command's."""
