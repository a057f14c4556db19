"""What is in a BTHome v2 advertisement: pure."""
