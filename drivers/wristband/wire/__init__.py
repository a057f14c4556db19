"""Values of GATT characteristics to readings. Pure; raises nothing but DecodeError."""
