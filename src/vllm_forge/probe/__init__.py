"""What this machine is. Each fact is a pair: `read_x` (one look at the world), `parse_x` (pure)."""
