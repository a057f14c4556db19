"""The radio that all BLE devices of a gateway share."""
