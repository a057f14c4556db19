"""BLE wristbands: heart rate, oxygen, temperature, battery."""
