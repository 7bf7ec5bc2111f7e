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

#: Standard acceleration of gravity, m s-2. CGPM 1901, resolution 2 (exact).
GRAVITY = 9.80665

#: Stefan-Boltzmann constant, W m-2 K-4. CODATA 2018 (exact).
STEFAN_BOLTZMANN = 5.670374419e-8

#: Von Karman constant. Businger et al. (1971) found 0.35; 0.40 is in general use
#: since Hogstrom (1996), Boundary-Layer Meteorology 78, 215-246.
VON_KARMAN = 0.40

#: Gas constant of dry air, J kg-1 K-1. CIPM-2007 (Picard et al. 2008): R / 28.96546 g.
GAS_CONSTANT_DRY_AIR = 287.05

#: Gas constant of water vapour, J kg-1 K-1: R / 18.015 g.
GAS_CONSTANT_WATER_VAPOUR = 461.5

#: Specific heat of dry air at constant pressure, J kg-1 K-1. WMO (1988): 1005 +- 1.
HEAT_CAPACITY_AIR = 1005.0

#: Latent heat of fusion of ice at 0 degC, J kg-1. IAPWS-06 (Feistel & Wagner 2006).
LATENT_HEAT_FUSION = 3.337e5

#: Latent heat of vaporization at 0 degC, J kg-1. WMO (1988).
LATENT_HEAT_VAPORIZATION = 2.501e6

#: Latent heat of sublimation at 0 degC, J kg-1: the sum, so that a cycle closes.
LATENT_HEAT_SUBLIMATION = LATENT_HEAT_VAPORIZATION + LATENT_HEAT_FUSION

#: Density of liquid water, kg m-3 (nominal, 0-4 degC).
WATER_DENSITY = 1000.0

#: Density of pure ice at 0 degC, kg m-3. IAPWS-06.
ICE_DENSITY = 917.0

#: Specific heat of liquid water at 0 degC, J kg-1 K-1. IAPWS-95: 4219.
HEAT_CAPACITY_WATER = 4219.0

#: Specific heat of ice at 0 degC, J kg-1 K-1. IAPWS-06: 2097.
HEAT_CAPACITY_ICE = 2097.0
