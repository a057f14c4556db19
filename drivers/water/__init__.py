"""What all water meters share: how much water went through in each hour and day."""
