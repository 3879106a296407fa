"""The local image store: references, layers, archives unpacked in confinement, roots copied and made."""
