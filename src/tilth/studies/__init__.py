"""Claims that anyone can re-run: inputs, method, numbers beside the published ones."""
