"""Physical constants, each with its source. SI units unless the name says so."""

#: Molar gas constant, J mol-1 K-1. CODATA 2018 (exact since the 2019 SI).
MOLAR_GAS_CONSTANT = 8.31446261815324

#: Molar gas constant as LI-COR firmware and goFlux print and use it, J mol-1 K-1.
#: LI-8100A manual, eq. 4-12. Only for comparison with their output, digit by digit.
MOLAR_GAS_CONSTANT_LICOR = 8.314

#: Zero of the Celsius scale, K. BIPM SI brochure, 9th edition (exact).
ZERO_CELSIUS = 273.15

#: Standard atmosphere, Pa. CGPM 1954, resolution 4 (exact).
STANDARD_ATMOSPHERE = 101325.0

#: Molar mass of water, kg mol-1. IUPAC 2021 standard atomic weights.
MOLAR_MASS_WATER = 18.015e-3

#: Seconds in a day of the UTC scale, s. Leap seconds are not counted (POSIX).
SECONDS_PER_DAY = 86400.0
