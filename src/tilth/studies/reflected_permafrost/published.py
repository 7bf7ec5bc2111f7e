"""Numbers that the study is held against, and where each comes from."""

#: Results of gnssrefl 4.2.3 on the same files: file of the day -> rows, mean (m).
STATION = {"gps_010.txt": (103, 1.6905), "gps_011.txt": (111, 1.6916)}

#: The same day with a periodogram without floating mean: it has to be told apart.
NEGATIVE_CONTROL = "gps_011_lspscipy_NEGATIVE_CONTROL.txt"

#: Found once more from the records, with other code: bare height (m), days with a
#: stake reading, bias and standard deviation (m) and correlation, record less stake.
SNOW = {"bare": 3.0847, "days": 93, "bias": -0.107, "sd": 0.120, "correlation": 0.980}

#: Likewise for the lake: days, correlation and slope of height on level, and standard
#: deviation of their sum (m).
LAKE = {"days": 273, "correlation": -0.9952, "slope": -0.961, "sd": 0.0231}

#: Trend of the ground's surface at Barrow, July and August 2004-2015, m yr-1, and its
#: standard error as published: Liu & Larson (2018), Cryosphere 12, 477-489.
BARROW = (-0.0026, 0.0002)
