"""Weather for the emulator."""

#: What daily weather on land can be, in the units of the kernel.
LIMITS = {
    "rain": (0.0, 2000.0),
    "snowfall": (0.0, 2000.0),
    "temperature": (150.0, 350.0),
    "humidity": (0.0, 0.1),
    "pressure": (2e4, 1.2e5),
}
