"""How zones are connected: bridge, veth, addresses, filter and translation, name resolution."""
