"""A sink that takes alerts as a chat service would."""
