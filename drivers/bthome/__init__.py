"""BTHome v2: wireless buttons and sensors that only advertise."""
