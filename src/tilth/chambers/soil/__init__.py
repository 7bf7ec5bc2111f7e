"""Gas in the soil below the chamber: diffusion, Fick's law, gap filling."""
