"""Rivers: networks of unit catchments, discharge, floods."""
