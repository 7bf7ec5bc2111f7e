"""What starts the firmware and never changes: the loader and its two slots."""
