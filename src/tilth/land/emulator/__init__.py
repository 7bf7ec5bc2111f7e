"""An emulator of any land model: three stores, fifteen parameters per month."""
