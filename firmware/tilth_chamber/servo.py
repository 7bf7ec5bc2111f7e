"""The servo of the lid: 270 degrees for pulses of 500 to 2500 us, 50 a second.

The pulses go on while the lid rests: an unheld lid is moved by the wind.
"""

LOW_US = 500
HIGH_US = 2500


class Servo:
    """The lid's servo.

    Parameters
    ----------
    hw : object
        The hardware layer.
    settings : dict
        `lid_open_us`, `lid_closed_us`.

    Attributes
    ----------
    us : int
        Pulse last commanded; 0 for none yet.
    locked : bool
        True: no pulses go out, after the motor's current has pulled the supply down.
    """

    def __init__(self, hw, settings):
        self.hw = hw
        self.settings = settings
        self.us = 0
        self.locked = False

    def move(self, us):
        """Command a position."""
        if not self.locked:
            self.us = us
            self.hw.servo_us(us)

    def open(self):
        """Command the lid open."""
        self.move(self.settings["lid_open_us"])

    def close(self):
        """Command the lid closed."""
        self.move(self.settings["lid_closed_us"])

    def sweep(self):
        """Positions of two full sweeps there and back, from where the lid is now."""
        if self.us * 2 <= LOW_US + HIGH_US:
            return [HIGH_US, LOW_US, HIGH_US, LOW_US]
        return [LOW_US, HIGH_US, LOW_US, HIGH_US]


def pulse(angle):
    """Pulse in us of an angle in whole degrees, 0 to 270.

    Examples
    --------
    >>> pulse(0), pulse(90), pulse(270)
    (500, 1167, 2500)
    """
    return LOW_US + ((HIGH_US - LOW_US) * angle * 2 + 270) // 540
