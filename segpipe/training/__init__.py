"""One loop for every model: epochs that can be killed, repeated and compared."""
