"""What was made: ELF symbols, GPU code, ABI, import, generation."""
