"""A sink that accepts alerts as a chat service would."""
