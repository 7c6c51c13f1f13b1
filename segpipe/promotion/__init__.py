"""From a result to a champion: the gate that fails closed, and the registry behind it."""
