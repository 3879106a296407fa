"""What a zone's processes may be and do: users, capabilities, attributes."""
