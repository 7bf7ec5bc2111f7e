"""Copied to the root of the flash as main.py: MicroPython runs it at every start."""

from tilth_boot.loader import main

main()
