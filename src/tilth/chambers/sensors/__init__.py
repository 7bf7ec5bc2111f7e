"""What a sensor, a seal or a whole instrument is worth: calibration and agreement."""
