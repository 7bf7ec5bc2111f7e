"""Files of instruments and tables, read into closures or continuous records."""
