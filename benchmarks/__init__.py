"""Speed and size, as ratios to a limit or to a peer measured in the same run. Not tests."""
