"""Pattern-recognition downscaling: how local weather follows the wide-area pattern."""
