"""Process equations that several systems share: air, light, leaves, frozen ground."""
